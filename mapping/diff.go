package mapping

import (
	"cmp"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Diff compares what a person holds with what the rules want and people decided. What
// sources there are is not read from what is held: those made by rules are those of
// want, those made by people are the permits of by that have not ended, at scopes that
// are there; a technician's counts as long as the person is certified. An assignment
// keeps its id as long as any source gives the same grant at the same scope; one that was
// over for a while is dropped, and given anew. Flags, standing and end are the union of the
// sources that are valid now; one that is only held for later has those of its coming sources.
//
// Limits of by narrow the flags of every source within their scope, and withhold what
// rules give there. They give nothing.
//
// At most one is primary: one that may sign in before an associate, the rules'
// choice before the people's, the present place before another.
//
// An inactive person holds nothing, whoever gave it: use DropAll for that.
func (p *Policy) Diff(held []access.Assignment, want []Wanted, by access.Decided, now time.Time) Plan {
	before := map[Pair]access.Assignment{}
	var plan Plan
	for _, a := range held {
		at := Pair{a.Grant, a.Scope}
		if _, dup := before[at]; dup || lapsed(a, now) { // two of a pair are never written by us; the first stays
			plan.Drop = append(plan.Drop, a)
		} else {
			before[at] = a
		}
	}
	next, chosen := p.sources(want, by, now)
	primary := placePrimary(before, next, chosen, now)
	for at, sources := range next {
		plan.place(before, unite(at, sources, now), at == primary)
	}
	for at, a := range before {
		if len(next[at]) == 0 {
			plan.Drop = append(plan.Drop, a)
		}
	}
	plan.sort()
	return plan
}

// DropAll is the plan for a person who has left: every assignment goes, those
// given by people as well.
func DropAll(held []access.Assignment) Plan {
	p := Plan{Drop: slices.Clone(held)}
	p.sort()
	return p
}

// After lists what is held once the plan is applied, primary first.
func (p Plan) After() []access.Assignment {
	after := slices.Concat(p.Keep, p.Give)
	for _, c := range p.Change {
		after = append(after, c.To)
	}
	slices.SortFunc(after, access.CompareAssignments)
	return after
}

// NextChange is the earliest instant after now at which a source of these
// assignments begins or ends; zero if there is none.
func NextChange(as []access.Assignment, now time.Time) time.Time {
	var next time.Time
	consider := func(t time.Time) {
		if t.After(now) {
			next = earlier(next, t)
		}
	}
	for _, a := range as {
		consider(a.NotBefore)
		consider(a.Until)
		for _, s := range a.Sources {
			consider(s.NotBefore)
			consider(s.Until)
		}
	}
	return next
}

func ended(s access.Source, now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }

// placePrimary chooses the person's own place among what is valid now, or the
// zero Pair. Only what rules chose, or people gave as primary, may take it.
func placePrimary(before map[Pair]access.Assignment, next map[Pair][]access.Source, chosen map[Pair]bool, now time.Time) Pair {
	better := func(a, b Pair) int {
		return cmp.Or(first(a.Grant.MaySignIn(), b.Grant.MaySignIn()), first(chosen[a], chosen[b]),
			first(before[a].Standing == access.Primary, before[b].Standing == access.Primary),
			access.CompareAssignments(access.Assignment{Grant: a.Grant, Scope: a.Scope}, access.Assignment{Grant: b.Grant, Scope: b.Scope}))
	}
	var best Pair
	for at, sources := range next {
		byPeople := slices.ContainsFunc(sources, func(s access.Source) bool {
			return s.Kind != access.SourceRule && s.Standing == access.Primary && s.ValidAt(now)
		})
		if (chosen[at] || byPeople) && (best == Pair{} || better(at, best) < 0) {
			best = at
		}
	}
	return best
}

// first orders the one for which it holds before the one for which it does not.
func first(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

// place puts one wanted assignment where it belongs in the plan.
func (p *Plan) place(before map[Pair]access.Assignment, to access.Assignment, primary bool) {
	to.Standing = access.Guest
	if primary {
		to.Standing = access.Primary
	}
	from, held := before[Pair{to.Grant, to.Scope}]
	to.ID, to.Person, to.LastUsed = from.ID, from.Person, from.LastUsed
	switch {
	case !held:
		p.Give = append(p.Give, to)
	case same(from, to):
		p.Keep = append(p.Keep, from)
	default:
		p.Change = append(p.Change, Change{From: from, To: to})
	}
}

// same reports whether nothing about an assignment is to be written anew.
func same(a, b access.Assignment) bool {
	return a.ID == b.ID && a.Person == b.Person && a.SameUse(b) && slices.EqualFunc(a.Sources, b.Sources, sameSource)
}

func sameSource(a, b access.Source) bool {
	return compareSources(a, b) == 0 && a.Standing == b.Standing && a.Flags == b.Flags &&
		a.NotBefore.Equal(b.NotBefore) && a.Until.Equal(b.Until)
}

// compareSources orders sources by what they are; equal ones are the same source.
func compareSources(a, b access.Source) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Group, b.Group))
}

// addSource adds a source in its order. The same source told twice (a rule that
// gives one pair by give and by guest) becomes one, the wider of the two.
func addSource(sources []access.Source, s access.Source) []access.Source {
	at, found := slices.BinarySearchFunc(sources, s, compareSources)
	if !found {
		return slices.Insert(sources, at, s)
	}
	had := &sources[at]
	had.Flags = had.Flags.Union(s.Flags)
	had.Until = later(had.Until, s.Until)
	if s.NotBefore.Before(had.NotBefore) {
		had.NotBefore = s.NotBefore
	}
	if s.Standing == access.Primary {
		had.Standing = access.Primary
	}
	return sources
}

// unite is the assignment that sources give together: by those valid now, or by
// all of them if none is yet. Standing, id and person are the caller's to set.
func unite(at Pair, sources []access.Source, now time.Time) access.Assignment {
	valid := slices.DeleteFunc(slices.Clone(sources), func(s access.Source) bool { return !s.ValidAt(now) })
	if len(valid) == 0 {
		valid = sources
	}
	a := access.Assignment{Grant: at.Grant, Scope: at.Scope, Sources: sources, NotBefore: valid[0].NotBefore, Until: valid[0].Until}
	for _, s := range valid {
		a.Flags = a.Flags.Union(s.Flags)
		a.Until = later(a.Until, s.Until)
		if s.NotBefore.Before(a.NotBefore) {
			a.NotBefore = s.NotBefore
		}
	}
	return a
}

func (p *Plan) sort() {
	for _, as := range [][]access.Assignment{p.Give, p.Drop, p.Keep} {
		slices.SortFunc(as, access.CompareAssignments)
	}
	slices.SortFunc(p.Change, func(a, b Change) int { return access.CompareAssignments(a.To, b.To) })
}
