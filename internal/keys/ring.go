// Package keys owns the keys of a deployment: the root key file beside the
// database, and the signing keys that the store holds sealed under it. It makes
// what is missing at the first start. It never sees a private key in the clear:
// package credential makes, seals, opens and uses them.
package keys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Rows is what the ring asks of the store.
type Rows interface {
	// SigningKeys gives every signing key, retired ones too.
	SigningKeys(ctx context.Context) ([]store.SigningKey, error)
	// AddSigningKeys stores new keys and what is told about them in one transaction.
	AddSigningKeys(ctx context.Context, keys []store.SigningKey, told []event.Event) error
}

// Ring is the set of keys in use. Make it with Open; it is safe for concurrent use.
type Ring struct {
	root    credential.RootKey
	refresh credential.RefreshKey
	cursors credential.CursorKey
	scim    credential.SCIMAccessKey
	marks   credential.MarkKey
	nonces  credential.NonceKey
	service credential.ServiceKey
	names   credential.PairwiseKey
	atRest  credential.AtRestKey
	rows    Rows
	current atomic.Pointer[credential.Keyring]
}

// Open reads the root key file and the signing keys, and makes what is missing: at
// the first start the file, and an active key for each algorithm (together about a
// quarter of a second). A root key file that is missing although the store holds
// keys, that others may read, or that does not open the stored keys is
// fault.Invalid, and nothing is changed.
func Open(ctx context.Context, rootFile string, rows Rows, now time.Time) (*Ring, error) {
	const op = "keys.Open"
	held, err := rows.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	root, err := readRoot(rootFile)
	if errors.Is(err, fs.ErrNotExist) && len(held) == 0 {
		root, err = createRoot(rootFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Invalid, op, "the root key file %s is missing, but the database holds keys sealed under it: put it back from your backup", rootFile)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	r := &Ring{root: root, rows: rows}
	if r.refresh, err = root.RefreshKey(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if r.cursors, err = root.CursorKey(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if r.scim, err = root.SCIMAccessKey(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if r.marks, err = root.MarkKey(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if r.nonces, err = root.NonceKey(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if r.service, err = root.ServiceKey(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if r.names, err = root.PairwiseKey(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if r.atRest, err = root.AtRestKey(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if err := r.use(held); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if err := r.complete(ctx, held, now); err != nil {
		return nil, err
	}
	return r, nil
}

// Keyring is the set of this moment: pass the method to credential.NewIssuer.
func (r *Ring) Keyring() *credential.Keyring { return r.current.Load() }

// RefreshKey seals refresh tokens.
func (r *Ring) RefreshKey() credential.RefreshKey { return r.refresh }

// CursorKey seals places in lists.
func (r *Ring) CursorKey() credential.CursorKey { return r.cursors }

// SCIMAccessKey seals the access tokens of SCIM clients.
func (r *Ring) SCIMAccessKey() credential.SCIMAccessKey { return r.scim }

// AtRestKey seals secrets that others gave us.
func (r *Ring) AtRestKey() credential.AtRestKey { return r.atRest }

// MarkKey makes marks of names.
func (r *Ring) MarkKey() credential.MarkKey { return r.marks }

// NonceKey makes the nonces of DPoP proofs.
func (r *Ring) NonceKey() credential.NonceKey { return r.nonces }

// UpstreamKey seals what identity providers hand us.
func (r *Ring) UpstreamKey() credential.UpstreamKey { return r.root.UpstreamKey() }

// ServiceKey seals the access tokens that applications have for themselves.
func (r *Ring) ServiceKey() credential.ServiceKey { return r.service }

// PairwiseKey gives pairwise clients names of their own.
func (r *Ring) PairwiseKey() credential.PairwiseKey { return r.names }

// JWKS is the published key set. Do not change it.
func (r *Ring) JWKS() []byte { return r.Keyring().JWKS() }

// Reload reads the signing keys again. If one does not open, the ring stays as it
// was and the error says which.
func (r *Ring) Reload(ctx context.Context) error {
	held, err := r.rows.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("keys.Reload: %w", err)
	}
	return fault.Wrap(fault.Invalid, "keys.Reload", r.use(held))
}

func (r *Ring) use(held []store.SigningKey) error {
	sealed := make([]credential.SealedKey, len(held))
	for i, k := range held {
		sealed[i] = credential.SealedKey{ID: k.ID, Algorithm: k.Algorithm, Sealed: k.Sealed, Public: k.Public,
			State: credential.KeyState(k.State), Created: k.Created}
	}
	ring, err := credential.NewKeyring(r.root, sealed)
	if err != nil {
		return err
	}
	r.current.Store(ring)
	return nil
}

// complete makes an active key for each algorithm that has none.
func (r *Ring) complete(ctx context.Context, held []store.SigningKey, now time.Time) error {
	const op = "keys.complete"
	var made []store.SigningKey
	var told []event.Event
	for _, alg := range []string{credential.ES256, credential.RS256} {
		if active(held, alg) {
			continue
		}
		k, err := r.root.GenerateKey(alg, credential.KeyActive, now)
		if err != nil {
			return fault.Wrap(fault.Internal, op, err)
		}
		made = append(made, store.SigningKey{ID: k.ID, Algorithm: k.Algorithm, Sealed: k.Sealed, Public: k.Public,
			State: string(k.State), Created: k.Created})
		told = append(told, event.Event{Type: event.SigningKeyCreated, Actor: event.ByBridge, At: now,
			Data: map[string]string{"key": k.ID, "algorithm": k.Algorithm, "state": string(k.State)}})
	}
	if len(made) == 0 {
		return nil
	}
	if err := r.rows.AddSigningKeys(ctx, made, told); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return fault.Wrap(fault.Internal, op, r.use(append(held, made...)))
}

func active(held []store.SigningKey, alg string) bool {
	for _, k := range held {
		if k.Algorithm == alg && k.State == string(credential.KeyActive) {
			return true
		}
	}
	return false
}
