package mapping

import (
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// item is one thing a rule gives.
type item struct {
	grant    access.Grant
	scope    access.ScopeID
	standing access.Standing
}

// outcome is what a rule gives to the members of the groups it asks for.
type outcome struct {
	items   []item
	several bool // a capture names several scopes, or a name can be read in two ways: nothing is given
}

// step is the way from a scope to one of its children.
type step struct {
	parent access.ScopeID
	text   string
}

// places find the scopes of a tree by what people call them. They are looked up when a
// group's name is met: a rule that captures costs the same however many fleets there are.
type places struct {
	tree   *access.Tree
	named  map[step][]access.ScopeID                    // folded: by slug, present or former; a name that is nobody's slug, by name
	called map[access.Level]map[string][]access.ScopeID // what scopes of a level answer to anywhere, folded; nil: nobody asks
}

// placesOf finds the live scopes of the levels that rules capture; called is made only
// where captures meet others, in one name or in several.
func placesOf(tree *access.Tree, captured map[access.Level]bool, manifold bool) places {
	at := places{tree: tree, named: map[step][]access.ScopeID{}}
	if manifold {
		at.called = map[access.Level]map[string][]access.ScopeID{access.ServiceProvider: {}, access.Account: {}, access.Fleet: {}}
	}
	if len(captured) == 0 {
		return at
	}
	all := slices.DeleteFunc(tree.All(), func(s access.Scope) bool { return !captured[s.Level] || !tree.Live(s.ID) })
	slugs := map[step]bool{}
	for _, s := range all {
		for _, slug := range s.Slugs() {
			by := step{s.Parent, schema.Fold(slug)}
			slugs[by] = true
			at.named[by] = []access.ScopeID{s.ID}
			at.call(s, by.text)
		}
	}
	for _, s := range all {
		if by := (step{s.Parent, schema.Fold(s.Name)}); by.text != "" && !slugs[by] {
			at.named[by] = append(at.named[by], s.ID)
			at.call(s, by.text)
		}
	}
	return at
}

func (at *places) call(s access.Scope, text string) {
	if at.called != nil {
		at.called[s.Level][text] = append(at.called[s.Level][text], s.ID)
	}
}

// meet reports whether two texts may name one scope.
func (at *places) meet(l access.Level, a, b string) bool {
	if a == b || a == "" || b == "" {
		return true
	}
	ours, theirs := at.called[l][a], at.called[l][b]
	if len(ours) > maxReadings || len(theirs) > maxReadings {
		return true // whether they do is found out later
	}
	return slices.ContainsFunc(ours, func(id access.ScopeID) bool { return slices.Contains(theirs, id) })
}

// captured is what a group's name holds in the place of captures, folded, by level.
type captured [access.Fleet + 1]string

// walk follows the paths of a rule's targets down the tree, with what groups' names
// hold in the place of captures.
type walk struct {
	places
	targets []target
	bound   []captured // of the groups that a person is in; where several capture a level, they must name the same scope
	chosen  []access.ScopeID
	doubt   int // how many captures on the way here name several scopes
	found   bool
	out     outcome
}

func (w *walk) target(i int) {
	if i == len(w.targets) {
		w.settle()
		return
	}
	w.step(i, w.targets[i].rest, w.targets[i].start)
}

func (w *walk) step(i int, path []segment, at access.ScopeID) {
	if len(path) == 0 {
		w.chosen = append(w.chosen, at)
		w.target(i + 1)
		w.chosen = w.chosen[:len(w.chosen)-1]
		return
	}
	s := path[0]
	if s.capture == 0 {
		if c, ok := w.tree.Child(at, s.slug); ok && w.tree.Live(c.ID) {
			w.step(i, path[1:], c.ID)
		}
		return
	}
	scopes := w.captures(at, s.capture)
	if len(scopes) > 1 {
		w.doubt++
		defer func() { w.doubt-- }()
	}
	for _, id := range scopes {
		w.step(i, path[1:], id)
	}
}

// captures are the scopes under a parent that all the groups name.
func (w *walk) captures(parent access.ScopeID, l access.Level) []access.ScopeID {
	var scopes []access.ScopeID
	last := ""
	for _, b := range w.bound {
		if b[l] == "" || b[l] == last {
			continue
		}
		named := w.named[step{parent, b[l]}]
		if last != "" && !slices.Equal(scopes, named) {
			return nil
		}
		last, scopes = b[l], named
	}
	return scopes
}

// settle records where the paths have ended. Two different ends make one doubtful.
func (w *walk) settle() {
	o := outcome{items: make([]item, len(w.chosen)), several: w.doubt > 0}
	for i, id := range w.chosen {
		o.items[i] = item{grant: w.targets[i].grant, scope: id, standing: w.targets[i].standing}
	}
	if w.found && (w.out.several || !slices.Equal(w.out.items, o.items)) {
		o.several = true
	}
	w.found, w.out = true, o
}

// outcome is what the rule gives for the readings of the groups' names, one of each; ok
// is false if they name no scope.
func (p *Policy) outcome(r *rule, readings ...[]captured) (o outcome, ok bool) {
	if r.fixed.items != nil {
		return r.fixed, true
	}
	w := &walk{places: p.places, targets: r.targets}
	w.read(readings)
	return w.out, w.found
}

func (w *walk) read(readings [][]captured) {
	if len(readings) == 0 {
		w.target(0)
		return
	}
	for _, c := range readings[0] {
		w.bound = append(w.bound, c)
		w.read(readings[1:])
		w.bound = w.bound[:len(w.bound)-1]
	}
}

// maxReadings bounds in how many ways one name is read; who has more is in doubt anyway.
const maxReadings = 64

// longestRead bounds names that are read by several captures, in bytes.
const longestRead = 1024

// readings are the ways in which a folded name has the pattern's literals in their order
// with some text for every capture. One capture can be read in one way only; of several,
// each must be what some scope answers to.
func (p pattern) readings(name string, at places) []captured {
	if captures := len(p.captures()); captures < 2 || len(name) > longestRead {
		text, ok := p.only(name)
		if !ok || captures > 1 {
			return nil
		}
		return []captured{text}
	}
	var all []captured
	p.split(name, captured{}, at, &all)
	return all
}

// only reads a name by a pattern with one capture, or none.
func (p pattern) only(name string) (c captured, ok bool) {
	level := access.Level(0)
	for i, x := range p {
		if x.capture != 0 {
			level = x.capture
			continue
		}
		if level == 0 {
			if name, ok = strings.CutPrefix(name, x.literal); !ok {
				return c, false
			}
		} else if name, ok = strings.CutSuffix(name, x.literal); !ok || i != len(p)-1 {
			return c, false
		}
	}
	c[level] = name
	return c, (name != "") == (level != 0)
}

func (p pattern) split(name string, c captured, at places, all *[]captured) {
	if len(*all) >= maxReadings {
		return
	}
	if len(p) == 0 {
		if name == "" {
			*all = append(*all, c)
		}
		return
	}
	if p[0].capture == 0 {
		if rest, ok := strings.CutPrefix(name, p[0].literal); ok {
			p[1:].split(rest, c, at, all)
		}
		return
	}
	for end := 1; end <= len(name); end++ {
		if c[p[0].capture] = name[:end]; at.called[p[0].capture][name[:end]] != nil {
			p[1:].split(name[end:], c, at, all)
		}
	}
}
