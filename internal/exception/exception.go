// Package exception finds in what somebody holds what the vendor's practice avoids, and lets
// be only with a reason, an owner and an end.
package exception

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Kind is what is out of the ordinary about an assignment.
type Kind string

// The kinds.
const (
	SeveralCustomers Kind = "several_customers"             // it shows several customers, alone or with what else is held
	AboveCeiling     Kind = "above_ceiling"                 // people gave what no rule of the connection may give
	Permanent        Kind = "permanent"                     // people gave it without an end, where the policy wants one
	Combined         Kind = "administration_with_operation" // one person administers by one assignment, and operates by another
	TwoHighRisk      Kind = "two_high_risk"                 // one of several of high risk
	Unconfirmed      Kind = "broken_glass_unconfirmed"      // taken at once, and nobody has confirmed it yet
	HeldOver         Kind = "last_administrator_held_over"  // it goes on because the scope would have no administrator
)

// Kinds lists them, in the order in which people read of them.
func Kinds() []Kind {
	return []Kind{Unconfirmed, HeldOver, SeveralCustomers, AboveCeiling, Permanent, Combined, TwoHighRisk}
}

// Pair is an assignment by what it is.
type Pair struct {
	Grant access.Grant   `json:"grant"`
	Scope access.ScopeID `json:"scope"`
}

// Exception is one assignment that is out of the ordinary.
type Exception struct {
	Kind Kind
	Pair
	With     []Pair             // the others that make it so
	Rules    []string           // that give it
	Requests []access.RequestID // by which people gave it
	Since    time.Time          // when people gave it; zero: only rules did
	Until    time.Time          // zero: no end
}

// Compare orders the exceptions of one person.
func Compare(a, b Exception) int {
	return cmp.Or(cmp.Compare(slices.Index(Kinds(), a.Kind), slices.Index(Kinds(), b.Kind)), comparePairs(a.Pair, b.Pair))
}

func comparePairs(a, b Pair) int {
	return cmp.Or(cmp.Compare(slices.Index(access.Grants(), a.Grant), slices.Index(access.Grants(), b.Grant)), cmp.Compare(a.Scope, b.Scope))
}

// Same reports whether two say the same of the same assignment.
func (e Exception) Same(o Exception) bool {
	return e.Kind == o.Kind && e.Pair == o.Pair && slices.Equal(e.With, o.With) && slices.Equal(e.Rules, o.Rules) && slices.Equal(e.Requests, o.Requests) &&
		e.Since.Equal(o.Since) && e.Until.Equal(o.Until)
}

// Holder is one person: what they hold, and why.
type Holder struct {
	Connection access.Connection
	Held       []access.Assignment
	Permits    []access.Permit   // that live
	Requests   []request.Request // by which they were given
}

// Of lists the exceptions of one person, in their order. What is over at that instant, or
// stands at a scope that was retired, is none; what begins later is.
func Of(p *mapping.Policy, h Holder, now time.Time) []Exception {
	t := p.Tree()
	h.Held = slices.Clone(h.Held)
	h.Held = slices.DeleteFunc(h.Held, func(a access.Assignment) bool { return !t.Live(a.Scope) || !a.Until.IsZero() && !now.Before(a.Until) })
	slices.SortFunc(h.Held, func(a, b access.Assignment) int { return comparePairs(pairOf(a), pairOf(b)) })
	f := finder{policy: p, holder: h, now: now}
	for _, a := range h.Held {
		f.byPeople(a)
	}
	f.customers()
	f.together(Combined, f.combined())
	f.together(TwoHighRisk, f.highRisk())
	slices.SortFunc(f.found, Compare)
	return f.found
}

func pairOf(a access.Assignment) Pair { return Pair{a.Grant, a.Scope} }

type finder struct {
	policy *mapping.Policy
	holder Holder
	now    time.Time
	found  []Exception
}

// say adds an exception about an assignment, with where it comes from.
func (f *finder) say(k Kind, a access.Assignment, with []Pair) {
	e := Exception{Kind: k, Pair: pairOf(a), With: with, Until: a.Until}
	for _, s := range a.Sources {
		if s.Kind == access.SourceRule && !slices.Contains(e.Rules, s.ID) {
			e.Rules = append(e.Rules, s.ID)
		}
	}
	for _, p := range f.permits(a) {
		if p.Request != "" && !slices.Contains(e.Requests, p.Request) {
			e.Requests = append(e.Requests, p.Request)
		}
		if e.Since.IsZero() || p.Given.Before(e.Since) {
			e.Since = p.Given
		}
	}
	slices.Sort(e.Rules)
	slices.Sort(e.Requests)
	f.found = append(f.found, e)
}

// permits are those behind an assignment.
func (f *finder) permits(a access.Assignment) []access.Permit {
	return slices.DeleteFunc(slices.Clone(f.holder.Permits), func(p access.Permit) bool {
		return p.Grant != a.Grant || p.Scope != a.Scope || !p.Ended.IsZero() || !p.Until.IsZero() && !f.now.Before(p.Until)
	})
}

func (f *finder) request(id access.RequestID) request.Request {
	at := slices.IndexFunc(f.holder.Requests, func(r request.Request) bool { return r.ID == id })
	if at < 0 || id == "" {
		return request.Request{}
	}
	return f.holder.Requests[at]
}

// byPeople finds what is wrong with what people gave.
func (f *finder) byPeople(a access.Assignment) {
	permits := f.permits(a)
	if len(permits) == 0 {
		return
	}
	if !f.holder.Connection.Ceiling.Allows(f.policy.Tree(), a.Grant, a.Scope) {
		f.say(AboveCeiling, a, nil)
	}
	if slices.ContainsFunc(permits, f.withoutEnd) {
		f.say(Permanent, a, nil)
	}
	if slices.ContainsFunc(permits, f.unconfirmed) {
		f.say(Unconfirmed, a, nil)
	}
	if slices.ContainsFunc(permits, f.heldOver) {
		f.say(HeldOver, a, nil)
	}
}

func (f *finder) withoutEnd(p access.Permit) bool {
	t := f.policy.Tree()
	s, _ := t.Scope(p.Scope)
	outside := !t.Covers(f.holder.Connection.Root, p.Scope)
	return p.Until.IsZero() && !request.ClassOf(f.policy.Source().Requests, p.Grant, s.Level, outside).Permanent
}

func (f *finder) unconfirmed(p access.Permit) bool {
	r := f.request(p.Request)
	return r.Wish.BreakGlass && r.StateAt(f.now) == request.Unconfirmed
}

// heldOver: it lasts longer than what was decided, and nobody has said who comes next.
func (f *finder) heldOver(p access.Permit) bool {
	r := f.request(p.Request)
	end := r.Result().Until
	return p.Grant == access.Administrator && !end.IsZero() && p.Until.After(end) && r.Successor == (request.Party{}) && !r.ConfirmedLast
}

// customers finds what shows several customers: all of a service provider's, or one of
// several.
func (f *finder) customers() {
	t := f.policy.Tree()
	seen := map[access.ScopeID]bool{}
	for _, a := range f.holder.Held {
		if c := customer(t, a.Scope); a.Grant.MaySignIn() {
			seen[c] = true
		}
	}
	for _, a := range f.holder.Held {
		switch c := customer(t, a.Scope); {
		case !a.Grant.MaySignIn():
		case c == "":
			f.say(SeveralCustomers, a, nil)
		case len(seen) > 2 || len(seen) == 2 && !seen[""]:
			f.say(SeveralCustomers, a, f.others(a, func(o access.Assignment) bool {
				oc := customer(t, o.Scope)
				return o.Grant.MaySignIn() && oc != "" && oc != c
			}))
		}
	}
}

// customer is the account that a scope belongs to, "" where it is wider than one.
func customer(t *access.Tree, id access.ScopeID) access.ScopeID {
	for s, ok := t.Scope(id); ok && s.Level >= access.Account; s, ok = t.Scope(s.Parent) {
		if s.Level == access.Account {
			return s.ID
		}
	}
	return ""
}

func (f *finder) others(a access.Assignment, which func(access.Assignment) bool) []Pair {
	var all []Pair
	for _, o := range f.holder.Held {
		if pairOf(o) != pairOf(a) && which(o) {
			all = append(all, pairOf(o))
		}
	}
	return all
}

// combined are assignments that administer, and others that operate, of one person; none
// where there are not both.
func (f *finder) combined() []access.Assignment {
	all := slices.Clone(f.holder.Held)
	all = slices.DeleteFunc(all, func(a access.Assignment) bool { return !a.Grant.MaySignIn() })
	administers := func(a access.Assignment) bool { return a.Grant == access.Administrator }
	operates := func(a access.Assignment) bool { return !administers(a) }
	if !slices.ContainsFunc(all, administers) || !slices.ContainsFunc(all, operates) {
		return nil
	}
	return all
}

// highRisk are the assignments of high risk, if there are several.
func (f *finder) highRisk() []access.Assignment {
	t, c := f.policy.Tree(), f.policy.Catalogue()
	all := slices.DeleteFunc(slices.Clone(f.holder.Held), func(a access.Assignment) bool {
		s, _ := t.Scope(a.Scope)
		return !a.Grant.MaySignIn() || c.RiskOf(s.Level, a.Grant, a.Flags) < access.RiskHigh
	})
	if len(all) < 2 {
		return nil
	}
	return all
}

// together says of each of several that it is one of them.
func (f *finder) together(k Kind, all []access.Assignment) {
	for _, a := range all {
		f.say(k, a, f.others(a, func(o access.Assignment) bool {
			return slices.ContainsFunc(all, func(x access.Assignment) bool { return pairOf(x) == pairOf(o) }) &&
				(k != Combined || (o.Grant == access.Administrator) != (a.Grant == access.Administrator))
		}))
	}
}

// Concerns reports whether another policy may find other exceptions in what people hold
// than the one before, where what they hold is the same: what risks are, what classes of
// requests say, what ceilings allow, or where scopes lie that were there. Scopes that are
// new, or called otherwise, concern nobody.
func Concerns(was, next *mapping.Policy) bool {
	if !same(was.Catalogue(), next.Catalogue()) || !same(was.Source().Requests, next.Source().Requests) {
		return true
	}
	for _, c := range next.Connections() {
		before, known := was.Connection(c.ID)
		if !known || before.Root != c.Root || !same(before.Ceiling, c.Ceiling) {
			return true
		}
	}
	d := access.DiffTrees(was.Tree(), next.Tree())
	if len(d.Gone) > 0 {
		return true
	}
	return slices.ContainsFunc(d.Changed, func(s access.Scope) bool {
		before, known := was.Tree().Scope(s.ID)
		return !known || before.Parent != s.Parent || before.Level != s.Level || !before.Retired.Equal(s.Retired)
	})
}

// same compares what is stored as JSON.
func same(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(x) == string(y)
}
