package main

import (
	"bytes"
	"context"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
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

func (k keyRows) Envelope(ctx context.Context) (text []byte, err error) {
	err = k.store.View(ctx, func(v *store.View) error {
		text, err = v.Envelope()
		return err
	})
	return text, err
}

func (k keyRows) KeepEnvelope(ctx context.Context, was, next []byte, told event.Event) error {
	return k.store.Update(ctx, func(tx *store.Tx) error {
		held, err := tx.Envelope()
		if err != nil {
			return err
		}
		if !bytes.Equal(held, was) {
			return fault.New(fault.Stale, "keys.KeepEnvelope", "the data key was wrapped anew by another process meanwhile")
		}
		if err := tx.PutEnvelope(next); err != nil {
			return err
		}
		return tx.Append(told)
	})
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
