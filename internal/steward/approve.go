package steward

import (
	"context"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

// Approve is one approver's yes, to all that is asked for or to less. With the last that it
// takes, the access is given in the same transaction, in which the approver's right is
// read. Of a request that was granted to the last administrator of a scope it may name
// the successor afterwards.
//
// fault.Denied if whoever acts may not decide it; fault.Stale if it was decided, or
// approved by them; fault.Invalid if it would give more than was asked for, if the person
// is not fit for it any more, or if a successor must be named.
func (s *Steward) Approve(ctx context.Context, a Actor, id access.RequestID, ap Approval) (out RequestView, err error) {
	if err := printed("comment", ap.Comment, maxReason); err != nil {
		return out, err
	}
	return s.decide(ctx, a, id, func(k *desk, d *bridge.Deciding, q request.Request) (request.Request, error) {
		if q.State == request.Granted && (ap.Successor != nil || ap.ConfirmLast) {
			return k.nameSuccessor(d, q, ap)
		}
		return k.approve(d, q, ap)
	})
}

// Confirm is one confirmation of access that was taken at once. It is Approve of what can
// only be confirmed as it is.
func (s *Steward) Confirm(ctx context.Context, a Actor, id access.RequestID, comment string) (out RequestView, err error) {
	if err := printed("comment", comment, maxReason); err != nil {
		return out, err
	}
	return s.decide(ctx, a, id, func(k *desk, d *bridge.Deciding, q request.Request) (request.Request, error) {
		if !q.Wish.BreakGlass {
			return q, fault.New(fault.Invalid, "steward.Confirm", "nothing was taken by this request: approve or refuse it")
		}
		return k.approve(d, q, Approval{Comment: comment})
	})
}

// Deny refuses a request, with a reason that both sides read. What was taken at once ends.
func (s *Steward) Deny(ctx context.Context, a Actor, id access.RequestID, reason string) (out RequestView, err error) {
	if err := given(reason); err != nil {
		return out, err
	}
	return s.decide(ctx, a, id, func(k *desk, d *bridge.Deciding, q request.Request) (request.Request, error) {
		if err := q.Waiting(k.Now); err != nil {
			return q, err
		}
		return k.close(d, q, request.Denied, strings.TrimSpace(reason), event.RequestDenied)
	})
}

// given refuses an empty reason.
func given(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.New(fault.Invalid, "steward.given", "say why: both sides read it").Because(request.ReasonReason)
	}
	return printed("reason", reason, maxReason)
}

// Withdraw takes a request back: whoever asked may, the person it is for, and the
// operator. What was taken at once ends; that it was taken is still to be confirmed.
func (s *Steward) Withdraw(ctx context.Context, a Actor, id access.RequestID, reason string) (out RequestView, err error) {
	if err := printed("reason", reason, maxReason); err != nil {
		return out, err
	}
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		k := newDesk(&d.Tx().View, d.Policy(), d.Now(), r)
		q, err := k.request(id)
		if err != nil {
			return err
		}
		if !r.Operator && !k.concerns(q.By, q.For) {
			return fault.New(fault.Denied, "steward.Withdraw", "whoever asked takes a request back; refuse it instead").Because(request.ReasonOwn)
		}
		if err := q.Waiting(k.Now); err != nil {
			return err
		}
		if q.State == request.Unconfirmed { // given back: others still look at what was taken
			err = k.end(d, q.For.Connection, q.Permit, access.EndPermitRevoked)
		} else {
			q, err = k.close(d, q, request.Withdrawn, strings.TrimSpace(reason), event.RequestWithdrawn)
		}
		if err != nil {
			return err
		}
		out, err = k.view(q, true)
		return err
	})
	return out, err
}

// decide is one transaction in which an approver decides about a request.
func (s *Steward) decide(ctx context.Context, a Actor, id access.RequestID, fn func(*desk, *bridge.Deciding, request.Request) (request.Request, error)) (out RequestView, err error) {
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		k := newDesk(&d.Tx().View, d.Policy(), d.Now(), r)
		q, err := k.request(id)
		if err != nil {
			return err
		}
		if q, err = k.today(q); err != nil {
			return err
		}
		if err := k.mayDecide(q); err != nil {
			return err
		}
		if q, err = fn(k, d, q); err != nil {
			return err
		}
		out, err = k.view(q, true)
		return err
	})
	return out, err
}

// today is a request under what holds now, if it waits for a decision.
func (k *desk) today(q request.Request) (request.Request, error) {
	if !q.State.Waits() {
		return q, nil
	}
	p, err := k.row(q.For)
	if fault.Is(err, fault.NotFound) {
		return q, nil // whoever is gone is refused by what decides
	}
	if err != nil {
		return q, err
	}
	h, err := k.holder(p)
	if err != nil {
		return q, err
	}
	q, _ = q.Today(k.Setting, h)
	return q, nil
}

// mayDecide says why whoever acts may not decide about a request.
func (k *desk) mayDecide(q request.Request) error {
	if !k.concerns(q.By, q.For) || k.r.Operator {
		if err := decides(k.r, k.Tree, q.Asked.Scope, "request"); err != nil {
			return err
		}
	}
	return q.Eligible(k.Tree, k.r)
}

// approve adds an approval, and gives what is approved if it is the last that it takes.
func (k *desk) approve(d *bridge.Deciding, q request.Request, ap Approval) (request.Request, error) {
	if err := q.Waiting(k.Now); err != nil {
		return q, err
	}
	if _, err := d.Settled(q.For.Connection, q.For.Person); err != nil {
		return q, gone(err)
	}
	less, err := k.less(q, ap.Less)
	if err != nil {
		return q, err
	}
	result, err := q.Approve(k.Setting, k.by(), less)
	if err != nil {
		return q, err
	}
	if err := k.fit(&q, result); err != nil {
		return q, err
	}
	a := request.Approval{By: k.by(), At: whole(k.Now), Terms: result, Comment: strings.TrimSpace(ap.Comment)}
	if err := d.Tx().AddApproval(q.ID, len(q.Approvals)+1, a); err != nil {
		return q, err
	}
	q.Approvals = append(q.Approvals, a)
	k.sayApproved(d, q)
	was := q.State
	standing, err := k.standingApprovals(q)
	if err != nil {
		return q, err
	}
	if !q.Enough(standing) {
		if ap.Successor == nil && !ap.ConfirmLast {
			return q, d.Tx().MoveRequest(q, was)
		}
		if err := k.followed(d, &q, result, ap); err != nil {
			return q, err
		}
		return q, d.Tx().MoveRequest(q, was)
	}
	if err := k.followed(d, &q, result, ap); err != nil {
		return q, err
	}
	return k.grant(d, q, result)
}

// standingApprovals counts the approvals of those who could decide now, too: whoever has
// left, or administers the place no more, approves nothing by what they said before.
func (k *desk) standingApprovals(q request.Request) (n int, err error) {
	for _, a := range q.Approvals {
		stands := a.By == k.by()
		if !stands {
			if stands, err = k.administersThere(a.By, q.Approvers, q.Asked.Scope); err != nil {
				return 0, err
			}
		}
		if stands {
			n++
		}
	}
	return n, nil
}

// less is what an approver leaves.
func (k *desk) less(q request.Request, l *Less) (request.Terms, error) {
	if l == nil {
		return q.Result(), nil
	}
	scope := access.ScopeID("")
	if l.Area != "" {
		at, err := k.area(l.Area)
		if err != nil {
			return request.Terms{}, err
		}
		scope = at.ID
	}
	if l.Grant != "" && !l.Grant.Known() {
		return request.Terms{}, fault.New(fault.Invalid, "steward.Approve", "%q is not a grant", l.Grant)
	}
	return q.Result().Lessen(l.Grant, scope, l.Flags, whole(l.Until)), nil
}

func (k *desk) sayApproved(d *bridge.Deciding, q request.Request) {
	data := requestData(q)
	data["approved_by"] = string(k.r.Connection) + "/" + string(k.r.Person)
	data["approvals"] = strconv.Itoa(len(q.Approvals))
	t := event.RequestApproved
	if q.Wish.BreakGlass {
		t = event.GlassConfirmed
	}
	d.Say(t, q.For.Connection, q.For.Person, data)
}

// grant gives what was approved. What was taken at once lasts as long as it was taken for
// from now on.
func (k *desk) grant(d *bridge.Deciding, q request.Request, t request.Terms) (request.Request, error) {
	was := q.State
	if was == request.Unconfirmed {
		p, err := k.v.Permit(q.Permit)
		if err != nil {
			return q, err
		}
		if over := !t.Until.IsZero() && !k.Now.Before(t.Until); !p.Ended.IsZero() || over { // that it was taken is confirmed, and nothing is given any more
			q.State, q.Decided, q.DecidedBy = request.Granted, whole(k.Now), k.by()
			return q, k.moved(d, q, was)
		}
		if err := k.end(d, q.For.Connection, q.Permit, access.EndPermitReplaced); err != nil {
			return q, err
		}
	}
	q.State, q.Decided, q.DecidedBy = request.Granted, whole(k.Now), k.by()
	q.Permit = access.PermitID(credential.NewIDAt("prm", k.Now))
	if err := k.moved(d, q, was); err != nil {
		return q, err
	}
	return q, k.give(d, q, q.Gives(q.Permit, t, whole(k.Now)))
}

// moved writes a request that waits no more.
func (k *desk) moved(d *bridge.Deciding, q request.Request, was request.State) error {
	if err := d.Tx().MoveRequest(q, was); err != nil || q.Wish.Case == "" {
		return err
	}
	return d.Tx().CountCaseWaiting(q.Wish.Case, -1)
}

// close ends a request without giving anything, and what was taken by it.
func (k *desk) close(d *bridge.Deciding, q request.Request, to request.State, because string, say event.Type) (request.Request, error) {
	was := q.State
	q.State, q.Decided, q.Because, q.DecidedBy = to, whole(k.Now), because, k.by()
	if err := k.moved(d, q, was); err != nil {
		return q, err
	}
	data := requestData(q)
	if k.r.Person != "" {
		data["decided_by"] = string(k.r.Connection) + "/" + string(k.r.Person)
	}
	d.Say(say, q.For.Connection, q.For.Person, data)
	if was != request.Unconfirmed || q.Permit == "" {
		return q, nil
	}
	return q, k.end(d, q.For.Connection, q.Permit, access.EndPermitRevoked)
}

// nameSuccessor says who follows the last administrator of a scope, or that nobody will.
func (k *desk) nameSuccessor(d *bridge.Deciding, q request.Request, ap Approval) (request.Request, error) {
	if q.Result().Grant != access.Administrator {
		return q, q.Waiting(k.Now)
	}
	if err := k.followed(d, &q, q.Result(), ap); err != nil {
		return q, err
	}
	if err := d.Tx().MoveRequest(q, request.Granted); err != nil {
		return q, err
	}
	return q, k.lookAnew(d, q)
}

// lookAnew keeps the list of exceptions with what a request says now, where what its person
// holds stays the same. Nobody asks for those of a connection that has ended.
func (k *desk) lookAnew(d *bridge.Deciding, q request.Request) error {
	_, err := d.FindExceptions(q.For.Connection, q.For.Person)
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
