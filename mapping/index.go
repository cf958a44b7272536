package mapping

import (
	"cmp"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// asked is a group that a rule asks for.
type asked struct {
	GroupRef
	field   string  // where the rule says it: "group", "all.0", "none.1"
	pattern pattern // nil for group_id
	loose   pattern // the pattern squashed, for near misses
}

// as is how the group is asked for, as it is written.
func (a asked) as() string {
	if a.pattern == nil {
		return "group_id " + a.GroupID
	}
	return a.Group
}

// resembles reports whether the group's name differs from what is asked for in spaces
// and punctuation only, or its externalId in case only.
func (a asked) resembles(g group) bool {
	if a.pattern == nil {
		return g.ExternalID != "" && schema.Fold(g.ExternalID) == schema.Fold(a.GroupID)
	}
	return len(a.loose) > 0 && a.loose[0].literal != "" && a.loose.fits(g.squashed)
}

// ruleset is the rules of one connection, in file order, found by the groups that they
// ask for.
type ruleset struct {
	rules []*rule
	names map[string][]ask // folded names without captures
	ids   map[string][]ask
	// Names with captures are found by what stands before the first and after the last.
	before  map[string]*endings
	lengths []int // of before, ascending
	looked  lookedGroups
}

// ask is one group that one rule asks for.
type ask struct {
	rule, member int
	none         bool // the rule asks that the person is not in it
}

type endings struct {
	after   map[string][]ask
	lengths []int
}

func newRuleset() *ruleset {
	return &ruleset{names: map[string][]ask{}, ids: map[string][]ask{}, before: map[string]*endings{}}
}

func (s *ruleset) add(r *rule) {
	r.order = len(s.rules)
	s.rules = append(s.rules, r)
	for i, a := range r.asks {
		s.enter(a, ask{r.order, i, false})
	}
	for i, a := range r.none {
		s.enter(a, ask{r.order, i, true})
	}
	if r.when != nil {
		s.looked.join(r.when.groups())
	}
}

func (s *ruleset) enter(a asked, by ask) {
	switch {
	case a.pattern == nil:
		s.ids[a.GroupID] = append(s.ids[a.GroupID], by)
	case len(a.pattern.captures()) == 0:
		name := a.pattern.fill(nil)
		s.names[name] = append(s.names[name], by)
	default:
		first, last := a.pattern[0].literal, a.pattern[len(a.pattern)-1].literal
		e := s.before[first]
		if e == nil {
			e = &endings{after: map[string][]ask{}}
			s.before[first] = e
			s.lengths = with(s.lengths, len(first))
		}
		e.after[last] = append(e.after[last], by)
		e.lengths = with(e.lengths, len(last))
	}
}

// with adds a length that is not there yet.
func with(lengths []int, n int) []int {
	at, found := slices.BinarySearch(lengths, n)
	if found {
		return lengths
	}
	return slices.Insert(lengths, at, n)
}

func (s *ruleset) asked(by ask) asked {
	if r := s.rules[by.rule]; by.none {
		return r.none[by.member]
	} else {
		return r.asks[by.member]
	}
}

// each calls fn with every ask that a group answers. For a name with captures it is
// called if the literals fit, whatever the captures name.
func (s *ruleset) each(folded, externalID string, fn func(ask)) {
	for _, by := range s.names[folded] {
		fn(by)
	}
	if externalID != "" {
		for _, by := range s.ids[externalID] {
			fn(by)
		}
	}
	for _, n := range s.lengths {
		if n > len(folded) {
			return
		}
		e := s.before[folded[:n]]
		if e == nil {
			continue
		}
		for _, m := range e.lengths {
			if m > len(folded) {
				break
			}
			for _, by := range e.after[folded[len(folded)-m:]] {
				if s.asked(by).pattern.fits(folded) {
					fn(by)
				}
			}
		}
	}
}

// hit is a group of a person's that answers an ask.
type hit struct {
	ask
	group *group
}

// hits are all of them, rule by rule: first what it asks for, group by group in the
// order in which they were joined.
func (s *ruleset) hits(groups []group) []hit {
	var all []hit
	for i := range groups {
		s.each(groups[i].folded, groups[i].ExternalID, func(by ask) { all = append(all, hit{by, &groups[i]}) })
	}
	slices.SortStableFunc(all, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), first(!a.none, !b.none))
	})
	return all
}

// LooksAt reports whether a group with that name or externalId could make a difference
// to any rule of the connection, shadow rules included. It costs a few map look-ups, so
// that adding members to a group that feeds nothing needs no evaluation.
func (p *Policy) LooksAt(id access.ConnectionID, groupName, groupExternalID string) bool {
	s := p.rules[id]
	if s == nil {
		return false
	}
	folded := schema.Fold(groupName)
	if s.looked.at(folded) {
		return true
	}
	looks := false
	s.each(folded, groupExternalID, func(by ask) { looks = looks || p.answers(s, by, folded) })
	return looks
}

// asksByID reports whether a rule of the connection asks for the group with that id.
func (p *Policy) asksByID(id access.ConnectionID, externalID string) bool {
	s := p.rules[id]
	if s == nil {
		return false
	}
	asks := false
	s.each("", externalID, func(by ask) { asks = asks || s.asked(by).pattern == nil })
	return asks
}

// answers reports whether a group that fits an ask could make a difference: what its
// name captures must name a scope, where it captures all that its rule needs.
func (p *Policy) answers(s *ruleset, by ask, folded string) bool {
	a, r := s.asked(by), s.rules[by.rule]
	if a.pattern == nil || len(a.pattern.captures()) == 0 {
		return true
	}
	readings := a.pattern.readings(folded, p.places)
	if len(a.pattern.captures()) < r.captures || len(readings) == 0 {
		return len(readings) > 0
	}
	_, ok := p.outcome(r, readings)
	return ok
}

// describe joins what several groups are asked as.
func describe(all []asked) string {
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = a.as()
	}
	return strings.Join(texts, ", ")
}
