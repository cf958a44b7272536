package steward

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Why a case is not closed.
const (
	ReasonPlanMissing = "plan_missing" // look first at what would end
	ReasonPlanStale   = "plan_stale"   // something else would end now
)

const (
	endsInline = 200    // permits that end, and are told of, in the transaction that closes
	mostOfPart = 2000   // permits that end with a part of a case
	mostPlaces = 10_000 // scopes of one case
)

// CloseCase ends a case, as far as whoever acts administers it, and everything that was
// given for it there, in one instant: nothing is asked for it or given for it there any
// more, and what was given is refused from then on. It begins a review of the people who
// had something for it. Elsewhere the case goes on; the operator, and whoever administers
// the host, close it for all who had something for it.
//
// fault.Stale if it is closed, or if something else would end than was shown;
// fault.Invalid if it was not shown before, or if an area would be left without an
// administrator and nobody said that this is meant.
func (s *Steward) CloseCase(ctx context.Context, a Actor, id access.CaseID, in CloseCase) (out CaseView, err error) {
	if err := printed("reason", in.Reason, maxReason); err != nil {
		return out, err
	}
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		k := newDesk(&d.Tx().View, d.Policy(), d.Now(), r)
		c, err := k.part(id)
		if err != nil {
			return err
		}
		if err := k.mayClose(d, &c, in); err != nil {
			return err
		}
		if c, err = k.closeCase(d, c, in); err != nil {
			return err
		}
		out, err = k.caseView(c.Case)
		out.Permits = int64(len(c.places))
		return err
	})
	return out, err
}

// mayClose says why a case is not closed.
func (k *desk) mayClose(d *bridge.Deciding, c *casePart, in CloseCase) error {
	const op = "steward.CloseCase"
	_, closed := k.closedFor(c.Case)
	switch {
	case in.Kind != "" && !slices.Contains([]string{"ticket", "project", "engagement", "investigation"}, in.Kind):
		return fault.New(fault.Invalid, op, "a case is a ticket, project, engagement or investigation, not a %q", in.Kind)
	case c.wider && len(c.places) > mostOfPart:
		return fault.New(fault.Limited, op, "more than %d permits would end in a part of the case: end them in smaller parts, or let the operator close the case", mostOfPart)
	case closed:
		return fault.New(fault.Stale, op, "the case is closed").Because(request.ReasonCaseClosed)
	case in.Plan == "" && len(c.places) > 0:
		return fault.New(fault.Invalid, op, "closing it would end what %d permits give: look at them first, and send the plan that was shown", len(c.places)).Because(ReasonPlanMissing)
	case in.Plan != "" && in.Plan != c.plan():
		return fault.New(fault.Stale, op, "something else would end now than was shown: look again").Because(ReasonPlanStale)
	case in.ConfirmLast:
		return nil
	}
	if in.Successor != nil {
		var q request.Request
		err := k.succeed(d, &q, *in.Successor)
		c.Successor = q.Successor
		return err
	}
	left, err := k.leftAlone(c.ID)
	if err != nil || len(left) == 0 {
		return err
	}
	return fault.New(fault.Invalid, op, "%s would be left without an administrator who has no end: name a successor, or confirm that there will be none", k.Tree.Path(left[0])).Because(request.ReasonLast)
}

// closeCase writes the end of a case, or of a part of it, and ends what was given for it.
func (k *desk) closeCase(d *bridge.Deciding, c casePart, in CloseCase) (casePart, error) {
	c.ClosedBy, c.Reason, c.Kind = k.by(), strings.TrimSpace(in.Reason), cmp.Or(in.Kind, c.Kind, "ticket")
	data := map[string]string{"case": string(c.ID), "kind": c.Kind, "permits": strconv.Itoa(len(c.places)), "requests": strconv.FormatInt(c.Waiting, 10)}
	permits, err := k.endOf(d, &c)
	if err != nil {
		return c, err
	}
	if len(c.places) > 0 {
		if c.Review, err = Open(d, review.Cause{Trigger: review.ByCase, Case: c.ID, Permits: permits}); err != nil {
			return c, err
		}
		data["review"] = string(c.Review)
	}
	if k.r.Person != "" {
		data["closed_by"] = string(k.r.Connection) + "/" + string(k.r.Person)
	}
	if c.wider {
		data["part"] = string(k.r.Root(k.Tree))
	}
	d.Say(event.CaseClosed, "", "", data)
	if err := k.mark(&c); err != nil {
		return c, err
	}
	if err := d.Tx().MoveCase(c.Case); err != nil {
		return c, err
	}
	if c.wider {
		return c, k.lapseThese(d, c.waiting[:min(endsInline, len(c.waiting))])
	}
	return c, k.lapseWith(d, c.ID)
}

// mark writes where a case is closed: where whoever acts administers, or, of somebody of
// the host, at each customer who had something for it.
func (k *desk) mark(c *casePart) error {
	root := k.r.Root(k.Tree)
	at := []access.ScopeID{root}
	if k.all() {
		places, err := k.v.CasePlaces(c.ID, mostPlaces)
		if err != nil {
			return err
		}
		at = nil
		for _, s := range places {
			at = append(at, request.Customer(k.Tree, s))
		}
	}
	slices.Sort(at)
	c.Parts = slices.Clone(c.Parts)
	for _, s := range slices.Compact(at) {
		if _, closed := c.ClosedAt(k.Tree, s); !closed || k.all() {
			c.Parts = slices.DeleteFunc(c.Parts, func(p request.CasePart) bool { return p.At == s })
			c.Parts = append(c.Parts, request.CasePart{At: s, Under: root, Closed: whole(k.Now), By: c.ClosedBy, Reason: c.Reason, Review: c.Review})
		}
	}
	if !c.wider {
		c.Closed, c.Ending = whole(k.Now), whole(k.Now)
	}
	return nil
}

// closedFor finds how a case was closed for whoever acts.
func (k *desk) closedFor(c request.Case) (request.CasePart, bool) {
	root := k.r.Root(k.Tree)
	if !k.all() {
		return c.ClosedAt(k.Tree, root)
	}
	return request.CasePart{Closed: c.Closed, By: c.ClosedBy, Reason: c.Reason, Review: c.Review}, c.ClosedWhole(root)
}

// closedThere reports whether nothing is given for a case at a scope. Whoever sees all of a
// case that is closed for everybody opens it again before they use it.
func (k *desk) closedThere(c request.Case, scope access.ScopeID) bool {
	_, closed := c.ClosedAt(k.Tree, scope)
	host, _ := k.Tree.Resolve(".")
	return closed || k.all() && c.ClosedWhole(host.ID)
}

// caseOpen refuses what belongs to a case that is closed there.
func (k *desk) caseOpen(id access.CaseID, scope access.ScopeID) error {
	if id == "" {
		return nil
	}
	c, err := k.v.Case(id)
	if _, closed := c.ClosedAt(k.Tree, scope); err == nil && closed {
		err = request.Refused("steward.caseOpen", []request.Refusal{caseClosed(id)})
	}
	return err
}

// openCase opens the case of a request: one that is named first, or that was closed where
// this request is not.
func (k *desk) openCase(d *bridge.Deciding, q request.Request) error {
	opened, err := d.Tx().OpenCase(q.Wish.Case, credential.NewIDAt("cas", k.Now), k.Now)
	if err != nil {
		return err
	}
	if !opened {
		c, err := k.v.Case(q.Wish.Case)
		if err != nil || c.Closed.IsZero() {
			return err
		}
		c.Closed = time.Time{}
		if err := d.Tx().MoveCase(c); err != nil {
			return err
		}
	}
	d.Say(event.CaseOpened, "", "", map[string]string{"case": string(q.Wish.Case), "request": string(q.ID)})
	return nil
}

// endOf ends what was given for a case: one by one and told of, or, of a large one, all of
// it by a few statements, and told of by the background.
func (k *desk) endOf(d *bridge.Deciding, c *casePart) ([]review.Permitted, error) {
	permits, err := k.endInline(d, *c)
	if err != nil || c.wider || len(permits) == len(c.places) {
		return permits, err
	}
	_, err = d.Tx().EndPermitsOf(c.ID, access.EndPermitCase, k.Now)
	c.Untold, c.Mark = true, ""
	return permits, err
}

// endInline ends the permits of a small case one by one, and tells of each. A larger one's,
// or one with somebody of a connection that has ended, it leaves; of a part of a case only
// those of connections that have ended: nothing is held by them.
func (k *desk) endInline(d *bridge.Deciding, c casePart) ([]review.Permitted, error) {
	if len(c.places) > endsInline && !c.wider {
		return nil, nil
	}
	var rows []store.PermitRow
	for _, p := range c.places {
		row, err := k.v.Permit(p.ID)
		if err != nil {
			return nil, err
		}
		_, err = d.In(row.Connection)
		switch {
		case fault.Is(err, fault.Unauthenticated) && c.wider:
			continue
		case fault.Is(err, fault.Unauthenticated):
			return nil, nil
		case err != nil:
			return nil, err
		}
		rows = append(rows, row)
	}
	var all []review.Permitted
	for _, row := range rows {
		if err := k.end(d, row.Connection, row.ID, access.EndPermitCase); err != nil {
			return nil, err
		}
		all = append(all, review.Permitted{Connection: row.Connection, Person: row.Person, Permit: row.ID, Grant: row.Grant, Scope: row.Scope, Ended: access.EndPermitCase})
	}
	return all, nil
}

// lapseWith lapses some of the requests that wait for a closed case, and leaves the others
// to the background: they cannot be granted any more.
func (k *desk) lapseWith(d *bridge.Deciding, id access.CaseID) error {
	waiting, err := k.v.WaitingOf(id, endsInline)
	if err != nil {
		return err
	}
	return k.lapseThese(d, waiting)
}

func (k *desk) lapseThese(d *bridge.Deciding, ids []access.RequestID) error {
	for _, one := range ids {
		q, err := k.v.Request(one)
		if err != nil {
			return err
		}
		if err := k.lapse(d, q, request.ReasonCaseClosed); err != nil {
			return err
		}
	}
	return nil
}
