package bridge

import (
	"fmt"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// sightChange is what comes and goes below a scope because scopes are moved: whoever holds
// something there sees it, or sees it no longer, without being given anything.
type sightChange struct{ loses, gains movedScopes }

// movedScopes are scopes that are moved: the first of them, and how many.
type movedScopes struct {
	path string
	n    int
}

func (m *movedScopes) add(path string) {
	if m.n++; m.n == 1 || path < m.path {
		m.path = path
	}
}

func (m movedScopes) String() string {
	if m.n > 1 {
		return fmt.Sprintf("%s and %d more", m.path, m.n-1)
	}
	return m.path
}

// sightOf is by scope what it will cover or cover no longer. Scopes that come or are
// retired are no news to those above them.
func sightOf(was, next *access.Tree) map[access.ScopeID]sightChange {
	all := map[access.ScopeID]sightChange{}
	for _, s := range access.DiffTrees(was, next).Changed {
		before, there := was.Scope(s.ID)
		if !there || before.Parent == s.Parent || !was.Live(s.ID) || !next.Live(s.ID) {
			continue
		}
		above, will := was.Ancestors(s.ID), next.Ancestors(s.ID)
		for _, id := range above {
			if x := all[id]; !slices.Contains(will, id) {
				x.loses.add(was.Path(s.ID))
				all[id] = x
			}
		}
		for _, id := range will {
			if x := all[id]; !slices.Contains(above, id) {
				x.gains.add(next.Path(s.ID))
				all[id] = x
			}
		}
	}
	return all
}

// sighted reports whether somebody is stored to hold something at a scope that will cover
// others.
func (w *planWorker) sighted(x *store.CensusPerson) bool {
	return len(w.sight) > 0 && slices.ContainsFunc(x.Held, func(a store.CensusAssignment) bool { _, is := w.sight[a.Scope]; return is })
}

// moved reports whether an assignment is at a scope that will cover others.
func (p *planner) moved(a access.Assignment) bool { _, is := p.sight[a.Scope]; return is }

// see tells what people come to see, or see no longer, by what they keep: scopes are moved
// below it, or away.
func (w *planWorker) see(c *PersonChange, before, after []access.Assignment) {
	for _, a := range after {
		s, is := w.sight[a.Scope]
		kept := slices.ContainsFunc(before, func(b access.Assignment) bool { return b.Grant == a.Grant && b.Scope == a.Scope })
		if !is || !kept || !w.holds(a) || !a.Grant.MaySignIn() {
			continue
		}
		h := holdingOf(w.next, a)
		if s.gains.n > 0 {
			h.Was = append(h.Was, "without "+s.gains.String()+" below it")
		}
		if h.Narrows = s.loses.n > 0; h.Narrows {
			h.Was = append(h.Was, "with "+s.loses.String()+" below it")
			c.losses = append(c.losses, lossOf(lostSight, c.Connection, c.Person, a))
		}
		c.Alters = append(c.Alters, h)
	}
}
