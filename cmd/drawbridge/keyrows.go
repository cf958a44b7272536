package main

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// keyRows lets package keys use the store.
type keyRows struct{ store *store.Store }

func (k keyRows) SigningKeys(ctx context.Context) (all []store.SigningKey, err error) {
	err = k.store.View(ctx, func(v *store.View) error {
		all, err = v.SigningKeys()
		return err
	})
	return all, err
}

// AddSigningKeys stores new keys and what is told about them in one transaction.
func (k keyRows) AddSigningKeys(ctx context.Context, made []store.SigningKey, told []event.Event) error {
	return k.store.Update(ctx, func(tx *store.Tx) error {
		for _, key := range made {
			if err := tx.PutSigningKey(key); err != nil {
				return err
			}
		}
		return tx.Append(told...)
	})
}
