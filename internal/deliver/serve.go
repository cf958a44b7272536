package deliver

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// sent is what came of a receiver's turn, to be noted in one transaction.
type sent struct {
	arrived  []string
	refused  []string
	why      string          // of the last that was refused
	failed   *store.Delivery // the one that must wait
	err      error           // why
	poisoned string          // fails again and again while what is behind it arrives
	gone     string          // why there is no such receiver
}

// Serve gives a receiver its turn: what waits for it is sent, one after the other,
// until something fails or the turn is over. progress says whether anything was
// attempted.
func (w *Worker) Serve(ctx context.Context, r store.Receiver) (progress bool, err error) {
	return w.serve(ctx, r, w.Now())
}

// serve is Serve by a claim that was asked for at that instant.
func (w *Worker) serve(ctx context.Context, r store.Receiver, asked time.Time) (progress bool, err error) {
	var queue []store.Delivery
	err = w.Store.View(ctx, func(v *store.View) (err error) { queue, err = v.Deliveries(r.Name, 0, batch); return err })
	if err != nil {
		return false, err
	}
	s := w.send(ctx, queue, time.Now().Add(turn), asked)
	if s.nothing() {
		return false, w.release(context.WithoutCancel(ctx), r)
	}
	if err := failpoint.Hit(ctx, failpoint.SentNotMarked); err != nil {
		return true, err
	}
	return true, w.noted(context.WithoutCancel(ctx), r, s)
}

// release lets another node send to a receiver.
func (w *Worker) release(ctx context.Context, r store.Receiver) error {
	if w.Node == "" {
		return nil
	}
	return w.Store.Update(ctx, func(tx *store.Tx) error { _, err := tx.ReleaseReceiver(w.Node, r.Name); return err })
}

func (s sent) nothing() bool {
	return len(s.arrived)+len(s.refused) == 0 && s.failed == nil && s.gone == ""
}

// lapses reports whether a claim that was asked for then may be over before another delivery has been
// sent: by both clocks, since that of a machine which was frozen has stood still, and the other may be set.
func (w *Worker) lapses(asked time.Time) bool {
	now := w.Now()
	wall := now.Round(0).Sub(asked.Round(0))
	return w.Node != "" && (wall < 0 || max(wall, now.Sub(asked)) > claimed-attempt)
}

// send sends until one fails, ctx ends, the turn is over or the claim may be.
func (w *Worker) send(ctx context.Context, queue []store.Delivery, until, asked time.Time) (s sent) {
	for i, d := range queue {
		if ctx.Err() != nil || i > 0 && time.Now().After(until) || w.lapses(asked) {
			return s
		}
		sender := w.Senders[d.Kind]
		if sender == nil {
			return s
		}
		err := sender.Send(ctx, d)
		var no *Refused
		switch {
		case err == nil:
			s.arrived = append(s.arrived, d.JTI)
		case errors.As(err, &no) && no.Gone:
			s.gone = no.Why
			return s
		case no != nil:
			s.refused, s.why = append(s.refused, d.JTI), Legible(no.Why)
		case ctx.Err() != nil:
			return s // we are stopping: that is nobody's failure
		default:
			s.failed, s.err = &queue[i], err
			if s.failed.Attempts+1 >= poison && i+1 < len(queue) && !w.lapses(asked) {
				w.pastPoison(ctx, queue[i+1], &s)
			}
			return s
		}
	}
	return s
}

// pastPoison sends what is behind a delivery that fails again and again.
func (w *Worker) pastPoison(ctx context.Context, next store.Delivery, s *sent) {
	if sender := w.Senders[next.Kind]; sender == nil || sender.Send(ctx, next) != nil {
		return
	}
	s.arrived = append(s.arrived, next.JTI)
	s.poisoned, s.failed = s.failed.JTI, nil
}

// noted writes down what came of a turn.
func (w *Worker) noted(ctx context.Context, r store.Receiver, s sent) error {
	now := w.Now()
	return w.Store.Update(ctx, func(tx *store.Tx) error {
		held := true
		if w.Node != "" {
			var err error
			if held, err = tx.ReleaseReceiver(w.Node, r.Name); err != nil {
				return err
			}
		}
		if s.gone != "" && !held { // another sends to it by now, and is told so itself
			s.gone = ""
		}
		if s.gone != "" {
			n, err := tx.DropReceiver(r.Name)
			if err != nil {
				return err
			}
			return given(tx, r, event.AbandonedReceiverGone, n, r.Oldest, now)
		}
		if len(s.arrived) > 0 {
			if _, err := tx.Delivered(r.Name, s.arrived, now); err != nil {
				return err
			}
		}
		if err := w.notedRefusals(tx, r, s, now); err != nil {
			return err
		}
		if s.failed == nil || !held { // another sends to it by now, and knows better
			return nil
		}
		failures := r.Failures + 1
		if len(s.arrived)+len(s.refused) > 0 {
			failures = 1
		}
		var later *Later
		var asked time.Duration
		if errors.As(s.err, &later) {
			asked = later.After
		}
		if err := tx.DeliveryFailed(r.Name, s.failed.JTI, reasonOf(s.err), now.Add(w.pause(failures, asked)), now); err != nil {
			return err
		}
		return stopped(tx, r, s.err, now)
	})
}

// stopped notes that a receiver wants nothing any more, if that is what it said.
func stopped(tx *store.Tx, r store.Receiver, why error, now time.Time) error {
	var stop *Stopped
	if !errors.As(why, &stop) {
		return nil
	}
	if err := tx.PauseReceiver(r.Name, r.Kind, true); err != nil {
		return err
	}
	return tx.Append(event.Event{Type: event.DeliveryPaused, Actor: event.ByBridge, At: now, Data: map[string]string{"receiver": r.Name}})
}

func (w *Worker) notedRefusals(tx *store.Tx, r store.Receiver, s sent, now time.Time) error {
	if len(s.refused) > 0 {
		n, err := tx.DeliveryRefused(r.Name, s.refused, s.why, now)
		if err != nil {
			return err
		}
		if err := given(tx, r, event.AbandonedRefused, n, time.Time{}, now); err != nil {
			return err
		}
	}
	if s.poisoned == "" {
		return nil
	}
	n, err := tx.DeliveryRefused(r.Name, []string{s.poisoned}, reasonOf(s.err), now)
	if err != nil {
		return err
	}
	return given(tx, r, event.AbandonedKeepsFailing, n, time.Time{}, now)
}

// given records that deliveries were given up: never in silence.
func given(tx *store.Tx, r store.Receiver, reason string, n int64, oldest, now time.Time) error {
	if n == 0 {
		return nil
	}
	data := map[string]string{"receiver": r.Name, "reason": reason, "count": strconv.FormatInt(n, 10)}
	if !oldest.IsZero() {
		data["oldest"] = oldest.UTC().Format(time.RFC3339)
	}
	return tx.Append(event.Event{Type: event.DeliveryAbandoned, Actor: event.ByBridge, At: now, Data: data})
}

// Sweep gives up what has waited too long, or is too much, of every receiver.
func (w *Worker) Sweep(ctx context.Context) error {
	var all []store.Receiver
	err := w.Store.View(ctx, func(v *store.View) (err error) { all, err = v.Receivers(); return err })
	if err != nil {
		return err
	}
	before := w.Now().Add(-w.Limits.Age)
	for _, r := range all {
		if r.Pending > w.Limits.Count {
			if err := w.giveUp(ctx, r, event.AbandonedTooMany, time.Time{}, w.Limits.Count); err != nil {
				return err
			}
		}
		if r.Pending > 0 && r.Oldest.Before(before) {
			if err := w.giveUp(ctx, r, event.AbandonedTooOld, before, r.Pending); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Worker) giveUp(ctx context.Context, r store.Receiver, reason string, before time.Time, keep int64) error {
	for n := int64(1); n > 0; {
		now := w.Now()
		err := w.Store.Update(ctx, func(tx *store.Tx) (err error) {
			var oldest time.Time
			if n, oldest, err = tx.Abandon(r.Name, before, keep); err != nil {
				return err
			}
			return given(tx, r, reason, n, oldest, now)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
