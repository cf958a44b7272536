package main

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/keys"
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

// ChangeSigningKeys reads, decides, and stores keys and what is told about them in one transaction.
func (k keyRows) ChangeSigningKeys(ctx context.Context, decide func([]store.SigningKey) (keys.Change, error)) error {
	return k.store.Update(ctx, func(tx *store.Tx) error {
		held, err := tx.SigningKeys()
		if err != nil {
			return err
		}
		c, err := decide(held)
		if err != nil {
			return err
		}
		for _, key := range c.Put {
			if err := tx.PutSigningKey(key); err != nil {
				return err
			}
		}
		for _, id := range c.Remove {
			if err := tx.RemoveSigningKey(id); err != nil {
				return err
			}
		}
		return tx.Append(c.Told...)
	})
}
