package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// sampleScopes is a tree of two accounts; both connections' ceilings lie at the first.
func sampleScopes() []access.Scope {
	return []access.Scope{
		{ID: "scp_host", Level: access.Host, Name: "Vendor"},
		{ID: "scp_sp", Slug: "pacific", Level: access.ServiceProvider, Name: "Pacific", Parent: "scp_host"},
		{ID: "scp_account", Slug: "ironbark", Level: access.Account, Name: "Ironbark", Parent: "scp_sp", Was: []string{"bluegum", "redgum"}},
		{ID: "scp_fleet", Slug: "adelaide", Level: access.Fleet, Name: "Adelaide", Parent: "scp_account", TimeZone: "Australia/Adelaide", Location: "Port Road"},
		{ID: "scp_other", Slug: "coral", Level: access.Account, Name: "Coral", Parent: "scp_sp"},
		{ID: "scp_far", Slug: "cairns", Level: access.Fleet, Name: "Cairns", Parent: "scp_other", TimeZone: "Australia/Brisbane", Formerly: []access.Place{{Parent: "scp_account", Slug: "cairns"}}},
	}
}

func ceiling(grants ...access.Grant) access.Ceiling {
	return access.Ceiling{Scope: "scp_account", Grants: grants}
}

func treeOf(t testing.TB, scopes ...access.Scope) *access.Tree {
	t.Helper()
	tree, err := access.NewTree(scopes)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// scopeWith is the sample with one scope changed; nil takes it away.
func scopeWith(id access.ScopeID, change func(*access.Scope)) []access.Scope {
	var all []access.Scope
	for _, s := range sampleScopes() {
		if s.ID == id {
			if change == nil {
				continue
			}
			change(&s)
		}
		all = append(all, s)
	}
	return all
}

func (f *fixture) putTree(before, after []access.Scope) error {
	d := access.DiffTrees(treeOf(f.t, before...), treeOf(f.t, after...))
	return f.Update(f.t.Context(), func(tx *store.Tx) error { return tx.PutTree(d) })
}

// stored is the tree as the database has it.
func (f *fixture) stored() *access.Tree {
	f.t.Helper()
	var all []access.Scope
	f.view(func(v *store.View) (err error) { all, err = v.Scopes(); return err })
	return treeOf(f.t, all...)
}

// The tree that is read is the one that was written, whatever led to it.
func testTree(t *testing.T, f *fixture) {
	before := sampleScopes()
	same := func(what string, want []access.Scope) {
		t.Helper()
		if got := f.stored(); !access.DiffTrees(treeOf(t, want...), got).Empty() {
			t.Errorf("%s: stored %+v", what, got.All())
		}
	}
	same("written at first", before)
	for _, step := range []struct {
		what  string
		after []access.Scope
	}{
		{"renamed, with an alias", scopeWith("scp_fleet", func(s *access.Scope) { s.Slug, s.Name, s.Was = "glenelg", "Glenelg", []string{"adelaide"} })},
		{"moved", scopeWith("scp_fleet", func(s *access.Scope) {
			s.Parent, s.Formerly = "scp_other", []access.Place{{Parent: "scp_account", Slug: "adelaide"}}
		})},
		{"retired", scopeWith("scp_account", func(s *access.Scope) { s.Retired = day })},
		{"restored", sampleScopes()},
		{"gone from the file", scopeWith("scp_fleet", nil)},
		{"back, with its id", sampleScopes()},
		{"two that exchange their slugs", scopeWith("scp_account", func(s *access.Scope) { s.Slug, s.Was = "redgum", []string{"ironbark"} })},
	} {
		if err := f.putTree(before, step.after); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		same(step.what, step.after)
		before = step.after
	}
}

// Whoever writes, the database lets one step of a path lead to one scope.
func testSlugs(t *testing.T, f *fixture) {
	for _, slug := range []string{"adelaide", "cairns"} { // a sibling's, and that of one that was moved away
		d := access.TreeDiff{New: []access.Scope{{ID: "scp_new", Slug: slug, Level: access.Fleet, Name: "New", Parent: "scp_account"}}}
		err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.PutTree(d) })
		if !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != store.ReasonSlug {
			t.Errorf("%s twice: %v", slug, err)
		}
	}
	if n := f.stored().Len(); n != len(sampleScopes()) {
		t.Errorf("%d scopes after what was refused", n)
	}
}

// I-5: a scope that leaves a ceiling is refused to new assignments at once. What the
// database needs for those that stand there goes when the last has gone.
func testMovedScope(t *testing.T, f *fixture) {
	p, q := f.person(north, "per_1", "one@north.example"), f.person(north, "per_2", "two@north.example")
	held := byRule("asg_1", access.Standard, "scp_fleet")
	if err := f.apply(p, planOf(held)); err != nil {
		t.Fatal(err)
	}
	moved := scopeWith("scp_fleet", func(s *access.Scope) { s.Parent = "scp_other" })
	if err := f.putTree(sampleScopes(), moved); err != nil {
		t.Fatal(err)
	}
	fresh := byRule("asg_2", access.Standard, "scp_fleet")
	if err := f.apply(q, planOf(fresh)); !fault.Is(err, fault.Denied) {
		t.Errorf("given at a scope that has left the ceiling: %v", err)
	}
	if got := f.held(p); len(got) != 1 {
		t.Errorf("who has not been decided anew holds %v", got)
	}
	dropped := f.apply(p, dropOf(held))
	if err := errors.Join(dropped, f.putTree(moved, sampleScopes())); err != nil {
		t.Fatal(err)
	}
	if err := f.apply(q, planOf(fresh)); err != nil {
		t.Errorf("given after the scope came back: %v", err)
	}
}

// A retired scope, and one below it, is refused by the database as well; restored, it
// can be given again.
func testRetiredScope(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	retired := scopeWith("scp_account", func(s *access.Scope) { s.Retired = day })
	if err := f.putTree(sampleScopes(), retired); err != nil {
		t.Fatal(err)
	}
	for _, s := range []access.ScopeID{"scp_account", "scp_fleet"} {
		if err := f.apply(p, planOf(byRule("asg_1", access.Standard, s))); !fault.Is(err, fault.Denied) {
			t.Errorf("given at %s, which is retired: %v", s, err)
		}
	}
	if err := f.putTree(retired, sampleScopes()); err != nil {
		t.Fatal(err)
	}
	if err := f.apply(p, planOf(byRule("asg_1", access.Standard, "scp_fleet"))); err != nil {
		t.Errorf("given after it was restored: %v", err)
	}
	if got := fmt.Sprint(f.stored().RetiredSince("scp_fleet").IsZero()); got != "true" {
		t.Error("still retired")
	}
}

// An import is seen by nobody until it is in force, all of it at once; what is given up
// leaves nothing.
func testScopeBatch(t *testing.T, f *fixture) {
	fresh := []access.Scope{
		{ID: "scp_new", Slug: "wattle", Level: access.Account, Name: "Wattle", Parent: "scp_sp"},
		{ID: "scp_newer", Slug: "perth", Level: access.Fleet, Name: "Perth", Parent: "scp_new", TimeZone: "Australia/Perth", Location: "Perth"},
	}
	above := []access.Lineage{{Scope: "scp_new", Ancestors: []access.ScopeID{"scp_new", "scp_sp", "scp_host"}}, {Scope: "scp_newer", Ancestors: []access.ScopeID{"scp_newer", "scp_new", "scp_sp", "scp_host"}}}
	stage := func(digest string) (b store.ScopeBatch) {
		f.update(func(tx *store.Tx) (err error) {
			if b, err = tx.BeginScopeBatch(1, digest); err != nil {
				return err
			}
			return tx.StageScopes(b, fresh, above)
		})
		f.view(func(v *store.View) error {
			open, err := v.OpenScopeBatch()
			staged, err2 := v.StagedScopes(b)
			if b.Staged = 2; open != b || fmt.Sprint(staged) != fmt.Sprint(fresh) {
				t.Errorf("open is %+v, staged %+v", open, staged)
			}
			return errors.Join(err, err2)
		})
		if n := f.stored().Len(); n != len(sampleScopes()) {
			t.Errorf("%d scopes are in force", n)
		}
		return b
	}
	given := stage("given up")
	for left := int64(1); left > 0; {
		f.update(func(tx *store.Tx) (err error) { left, err = tx.DropScopeBatch(given, 1); return err })
	}
	f.view(func(v *store.View) error {
		if open, err := v.OpenScopeBatch(); err != nil || open.ID != 0 {
			t.Errorf("given up, and open: %+v, %v", open, err)
		}
		return nil
	})
	kept := stage("kept")
	f.update(func(tx *store.Tx) error { return tx.ForceScopeBatch(kept) })
	if got := f.stored(); !access.DiffTrees(treeOf(t, append(sampleScopes(), fresh...)...), got).Empty() {
		t.Errorf("in force are %+v", got.All())
	}
	f.update(func(tx *store.Tx) (err error) { _, err = tx.DropScopeBatch(store.ScopeBatch{ID: 99}, 10); return err })
	taken := []access.Scope{{ID: "scp_taken", Slug: "hobart", Level: access.Fleet, Name: "Hobart", Parent: "scp_account"}}
	f.update(func(tx *store.Tx) error {
		b, err := tx.BeginScopeBatch(2, "overtaken")
		if err != nil {
			return err
		}
		return tx.StageScopes(b, taken, nil)
	})
	mine := access.Scope{ID: "scp_mine", Slug: "hobart", Level: access.Fleet, Name: "Hobart", Parent: "scp_account", TimeZone: "Australia/Hobart"}
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.PutTree(access.TreeDiff{New: []access.Scope{mine}}) }); err != nil {
		t.Errorf("an import that is not in force keeps its slug from others: %v", err)
	}
	if s, ok := f.stored().Resolve("pacific/ironbark/hobart"); !ok || s.ID != "scp_mine" {
		t.Errorf("hobart is %+v", s)
	}
}
