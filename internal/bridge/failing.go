package bridge

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// failingFor is how long pushes may come to nothing before a stream is paused.
const failingFor = 24 * time.Hour

// PauseFailing pauses streams whose receiver has taken no push for long, although some
// were tried, and those that nobody has polled or looked at for ssf.InactivityTimeout: the
// receiver finds out when it looks at the stream's status, and by a signal behind those
// that wait when it enables the stream again.
func (b *Bridge) PauseFailing(ctx context.Context) error {
	now := b.now()
	var failing []store.Stream
	err := b.store.View(ctx, func(v *store.View) error {
		failing = nil
		streams, err := v.Streams()
		for _, s := range streams {
			why, err := whyPaused(v, s, now)
			if err != nil {
				return err
			}
			if why != "" {
				failing = append(failing, s)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range failing {
		if err := b.pauseStream(ctx, s.ID, now); err != nil {
			return err
		}
	}
	return nil
}

// Why the bridge pauses a stream, for its receiver. By these it is known later whether the
// bridge did or the application.
const (
	whyIdle    = "Nobody has polled the stream for inactivity_timeout. Enable it when somebody will."
	whyFailing = "No push has arrived for a day. Enable the stream when its endpoint answers."
)

// whyPaused is why a stream is to be paused now, for its receiver; "" if it is not.
func whyPaused(v *store.View, s store.Stream, now time.Time) (string, error) {
	if s.Status != string(ssf.Enabled) {
		return "", nil
	}
	if s.Method == ssf.Poll {
		if idleSince(s).Before(now.Add(-ssf.InactivityTimeout)) {
			return whyIdle, nil
		}
		return "", nil
	}
	r, err := v.Receiver(receiverOf(s.ID))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	if failsForLong(s, r, now) {
		return whyFailing, nil
	}
	return "", nil
}

// idleSince is when a stream's receiver last did something with it. What an older version
// has written counts from the stream's last change.
func idleSince(s store.Stream) time.Time {
	if s.Active.Before(s.Changed) {
		return s.Changed
	}
	return s.Active
}

// failsForLong reports whether nothing has arrived since long, counted from the last
// change of the stream, too, and something waits for as long.
func failsForLong(s store.Stream, r store.Receiver, now time.Time) bool {
	since := s.Changed
	if r.LastOK.After(since) {
		since = r.LastOK
	}
	before := now.Add(-failingFor)
	return r.Failures > 0 && since.Before(before) && !r.Oldest.IsZero() && r.Oldest.Before(before)
}

func (b *Bridge) pauseStream(ctx context.Context, id string, now time.Time) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Stream(id)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		why, err := whyPaused(&tx.View, s, now)
		if err != nil || why == "" {
			return err
		}
		s.Status, s.Reason, s.Changed = string(ssf.Paused), why, now
		if err := tx.UpdateStream(s); err != nil {
			return err
		}
		d, err := b.aboutStream(s, ssf.StreamUpdated, ssf.StatusChange{Status: ssf.Paused, Reason: s.Reason}, "", now)
		if err != nil {
			return err
		}
		if err := tx.PutDeliveries([]store.Delivery{d}); err != nil {
			return err
		}
		if err := tx.PauseReceiver(receiverOf(id), KindSignal, true); err != nil {
			return err
		}
		e := streamEvent(ctx, event.StreamPaused, s, now)
		e.Actor = event.ByBridge
		return tx.Append(e)
	})
}

// resultsKept is how long what became of an asynchronous SCIM request can be fetched.
const resultsKept = 24 * time.Hour

// TrimSCIMResults forgets results that are older than a day.
func (b *Bridge) TrimSCIMResults(ctx context.Context) error {
	before := b.now().Add(-resultsKept)
	for removed := int64(1); removed > 0; {
		err := b.store.Update(ctx, func(tx *store.Tx) (err error) {
			removed, err = tx.TrimSCIMResults(before)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
