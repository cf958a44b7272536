package mapping

import (
	"encoding/json"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Reach is whom of a connection another policy may decide differently: everybody, or the
// members of the groups that it touches. It may be too wide, never too narrow.
type Reach struct {
	Everybody bool
	old, new  *Policy
	conn      access.ConnectionID
	before    map[int]bool // the rules of the old policy that have gone, or another place
	after     map[int]bool // those of the new one that have come, or another place
	kept      [][2]*rule   // that capture, and are the same in both: scopes may be found otherwise
}

// Nobody reports whether everybody is decided as before.
func (r Reach) Nobody() bool {
	return !r.Everybody && len(r.before)+len(r.after)+len(r.kept) == 0
}

// Touches reports whether the members of a group with that name and externalId may be
// decided differently. It costs a few map look-ups.
func (r Reach) Touches(groupName, externalID string) bool {
	if r.Everybody {
		return true
	}
	folded := schema.Fold(groupName)
	touched := false
	r.old.rules[r.conn].each(folded, externalID, func(by ask) {
		touched = touched || !by.none && r.before[by.rule] && r.old.answers(r.old.rules[r.conn], by, folded)
	})
	r.new.rules[r.conn].each(folded, externalID, func(by ask) {
		touched = touched || !by.none && r.after[by.rule] && r.new.answers(r.new.rules[r.conn], by, folded)
	})
	for i := 0; i < len(r.kept) && !touched; i++ {
		touched = r.reads(r.kept[i], folded)
	}
	return touched
}

// reads reports whether a rule that stayed finds other scopes by a group's name.
func (r Reach) reads(both [2]*rule, folded string) bool {
	for i, a := range both[0].asks {
		captures := a.pattern.captures()
		if len(captures) == 0 || !a.pattern.fits(folded) {
			continue
		}
		if len(captures) < both[0].captures || both[0].excludes() {
			return true // what else is captured, or excluded, decides as well
		}
		was, had := r.old.outcome(both[0], a.pattern.readings(folded, r.old.places))
		is, has := r.new.outcome(both[1], both[1].asks[i].pattern.readings(folded, r.new.places))
		if had != has || was.several != is.several || !was.several && !slices.Equal(was.items, is.items) {
			return true
		}
	}
	return false
}

// excludes reports whether the rule compares captures with those of groups that it
// excludes.
func (r *rule) excludes() bool {
	return slices.ContainsFunc(r.none, func(a asked) bool { return len(a.pattern.captures()) > 0 })
}

// Comparison is two policies, laid side by side for every connection.
type Comparison struct {
	before, after *Policy
	sameTree      bool // no capture finds another scope
}

// Compare lays two policies side by side; before may be nil, which is none.
func Compare(before, after *Policy) Comparison {
	return Comparison{before, after, before != nil && access.DiffTrees(before.tree, after.tree).Empty()}
}

// Changed is Compare for one connection.
func Changed(before, after *Policy, id access.ConnectionID) Reach {
	return Compare(before, after).Of(id)
}

// Of says whom of a connection the later policy may decide differently. A rule's note,
// owner and place in its file, tests, and rules that only count do nothing to anybody.
func (c Comparison) Of(id access.ConnectionID) Reach {
	r := Reach{old: c.before, new: c.after, conn: id}
	if c.before == nil {
		r.Everybody = true
		return r
	}
	was, had := c.before.connections[id]
	is, has := c.after.connections[id]
	if !had || !has {
		r.Everybody = had || has
		return r
	}
	trust := was.TrustsCertification != is.TrustsCertification
	old, new := c.before.enforced(id, trust, "before"), c.after.enforced(id, trust, "after")
	r.before, r.after = orders(old), orders(new)
	for _, p := range pair(old, new) {
		delete(r.before, p[0].order)
		delete(r.after, p[1].order)
		if p[0].captures > 0 && !c.sameTree {
			r.kept = append(r.kept, [2]*rule{p[0].rule, p[1].rule})
		}
	}
	return r
}

// enforcedRule is a rule that gives, with all that decides what it gives to whom.
type enforcedRule struct {
	*rule
	does string
}

// enforced lists the rules of a connection that give. Where it is trusted otherwise than
// before, those that ask for a certification are others.
func (p *Policy) enforced(id access.ConnectionID, trust bool, side string) []enforcedRule {
	var all []enforcedRule
	for _, r := range p.rulesOf(id) {
		if r.Mode == Shadow {
			continue
		}
		does := r.does()
		if trust && slices.ContainsFunc(r.targets, func(t target) bool { return t.grant.NeedsCertification() }) {
			does = side + does
		}
		all = append(all, enforcedRule{r, does})
	}
	return all
}

func orders(rules []enforcedRule) map[int]bool {
	all := map[int]bool{}
	for _, r := range rules {
		all[r.order] = true
	}
	return all
}

// does is all of a rule that decides.
func (r *rule) does() string {
	src := r.RuleSource
	src.Note, src.Owner, src.Mode, src.Written, src.When, src.Give, src.Guest = "", "", "", Written{}, "", "", nil
	type gives struct {
		Grant    access.Grant
		Standing access.Standing
		Start    access.ScopeID
		Rest     string
	}
	type sees struct{ Name, Path, Type string }
	all := struct {
		Rule       RuleSource
		Gives      []gives
		When       string
		Conditions [][2]string
		Attributes []sees
	}{Rule: src}
	for _, t := range r.targets {
		rest := "."
		for _, s := range t.rest {
			rest = s.under(rest)
		}
		all.Gives = append(all.Gives, gives{t.grant, t.standing, t.start, rest})
	}
	if r.when != nil {
		r.when.each(func(c *condition) { all.Conditions = append(all.Conditions, [2]string{c.name, c.text}) })
		for _, a := range r.when.attributes() {
			all.Attributes = append(all.Attributes, sees{a.Name, a.At.Path(), a.celType().String()})
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		return r.ID // of strings and numbers alone: it cannot fail
	}
	return string(body)
}

// pair finds the rules that are the same in both lists and in the same order: as many of
// them as there can be.
func pair(old, new []enforcedRule) [][2]enforcedRule {
	at := make(map[string]int, len(new))
	for i, r := range new {
		at[r.does] = i
	}
	var both [][2]enforcedRule // in the order of old
	var places []int
	for _, r := range old {
		if i, ok := at[r.does]; ok {
			both, places = append(both, [2]enforcedRule{r, new[i]}), append(places, i)
		}
	}
	var kept [][2]enforcedRule
	for _, i := range rising(places) {
		kept = append(kept, both[i])
	}
	return kept
}

// rising is a longest ascending run of numbers, which need not stand side by side, as
// their indices.
func rising(numbers []int) []int {
	var ends []int // of the run of each length, the index of the least last number
	before := make([]int, len(numbers))
	for i, n := range numbers {
		at, _ := slices.BinarySearchFunc(ends, n, func(e, n int) int { return numbers[e] - n })
		before[i] = -1
		if at > 0 {
			before[i] = ends[at-1]
		}
		if at == len(ends) {
			ends = append(ends, i)
		} else {
			ends[at] = i
		}
	}
	run := make([]int, len(ends))
	if len(ends) > 0 {
		for k, i := len(ends)-1, ends[len(ends)-1]; k >= 0; k, i = k-1, before[i] {
			run[k] = i
		}
	}
	return run
}
