package keys

import (
	"cmp"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Schedule says when signing keys change, each algorithm's on its own.
type Schedule struct {
	Rotate       time.Duration // for how long a key signs
	PublishAhead time.Duration // for how long it is published before it signs
	Keep         time.Duration // for how long it verifies, and is published, after it signed
}

// Settle is for how long this process must have had a key in its state before time
// alone moves it on, by a clock that nobody sets: longer than applications may keep
// the published keys, and than an access token lives. A clock that jumps, also while
// the bridge is down, therefore neither signs with a key that nobody has read nor
// erases one whose tokens are in use.
const Settle = 10 * time.Minute

// ahead is how far in the future a key's times may lie before the clock that they
// were taken from is known to have been wrong.
const ahead = time.Minute

// stepKind is what can happen to a key by itself.
type stepKind uint8

const (
	stepNone     stepKind = iota
	stepCorrect           // a clock was ahead when the key came into its state
	stepBegin             // nothing signs: a new key does, at once
	stepCreate            // a key is made, and published
	stepActivate          // it signs, and the one before it is retired
	stepRemove            // it is erased
)

// step is one change of one key: the key as it is before.
type step struct {
	kind stepKind
	key  store.SigningKey // none before stepBegin and stepCreate
}

func (s step) same(other step) bool { return s.kind == other.kind && s.key.ID == other.key.ID }

// next is the one step that is due for an algorithm's keys. settled says whether this
// process has had a key in its state for long enough.
func (s Schedule) next(held []store.SigningKey, algorithm string, now time.Time, settled func(store.SigningKey) bool) step {
	mine := ofAlgorithm(held, algorithm)
	if at := slices.IndexFunc(mine, func(k store.SigningKey) bool { return k.Since.After(now.Add(ahead)) }); at >= 0 {
		return step{stepCorrect, mine[at]}
	}
	signs, active := first(mine, credential.KeyActive)
	coming, announced := first(mine, credential.KeyNext)
	switch {
	case !active && announced:
		return step{stepActivate, coming}
	case !active:
		return step{kind: stepBegin}
	case announced && !now.Before(s.due(coming)) && settled(coming):
		return step{stepActivate, coming}
	case !announced && !now.Before(signs.Since.Add(s.Rotate-s.PublishAhead)):
		return step{kind: stepCreate}
	}
	for _, k := range mine {
		if k.State == string(credential.KeyRetired) && !now.Before(k.Since.Add(s.Keep)) && settled(k) {
			return step{stepRemove, k}
		}
	}
	return step{}
}

// due is when a next key signs: never before it was published for long enough.
func (s Schedule) due(coming store.SigningKey) time.Time {
	due := coming.Since.Add(s.PublishAhead)
	if coming.Signs.After(due) {
		return coming.Signs
	}
	return due
}

// successor is a new key of an algorithm in the place that it is made for.
func (s Schedule) successor(held []store.SigningKey, k store.SigningKey) store.SigningKey {
	if signs, ok := first(ofAlgorithm(held, k.Algorithm), credential.KeyActive); ok {
		k.Signs = signs.Since.Add(s.Rotate)
	}
	return k
}

// corrected takes a wrong clock's time back: the key came into its state now.
func corrected(k store.SigningKey, now time.Time) store.SigningKey {
	if !k.Signs.IsZero() {
		k.Signs = now.Add(k.Signs.Sub(k.Since))
	}
	k.Since = now
	return k
}

// ofAlgorithm are an algorithm's keys, oldest first.
func ofAlgorithm(held []store.SigningKey, algorithm string) []store.SigningKey {
	mine := slices.DeleteFunc(slices.Clone(held), func(k store.SigningKey) bool { return k.Algorithm != algorithm })
	slices.SortStableFunc(mine, oldestFirst)
	return mine
}

func oldestFirst(a, b store.SigningKey) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// first is the oldest key in a state. There is one key that signs; a second one of the
// same state waits for its turn.
func first(mine []store.SigningKey, state credential.KeyState) (store.SigningKey, bool) {
	at := slices.IndexFunc(mine, func(k store.SigningKey) bool { return k.State == string(state) })
	if at < 0 {
		return store.SigningKey{}, false
	}
	return mine[at], true
}
