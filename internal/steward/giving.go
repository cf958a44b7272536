package steward

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// give writes the permit that a request comes to, and decides the person anew.
func (k *desk) give(d *bridge.Deciding, q request.Request, t access.Permit) error {
	dir, err := d.In(q.For.Connection)
	if err != nil {
		return gone(err)
	}
	p, err := dir.Person(q.For.Person)
	if err != nil {
		return err
	}
	if err := dir.PutPermit(p, t); err != nil {
		return err
	}
	data := bridge.PermitFact(t)
	if q.Several {
		data["several_customers"] = "true"
	}
	if q.Outside {
		data["outside"] = "true"
	}
	d.Say(event.PermitGiven, q.For.Connection, q.For.Person, data)
	if next := k.nextWatch(t, k.Now); !next.IsZero() {
		if err := d.Tx().PutWatch(t.ID, next); err != nil {
			return err
		}
	}
	if p, err = dir.Person(q.For.Person); err != nil {
		return err
	}
	return d.Decide(q.For.Connection, p)
}

// end ends a permit, with what is held by it; one that has ended already stays so.
func (k *desk) end(d *bridge.Deciding, conn access.ConnectionID, id access.PermitID, reason string) error {
	_, err := d.EndPermit(conn, id, reason)
	if err != nil && !fault.Is(err, fault.Stale) {
		return gone(err)
	}
	return d.Tx().DropWatch(id)
}

// recheck is how often it is looked whether somebody is still the last administrator, while
// their permit is about to end.
const recheck = time.Hour

// nextWatch is when something is next to be told or done about the end of a permit, after
// an instant; zero: never.
func (k *desk) nextWatch(t access.Permit, after time.Time) time.Time {
	if t.Until.IsZero() {
		return time.Time{}
	}
	next := request.Remind(k.Policy, t.Until, after)
	if t.Grant != access.Administrator {
		return next
	}
	look := t.Until.Add(-request.HoldBefore)
	if !look.After(after) {
		look = after.Add(recheck)
	}
	if look.Before(t.Until) && (next.IsZero() || look.Before(next)) {
		return look
	}
	return next
}

// fit holds the person against what is to be given, as they are now: they may have left,
// lost the certification, or got a place of their own since somebody asked.
func (k *desk) fit(q *request.Request, t request.Terms) error {
	const op = "steward.Approve"
	p, err := k.row(q.For)
	if err != nil {
		return err
	}
	if !p.Active {
		return fault.New(fault.Invalid, op, "the person has left, or is switched off").Because(ReasonInactive)
	}
	h, err := k.holder(p)
	if err != nil {
		return err
	}
	if t.Grant.NeedsCertification() && !h.Certification.CertifiedAt(k.Now) {
		return fault.New(fault.Invalid, op, "the person has no technician's certification that is in date").Because(request.ReasonNotCertified)
	}
	if !q.Wish.BreakGlass { // what was taken may be over by the time that it is confirmed
		today, class := q.Today(k.Setting, h)
		if err := today.Lasts(k.Setting, class, t); err != nil {
			return err
		}
	}
	q.Standing = request.StandingOf(h, q.Wish)
	if slices.Contains(q.Wish.Workflows, access.Reports) && q.Standing == access.Guest && slices.Contains(k.Catalogue.Opens(t.Grant, t.Flags, access.Primary), access.Reports) {
		return fault.New(fault.Invalid, op, "the person has got a place of their own since, so this would be a visit, and reports do not include what guests visit").Because(request.ReasonReports)
	}
	if !k.Tree.Live(t.Scope) {
		return fault.New(fault.Stale, op, "the area is retired").Because(access.EndPermitScope)
	}
	return k.caseOpen(q.Wish.Case, t.Scope)
}

// followed notes who follows the last administrator of a scope, and refuses to go on
// while nobody has said so.
func (k *desk) followed(d *bridge.Deciding, q *request.Request, t request.Terms, ap Approval) error {
	if ap.Successor != nil {
		if err := k.succeed(d, q, *ap.Successor); err != nil {
			return err
		}
	}
	q.ConfirmedLast = q.ConfirmedLast || ap.ConfirmLast
	if q.Wish.BreakGlass || q.ConfirmedLast || q.Successor != (request.Party{}) {
		return nil // what was taken at once is never held over
	}
	good, err := k.v.AdministeredForGood(t.Scope)
	if err != nil || !request.EndsLast(t, good) {
		return err
	}
	return fault.New(fault.Invalid, "steward.Approve", "%s", request.LastHint(k.Tree, t, good)).Because(request.ReasonLast)
}

// succeed names a successor: somebody else, who is here, and whom whoever acts may know.
func (k *desk) succeed(d *bridge.Deciding, q *request.Request, ref PersonRef) error {
	p, err := k.named(ref)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	next := request.Party{Connection: p.Connection, Person: p.ID}
	unfit := err != nil || next == q.For
	if !unfit {
		administers, err := k.administersThere(next, mapping.ScopeAdministrators, q.Result().Scope)
		if err != nil {
			return err
		}
		unfit = !administers
	}
	if unfit {
		return fault.New(fault.Invalid, "steward.succeed", "a successor is somebody else who administers the area, or what lies above it, now").Because(request.ReasonSuccessor)
	}
	q.Successor = next
	return nil
}
