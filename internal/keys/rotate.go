package keys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// lookEvery is how often the ring looks for a step that is due.
const lookEvery = time.Minute

// Why a key changed, as events say it.
const (
	becauseSchedule = "schedule"
	becauseCommand  = "command"
	becauseMissing  = "missing" // nothing signed
)

// Run makes the steps of the schedule until ctx ends. Each is one transaction, and
// what is due is read from the keys alone: wherever the process dies, the next one goes
// on. A step that fails is tried again a minute later.
func (r *Ring) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := r.Step(ctx); err != nil && ctx.Err() == nil && r.cfg.Observe != nil {
			r.cfg.Observe(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// followEvery is how often a process reads what another has done with the keys, and
// followed how long after a change all have read it.
const (
	followEvery = time.Second
	followed    = 3 * followEvery
)

// Follow reads the keys anew every second until ctx ends, where other processes may change
// them: what they sign is accepted and published here, too.
func (r *Ring) Follow(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := r.follow(ctx); err != nil && ctx.Err() == nil && r.cfg.Observe != nil {
			r.cfg.Observe(err)
		}
	}
}

// follow is Reload, but not in the middle of a change of our own, which what was read before
// it must not undo.
func (r *Ring) follow(ctx context.Context) error {
	if !r.changing.TryLock() {
		return nil // the next time
	}
	defer r.changing.Unlock()
	return r.Reload(ctx)
}

// Step makes at most one step for each algorithm, after reading the keys anew.
func (r *Ring) Step(ctx context.Context) error {
	if err := r.Reload(ctx); err != nil {
		return err
	}
	for _, algorithm := range algorithms() {
		if _, err := r.advance(ctx, algorithm); err != nil {
			return err
		}
	}
	return nil
}

// advance makes the step that is due for an algorithm, and says whether there was one.
func (r *Ring) advance(ctx context.Context, algorithm string) (bool, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	now := r.instant()
	due := r.cfg.Schedule.next(r.current.Load().held, algorithm, now, r.settled)
	if due.kind == stepNone {
		return false, nil
	}
	made, err := r.make(due.kind, algorithm, now)
	if err != nil {
		return false, err
	}
	return true, r.change(ctx, func(held []store.SigningKey) (Change, error) {
		again := r.cfg.Schedule.next(held, algorithm, now, r.settled)
		if !again.same(due) {
			return Change{}, nil // another process was first
		}
		return r.carryOut(again, held, made, now), nil
	})
}

// instant is now, as the store keeps it.
func (r *Ring) instant() time.Time { return r.cfg.Now().Truncate(time.Millisecond).UTC() }

// make makes the key that a step needs: outside its transaction, for RSA takes a while.
func (r *Ring) make(kind stepKind, algorithm string, now time.Time) (store.SigningKey, error) {
	state := credential.KeyNext
	switch kind {
	case stepBegin:
		state = credential.KeyActive
	case stepCreate:
	default:
		return store.SigningKey{}, nil
	}
	k, err := r.data.GenerateKey(algorithm, state, now)
	if err != nil {
		return store.SigningKey{}, fault.Wrap(fault.Internal, "keys.make", err)
	}
	return store.SigningKey{ID: k.ID, Algorithm: k.Algorithm, Sealed: k.Sealed, Public: k.Public, State: string(k.State), Created: now, Since: now}, nil
}

func (r *Ring) carryOut(s step, held []store.SigningKey, made store.SigningKey, now time.Time) Change {
	by := author{event.ByBridge, becauseSchedule, now}
	switch s.kind {
	case stepCorrect:
		return Change{Put: []store.SigningKey{corrected(s.key, now)}}
	case stepBegin:
		by.because = becauseMissing
		return Change{Put: []store.SigningKey{made}, Told: []event.Event{by.tell(event.SigningKeyCreated, made)}}
	case stepCreate:
		made = r.cfg.Schedule.successor(held, made)
		return Change{Put: []store.SigningKey{made}, Told: []event.Event{by.tell(event.SigningKeyCreated, made)}}
	case stepActivate:
		return by.succeed(held, s.key)
	case stepRemove:
		return by.remove(s.key)
	}
	return Change{}
}

// author is who changes keys, why and when.
type author struct {
	actor   event.Actor
	because string
	now     time.Time
}

func (a author) tell(what event.Type, k store.SigningKey) event.Event {
	return event.Event{Type: what, Actor: a.actor, At: a.now,
		Data: map[string]string{"key": k.ID, "algorithm": k.Algorithm, "state": k.State, "because": a.because}}
}

// succeed lets a key sign, and retires what signed until then: there is never a moment
// at which none or two of them do.
func (a author) succeed(held []store.SigningKey, next store.SigningKey) Change {
	next.State, next.Since, next.Signs = string(credential.KeyActive), a.now, time.Time{}
	c := Change{Put: []store.SigningKey{next}, Told: []event.Event{a.tell(event.SigningKeyActivated, next)}}
	for _, k := range ofAlgorithm(held, next.Algorithm) {
		if k.State != string(credential.KeyActive) {
			continue
		}
		k.State, k.Since = string(credential.KeyRetired), a.now
		c.Put, c.Told = append(c.Put, k), append(c.Told, a.tell(event.SigningKeyRetired, k))
	}
	return c
}

func (a author) remove(k store.SigningKey) Change {
	return Change{Remove: []string{k.ID}, Told: []event.Event{a.tell(event.SigningKeyRemoved, k)}}
}

// change carries a decision out and takes what came of it into use. The caller holds
// r.changing.
func (r *Ring) change(ctx context.Context, decide func(held []store.SigningKey) (Change, error)) error {
	var after []store.SigningKey
	err := r.cfg.Rows.ChangeSigningKeys(ctx, func(held []store.SigningKey) (Change, error) {
		c, err := decide(held)
		if err == nil {
			err = failpoint.Hit(ctx, failpoint.DuringRotation)
		}
		after = c.apply(held)
		return c, err
	})
	if err != nil {
		return fmt.Errorf("keys.change: %w", err)
	}
	return fault.Wrap(fault.Internal, "keys.change", r.use(after))
}

// apply is what the keys are after a change, oldest first as the store has them.
func (c Change) apply(held []store.SigningKey) []store.SigningKey {
	after := slices.Clone(held)
	for _, k := range c.Put {
		if at := slices.IndexFunc(after, func(h store.SigningKey) bool { return h.ID == k.ID }); at >= 0 {
			after[at] = k
		} else {
			after = append(after, k)
		}
	}
	after = slices.DeleteFunc(after, func(k store.SigningKey) bool { return slices.Contains(c.Remove, k.ID) })
	slices.SortStableFunc(after, oldestFirst)
	return after
}
