package steward

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// tickWork is how many things of each kind one Tick does.
const tickWork = 100

// Tick does a bounded part of what time brings: requests that nobody decided lapse, both
// sides are told of what ends soon, the last administrator of a scope is held over, and
// closed cases are finished. Nothing that is refused or ends waits for it: that is judged
// at use. What fails is tried again at the next Tick, and does not stop the rest.
func (s *Steward) Tick(ctx context.Context) error {
	if !s.bridge.HasPolicy() {
		return nil
	}
	var overdue []access.RequestID
	var watched []store.Watch
	var cases []request.Case
	err := s.bridge.Reading(ctx, func(v *store.View, _ *mapping.Policy, now time.Time) (err error) {
		if overdue, err = v.OverdueRequests(now, tickWork); err != nil {
			return err
		}
		if watched, err = v.Watched(now, tickWork); err != nil {
			return err
		}
		cases, err = v.UnfinishedCases(tickWork / 20)
		return err
	})
	if err != nil {
		return err
	}
	var failed []error
	each := func(fn func(*desk, *bridge.Deciding) error) {
		if ctx.Err() == nil {
			failed = append(failed, s.byItself(ctx, fn))
		}
	}
	for _, id := range overdue {
		each(func(k *desk, d *bridge.Deciding) error { return k.overdue(d, id) })
	}
	for _, w := range watched {
		each(func(k *desk, d *bridge.Deciding) error { return k.watch(d, w) })
	}
	for _, c := range cases {
		each(func(k *desk, d *bridge.Deciding) error { return k.finish(d, c.ID) })
	}
	return errors.Join(failed...)
}

// byItself is a transaction of the background's own.
func (s *Steward) byItself(ctx context.Context, fn func(*desk, *bridge.Deciding) error) error {
	return s.bridge.Deciding(ctx, event.ByBridge, func(d *bridge.Deciding) error {
		return fn(newDesk(&d.Tx().View, d.Policy(), d.Now(), request.Right{Operator: true, Name: "bridge"}), d)
	})
}

// overdue writes down that nobody decided a request in time.
func (k *desk) overdue(d *bridge.Deciding, id access.RequestID) error {
	q, err := k.v.Request(id)
	if err != nil || !q.State.Waits() || q.StateAt(k.Now).Waits() {
		return err
	}
	return k.lapse(d, q, "")
}

// lapse ends a request that nobody decides any more, with what was taken by it.
func (k *desk) lapse(d *bridge.Deciding, q request.Request, because string) error {
	was := q.State
	say, end := event.RequestLapsed, access.EndPermitUnconfirmed
	q.State, q.Decided, q.Because = request.Lapsed, whole(k.Now), because
	if was == request.Unconfirmed {
		q.State, say = request.Expired, event.GlassUnconfirmed
	}
	if err := k.moved(d, q, was); err != nil {
		return err
	}
	data := requestData(q)
	if because != "" {
		data["reason"], end = because, access.EndPermitCase
	}
	d.Say(say, q.For.Connection, q.For.Person, data)
	if was != request.Unconfirmed || q.Permit == "" {
		return nil
	}
	if because == "" {
		if err := alarmed(d, q, bridge.KindGlassUnconfirmed); err != nil {
			return err
		}
	}
	return k.endLate(d, q, end)
}

// endLate ends what was taken and not confirmed. It has counted for nothing since its own
// end; where the connection has ended since, nothing is left to end.
func (k *desk) endLate(d *bridge.Deciding, q request.Request, reason string) error {
	if _, err := d.In(q.For.Connection); fault.Is(err, fault.Unauthenticated) {
		return d.Tx().DropWatch(q.Permit)
	}
	return k.end(d, q.For.Connection, q.Permit, reason)
}

// watch tells both sides that something ends soon, and holds the last administrator of a
// scope over.
func (k *desk) watch(d *bridge.Deciding, w store.Watch) error {
	p, err := k.v.Permit(w.Permit)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || !p.Ended.IsZero() || !k.Now.Before(p.Until) {
		return d.Tx().DropWatch(w.Permit)
	}
	if _, err := d.In(p.Connection); fault.Is(err, fault.Unauthenticated) {
		return d.Tx().DropWatch(w.Permit) // nobody of that connection holds anything
	}
	q, err := k.v.Request(p.Request)
	if err != nil {
		return err
	}
	if due := request.Remind(k.Policy, p.Until, w.Next.Add(-time.Millisecond)); !due.IsZero() && !due.After(k.Now) {
		k.sayEnding(d, q, p, "")
	}
	good, err := k.v.AdministeredForGood(p.Scope)
	if err != nil {
		return err
	}
	if q.HoldsOver(p.Permit, good, k.Now) {
		return k.holdOver(d, q, p)
	}
	next := k.nextWatch(p.Permit, k.Now)
	if next.IsZero() {
		return d.Tx().DropWatch(p.ID)
	}
	return d.Tx().PutWatch(p.ID, next)
}

// sayEnding tells both sides before something ends.
func (k *desk) sayEnding(d *bridge.Deciding, q request.Request, p store.PermitRow, reason string) {
	data := bridge.PermitFact(p.Permit)
	data["seconds_left"] = strconv.FormatInt(int64(p.Until.Sub(k.Now)/time.Second), 10)
	if q.By.Operator == "" {
		data["asked_by"] = string(q.By.Connection) + "/" + string(q.By.Person)
	}
	if reason != "" {
		data["reason"] = reason
	}
	d.Say(event.PermitEnding, p.Connection, p.Person, data)
}

// ReasonHeldOver is why a permit lasts longer than was decided.
const ReasonHeldOver = "held_over"

// holdOver prolongs the permit of the last administrator of a scope, whom nobody follows
// and of whom nobody said that this is meant.
func (k *desk) holdOver(d *bridge.Deciding, q request.Request, p store.PermitRow) error {
	if err := k.end(d, p.Connection, p.ID, access.EndPermitReplaced); err != nil {
		return err
	}
	next := p.Permit
	next.ID, next.Until, next.Given = access.PermitID(credential.NewIDAt("prm", k.Now)), p.Until.Add(request.HoldFor), whole(k.Now)
	q.Permit = next.ID
	q.HeldOver++
	if err := d.Tx().MoveRequest(q, q.State); err != nil {
		return err
	}
	p.Permit = next
	k.sayEnding(d, q, p, ReasonHeldOver)
	return k.give(d, q, next)
}

// finish goes on with what a closed case has left to do: telling of permits that ended with it,
// and requests that lapse.
func (k *desk) finish(d *bridge.Deciding, id access.CaseID) error {
	c, err := k.v.Case(id)
	if err != nil {
		return err
	}
	if c.Untold {
		some, err := k.v.EndedOf(id, access.EndPermitCase, c.Mark, tickWork)
		if err != nil {
			return err
		}
		for _, p := range some {
			c.Mark = p.ID
			if !p.Ended.Equal(c.Ending) {
				continue // it ended with a part of the case, and was told of then
			}
			d.Say(event.PermitEnded, p.Connection, p.Person, bridge.PermitFact(p.Permit))
			if err := d.Tx().DropWatch(p.ID); err != nil {
				return err
			}
		}
		c.Untold = len(some) == tickWork
		if err := d.Tx().MoveCase(c); err != nil {
			return err
		}
	}
	if c.Closed.IsZero() {
		return nil // it was opened again meanwhile
	}
	return k.lapseWith(d, id)
}
