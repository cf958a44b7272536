package bridge

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// UseProof implements oidc.ProofMemory: a proof works once, on whichever node it comes first.
func (b *Bridge) UseProof(ctx context.Context, id [16]byte, until time.Time) (first bool, err error) {
	life := until.Sub(b.now())
	err = b.store.Update(ctx, func(tx *store.Tx) (err error) { first, err = tx.UseProof(id, life); return err })
	return first, err
}

// ForgetProof implements oidc.ProofMemory.
func (b *Bridge) ForgetProof(ctx context.Context, id [16]byte) error {
	return b.store.Update(ctx, func(tx *store.Tx) error { return tx.ForgetProof(id) })
}
