package access

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// changed is the sample tree with one scope changed.
func changed(t *testing.T, id ScopeID, by func(*Scope)) *Tree {
	t.Helper()
	all := scopes()
	for i := range all {
		if all[i].ID == id {
			by(&all[i])
		}
	}
	tr, err := NewTree(all)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestARetiredScopeIsFoundButNamedByNoRule(t *testing.T) {
	tr := changed(t, "ree", func(s *Scope) { s.Retired = noon })
	for _, path := range []string{"coral/reefline", "coral/reefline/cairns"} {
		s, found := tr.Find(path)
		_, resolved := tr.Resolve(path)
		if !found || resolved || tr.Live(s.ID) || !tr.RetiredSince(s.ID).Equal(noon) || tr.Path(s.ID) != path {
			t.Errorf("%s: found %v, resolved %v, live %v", path, found, resolved, tr.Live(s.ID))
		}
		if (Ceiling{Scope: "host", Grants: Grants()}).Allows(tr, Standard, s.ID) {
			t.Errorf("%s is under a ceiling", path)
		}
	}
	if len(tr.Children("cor")) != 0 || len(tr.Children("ree")) != 0 || len(tr.Below("ree")) != 2 || tr.Len() != len(scopes()) {
		t.Error("what is below a retired scope is there, and retired")
	}
	if !tr.Live("cor") || tr.Live("gone") || !tr.RetiredSince("cor").IsZero() {
		t.Error("what lies above lives")
	}
}

func TestAPathOfBeforeAMoveLeadsToTheScope(t *testing.T) {
	moved := func(s *Scope) { s.Parent, s.Formerly = "nor", []Place{{Parent: "cor", Slug: "reefline"}} }
	tr := changed(t, "ree", moved)
	for path, want := range map[string]ScopeID{"coral/reefline/cairns": "cns", "nordic/reefline/cairns": "cns", "coral/reefline": "ree"} {
		if s, ok := tr.Resolve(path); !ok || s.ID != want {
			t.Errorf("%s: %q, %v", path, s.ID, ok)
		}
	}
	if len(tr.Children("cor")) != 0 || tr.Path("cns") != "nordic/reefline/cairns" || tr.Covers("cor", "cns") || !tr.Covers("nor", "cns") {
		t.Error("the former parent contains it no more")
	}
	all := scopes()
	for i := range all {
		if all[i].ID == "ree" {
			moved(&all[i])
		}
	}
	if _, err := NewTree(append(all, Scope{ID: "new", Slug: "reefline", Level: Account, Parent: "cor"})); err == nil {
		t.Error("a path that meant one scope came to mean another")
	}
}

func TestADiffIsAsLargeAsTheChange(t *testing.T) {
	before := tree(t)
	if d := DiffTrees(before, tree(t)); !d.Empty() {
		t.Errorf("nothing has changed: %+v", d)
	}
	if d := DiffTrees(nil, before); len(d.New) != before.Len() || len(d.Above) != before.Len() || d.New[0].Level != Host {
		t.Errorf("all is new: %+v", d)
	}
	renamed := DiffTrees(before, changed(t, "cns", func(s *Scope) { s.Slug, s.Was = "gordonvale", []string{"cairns"} }))
	if len(renamed.Changed) != 1 || len(renamed.Above) != 0 || len(renamed.Gone) != 0 {
		t.Errorf("a rename: %+v", renamed)
	}
	moved := DiffTrees(before, changed(t, "ree", func(s *Scope) { s.Parent = "nor" }))
	if len(moved.Changed) != 1 || fmt.Sprint(moved.Above) != "[{ree [ree nor host]} {bri [bri ree nor host]} {cns [cns ree nor host]}]" {
		t.Errorf("a move: %+v", moved)
	}
	retired := changed(t, "ree", func(s *Scope) { s.Retired = noon })
	if d := DiffTrees(before, retired); len(d.Changed) != 1 || fmt.Sprint(d.Above) != "[{ree []} {bri []} {cns []}]" {
		t.Errorf("an account that was retired: %+v", d)
	}
	if d := DiffTrees(retired, before); len(d.Changed) != 1 || len(d.Above) != 3 || len(d.Above[2].Ancestors) != 4 {
		t.Errorf("an account that was restored: %+v", d)
	}
	fewer, err := NewTree(scopes()[:2])
	if err != nil {
		t.Fatal(err)
	}
	if d := DiffTrees(before, fewer); len(d.Gone) != before.Len()-2 || len(d.New)+len(d.Changed) != 0 {
		t.Errorf("scopes that have gone: %+v", d)
	}
}

// TestADiffKnowsEveryField fails when a field is added to Scope and not compared.
func TestADiffKnowsEveryField(t *testing.T) {
	changes := map[string]func(*Scope){
		"ID": func(s *Scope) { s.ID = "x" }, "Slug": func(s *Scope) { s.Slug = "x" }, "Level": func(s *Scope) { s.Level = Host },
		"Name": func(s *Scope) { s.Name = "x" }, "Parent": func(s *Scope) { s.Parent = "x" }, "TimeZone": func(s *Scope) { s.TimeZone = "x" },
		"Location": func(s *Scope) { s.Location = "x" }, "Was": func(s *Scope) { s.Was = []string{"x"} },
		"Formerly": func(s *Scope) { s.Formerly = []Place{{Slug: "x"}} }, "Retired": func(s *Scope) { s.Retired = noon.Add(time.Second) },
	}
	typ := reflect.TypeFor[Scope]()
	for i := range typ.NumField() {
		var s Scope
		change := changes[typ.Field(i).Name]
		if change == nil {
			t.Errorf("nobody compares %s", typ.Field(i).Name)
			continue
		}
		change(&s)
		if s.same(Scope{}) {
			t.Errorf("%s is not compared", typ.Field(i).Name)
		}
	}
}
