// Package keys owns the keys of a deployment: the data key, which the store holds wrapped
// by a root outside of it (a root key file, or a key that a command reaches), and the
// signing keys sealed under the data key. It makes what is missing at the first start. It
// never sees a private key in the clear: package credential makes, seals, opens and uses
// them.
package keys

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
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
	// ChangeSigningKeys lets decide see the keys and stores what it wants, in one
	// transaction. It may call decide more than once.
	ChangeSigningKeys(ctx context.Context, decide func(held []store.SigningKey) (Change, error)) error
	// Envelope gives the wrapped data key; nil: there is none yet.
	Envelope(ctx context.Context) ([]byte, error)
	// KeepEnvelope stores it, in one transaction with what is told. If what is there is
	// not was, it changes nothing and says fault.Stale.
	KeepEnvelope(ctx context.Context, was, next []byte, told event.Event) error
}

// Change is what becomes of keys in one transaction.
type Change struct {
	Put    []store.SigningKey // new ones, and old ones in another state
	Remove []string           // ids of those to erase
	Told   []event.Event
}

// Config is what a ring works with.
type Config struct {
	Root     Root
	Rows     Rows
	Schedule Schedule
	Now      func() time.Time
	// Uptime is a clock that nobody sets, from any beginning; nil: that of this process.
	Uptime func() time.Duration
	// Shared says that other processes sign with the same keys: each follows what another
	// does with them, and none signs with a key that the others have not read.
	Shared bool
	// Observe hears of each step that failed; it is tried again. It may be nil.
	Observe func(error)
}

// Ring is the set of keys in use. Make it with Open; it is safe for concurrent use.
type Ring struct {
	cfg     Config
	data    credential.DataKey
	wrapped credential.Envelope
	refresh credential.RefreshKey
	cursors credential.CursorKey
	scim    credential.SCIMAccessKey
	marks   credential.MarkKey
	cookies credential.CookieKey
	nonces  credential.NonceKey
	service credential.ServiceKey
	names   credential.PairwiseKey
	atRest  credential.AtRestKey
	hot     credential.HotKey
	current atomic.Pointer[set]

	changing sync.Mutex // one change at a time

	mu    sync.Mutex          // guards known
	known map[string]acquaint // by key id
}

// set is the keys of one moment: the rows, and the same keys opened.
type set struct {
	held []store.SigningKey
	ring *credential.Keyring
}

// acquaint is since when, by the clock that nobody sets, this process has known a key
// to be in its state.
type acquaint struct {
	state string
	since time.Duration
}

// Open opens the data key by its root, then the signing keys, and makes what is missing: at
// the first start a root key file, a data key, and an active key for each algorithm (together
// about a quarter of a second). A root that is missing although the store holds keys, that
// others may read, or that is not the one they are under is fault.Invalid, and nothing is
// changed. A root command that does not answer is fault.Unavailable.
func Open(ctx context.Context, cfg Config) (*Ring, error) {
	const op = "keys.Open"
	held, err := cfg.Rows.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	data, wrapped, err := openDataKey(ctx, cfg.Root, cfg.Rows, held, cfg.Now())
	if err != nil {
		return nil, invalidUnlessNamed(op, err)
	}
	if cfg.Uptime == nil {
		started := time.Now()
		cfg.Uptime = func() time.Duration { return time.Since(started) }
	}
	r := &Ring{cfg: cfg, data: data, wrapped: wrapped, known: map[string]acquaint{}}
	if err := r.derive(); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	if err := r.use(held); err != nil {
		return nil, fault.Wrap(fault.Invalid, op, err)
	}
	return r, r.complete(ctx)
}

// derive gives each use of the data key its own key.
func (r *Ring) derive() error {
	return errors.Join(into(&r.refresh, r.data.RefreshKey), into(&r.cursors, r.data.CursorKey), into(&r.scim, r.data.SCIMAccessKey),
		into(&r.cookies, r.data.CookieKey), into(&r.marks, r.data.MarkKey), into(&r.nonces, r.data.NonceKey),
		into(&r.service, r.data.ServiceKey), into(&r.names, r.data.PairwiseKey), into(&r.atRest, r.data.AtRestKey), into(&r.hot, r.data.HotKey))
}

func into[K any](key *K, derive func() (K, error)) (err error) {
	*key, err = derive()
	return err
}

// invalidUnlessNamed keeps what somebody has classified.
func invalidUnlessNamed(op string, err error) error {
	if fault.KindOf(err) == fault.Internal {
		return fault.Wrap(fault.Invalid, op, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// Root says what the data key is wrapped by, and the envelope that it is in.
func (r *Ring) Root() (Root, credential.Envelope) { return r.cfg.Root, r.wrapped }

// Keyring is the set of this moment: pass the method to credential.NewIssuer.
func (r *Ring) Keyring() *credential.Keyring { return r.current.Load().ring }

// RefreshKey seals refresh tokens.
func (r *Ring) RefreshKey() credential.RefreshKey { return r.refresh }

// CursorKey seals places in lists.
func (r *Ring) CursorKey() credential.CursorKey { return r.cursors }

// SCIMAccessKey seals the access tokens of SCIM clients.
func (r *Ring) SCIMAccessKey() credential.SCIMAccessKey { return r.scim }

// AtRestKey seals secrets that others gave us.
func (r *Ring) AtRestKey() credential.AtRestKey { return r.atRest }

// HotKey seals the records of a hot store that is another process.
func (r *Ring) HotKey() credential.HotKey { return r.hot }

// MarkKey makes marks of names.
func (r *Ring) MarkKey() credential.MarkKey { return r.marks }

// CookieKey renews session cookies.
func (r *Ring) CookieKey() credential.CookieKey { return r.cookies }

// NonceKey makes the nonces of DPoP proofs.
func (r *Ring) NonceKey() credential.NonceKey { return r.nonces }

// UpstreamKey seals what identity providers hand us.
func (r *Ring) UpstreamKey() credential.UpstreamKey { return r.data.UpstreamKey() }

// ServiceKey seals the access tokens that applications have for themselves.
func (r *Ring) ServiceKey() credential.ServiceKey { return r.service }

// PairwiseKey gives pairwise clients names of their own.
func (r *Ring) PairwiseKey() credential.PairwiseKey { return r.names }

// JWKS is the published key set. Do not change it.
func (r *Ring) JWKS() []byte { return r.Keyring().JWKS() }

// Reload reads the signing keys again. If one does not open, the ring stays as it
// was and the error says which.
func (r *Ring) Reload(ctx context.Context) error {
	held, err := r.cfg.Rows.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("keys.Reload: %w", err)
	}
	return fault.Wrap(fault.Invalid, "keys.Reload", r.use(held))
}

// use takes these keys, unless they are those in use: an opened key that is replaced
// takes with it what was remembered of its signatures.
func (r *Ring) use(held []store.SigningKey) error {
	if now := r.current.Load(); now != nil && reflect.DeepEqual(now.held, held) {
		return nil
	}
	ring, err := credential.NewKeyring(r.data, sealedOf(held))
	if err != nil {
		return err
	}
	r.current.Store(&set{held: held, ring: ring})
	r.meet(held)
	return nil
}

// meet notes since when keys are in their state.
func (r *Ring) meet(held []store.SigningKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := make(map[string]acquaint, len(held))
	for _, k := range held {
		known[k.ID] = acquaint{k.State, r.cfg.Uptime()}
		if before := r.known[k.ID]; before.state == k.State {
			known[k.ID] = before
		}
	}
	r.known = known
}

func (r *Ring) settled(k store.SigningKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.known[k.ID]
	return ok && a.state == k.State && r.cfg.Uptime()-a.since >= Settle
}

// complete lets each algorithm have a key that signs.
func (r *Ring) complete(ctx context.Context) error {
	for _, algorithm := range algorithms() {
		if _, ok := first(ofAlgorithm(r.current.Load().held, algorithm), credential.KeyActive); ok {
			continue
		}
		if _, err := r.advance(ctx, algorithm); err != nil {
			return err
		}
	}
	return nil
}

func algorithms() []string { return []string{credential.ES256, credential.RS256} }
