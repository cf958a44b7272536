package keys

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// FromStore gives the signing keys of the durable store.
func FromStore(s *store.Store) Rows { return stored{s} }

type stored struct{ store *store.Store }

// SigningKeys implements Rows.
func (s stored) SigningKeys(ctx context.Context) (held []store.SigningKey, err error) {
	err = s.store.View(ctx, func(v *store.View) error {
		held, err = v.SigningKeys()
		return err
	})
	return held, err
}

// AddSigningKeys implements Rows.
func (s stored) AddSigningKeys(ctx context.Context, keys []store.SigningKey, told []event.Event) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		for _, k := range keys {
			if err := tx.PutSigningKey(k); err != nil {
				return err
			}
		}
		return tx.Append(told...)
	})
}
