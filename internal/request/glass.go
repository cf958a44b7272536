package request

import (
	"cmp"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// How glass is broken where the policy does not say.
const (
	glassNeed    = 2
	glassWithin  = day
	glassLongest = 4 * time.Hour
)

// Break turns an offer into access that is taken at once, and says why it may not be.
func Break(s Setting, who Right, h Holder, w Wish, o Offer) Offer {
	g := s.Policy.BreakGlass
	if g == nil {
		o.refuse(refusal(ReasonGlass, "the policy has no break_glass: nobody takes access at once"))
		return o
	}
	if !mayBreak(s, *g, who, h, o.Asked.Scope) {
		o.refuse(refusal(ReasonGlassGrant, "access at once is for those whose grant the policy lists (break_glass.grants), at the area or above it"))
	}
	last := s.Now.Add(cmp.Or(g.Longest, glassLongest))
	switch {
	case w.Until.IsZero():
		o.Asked.Until, o.Smallest.Until = last, last
	case w.Until.After(last):
		o.refuse(refusal(ReasonTooLong, "what is taken at once lasts at most %s", Days(cmp.Or(g.Longest, glassLongest))))
	}
	o.Need = cmp.Or(g.Need, glassNeed)
	o.DecideBy = s.Now.Add(cmp.Or(g.Within, glassWithin))
	return o
}

// mayBreak reports whether access at a scope may be taken at once: by a person for
// themselves, by the one assignment that they act by; by the operator for somebody who
// holds such an assignment.
func mayBreak(s Setting, g mapping.BreakGlass, who Right, h Holder, at access.ScopeID) bool {
	listed := func(grant access.Grant, scope access.ScopeID) bool {
		return slices.Contains(g.Grants, grant) && s.Tree.Live(scope) && s.Tree.Covers(scope, at)
	}
	if who.Operator {
		return slices.ContainsFunc(h.valid(s.Tree, s.Now), func(a access.Assignment) bool { return listed(a.Grant, a.Scope) })
	}
	return who.Is(h.Connection, h.Person) && !who.Taken && listed(who.Grant, who.Scope)
}

// Unconfirmed is the permit while others have not confirmed it: it ends when they must
// have, so that nobody needs to end it.
func (r Request) Unconfirmed(id access.PermitID, now time.Time) access.Permit {
	p := r.Gives(id, r.Asked, now)
	if r.DecideBy.Before(p.Until) {
		p.Until = r.DecideBy
	}
	return p
}

// Remind is when the two sides are next told that something ends, after an instant; zero:
// no more.
func Remind(p mapping.Requests, until, after time.Time) time.Time {
	before := p.Remind
	if before == nil {
		before = []time.Duration{72 * time.Hour, 24 * time.Hour}
	}
	var next time.Time
	for _, d := range before {
		if at := until.Add(-d); at.After(after) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// The last administrator of a scope is held over: so long before the end, for so long.
const (
	HoldBefore = 72 * time.Hour
	HoldFor    = 7 * day
)

// HoldsOver reports whether the permit of a request is to be prolonged, so that its scope is
// not left without an administrator by the way. What was taken at once never is.
func (r Request) HoldsOver(p access.Permit, others bool, now time.Time) bool {
	confirmed := r.ConfirmedLast || r.Successor != Party{}
	return r.State == Granted && !r.Wish.BreakGlass && p.Grant == access.Administrator && p.Ended.IsZero() && !p.Until.IsZero() && !confirmed && !others &&
		now.Before(p.Until) && !now.Before(p.Until.Add(-HoldBefore))
}
