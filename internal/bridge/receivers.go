package bridge

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// KindWebhook is the kind of receivers and deliveries that are webhooks': an event,
// told by Standard Webhooks 1.0.0.
const KindWebhook = "webhook"

// Receivers lists to whom something has been sent or waits to be, by name.
func (b *Bridge) Receivers(ctx context.Context) (all []store.Receiver, err error) {
	err = b.store.View(ctx, func(v *store.View) error { all, err = v.Receivers(); return err })
	return all, err
}

// InTrouble reports whether somebody should look at a receiver: nothing arrives there,
// or it wants nothing any more. A stream that its application paused waits for that.
func InTrouble(r store.Receiver) bool {
	return r.Failures > 0 || r.Paused && (r.Kind == KindWebhook || r.Pending > 0)
}

// RetryReceiver lets what waits for a receiver be sent again at once, and gives it as
// it stood. A webhook that wanted nothing any more is sent to again; a stream stays
// paused until its application says otherwise. fault.NotFound if there is none by that name.
func (b *Bridge) RetryReceiver(ctx context.Context, name string) (r store.Receiver, err error) {
	err = b.store.Update(ctx, func(tx *store.Tx) error {
		if r, err = tx.Receiver(name); err != nil {
			return err
		}
		if r.Paused && r.Kind == KindWebhook {
			r.Paused = false
			return tx.PauseReceiver(r.Name, r.Kind, false)
		}
		return tx.RetryReceiver(name)
	})
	return r, err
}

// RelayLag is how long ago the oldest event happened that the relay has not read yet;
// 0 if it has read all. Events that nobody is told of are counted up to a second longer.
func (b *Bridge) RelayLag(ctx context.Context) (lag time.Duration, err error) {
	err = b.store.View(ctx, func(v *store.View) error {
		mark, err := v.RelayMark()
		if err != nil {
			return err
		}
		rows, err := v.Outbox(mark, 1)
		if err != nil || len(rows) == 0 {
			return err
		}
		lag = max(b.now().Sub(rows[0].At), 0)
		return nil
	})
	return lag, err
}
