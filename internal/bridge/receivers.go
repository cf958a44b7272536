package bridge

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// KindWebhook is the kind of receivers and deliveries that are webhooks': an event,
// told by Standard Webhooks 1.0.0.
const KindWebhook = "webhook"

// ReceiverState is how it goes with whom something is sent to.
type ReceiverState string

// The states of receivers.
const (
	ReceiverFine    ReceiverState = "fine"
	ReceiverFailing ReceiverState = "failing"                   // attempts are in vain
	ReceiverPaused  ReceiverState = "paused"                    // a webhook that wants nothing any more, or a stream that the bridge has paused
	ReceiverPolled  ReceiverState = "polled"                    // a stream that is not sent to: its application fetches
	ReceiverQuieted ReceiverState = "paused by the application" // a stream that its application paused or disabled
)

// InTrouble reports whether somebody should look at a receiver: nothing arrives there,
// or it wants nothing any more. What its application wants so is none.
func (s ReceiverState) InTrouble() bool { return s == ReceiverFailing || s == ReceiverPaused }

// Receiver is whom something is sent to, and how that goes.
type Receiver struct {
	store.Receiver
	State ReceiverState
}

// ReceiverOf says how it goes with a receiver; stream is the one that is sent to it, zero
// if it is none.
func ReceiverOf(r store.Receiver, stream store.Stream) Receiver {
	own := stream.Reason == whyIdle || stream.Reason == whyFailing
	state := ReceiverFine
	switch {
	case stream.Status == string(ssf.Paused) && own:
		state = ReceiverPaused
	case stream.Status == string(ssf.Paused) || stream.Status == string(ssf.Disabled):
		state = ReceiverQuieted
	case stream.Method == ssf.Poll:
		state = ReceiverPolled
	case r.Paused && stream.ID == "":
		state = ReceiverPaused
	case r.Failures > 0:
		state = ReceiverFailing
	}
	return Receiver{r, state}
}

// Receivers lists to whom something has been sent or waits to be, by name.
func (b *Bridge) Receivers(ctx context.Context) (out []Receiver, err error) {
	err = b.store.View(ctx, func(v *store.View) error {
		all, err := v.Receivers()
		if err != nil {
			return err
		}
		streams, err := streamsByReceiver(v)
		if err != nil {
			return err
		}
		out = make([]Receiver, len(all))
		for i, r := range all {
			out[i] = ReceiverOf(r, streams[r.Name])
		}
		return nil
	})
	return out, err
}

func streamsByReceiver(v *store.View) (map[string]store.Stream, error) {
	all, err := v.Streams()
	out := make(map[string]store.Stream, len(all))
	for _, s := range all {
		out[receiverOf(s.ID)] = s
	}
	return out, err
}

// RetryReceiver lets what waits for a receiver be sent again at once, and gives it as
// it stood. A webhook that wanted nothing any more is sent to again; a stream stays
// paused until its application says otherwise. fault.NotFound if there is none by that name.
func (b *Bridge) RetryReceiver(ctx context.Context, name string) (out Receiver, err error) {
	err = b.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Receiver(name)
		if err != nil {
			return err
		}
		streams, err := streamsByReceiver(&tx.View)
		if err != nil {
			return err
		}
		if r.Paused && r.Kind == KindWebhook {
			r.Paused = false
			out = ReceiverOf(r, store.Stream{})
			return tx.PauseReceiver(r.Name, r.Kind, false)
		}
		out = ReceiverOf(r, streams[name])
		return tx.RetryReceiver(name)
	})
	return out, err
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
