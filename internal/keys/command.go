package keys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// maxPublished bounds the keys of one algorithm: applications read key sets of limited
// size, some of twenty keys.
const maxPublished = 10

// Key is a signing key as people look at it.
type Key struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state" enum:"next,active,retired"`
	Created   time.Time `json:"created"`
	Since     time.Time `json:"since" doc:"since when it is in its state"`
	// Until is when the schedule moves it on: when it begins to sign, is retired, or is
	// erased.
	Until time.Time `json:"until" doc:"when the schedule moves it on: it signs, is retired, or is erased"`
}

// List gives every key, each algorithm's together: what signs, what will, what did.
func (r *Ring) List() []Key {
	held := r.current.Load().held
	var all []Key
	for _, algorithm := range algorithms() {
		for _, state := range []credential.KeyState{credential.KeyActive, credential.KeyNext, credential.KeyRetired} {
			for _, k := range ofAlgorithm(held, algorithm) {
				if k.State == string(state) {
					all = append(all, Key{k.ID, k.Algorithm, k.State, k.Created, k.Since, r.cfg.Schedule.until(held, k)})
				}
			}
		}
	}
	return all
}

// Schedule is what the ring goes by.
func (r *Ring) Schedule() Schedule { return r.cfg.Schedule }

// until is when the schedule moves a key on.
func (s Schedule) until(held []store.SigningKey, k store.SigningKey) time.Time {
	switch credential.KeyState(k.State) {
	case credential.KeyNext:
		return s.due(k)
	case credential.KeyRetired:
		return k.Since.Add(s.Keep)
	}
	if coming, ok := first(ofAlgorithm(held, k.Algorithm), credential.KeyNext); ok {
		return s.due(coming)
	}
	return k.Since.Add(s.Rotate)
}

// Rotate replaces the key that signs for an algorithm, ES256 or RS256; "" is both. A
// new key is published and signs once it has been for as long as the schedule says; if
// one is announced already, it signs as soon as it may. With atOnce it signs now:
// applications that keep the published keys, and do not read them again when they meet
// a new id, refuse its tokens until they do. Ten keys of one algorithm are the most
// (fault.Limited).
func (r *Ring) Rotate(ctx context.Context, algorithm string, atOnce bool) ([]Key, error) {
	const op = "keys.Rotate"
	which := []string{algorithm}
	if algorithm == "" {
		which = algorithms()
	}
	for _, algorithm := range which {
		if !slices.Contains(algorithms(), algorithm) {
			return nil, fault.New(fault.Invalid, op, "%q is not an algorithm of this bridge: ES256 or RS256", algorithm)
		}
		if err := r.rotate(ctx, algorithm, atOnce); err != nil {
			return nil, err
		}
	}
	return r.List(), nil
}

func (r *Ring) rotate(ctx context.Context, algorithm string, atOnce bool) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if err := r.announce(ctx, algorithm); err != nil || !atOnce {
		return err
	}
	if err := r.everywhere(ctx); err != nil {
		return err
	}
	return r.change(ctx, func(held []store.SigningKey) (Change, error) {
		next, ok := first(ofAlgorithm(held, algorithm), credential.KeyNext)
		if !ok {
			return Change{}, fault.New(fault.Stale, "keys.Rotate", "the keys were changed by another process meanwhile: look at them and try again")
		}
		return r.byCommand().succeed(held, next), nil
	})
}

// announce sees to it that a next key is published, and that it signs as soon as it
// has been for long enough. The caller holds r.changing.
func (r *Ring) announce(ctx context.Context, algorithm string) error {
	var made store.SigningKey
	if _, there := first(ofAlgorithm(r.current.Load().held, algorithm), credential.KeyNext); !there {
		var err error
		if made, err = r.make(stepCreate, algorithm, r.instant()); err != nil {
			return err
		}
	}
	return r.change(ctx, func(held []store.SigningKey) (Change, error) {
		mine := ofAlgorithm(held, algorithm)
		next, there := first(mine, credential.KeyNext)
		switch {
		case there:
			next.Signs = time.Time{}
			return Change{Put: []store.SigningKey{next}}, nil
		case made.ID == "":
			return Change{}, fault.New(fault.Stale, "keys.announce", "the keys were changed by another process meanwhile: look at them and try again")
		case len(mine) >= maxPublished:
			return Change{}, fault.New(fault.Limited, "keys.announce", "there are %d keys for %s: remove retired ones, by keys.keep or drawbridge key retire ID --now", len(mine), algorithm)
		}
		return Change{Put: []store.SigningKey{made}, Told: []event.Event{r.byCommand().tell(event.SigningKeyCreated, made)}}, nil
	})
}

// everywhere waits until other processes have read what was announced: they accept and
// publish a key before it signs.
func (r *Ring) everywhere(ctx context.Context) error {
	if !r.cfg.Shared {
		return nil
	}
	select {
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, "keys.everywhere", ctx.Err())
	case <-time.After(followed):
		return nil
	}
}

func (r *Ring) byCommand() author {
	return author{event.ByAdministrator, becauseCommand, r.instant()}
}

// Retiring says how a key is taken out of use.
type Retiring struct {
	Force  bool // though its successor was not published for long
	AtOnce bool // erase it: nothing that it signed is accepted any more
}

// Retire takes a key out of use. One that is to sign next is erased: nothing bears its
// signature. One that signs hands over to its successor, which is made if there is
// none, and needs Force or AtOnce, because applications may not know that one yet.
// With AtOnce the key is erased in the same transaction. An unknown key is
// fault.NotFound; what needs another flag, fault.Conflict.
func (r *Ring) Retire(ctx context.Context, id string, how Retiring) ([]Key, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	key, err := find(r.current.Load().held, id)
	if err != nil {
		return nil, err
	}
	if err := how.admits(key); err != nil {
		return nil, err
	}
	if key.State == string(credential.KeyActive) {
		if err := errors.Join(r.announce(ctx, key.Algorithm), r.everywhere(ctx)); err != nil {
			return nil, err
		}
	}
	err = r.change(ctx, func(held []store.SigningKey) (Change, error) { return r.retired(held, key, how) })
	return r.List(), err
}

// retired is what becomes of keys when one of them, which is as it was looked at, is
// taken out of use.
func (r *Ring) retired(held []store.SigningKey, looked store.SigningKey, how Retiring) (Change, error) {
	key, err := find(held, looked.ID)
	if err != nil {
		return Change{}, err
	}
	by := r.byCommand()
	if key.State != string(credential.KeyActive) {
		return by.remove(key), how.admits(key)
	}
	next, ok := first(ofAlgorithm(held, key.Algorithm), credential.KeyNext)
	if !ok || looked.State != key.State {
		return Change{}, fault.New(fault.Stale, "keys.Retire", "the keys were changed by another process meanwhile: look at them and try again")
	}
	c := by.succeed(held, next)
	if !how.AtOnce {
		return c, nil
	}
	c.Put = slices.DeleteFunc(c.Put, func(k store.SigningKey) bool { return k.ID == key.ID })
	c.Remove = []string{key.ID}
	key.State = string(credential.KeyRetired)
	c.Told = append(c.Told, by.tell(event.SigningKeyRemoved, key))
	return c, nil
}

// admits says what else has to be said for a key in that state.
func (how Retiring) admits(k store.SigningKey) error {
	const op = "keys.Retire"
	switch {
	case how.AtOnce || k.State == string(credential.KeyNext):
		return nil
	case k.State == string(credential.KeyRetired):
		return fault.New(fault.Conflict, op, "%s has signed nothing since %s; --now erases it, and nothing that it signed is accepted any more", k.ID, k.Since.Format(time.RFC3339))
	case !how.Force:
		return fault.New(fault.Conflict, op, "%s signs. drawbridge key rotate replaces it in time; --force does now, though applications may not know its successor; --now also erases it", k.ID)
	}
	return nil
}

func find(held []store.SigningKey, id string) (store.SigningKey, error) {
	at := slices.IndexFunc(held, func(k store.SigningKey) bool { return k.ID == id })
	if at < 0 {
		return store.SigningKey{}, fault.New(fault.NotFound, "keys.find", "there is no signing key %s; drawbridge key list shows those there are", id)
	}
	return held[at], nil
}
