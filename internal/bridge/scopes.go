package bridge

import (
	"context"
	"encoding/json"
	"slices"
	"time"
	_ "time/tzdata" // time zones must be known on machines that have no list of them

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// ScopeView is a scope as operators see it.
type ScopeView struct {
	ID       access.ScopeID `json:"id"`
	Path     string         `json:"path"`
	Level    access.Level   `json:"level"`
	Slug     string         `json:"slug"`
	Name     string         `json:"name"`
	Parent   access.ScopeID `json:"parent,omitempty"`
	TimeZone string         `json:"timezone,omitempty"`
	Location string         `json:"location,omitempty"`
	Was      []string       `json:"was,omitempty" doc:"former slugs, which still lead here"`
	Formerly []string       `json:"formerly,omitempty" doc:"paths of before it was moved, which still lead here"`
	Retired  *time.Time     `json:"retired,omitempty" doc:"since when it, or what lies above it, gives nothing"`
	Children int            `json:"children"`
	Last     bool           `json:"last,omitempty" doc:"no sibling comes after it"`
	Holds    GrantCounts    `json:"holds" doc:"how many assignments there are at the scope itself"`
}

// GrantCounts are assignments by grant; what there are none of is left out.
type GrantCounts map[access.Grant]int64

// ScopeList is a part of the tree, in its order.
type ScopeList struct {
	Policy  int64       `json:"policy" doc:"version of the policy that the tree is of"`
	InStore bool        `json:"in_store" doc:"the tree is kept in the store; otherwise in the configuration file"`
	Total   int         `json:"total" doc:"how many scopes there are at or below the one asked for"`
	Scopes  []ScopeView `json:"scopes"`
	Next    string      `json:"next,omitempty" doc:"where the next part begins: send it as after"`
}

// MaxScopes is how many scopes one list shows at most.
const MaxScopes = 1000

// Scopes lists the scope at a path, or with an id, and all below it, depth first. after
// is the id of the last scope of the part before; "" at the beginning.
func (b *Bridge) Scopes(ctx context.Context, at string, after access.ScopeID, limit int) (ScopeList, error) {
	const op = "bridge.Scopes"
	var out ScopeList
	err := b.store.View(ctx, func(v *store.View) error {
		p, err := b.active(v)
		if err != nil {
			return err
		}
		s, err := find(p.Tree(), at)
		if err != nil {
			return err
		}
		ids := p.Tree().Under(s.ID)
		out = ScopeList{Policy: p.version, InStore: p.Source().TreeInStore, Total: len(ids), Scopes: []ScopeView{}}
		if after != "" {
			i := slices.Index(ids, after)
			if i < 0 {
				return fault.New(fault.Stale, op, "the scope after which the list should go on is not there any more; begin again")
			}
			ids = ids[i+1:]
		}
		if limit = max(1, min(limit, MaxScopes)); len(ids) > limit {
			ids = ids[:limit]
			out.Next = string(ids[limit-1])
		}
		counts, err := v.HeldAt(ids)
		for _, id := range ids {
			view := viewOf(p.Tree(), id)
			view.Holds = counted(counts[id])
			out.Scopes = append(out.Scopes, view)
		}
		return err
	})
	return out, err
}

func counted(c map[access.Grant]int64) GrantCounts {
	if c == nil {
		return GrantCounts{}
	}
	return c
}

// ScopeDetail is one scope, with what lies above and below it.
type ScopeDetail struct {
	ScopeView
	InStore bool        `json:"in_store"`
	Above   []ScopeView `json:"above" doc:"what covers it, the host first: who holds something there sees this scope"`
	Below   int         `json:"below" doc:"how many scopes lie below it"`
	Inside  GrantCounts `json:"inside" doc:"how many assignments there are at scopes below it"`
}

// Scope shows the scope at a path, or with an id.
func (b *Bridge) Scope(ctx context.Context, at string) (ScopeDetail, error) {
	var out ScopeDetail
	err := b.store.View(ctx, func(v *store.View) error {
		p, err := b.active(v)
		if err != nil {
			return err
		}
		tree := p.Tree()
		s, err := find(tree, at)
		if err != nil {
			return err
		}
		above := tree.Ancestors(s.ID)
		if n := len(above); n > 1 {
			above = append([]access.ScopeID{above[n-1]}, above[:n-1]...) // the host first
		}
		under := tree.Under(s.ID)[1:]
		counts, err := v.HeldAt(append([]access.ScopeID{s.ID}, above...))
		if err != nil {
			return err
		}
		out = ScopeDetail{ScopeView: viewOf(tree, s.ID), InStore: p.Source().TreeInStore, Above: []ScopeView{}, Below: len(under)}
		out.Holds = counted(counts[s.ID])
		for _, id := range above {
			a := viewOf(tree, id)
			a.Holds = counted(counts[id])
			out.Above = append(out.Above, a)
		}
		out.Inside, err = heldUnder(v, under)
		return err
	})
	return out, err
}

// heldUnder adds up what is held at many scopes.
func heldUnder(v *store.View, ids []access.ScopeID) (GrantCounts, error) {
	sum := GrantCounts{}
	for part := range slices.Chunk(ids, MaxScopes) {
		counts, err := v.HeldAt(part)
		if err != nil {
			return nil, err
		}
		for _, c := range counts {
			for g, n := range c {
				sum[g] += n
			}
		}
	}
	return sum, nil
}

// find reads the path or the id of a scope; "" is the host.
func find(tree *access.Tree, at string) (access.Scope, error) {
	if at == "" {
		at = "."
	}
	if s, ok := tree.Scope(access.ScopeID(at)); ok {
		return s, nil
	}
	if s, ok := tree.Find(at); ok {
		return s, nil
	}
	return access.Scope{}, fault.New(fault.NotFound, "bridge.find", "there is no scope %q; drawbridge scope list shows them", at)
}

func viewOf(tree *access.Tree, id access.ScopeID) ScopeView {
	s, _ := tree.Scope(id)
	v := ScopeView{ID: id, Path: tree.Path(id), Level: s.Level, Slug: s.Slug, Name: s.Name, Parent: s.Parent, TimeZone: s.TimeZone, Location: s.Location,
		Was: s.Was, Children: len(tree.Below(id)), Last: tree.IsLast(id), Holds: GrantCounts{}}
	for _, f := range s.Formerly {
		v.Formerly = append(v.Formerly, join(tree.Path(f.Parent), f.Slug))
	}
	if at := tree.RetiredSince(id); !at.IsZero() {
		v.Retired = &at
	}
	return v
}

func join(parent, slug string) string {
	if parent == "." {
		return slug
	}
	return parent + "/" + slug
}

// Scope is what a view is of, but for the paths of before it was moved.
func (v ScopeView) Scope() access.Scope {
	s := access.Scope{ID: v.ID, Slug: v.Slug, Level: v.Level, Name: v.Name, Parent: v.Parent, TimeZone: v.TimeZone, Location: v.Location, Was: v.Was}
	if v.Retired != nil {
		s.Retired = *v.Retired
	}
	return s
}

// WithSnapshot is a policy whose tree is kept in the store with a tree that Scopes
// listed whole, as JSON: what checks a file without a bridge. fault.Invalid if that is
// none, or a connection names a scope that it does not have.
func WithSnapshot(policy mapping.PolicySource, body []byte) (mapping.PolicySource, error) {
	const op = "bridge.WithSnapshot"
	var list ScopeList
	if err := json.Unmarshal(body, &list); err != nil {
		return policy, fault.New(fault.Invalid, op, "this is not what drawbridge scope list --json prints: %v", err)
	}
	var all []access.Scope
	for _, v := range list.Scopes {
		all = append(all, v.Scope())
	}
	tree, err := access.NewTree(all)
	if err != nil || len(all) != list.Total {
		return policy, fault.New(fault.Invalid, op, "these %d scopes are no whole tree: list all of it, with a --limit that is large enough", len(all))
	}
	for i, v := range list.Scopes { // a former path leads on here, too
		for _, path := range v.Formerly {
			under, slug := cutPath(path)
			if parent, ok := tree.Find(under); ok {
				all[i].Formerly = append(all[i].Formerly, access.Place{Parent: parent.ID, Slug: slug})
			}
		}
	}
	if tree, err = access.NewTree(all); err != nil {
		return policy, fault.New(fault.Invalid, op, "these scopes are no tree: %v", err)
	}
	return adopt(policy, tree, sameScopeID)
}
