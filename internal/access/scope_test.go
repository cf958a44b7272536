package access

import (
	"slices"
	"strings"
	"testing"
)

func scopes() []Scope {
	return []Scope{
		{ID: "host", Level: Host, Name: "Sentinel"},
		{ID: "cor", Slug: "coral", Level: ServiceProvider, Name: "Coral Telematics", Parent: "host", Was: []string{"reef"}},
		{ID: "ree", Slug: "reefline", Level: Account, Name: "Reefline Coaches", Parent: "cor"},
		{ID: "cns", Slug: "cairns", Level: Fleet, Name: "Cairns", Parent: "ree", Was: []string{"smithfield"}},
		{ID: "bri", Slug: "brisbane", Level: Fleet, Name: "Brisbane", Parent: "ree"},
		{ID: "nor", Slug: "nordic", Level: ServiceProvider, Name: "Nordic", Parent: "host"},
	}
}

func tree(t testing.TB) *Tree {
	t.Helper()
	tr, err := NewTree(scopes())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestPathsNameScopes(t *testing.T) {
	tr := tree(t)
	for path, want := range map[string]ScopeID{
		".": "host", "coral": "cor", "coral/reefline/cairns": "cns", "reef/reefline/smithfield": "cns",
		"": "", "/": "", "coral/": "", "/coral": "", "coral//reefline": "", "cairns": "", "coral/reefline/cairns/x": "", "./coral": "", "..": "", "Coral": "",
	} {
		if s, ok := tr.Resolve(path); s.ID != want || ok != (want != "") {
			t.Errorf("Resolve(%q) = %q, %v", path, s.ID, ok)
		}
	}
	for _, s := range tr.All() {
		if back, ok := tr.Resolve(tr.Path(s.ID)); !ok || back.ID != s.ID {
			t.Errorf("%s has the path %q", s.ID, tr.Path(s.ID))
		}
	}
}

func TestCoversIsItselfAndBelow(t *testing.T) {
	tr := tree(t)
	covers := map[ScopeID]string{"host": "host cor ree bri cns nor", "cor": "cor ree bri cns", "ree": "ree bri cns", "cns": "cns", "nor": "nor", "gone": ""}
	for a, below := range covers {
		for _, b := range []ScopeID{"host", "cor", "ree", "cns", "bri", "nor", "gone", ""} {
			if got, want := tr.Covers(a, b), slices.Contains(strings.Fields(below), string(b)); got != want {
				t.Errorf("Covers(%s, %s) = %v", a, b, got)
			}
		}
	}
}

func TestAboveAScopeOnlyNamesAreSeen(t *testing.T) {
	tr := tree(t)
	if got := tr.Ancestors("cns"); !slices.Equal(got, []ScopeID{"cor", "ree", "host"}) {
		t.Errorf("outermost first, the host last: %v", got)
	}
	if got := tr.Ancestors("cor"); !slices.Equal(got, []ScopeID{"host"}) {
		t.Errorf("%v", got)
	}
	if got := tr.Names("cns"); !slices.Equal(got, []string{"Coral Telematics", "Reefline Coaches", "Cairns"}) {
		t.Errorf("%v", got)
	}
	if got := tr.Names("host"); !slices.Equal(got, []string{"Sentinel"}) {
		t.Errorf("%v", got)
	}
	if tr.Ancestors("host") != nil || tr.Ancestors("gone") != nil || tr.Names("gone") != nil || tr.Path("gone") != "" || tr.Children("gone") != nil {
		t.Error("nothing is above the host, and nothing is known of what does not exist")
	}
	if got := tr.Children("ree"); len(got) != 2 || got[0].ID != "bri" || got[1].ID != "cns" {
		t.Errorf("children by slug: %v", got)
	}
}

func TestTheEmptyTreeCoversNothing(t *testing.T) {
	for name, tr := range map[string]*Tree{"nil": nil, "zero": {}} {
		if _, ok := tr.Resolve("."); ok {
			t.Errorf("%s resolves", name)
		}
		if _, ok := tr.Scope("host"); ok || tr.Covers("", "") || tr.Covers("host", "host") || len(tr.All()) != 0 {
			t.Errorf("%s holds something", name)
		}
		if (Ceiling{Scope: "host", Grants: Grants()}).Allows(tr, Standard, "host") {
			t.Errorf("%s is under a ceiling", name)
		}
	}
	if (Ceiling{}).Allows(tree(t), Standard, "cns") || (Ceiling{Grants: Grants()}).Allows(tree(t), Standard, "") {
		t.Error("the zero ceiling allows nothing")
	}
}

func TestTheCeilingBindsGrantAndScope(t *testing.T) {
	c := Ceiling{Scope: "ree", Grants: []Grant{Standard}}
	for _, x := range []struct {
		g    Grant
		s    ScopeID
		want bool
	}{{Standard, "ree", true}, {Standard, "cns", true}, {Standard, "cor", false}, {Standard, "nor", false}, {Elevated, "cns", false}, {Standard, "gone", false}} {
		if got := c.Allows(tree(t), x.g, x.s); got != x.want {
			t.Errorf("%s at %s: %v", x.g, x.s, got)
		}
	}
}

func TestATreeIsWholeOrRefused(t *testing.T) {
	for what, change := range map[string]func([]Scope) []Scope{
		"no host":               func(s []Scope) []Scope { return s[1:2] },
		"nothing":               func([]Scope) []Scope { return nil },
		"two hosts":             func(s []Scope) []Scope { return append(s, Scope{ID: "h2", Level: Host}) },
		"a host with a parent":  func(s []Scope) []Scope { s[0].Parent = "cor"; return s },
		"no id":                 func(s []Scope) []Scope { s[3].ID = ""; return s },
		"an id twice":           func(s []Scope) []Scope { s[4].ID = "cns"; return s },
		"no parent":             func(s []Scope) []Scope { s[3].Parent = "gone"; return s },
		"itself as parent":      func(s []Scope) []Scope { s[3].Parent = "cns"; return s },
		"a level left out":      func(s []Scope) []Scope { s[3].Parent = "cor"; return s },
		"below a fleet":         func(s []Scope) []Scope { return append(s, Scope{ID: "x", Slug: "x", Level: Fleet + 1, Parent: "cns"}) },
		"no slug":               func(s []Scope) []Scope { s[3].Slug = ""; return s },
		"a slug twice":          func(s []Scope) []Scope { s[4].Slug = "cairns"; return s },
		"a sibling's alias":     func(s []Scope) []Scope { s[4].Was = []string{"cairns"}; return s },
		"two of the same alias": func(s []Scope) []Scope { s[4].Was = []string{"smithfield"}; return s },
	} {
		if tr, err := NewTree(change(scopes())); err == nil || tr != nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

func TestSlugs(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "a-1": true, "0": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, "a-": false, "A": false, "ø": false, "a.b": false, "a/b": false, "a b": false, strings.Repeat("a", 64): false,
	} {
		if ValidSlug(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// FuzzResolve: whatever the path, it names a scope of the tree or nothing, and its
// own path leads back to it.
func FuzzResolve(f *testing.F) {
	tr := tree(f)
	for _, s := range []string{".", "coral/reefline/cairns", "reef", "//", "../..", "coral/./reefline", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		s, ok := tr.Resolve(path)
		if !ok {
			return
		}
		if back, ok := tr.Resolve(tr.Path(s.ID)); !ok || back.ID != s.ID {
			t.Fatalf("%q names %s, whose path is %q", path, s.ID, tr.Path(s.ID))
		}
	})
}
