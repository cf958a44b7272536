package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// match is one way in which a person is in the groups that a rule asks for.
type match struct {
	group    group // that counts: of all the last joined, of any the first
	items    []item
	readings [][]captured // of the names of its groups
}

// maxWays bounds how often a group of a person is tried beside others for one rule that
// asks for all of several.
const maxWays = 100_000

// matches are the ways in which the person is in what the rule asks for. What is not
// quite one is said.
func (e *evaluation) matches(r *rule, hits []hit) []match {
	if r.how == howAll {
		return e.together(r, hits)
	}
	var all []match
	for _, h := range hits {
		a := r.asks[h.member]
		if a.pattern == nil && h.group.Shared {
			e.say(r.about(*h.group, AmbiguousGroup, true, "another live group has the same externalId"))
			continue
		}
		readings := a.readings(*h.group, e.places)
		o, ok := e.outcome(r, readings)
		switch {
		case !ok:
			e.say(r.about(*h.group, ScopeUnknown, true, e.unnamed(r, a, *h.group)))
		case o.several:
			e.say(r.about(*h.group, ScopeUnknown, true, "what the group's name captures names several scopes"))
		case r.how == howOne || !slices.ContainsFunc(all, func(m match) bool { return slices.Equal(m.items, o.items) }):
			all = append(all, match{*h.group, o.items, [][]captured{readings}})
		}
	}
	return all
}

// readings are those of the group's name; a group that captures nothing has the empty one.
func (a asked) readings(g group, at places) []captured {
	if a.pattern == nil || len(a.pattern.captures()) == 0 {
		return []captured{{}}
	}
	return a.pattern.readings(g.folded, at)
}

// candidate is a group for one of all.
type candidate struct {
	*hit
	readings []captured
}

// together combines groups of which a rule asks for all: one for each of its asks, with
// captures that agree. Of several combinations that give the same, the one that was
// complete first counts.
func (e *evaluation) together(r *rule, hits []hit) []match {
	sets := make([][]candidate, len(r.asks))
	for i := range hits {
		h := &hits[i]
		a := r.asks[h.member]
		if a.pattern == nil && h.group.Shared {
			e.say(r.about(*h.group, AmbiguousGroup, true, "another live group has the same externalId"))
			return nil
		}
		readings := a.readings(*h.group, e.places)
		same := func(c candidate) bool { return slices.Equal(c.readings, readings) }
		if len(readings) > 0 && !slices.ContainsFunc(sets[h.member], same) { // the first joined of those that read the same
			sets[h.member] = append(sets[h.member], candidate{h, readings})
		}
	}
	for i, set := range sets {
		if len(set) == 0 {
			e.lacks(r, hits, i)
			return nil
		}
	}
	c := &combination{evaluation: e, rule: r, sets: sets}
	c.choose(0)
	if c.tried > maxWays {
		e.say(r.about(*hits[0].group, ConditionFailed, true, "the person is in too many groups that the rule would have to combine"))
		e.failed++
		return nil
	}
	slices.SortStableFunc(c.found, func(a, b match) int { return a.group.Since.Compare(b.group.Since) })
	if len(c.found) == 0 {
		because := "what the groups' names capture names no one scope"
		if c.doubtful {
			because = "what the groups' names capture names several scopes"
		}
		e.say(r.about(*hits[0].group, ScopeUnknown, true, because))
	}
	return c.found
}

// lacks says which of all the person is not in.
func (e *evaluation) lacks(r *rule, hits []hit, member int) {
	if !e.tell {
		return
	}
	for _, h := range hits {
		if h.member == member {
			e.say(r.about(*h.group, ScopeUnknown, true, e.unnamed(r, r.asks[member], *h.group)))
			return
		}
	}
	e.say(r.about(*hits[0].group, NotInGroup, true, "the person is in this group, but not in "+r.asks[member].as()))
}

// unnamed says what a group's name captures that names no scope, and where.
func (e *evaluation) unnamed(r *rule, a asked, g group) string {
	const several = "what the group's name captures names no scope there"
	levels := a.pattern.captures()
	if !e.tell || len(levels) != 1 {
		return several
	}
	text := g.folded
	if first := a.pattern[0]; first.capture == 0 {
		text = strings.TrimPrefix(text, first.literal)
	}
	if last := a.pattern[len(a.pattern)-1]; last.capture == 0 {
		text = strings.TrimSuffix(text, last.literal)
	}
	for _, t := range r.targets {
		under := "."
		for _, s := range t.path {
			if s.capture == levels[0] {
				return fmt.Sprintf("%q names no %s under %s", text, words[levels[0]], under)
			}
			under = s.under(under)
		}
	}
	return several
}

// words are what people call the levels that can be captured.
var words = map[access.Level]string{access.ServiceProvider: "service provider", access.Account: "account", access.Fleet: "fleet"}

type combination struct {
	*evaluation
	rule     *rule
	sets     [][]candidate
	chosen   []candidate
	found    []match
	doubtful bool
	tried    int
}

// agrees rules out a group that captures the name of another scope than one before it.
func (c *combination) agrees(x candidate) bool {
	return !slices.ContainsFunc(c.chosen, func(y candidate) bool {
		if len(x.readings) > 1 || len(y.readings) > 1 {
			return false // which of them counts is found out later
		}
		for l, text := range x.readings[0] {
			if !c.places.meet(access.Level(l), text, y.readings[0][l]) {
				return true
			}
		}
		return false
	})
}

func (c *combination) choose(i int) {
	if i < len(c.sets) {
		for _, x := range c.sets[i] {
			if c.tried++; c.tried > maxWays {
				return
			}
			if c.agrees(x) {
				c.chosen = append(c.chosen, x)
				c.choose(i + 1)
				c.chosen = c.chosen[:len(c.chosen)-1]
			}
		}
		return
	}
	m := match{}
	for _, x := range c.chosen {
		m.readings = append(m.readings, x.readings)
		if m.group.Group == "" || x.group.Since.After(m.group.Since) {
			m.group = *x.group
		}
	}
	o, ok := c.outcome(c.rule, m.readings...)
	c.doubtful = c.doubtful || o.several
	if !ok || o.several {
		return
	}
	m.items = o.items
	for i, before := range c.found {
		if slices.Equal(before.items, m.items) {
			if m.group.Since.Before(before.group.Since) {
				c.found[i] = m
			}
			return
		}
	}
	c.found = append(c.found, m)
}

// excluded is a group of the person's that the rule does not want beside a match.
func (e *evaluation) excluded(r *rule, m match, nones []hit) *group {
	for _, h := range nones {
		n := r.none[h.member]
		readings := n.readings(*h.group, e.places)
		if len(n.pattern.captures()) == 0 {
			return h.group
		}
		if len(readings) == 0 {
			continue
		}
		if _, agrees := e.outcome(r, append(slices.Clone(m.readings), readings)...); agrees {
			return h.group
		}
	}
	return nil
}
