package assertion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// How published keys are kept.
const (
	freshFor   = time.Hour        // then they are asked for again
	keptFor    = 24 * time.Hour   // then they no longer count, if nobody answers
	fetchEvery = time.Minute      // one fetch more each
	fetchBurst = 2                // the first, and one rotation at once
	fetchTime  = 10 * time.Second // the fetch is for everybody who waits, so it has a time of its own
	maxKeySet  = 1 << 20
)

// KeySet is the key set that somebody publishes at an address. Tokens with made-up key
// ids make it ask its publisher once a minute, and no more. Its methods may be called
// from many goroutines.
type KeySet struct {
	uri    string
	client *http.Client
	busy   chan struct{} // one fetch at a time

	mu      sync.Mutex // guards what follows
	keys    []Key
	fetched time.Time
	spare   int
	filled  time.Time
}

// NewKeySet prepares a key set; nothing is fetched before it is needed. client is the
// one egress client.
func NewKeySet(uri string, client *http.Client) *KeySet {
	return &KeySet{uri: uri, client: client, busy: make(chan struct{}, 1), spare: fetchBurst}
}

// matching gives the keys that may have signed, fetching the set anew if none does or
// it is old. fault.Unavailable if there are no keys to judge by.
func (s *KeySet) matching(ctx context.Context, kid, algorithm string, now time.Time) ([]Key, error) {
	found, age := s.look(kid, algorithm, now)
	if len(found) > 0 && age < freshFor {
		return found, nil
	}
	err := s.refresh(ctx, now, func() bool {
		found, age = s.look(kid, algorithm, now)
		return len(found) > 0 && age < freshFor
	})
	if found, age = s.look(kid, algorithm, now); age < keptFor {
		return found, nil
	}
	unread := fault.New(fault.Unavailable, "assertion.keys", "The keys of this client's issuer cannot be read now. Try again in a minute.")
	unread.Err = err // for the log: who asks here may be anybody
	return nil, unread
}

// present says whether the set can be read, reading it if it is old.
func (s *KeySet) present(ctx context.Context, now time.Time) error {
	fresh := func() bool { _, age := s.look("", "", now); return age < freshFor }
	if fresh() {
		return nil
	}
	return fault.Wrap(fault.Unavailable, "assertion.Probe", s.refresh(ctx, now, fresh))
}

func (s *KeySet) look(kid, algorithm string, now time.Time) (found []Key, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() {
		return nil, keptFor
	}
	if age = now.Sub(s.fetched); age >= keptFor {
		return nil, age
	}
	for _, k := range s.keys {
		if k.signs(kid, algorithm) {
			found = append(found, k)
		}
	}
	return found, age
}

// refresh fetches the set, unless done says that somebody else just did.
func (s *KeySet) refresh(ctx context.Context, now time.Time, done func() bool) error {
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if done() {
		return nil
	}
	if !s.take(now) {
		return errors.New("the key set was asked for less than a minute ago")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	keys, err := s.fetch(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.fetched = keys, now
	return nil
}

func (s *KeySet) take(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filled.IsZero() {
		s.filled = now
	}
	if gained := int(now.Sub(s.filled) / fetchEvery); gained > 0 {
		s.spare = min(fetchBurst, s.spare+gained)
		s.filled = s.filled.Add(time.Duration(gained) * fetchEvery)
	}
	if s.spare == 0 {
		return false
	}
	s.spare--
	return true
}

func (s *KeySet) fetch(ctx context.Context) (_ []Key, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.uri, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key set's address answers %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxKeySet {
		return nil, errors.New("the key set is larger than 1 MiB")
	}
	keys, err := published(body)
	if err == nil && len(keys) == 0 {
		err = errors.New("the key set has no key of use")
	}
	return keys, err
}
