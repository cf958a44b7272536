package steward

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// newLand is a desk whose tree is kept in the store, and whose people have been decided.
func newLand(t testing.TB) *desks {
	t.Helper()
	k := newDesks(t)
	p := worldPolicy(t)
	tree, err := access.NewTree(p.Scopes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Connections {
		c := &p.Connections[i]
		c.Root, c.Ceiling.Scope = mapping.ProvisionalID(tree.Path(c.Root)), mapping.ProvisionalID(tree.Path(c.Ceiling.Scope))
	}
	p.Scopes, p.TreeInStore = p.Scopes[:1], true
	k.apply(p)
	k.recompute()
	return k
}

func (k *desks) adds(a Actor, under, slug string) error {
	n := bridge.NewScope{Under: under, Slug: slug, Name: strings.ToUpper(slug)}
	if strings.Count(under, "/") == 1 {
		n.TimeZone = "Australia/Perth"
	}
	_, err := k.steward.AddScope(k.ctx, a, n)
	return err
}

func (k *desks) calls(a Actor, at, slug string) error {
	_, err := k.steward.RenameScope(k.ctx, a, at, access.Description{Slug: &slug}, "desk")
	return err
}

// Who administers adds below the own scope and renames what lies there; what lies outside
// is not there, whether it is there or not.
func TestWhoMayChangeTheTreeWhere(t *testing.T) {
	k := newLand(t)
	said := func(err error) string {
		if fault.Is(err, fault.Invalid) {
			return "invalid"
		}
		return answer(err)
	}
	for _, c := range []struct {
		who, add, rename string // what becomes of adding under the paths below, and of renaming them
		a                Actor
	}{
		// . | southern | southern/banksia | southern/banksia/hobart | southern/reefline | boreal/tundra | nowhere
		{"operator", "yes yes yes invalid yes yes missing", "invalid yes yes yes yes yes missing", k.operator},
		{"owner", "yes yes yes invalid yes yes missing", "own_scope yes yes yes yes yes missing", k.own},
		{"provider", "missing yes yes invalid yes missing missing", "missing own_scope yes yes yes missing missing", k.pat},
		{"account", "missing missing yes invalid missing missing missing", "missing missing own_scope yes missing missing missing", k.ada},
		{"fleet", "missing missing missing invalid missing missing missing", "missing missing missing own_scope missing missing missing", k.hob},
		{"nobody", "missing missing missing missing missing missing missing", "missing missing missing missing missing missing missing", k.samActs},
	} {
		var add, rename []string
		for i, path := range []string{".", "southern", "southern/banksia", "southern/banksia/hobart", "southern/reefline", "boreal/tundra", "nowhere"} {
			added, renamed := k.adds(c.a, path, c.who), k.calls(c.a, path, fmt.Sprintf("%s-%d", c.who, i))
			if c.who != "operator" && (fault.Is(added, fault.NotFound) && fault.DetailOf(added) != "there is no such scope" || fault.Is(renamed, fault.NotFound) && fault.DetailOf(renamed) != "there is no such scope") {
				t.Errorf("%s at %s can tell what is there from what is not: %v, %v", c.who, path, added, renamed)
			}
			add, rename = append(add, strings.ReplaceAll(said(added), "not found", "missing")), append(rename, strings.ReplaceAll(said(renamed), "not found", "missing"))
		}
		if got := strings.Join(add, " "); got != c.add {
			t.Errorf("%s adds: %s, want %s", c.who, got, c.add)
		}
		if got := strings.Join(rename, " "); got != c.rename {
			t.Errorf("%s renames: %s, want %s", c.who, got, c.rename)
		}
	}
	unmarked := k.ada
	unmarked.Manages = false
	name := "Somewhere else"
	_, err := k.steward.RenameScope(k.ctx, k.ada, "southern/banksia/hobart", access.Description{Name: &name}, "")
	k.refusedFor(err, fault.Conflict, bridge.ReasonPlanFirst) // groups are named after it
	if got := answer(k.adds(unmarked, "southern/banksia", "more")); got != ReasonUnmarked {
		t.Errorf("a token without users.manage: %s", got)
	}
}

func TestAChangedTreeSaysWhoChangedIt(t *testing.T) {
	k := newLand(t)
	_, err := k.steward.AddScope(k.ctx, k.ada, bridge.NewScope{ID: "scp_mine", Under: "southern/banksia", Slug: "perth", Name: "Perth", TimeZone: "Australia/Perth"})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("a person chose an id: %v", err)
	}
	if err := k.adds(k.ada, "southern/banksia", "perth"); err != nil {
		t.Fatal(err)
	}
	told := k.facts(event.ScopeAdded)
	if e := told[len(told)-1]; e.Actor != event.ByPerson || e.Data["by"] != string(k.ada.Person) || e.Data["scope"] != string(k.scope("southern/banksia/perth")) {
		t.Errorf("told: %+v", e)
	}
	list, err := k.bridge.Applications(k.ctx, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a := list[0]; !strings.HasPrefix(a.Author, "ada (") || !strings.Contains(a.Author, string(k.ada.Person)) || a.File != "scope add southern/banksia/perth" {
		t.Errorf("the history says %+v", a)
	}
	if err := k.calls(k.operator, "southern/banksia/perth", "fremantle"); err != nil {
		t.Fatal(err)
	}
	told = k.facts(event.ScopeRenamed)
	if e := told[len(told)-1]; e.Actor != event.ByAdministrator || e.Data["by"] != "" {
		t.Errorf("told of the operator: %+v", e)
	}
}

// Whoever loses the right while they add a scope has added it before that, or not at all.
func TestAScopeIsAddedByNobodyWhoLostTheRight(t *testing.T) {
	k := newLand(t)
	errs := atOnce(func() error { return k.adds(k.ada, "southern/banksia", "perth") }, func() error {
		k.leave(banksia, k.ada.Person, accountAdmins)
		return nil
	})
	added, dropped := k.order(event.ScopeAdded, ""), k.order(event.AssignmentDropped, k.ada.Person)
	if errs[0] != nil {
		if k.refusedFor(errs[0], fault.Denied, ReasonRightLost); added >= 0 {
			t.Error("refused, and the scope is there")
		}
		return
	}
	if added < 0 || dropped < added {
		t.Errorf("added at %d, the right was lost at %d", added, dropped)
	}
}

// The right counts in the transaction that puts the tree in force, not in what was worked
// out beside it.
func TestTheRightToAddIsReadWhereItCounts(t *testing.T) {
	k := newLand(t)
	path, by, err := k.steward.changesTree(k.ctx, k.ada, "southern/banksia", adds)
	if err != nil || path != "southern/banksia" {
		t.Fatal(path, err)
	}
	k.leave(banksia, k.ada.Person, accountAdmins)
	_, err = k.bridge.AddScope(k.ctx, bridge.NewScope{Under: path, Slug: "perth", Name: "Perth", TimeZone: "Australia/Perth", By: by})
	k.refusedFor(err, fault.Denied, ReasonRightLost)
	if slices.ContainsFunc(k.facts(event.ScopeAdded), func(e event.Event) bool { return e.Actor == event.ByPerson }) {
		t.Error("it was added")
	}
}
