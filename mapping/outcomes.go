package mapping

import (
	"fmt"
	"maps"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// maxOutcomes bounds what one rule may mean: captured group names, counted with
// every spelling of every scope.
const maxOutcomes = 250_000

// item is one thing a rule gives.
type item struct {
	grant    access.Grant
	scope    access.ScopeID
	standing access.Standing
}

// outcome is what a rule gives to the members of one group.
type outcome struct {
	items   []item
	several bool // a capture names several scopes: nothing is given
}

// expansion enumerates every way the captures of a rule can be filled by scopes
// of the tree. A name is looked up afterwards, so that matching costs the same
// however many fleets there are.
type expansion struct {
	tree     *access.Tree
	pattern  pattern
	targets  []target
	spelling map[access.ScopeID]map[string][]access.ScopeID // by parent: folded text → the children it names
	bound    map[access.Level]string
	chosen   []access.ScopeID
	several  int // how many captures on the way here name several scopes
	out      map[string]outcome
	visited  int
}

// outcomesOf maps folded group names to what the rule gives for them.
func outcomesOf(tree *access.Tree, p pattern, targets []target, standings []access.Standing) (map[string]outcome, error) {
	e := &expansion{
		tree: tree, pattern: p, targets: targets,
		spelling: map[access.ScopeID]map[string][]access.ScopeID{},
		bound:    map[access.Level]string{}, out: map[string]outcome{},
	}
	e.target(0)
	if e.visited > maxOutcomes {
		return nil, fmt.Errorf("the captures could be filled in more than %d ways; write part of the path out", maxOutcomes)
	}
	for _, o := range e.out {
		for i := range o.items {
			o.items[i].standing = standings[i]
		}
	}
	return e.out, nil
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
	if e.visited > maxOutcomes {
		return
	}
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
	e.visited++
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
