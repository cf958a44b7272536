package redis

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// endedKept is how long a family that has ended cannot be stored: until no redemption of its
// code can be under way any more.
const endedKept = hot.CodeMemory + 3*time.Minute

// PutFamily implements hot.Engine. It is among its session's families before it is there, so that
// whoever ends those ends it, stored or not.
func (e *Engine) PutFamily(ctx context.Context, f hot.Family) error {
	const op = "redis.PutFamily"
	ctx, cancel := e.within(ctx)
	defer cancel()
	if err := f.Check(op); err != nil {
		return err
	}
	lives := life(f.Rotated, f.Expires)
	err := e.verb(ctx, op, kindSession, string(f.Bound.Subject.Session), func(at place) error {
		_, err := e.run(ctx, op, e.scripts.enlist, at, f.ID, lives)
		return err
	})
	if err != nil {
		return err
	}
	var sealed, under string
	return e.verb(ctx, op, kindFamily, f.ID, func(at place) error {
		if !e.redeemed.holds(f.ID, at.mark) {
			return hot.CodeForgotten(op)
		}
		if under != at.key { // the same text again, should it be repeated
			text, err := e.seal(op, at.key, recordOfFamily(f))
			if err != nil {
				return err
			}
			sealed, under = text, at.key
		}
		return e.storeFamily(ctx, op, at, sealed, lives)
	})
}

func (e *Engine) storeFamily(ctx context.Context, op string, at place, sealed string, lives int64) error {
	answer, err := e.run(ctx, op, e.scripts.put, at, sealed, lives)
	if err == nil && answer[0] == "EVICTS" {
		return throwsAway(op)
	}
	if err != nil || answer[0] != "TAKEN" {
		return done(op, answer, err)
	}
	var there familyRecord
	if err := e.open(op, at.key, answer[1], &there); err != nil {
		return err
	}
	if there.Ended {
		return hot.CodeReplayed(op)
	}
	return hot.Taken(op)
}

// live reads a family, and how it is sealed: "" when it is not there, has ended or expired.
func (e *Engine) live(ctx context.Context, op string, at place, now time.Time) (f hot.Family, sealed string, err error) {
	if sealed, err = e.read(ctx, op, at); err != nil || sealed == "" {
		return hot.Family{}, "", err
	}
	var r familyRecord
	if err := e.open(op, at.key, sealed, &r); err != nil {
		return hot.Family{}, "", err
	}
	if r.Ended || !now.Before(r.Expires) {
		return hot.Family{}, "", nil
	}
	return r.family(), sealed, nil
}

// Family implements hot.Engine.
func (e *Engine) Family(ctx context.Context, id string, now time.Time) (f hot.Family, err error) {
	const op = "redis.Family"
	ctx, cancel := e.within(ctx)
	defer cancel()
	err = e.verb(ctx, op, kindFamily, id, func(at place) error {
		var sealed string
		if f, sealed, err = e.live(ctx, op, at, now); err == nil && sealed == "" {
			return hot.NoFamily(op)
		}
		return err
	})
	return f, err
}

// Rotate implements hot.Engine. That a replay ended the family is written as a record of its own,
// so that the one call that did it knows, even if the answer to it was lost.
func (e *Engine) Rotate(ctx context.Context, r hot.Rotation) (f hot.Family, outcome hot.Outcome, err error) {
	const op = "redis.Rotate"
	ctx, cancel := e.within(ctx)
	defer cancel()
	err = e.verb(ctx, op, kindFamily, r.Family, func(at place) error {
		was, sealed, err := e.live(ctx, op, at, r.Now)
		if f, outcome = was, hot.Unknown; err != nil || sealed == "" {
			return err
		}
		if err := r.Allowed(was); err != nil {
			return err
		}
		switch outcome = was.Judge(r); outcome {
		case hot.OK:
			f = was.Rotate(r)
			return e.change(ctx, op, at, sealed, recordOfFamily(f), 0)
		case hot.Replayed:
			return e.change(ctx, op, at, sealed, familyRecord{Ended: true}, endedKept.Milliseconds())
		}
		return nil
	})
	if err != nil || outcome == hot.Unknown {
		return hot.Family{}, hot.Unknown, err
	}
	return f, outcome, nil
}

// change replaces a record that is as it was read; life is in milliseconds, 0 leaves it.
func (e *Engine) change(ctx context.Context, op string, at place, was string, record any, life int64) error {
	sealed, err := e.seal(op, at.key, record)
	if err != nil {
		return err
	}
	answer, err := e.run(ctx, op, e.scripts.change, at, was, sealed, orKept(life))
	return done(op, answer, err)
}

// EndFamily implements hot.Engine.
func (e *Engine) EndFamily(ctx context.Context, id string) error {
	const op = "redis.EndFamily"
	ctx, cancel := e.within(ctx)
	defer cancel()
	return e.verb(ctx, op, kindFamily, id, func(at place) error {
		sealed, err := e.seal(op, at.key, familyRecord{Ended: true})
		if err != nil {
			return err
		}
		answer, err := e.run(ctx, op, e.scripts.close, at, sealed, endedKept.Milliseconds())
		return done(op, answer, err)
	})
}

// forbid ends a family that is not stored yet, and leaves one alone that is.
func (e *Engine) forbid(ctx context.Context, op, id string) error {
	if id == "" {
		return nil
	}
	return e.verb(ctx, op, kindFamily, id, func(at place) error {
		sealed, err := e.seal(op, at.key, familyRecord{Ended: true})
		if err != nil {
			return err
		}
		answer, err := e.run(ctx, op, e.scripts.put, at, sealed, endedKept.Milliseconds())
		switch {
		case err == nil && answer[0] == "TAKEN":
			return nil
		case err == nil && answer[0] == "EVICTS":
			return throwsAway(op)
		}
		return done(op, answer, err)
	})
}

// EndSession implements hot.Engine. Each family ends by itself, wherever it lies.
func (e *Engine) EndSession(ctx context.Context, id session.ID) error {
	const op = "redis.EndSession"
	ctx, cancel := e.within(ctx)
	defer cancel()
	for {
		var listed []string
		err := e.verb(ctx, op, kindSession, string(id), func(at place) error {
			answer, err := e.run(ctx, op, e.scripts.listed, at)
			if err == nil {
				listed = answer[1:]
			}
			return err
		})
		if err != nil || len(listed) == 0 {
			return err
		}
		for _, family := range listed {
			if err := e.EndFamily(ctx, family); err != nil {
				return err
			}
		}
		err = e.verb(ctx, op, kindSession, string(id), func(at place) error {
			_, err := e.run(ctx, op, e.scripts.delist, at, anys(listed)...)
			return err
		})
		if err != nil {
			return err
		}
	}
}
