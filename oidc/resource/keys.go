package resource

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keys are the bridge's public keys, as they were fetched last.
type keys struct {
	bridge *bridge

	mu      sync.Mutex // guards what follows
	set     jose.JSONWebKeySet
	fetched time.Time // when that was tried last
	good    time.Time // when it succeeded last
}

const (
	keysLast  = time.Hour        // after it keys are fetched again, so that a withdrawn one is forgotten
	keysPause = 10 * time.Second // between two attempts, whatever key ids tokens name
	maxKeys   = 32
)

// find gives the key that a token names. ErrInvalid if there is none, ErrNobodyKnows if
// that could not be found out.
func (k *keys) find(ctx context.Context, id, algorithm string, now time.Time) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, there := k.namedLocked(id, algorithm)
	if !there || now.Sub(k.good) > keysLast {
		if k.fetched.IsZero() || now.Sub(k.fetched) > keysPause {
			k.fetched = now
			if err := k.fetchLocked(ctx, now); err != nil {
				k.bridge.cfg.Observe(err)
			}
		}
		key, there = k.namedLocked(id, algorithm)
	}
	switch {
	case now.Sub(k.good) > 2*keysLast: // also when there never were any
		return nil, ErrNobodyKnows
	case !there:
		return nil, ErrInvalid
	}
	return key, nil
}

func (k *keys) namedLocked(id, algorithm string) (any, bool) {
	for _, key := range k.set.Keys {
		if key.KeyID == id && id != "" && key.Algorithm == algorithm && key.Valid() && key.IsPublic() && (key.Use == "sig" || key.Use == "") {
			return key.Key, true
		}
	}
	return nil, false
}

func (k *keys) fetchLocked(ctx context.Context, now time.Time) error {
	m, err := k.bridge.discover(ctx)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.JWKS, nil)
	if err != nil {
		return err
	}
	var set jose.JSONWebKeySet
	if err := k.bridge.do(req, &set); err != nil {
		return err
	}
	set.Keys = set.Keys[:min(len(set.Keys), maxKeys)]
	k.set, k.good = set, now
	return nil
}
