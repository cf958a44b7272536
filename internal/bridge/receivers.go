package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Receivers lists to whom something has been sent or waits to be, by name.
func (b *Bridge) Receivers(ctx context.Context) (all []store.Receiver, err error) {
	err = b.store.View(ctx, func(v *store.View) error { all, err = v.Receivers(); return err })
	return all, err
}

// RetryReceiver lets what waits for a receiver be sent again at once, and gives it as
// it stood. fault.NotFound if there is none by that name.
func (b *Bridge) RetryReceiver(ctx context.Context, name string) (r store.Receiver, err error) {
	err = b.store.Update(ctx, func(tx *store.Tx) error {
		if r, err = tx.Receiver(name); err != nil {
			return err
		}
		return tx.RetryReceiver(name)
	})
	return r, err
}
