package steward

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Why somebody may not decide about the access of others.
const (
	ReasonNeedsPerson = "needs_a_person" // the operator acts, where somebody must be held to it
	ReasonRightLost   = "right_lost"     // what the token stands on is not held now
	ReasonSwitchFirst = "switch_first"   // another assignment of theirs would do
	ReasonUnmarked    = "insufficient_scope"
	ReasonUnproven    = "not_confirmed_yet" // what they act by was taken at once
)

// managesScope is the OAuth scope that a token must have to decide about others.
const managesScope = "users.manage"

// right reads what whoever acts may do, in the transaction that decides. A person whom a
// fence or another policy made undecided is decided first. fault.Denied if the token, or
// the assignment that it stands on, does not count any more.
func right(d *bridge.Deciding, a Actor) (request.Right, error) {
	if a.Operator != "" {
		return request.Right{Operator: true, Name: a.Operator}, nil
	}
	if _, err := d.Settled(a.Connection, a.Person); err != nil {
		return request.Right{}, lost(err)
	}
	return rightIn(&d.Tx().View, d.Policy(), a, d.Now())
}

// rightIn is right on a snapshot, which cannot decide anybody: fault.Unauthenticated with
// credential.ReasonUndecided where that must be done first.
func rightIn(v *store.View, policy *mapping.Policy, a Actor, now time.Time) (request.Right, error) {
	if a.Operator != "" {
		return request.Right{Operator: true, Name: a.Operator}, nil
	}
	if err := counts(v, a, now); err != nil {
		return request.Right{}, err
	}
	dir, err := v.In(a.Connection)
	if err != nil {
		return request.Right{}, lost(err)
	}
	p, err := dir.Person(a.Person)
	if err != nil {
		return request.Right{}, lost(err)
	}
	held, err := dir.Assignments(p)
	if err != nil {
		return request.Right{}, err
	}
	held = slices.DeleteFunc(held, func(h access.Assignment) bool { return !h.MaySignIn(now) || !policy.Tree().Live(h.Scope) })
	return standing(v, a, p, held)
}

// counts holds what somebody showed, and whoever they are, against the directory as this
// transaction sees it. Whoever shows nothing is somebody whom nothing was ever handed out to.
func counts(v *store.View, a Actor, now time.Time) error {
	sub := a.Token.Subject
	if sub == (credential.Subject{}) {
		sub = credential.Subject{Connection: a.Connection, Person: a.Person}
	}
	cur, err := v.Current(sub)
	if err != nil {
		return err
	}
	switch {
	case sub.Connection != a.Connection || sub.Person != a.Person:
		return lost(nil)
	case sub.Session != "":
		err = credential.Accept(a.Token, cur, now)
	case !cur.Alive:
		return lost(nil)
	case !cur.Decided || !cur.ValidUntil.IsZero() && !now.Before(cur.ValidUntil):
		err = fault.New(fault.Unauthenticated, "steward.right", "the person must be decided anew first").Because(credential.ReasonUndecided)
	}
	if err != nil && fault.ReasonOf(err) != credential.ReasonUndecided {
		return lost(err)
	}
	return err
}

// standing is the right of a person who holds that, by the one assignment they act by.
func standing(v *store.View, a Actor, p store.Person, held []access.Assignment) (request.Right, error) {
	r := request.Right{Name: nameOf(p), Connection: a.Connection, Person: a.Person, Assignment: a.Assignment, Manages: a.Manages}
	for _, h := range held {
		if h.ID != a.Assignment && h.Grant != access.Administrator {
			continue
		}
		unproven, err := taken(v, h.Sources)
		if err != nil {
			return request.Right{}, err
		}
		switch {
		case h.ID == a.Assignment:
			r.Grant, r.Scope, r.Taken = h.Grant, h.Scope, unproven
		case !unproven:
			r.Elsewhere = append(r.Elsewhere, h.Scope)
		}
	}
	if r.Grant == "" {
		return request.Right{}, lost(nil)
	}
	return r, nil
}

// taken reports whether an assignment is there by nothing but access that was taken at once
// and that nobody has confirmed.
func taken(v *store.View, sources []access.Source) (bool, error) {
	for _, s := range sources {
		if s.Kind != access.SourceRequest {
			return false, nil
		}
		q, err := v.Request(access.RequestID(s.ID))
		if fault.Is(err, fault.NotFound) {
			return false, nil // it was given without a request
		}
		if err != nil || q.State != request.Unconfirmed {
			return false, err
		}
	}
	return len(sources) > 0, nil
}

// nameOf is what a person is called where people read it.
func nameOf(p store.Person) string {
	for _, name := range []string{p.DisplayName, p.Email, p.UserName} {
		if name != "" {
			return name
		}
	}
	return string(p.ID)
}

// lost is the one answer to whoever acts by what is not theirs now. Faults of the store
// stay what they are.
func lost(err error) error {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Limited:
		return err
	case fault.Internal:
		if err != nil {
			return err
		}
	}
	denied := fault.New(fault.Denied, "steward.right", "what your access token stands on is not yours any more; sign in again").Because(ReasonRightLost)
	denied.Err = err
	return denied
}

// deciding is one transaction in which somebody decides, with their right in it. fn may
// run again.
func (s *Steward) deciding(ctx context.Context, a Actor, fn func(*bridge.Deciding, request.Right) error) error {
	return s.bridge.Deciding(ctx, a.By(), func(d *bridge.Deciding) error {
		d.DecidedBy(bridge.Decider{Connection: a.Connection, Person: a.Person, Operator: a.Operator})
		r, err := right(d, a)
		if err != nil {
			return err
		}
		return fn(d, r)
	})
}

// reading is a snapshot that somebody reads, with their right in it. Whoever must be
// decided anew first is. fn may run again.
func (s *Steward) reading(ctx context.Context, a Actor, fn func(*store.View, *mapping.Policy, time.Time, request.Right) error) error {
	read := func() error {
		return s.bridge.Reading(ctx, func(v *store.View, p *mapping.Policy, now time.Time) error {
			r, err := rightIn(v, p, a, now)
			if err != nil {
				return err
			}
			return fn(v, p, now, r)
		})
	}
	err := read()
	if fault.ReasonOf(err) != credential.ReasonUndecided {
		return err
	}
	if err := s.deciding(ctx, a, func(*bridge.Deciding, request.Right) error { return nil }); err != nil {
		return err
	}
	return read()
}

// decides says why whoever acts may not decide for others at a scope; nil if they may. The
// operator may not: somebody must be held to it. Of what lies elsewhere nobody learns that
// it is there: what is its kind, "request".
func decides(r request.Right, t *access.Tree, at access.ScopeID, what string) error {
	if r.Operator {
		return fault.New(fault.Denied, "steward.decides", "the operator's token is nobody's in particular, and somebody must be held to this: sign in as an administrator of the scope").Because(ReasonNeedsPerson)
	}
	return sees(r, t, at, what)
}

// sees is decides, for what the operator may do as well.
func sees(r request.Right, t *access.Tree, at access.ScopeID, what string) error {
	const op = "steward.sees"
	if r.Operator {
		return nil
	}
	switch r.Reaches(t, at) {
	case request.Reached:
		return nil
	case request.Unmarked:
		return fault.New(fault.Denied, op, "your access token was not made for this: sign in again and ask for the scope %s", managesScope).Because(ReasonUnmarked)
	case request.Unproven:
		return fault.New(fault.Denied, op, "what you act by was taken at once: it decides about nobody's access until others have confirmed it").Because(ReasonUnproven)
	case request.ElsewhereToo:
		return fault.New(fault.Denied, op, "switch to %s @ %s first: what you act by now does not reach there", access.Administrator, t.Path(nearest(t, r.Elsewhere, at))).Because(ReasonSwitchFirst)
	case request.Unseen:
	}
	return fault.New(fault.NotFound, op, "there is no such %s", what)
}

// nearest is the innermost of the scopes that cover another.
func nearest(t *access.Tree, of []access.ScopeID, at access.ScopeID) access.ScopeID {
	var best access.ScopeID
	for _, s := range of {
		if t.Live(s) && t.Covers(s, at) && (best == "" || t.Covers(best, s)) {
			best = s
		}
	}
	return best
}
