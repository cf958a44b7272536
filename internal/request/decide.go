package request

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Decides reports whether an administrator at a scope is one of those who decide about
// what lies at another: of a scope that covers it, or of the host where service owners do.
func Decides(t *access.Tree, of mapping.Approvers, at, target access.ScopeID) bool {
	s, ok := t.Scope(at)
	if !ok || !t.Live(at) || !t.Covers(at, target) {
		return false
	}
	return of != mapping.ServiceOwners || s.Level == access.Host
}

// Today is a request that waits, under what holds now: who decides, and how many of them,
// can have become stricter since somebody asked, and never laxer; and the person can have
// come to see another customer.
func (r Request) Today(s Setting, h Holder) (Request, mapping.RequestClass) {
	t := r.Result()
	scope, _ := s.Tree.Scope(t.Scope)
	outside := !s.Tree.Covers(h.Root, t.Scope)
	c := ClassOf(s.Policy, t.Grant, scope.Level, outside)
	r.Outside = r.Outside || outside
	r.Several = r.Several || several(s, h, t.Scope)
	if c.Approvers == mapping.ServiceOwners {
		r.Approvers = c.Approvers
	}
	if !r.Wish.BreakGlass {
		r.Need = max(r.Need, c.Need)
	}
	if r.Several {
		r.Need = max(2, r.Need)
	}
	return r, c
}

// Lasts refuses terms that last longer than their class allows now.
func (r Request) Lasts(s Setting, c mapping.RequestClass, t Terms) error {
	w := r.Wish
	w.Until = t.Until
	all := tooLong(s, c, w)
	if t.Until.IsZero() && !c.Permanent && !w.BreakGlass {
		all = append(all, refusal(ReasonUntil, "requests of class %q may not be permanent any more: approve it until some instant", c.Name))
	}
	return Refused("request.Lasts", all)
}

// Eligible says why whoever acts does not decide about a request; nil if they do. That
// they administer its scope at all has been asked before: who does not, is told that there
// is no such request.
func (r Request) Eligible(t *access.Tree, who Right) error {
	const op = "request.Eligible"
	by := Party{Connection: who.Connection, Person: who.Person}
	switch {
	case by == r.For:
		return fault.New(fault.Denied, op, "nobody decides about their own access").Because(ReasonOwn)
	case by == r.By:
		return fault.New(fault.Denied, op, "whoever asks does not decide: somebody else must approve it").Because(ReasonOwn)
	case !who.Administers(t, r.Asked.Scope):
		return fault.New(fault.NotFound, op, "there is no such request")
	case !Decides(t, r.Approvers, who.Scope, r.Asked.Scope):
		return fault.New(fault.Denied, op, "this is decided by the service owners: administrators of the host").Because(ReasonOwnersOnly)
	}
	return nil
}

// Approve is what is left when one more approver agrees, to less or to all that the
// approvals before have left.
func (r Request) Approve(s Setting, by Party, less Terms) (Terms, error) {
	const op = "request.Approve"
	if err := r.waits(op, s.Now); err != nil {
		return Terms{}, err
	}
	if slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.By == by }) {
		return Terms{}, fault.New(fault.Stale, op, "you have approved this; somebody else must, too").Because(ReasonTwice)
	}
	most := r.Result()
	switch {
	case r.State != Unconfirmed && !less.Until.IsZero() && !less.Until.After(s.Now):
		return Terms{}, fault.New(fault.Invalid, op, "until is past: it would give nothing").Because(ReasonUntilPast)
	case less.Same(most):
	case r.State == Unconfirmed:
		return Terms{}, fault.New(fault.Invalid, op, "what was taken is confirmed as it is, or revoked").Because(ReasonNotLess)
	case !less.Within(s, most, r.Standing):
		return Terms{}, fault.New(fault.Invalid, op, "an approver may give less than is asked for (%s), and never more or something else", most.Grant).Because(ReasonNotLess)
	case !s.opensAny(less, r.Wish.Workflows, r.Standing):
		return Terms{}, fault.New(fault.Invalid, op, "that would open nothing of what is asked for: refuse the request instead").Because(ReasonNothingLeft)
	}
	return less, nil
}

// waits says why nothing can be decided any more.
func (r Request) waits(op string, now time.Time) error {
	if st := r.StateAt(now); !st.Waits() {
		return fault.New(fault.Stale, op, "there is nothing to decide: the request is %s", st).Because(ReasonDecided)
	}
	return nil
}

// Waiting is nil while there is something to decide.
func (r Request) Waiting(now time.Time) error { return r.waits("request.Waiting", now) }

// Enough reports whether so many approvals decide it.
func (r Request) Enough(approvals int) bool { return approvals >= r.Need }

// opensAny reports whether terms open anything of what was asked for.
func (s Setting) opensAny(t Terms, asked []access.Workflow, st access.Standing) bool {
	opens := s.Catalogue.Opens(t.Grant, t.Flags, st)
	return len(asked) == 0 || slices.ContainsFunc(asked, func(w access.Workflow) bool { return slices.Contains(opens, w) })
}

// Within reports whether terms give nothing that others do not: the grant's workflows, the
// scope, the flags and the time.
func (t Terms) Within(s Setting, most Terms, st access.Standing) bool {
	opens, allowed := s.Catalogue.Opens(t.Grant, t.Flags, st), s.Catalogue.Opens(most.Grant, most.Flags, st)
	return t.Grant.Known() && (t.Grant == most.Grant || t.Grant.MaySignIn()) && len(without(opens, allowed)) == 0 &&
		s.Tree.Live(t.Scope) && s.Tree.Covers(most.Scope, t.Scope) &&
		most.Flags.Union(t.Flags) == most.Flags &&
		(most.Until.IsZero() || !t.Until.IsZero() && !t.Until.After(most.Until))
}

// Same reports whether terms are the same.
func (t Terms) Same(o Terms) bool {
	return t.Grant == o.Grant && t.Scope == o.Scope && t.Flags == o.Flags && t.Until.Equal(o.Until)
}

// alike is how far two ends lie apart at most that people mean as one: "for 14 days", said
// again some minutes later.
const alike = time.Hour

// Alike reports whether terms are what others are, but for ends that nobody tells apart.
func (t Terms) Alike(o Terms) bool {
	near := t.Until.Equal(o.Until)
	if !t.Until.IsZero() && !o.Until.IsZero() {
		near = t.Until.Sub(o.Until).Abs() < alike
	}
	return t.Grant == o.Grant && t.Scope == o.Scope && t.Flags == o.Flags && near
}

// Lessen is what an approver leaves of terms by naming a part of them; what is not named
// stays. No grant comes without the flags that it brings by itself.
func (t Terms) Lessen(grant access.Grant, scope access.ScopeID, flags *access.Flags, until time.Time) Terms {
	if grant != "" && grant != t.Grant {
		t.Grant = grant
	}
	if flags != nil {
		t.Flags = *flags
	}
	t.Flags = t.Flags.Union(t.Grant.Floor())
	if scope != "" {
		t.Scope = scope
	}
	if !until.IsZero() {
		t.Until = until
	}
	return t
}

// Gives is the permit that the decision makes, from now on or later.
func (r Request) Gives(id access.PermitID, t Terms, now time.Time) access.Permit {
	return access.Permit{ID: id, Person: r.For.Person, Grant: t.Grant, Scope: t.Scope, Flags: t.Flags, Standing: r.Standing,
		NotBefore: r.Wish.NotBefore, Until: t.Until, Kind: access.SourceRequest, Request: r.ID, Case: r.Wish.Case, Given: now}
}

// EndsLast reports whether terms make somebody an administrator for a time where nobody
// else is one without end: a successor must be named, or somebody must say that there
// will be none.
func EndsLast(t Terms, others bool) bool {
	return t.Grant == access.Administrator && !t.Until.IsZero() && !others
}
