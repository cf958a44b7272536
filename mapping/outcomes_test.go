package mapping

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// expansion is how captures were read once: it enumerates every way in which the
// captures of a rule can be filled by scopes of the tree. It says what walk, which looks
// a name up when it is met, must say.
type expansion struct {
	tree     *access.Tree
	pattern  pattern
	targets  []target
	spelling map[access.ScopeID]map[string][]access.ScopeID // by parent: folded text → the children it names
	bound    map[access.Level]string
	chosen   []access.ScopeID
	several  int // how many captures on the way here name several scopes
	out      map[string]outcome
}

// outcomesOf maps folded group names to what the rule gives for them.
func outcomesOf(tree *access.Tree, p pattern, targets []target) map[string]outcome {
	e := &expansion{
		tree: tree, pattern: p, targets: targets,
		spelling: map[access.ScopeID]map[string][]access.ScopeID{},
		bound:    map[access.Level]string{}, out: map[string]outcome{},
	}
	e.target(0)
	for _, o := range e.out {
		for i := range o.items {
			o.items[i].standing = targets[i].standing
		}
	}
	return e.out
}

func (e *expansion) target(i int) {
	if i == len(e.targets) {
		e.settle()
		return
	}
	host, _ := e.tree.Resolve(".")
	e.step(i, e.targets[i].path, host.ID)
}

func (e *expansion) step(i int, path []segment, at access.ScopeID) {
	if len(path) == 0 {
		e.chosen = append(e.chosen, at)
		e.target(i + 1)
		e.chosen = e.chosen[:len(e.chosen)-1]
		return
	}
	s := path[0]
	if s.capture == 0 {
		if c, ok := e.tree.Child(at, s.slug); ok && e.tree.Live(c.ID) {
			e.step(i, path[1:], c.ID)
		}
		return
	}
	named := e.named(at)
	if text, bound := e.bound[s.capture]; bound {
		e.enter(i, path[1:], named[text])
		return
	}
	for _, text := range slices.Sorted(maps.Keys(named)) {
		e.bound[s.capture] = text
		e.enter(i, path[1:], named[text])
	}
	delete(e.bound, s.capture)
}

func (e *expansion) enter(i int, rest []segment, scopes []access.ScopeID) {
	if len(scopes) > 1 {
		e.several++
		defer func() { e.several-- }()
	}
	for _, id := range scopes {
		e.step(i, rest, id)
	}
}

// named maps what may be captured under a parent to the scopes it names: by
// slug, present or former; a name that is nobody's slug, by folded name.
func (e *expansion) named(parent access.ScopeID) map[string][]access.ScopeID {
	if m := e.spelling[parent]; m != nil {
		return m
	}
	m := map[string][]access.ScopeID{}
	children := e.tree.Children(parent)
	for _, c := range children {
		for _, slug := range c.Slugs() {
			m[schema.Fold(slug)] = []access.ScopeID{c.ID}
		}
	}
	slugs := maps.Clone(m)
	for _, c := range children {
		if name := schema.Fold(c.Name); name != "" && slugs[name] == nil {
			m[name] = append(m[name], c.ID)
		}
	}
	e.spelling[parent] = m
	return m
}

// settle records the scopes chosen on this path under the group name they stand
// for. Two different readings of one name make it name nothing.
func (e *expansion) settle() {
	o := outcome{several: e.several > 0}
	for i, id := range e.chosen {
		o.items = append(o.items, item{grant: e.targets[i].grant, scope: id})
	}
	key := e.pattern.fill(e.bound)
	if before, dup := e.out[key]; dup && (before.several || !slices.Equal(before.items, o.items)) {
		o.several = true
	}
	e.out[key] = o
}

// TestNamesAreReadAsWhenTheyWereEnumerated: whatever the tree and the rule, a name that
// is met is read as the enumeration of all names has it, and every other name is nobody's.
func TestNamesAreReadAsWhenTheyWereEnumerated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scopes := drawScopes(t)
		tree, err := access.NewTree(scopes)
		if err != nil {
			t.Skip(err)
		}
		r := drawCapturing(t)
		p, err := Compile(PolicySource{Scopes: scopes, Rules: []RuleSource{r},
			Connections: []access.Connection{{ID: "c", Root: "host", Ceiling: access.Ceiling{Scope: "host", Grants: access.Grants()}}}})
		if err != nil {
			t.Skip(err)
		}
		compiled := p.rules["c"].rules[0]
		all := outcomesOf(tree, compiled.asks[0].pattern, compiled.targets)
		for name, want := range all {
			got, ok := p.outcome(compiled, compiled.asks[0].pattern.readings(name, p.places))
			if !ok || got.several != want.several || !got.several && !reflect.DeepEqual(got, want) {
				t.Fatalf("%q by %q is %+v (%v), enumerated %+v", name, r.Group, got, ok, want)
			}
			if !p.LooksAt("c", name, "") {
				t.Fatalf("%q feeds nobody", name)
			}
		}
		name := schema.Fold(rapid.SampledFrom([]string{"a", "a-b", "a b c", "g a", "g a-b c", "a-a-a", "g  c", "b-c"}).Draw(t, "name"))
		if _, known := all[name]; !known {
			if o, ok := p.outcome(compiled, compiled.asks[0].pattern.readings(name, p.places)); ok || p.LooksAt("c", name, "") {
				t.Fatalf("%q is read as %+v, and is no name", name, o)
			}
		}
	})
}

// drawScopes draws a tree whose scopes' names can be taken for each other.
func drawScopes(t *rapid.T) []access.Scope {
	scopes := []access.Scope{{ID: "host", Level: access.Host, Name: "H"}}
	parents := []access.ScopeID{"host"}
	slugs := []string{"a", "b", "a-b", "b-c", "c"}
	for level := access.ServiceProvider; level <= access.Fleet; level++ {
		var next []access.ScopeID
		for i, parent := range parents {
			for j, slug := range slugs[:rapid.IntRange(1, 3).Draw(t, "how many")] {
				id := access.ScopeID(fmt.Sprintf("%d-%d-%d", level, i, j))
				s := access.Scope{ID: id, Level: level, Parent: parent, Slug: slug,
					Name: rapid.SampledFrom([]string{"A", "B", "C", "A B", "A-B", "X", ""}).Draw(t, "called")}
				if j == 0 && rapid.Bool().Draw(t, "was") {
					s.Was = []string{rapid.SampledFrom([]string{"c", "x", "a-a"}).Draw(t, "former")}
				}
				scopes, next = append(scopes, s), append(next, id)
			}
		}
		parents = next
	}
	return scopes
}

func drawCapturing(t *rapid.T) RuleSource {
	form := rapid.SampledFrom([][2]string{
		{"{service_provider}", "{service_provider}"}, {"G {account}", "a/{account}"}, {"{account}-{fleet}", "a/{account}/{fleet}"},
		{"G {fleet} {account}", "a/{account}/{fleet}"}, {"{service_provider}{account}{fleet}", "{service_provider}/{account}/{fleet}"},
		{"{service_provider}-{account}-{fleet}", "{service_provider}/{account}/{fleet}"}, {"G {fleet}", "a/a/{fleet}"},
	}).Draw(t, "form")
	return RuleSource{ID: "r", From: "c", Group: form[0], Give: "standard @ " + form[1]}
}
