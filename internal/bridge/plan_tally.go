package bridge

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// planTally are the numbers of a plan, for its summary, guards and findings.
type planTally struct {
	summary PlanSummary
	admins  map[access.ScopeID]administrators // who may sign in
	holding map[access.ConnectionID]int64     // people who hold something now
	rules   map[string]*ruleTally
	shadow  map[string]int64
}

// administrators are how many a scope has, and would have.
type administrators struct{ before, after int64 }

// ruleTally is what came of one rule.
type ruleTally struct {
	people    int64 // whom it gives something
	redundant int64 // of these, to whom an earlier rule gives at least as much, pair by pair
	beaten    int64 // of these, whose primary an earlier rule gives
}

func newTally() planTally {
	return planTally{admins: map[access.ScopeID]administrators{}, holding: map[access.ConnectionID]int64{}, rules: map[string]*ruleTally{}, shadow: map[string]int64{}}
}

func (t *planTally) add(o planTally) {
	a, b := &t.summary, o.summary
	a.People += b.People
	a.Holding += b.Holding
	a.Changing += b.Changing
	a.Gaining += b.Gaining
	a.Losing += b.Losing
	a.Altered += b.Altered
	a.WithoutAccess += b.WithoutAccess
	a.LosingInUse += b.LosingInUse
	a.Sessions += b.Sessions
	for scope, n := range o.admins {
		t.count(scope, n.before, n.after)
	}
	for id, n := range o.holding {
		t.holding[id] += n
	}
	for id, r := range o.rules {
		mine := t.rule(id)
		mine.people, mine.redundant, mine.beaten = mine.people+r.people, mine.redundant+r.redundant, mine.beaten+r.beaten
	}
	for id, n := range o.shadow {
		t.shadow[id] += n
	}
}

func (t *planTally) count(scope access.ScopeID, before, after int64) {
	n := t.admins[scope]
	t.admins[scope] = administrators{n.before + before, n.after + after}
}

func (t *planTally) rule(id string) *ruleTally {
	if t.rules[id] == nil {
		t.rules[id] = &ruleTally{}
	}
	return t.rules[id]
}

// inUse is how recently something was used for its loss to be felt.
const inUse = 30 * 24 * time.Hour

func (s *PlanSummary) add(c PersonChange, now time.Time) {
	one := func(is bool) int64 {
		if is {
			return 1
		}
		return 0
	}
	used := func(h PlannedHolding) bool { return !h.LastUsed.IsZero() && now.Sub(h.LastUsed) < inUse }
	s.Changing++
	s.Gaining += one(len(c.Gains) > 0)
	s.Losing += one(c.losing())
	s.Altered += one(len(c.Alters) > 0)
	s.WithoutAccess += one(c.WithoutAccess)
	s.LosingInUse += one(slices.ContainsFunc(c.Loses, used) || slices.ContainsFunc(c.Alters, func(h PlannedHolding) bool { return h.Narrows && used(h) }))
	s.Sessions += int64(c.Sessions)
}
