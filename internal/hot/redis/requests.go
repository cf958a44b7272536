package redis

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// reserve is the part, one in so many, that requests without a leg keep of what is full, as in
// internal/hot/embedded.
const reserve = 8

// PutAuthRequest implements hot.Engine.
func (e *Engine) PutAuthRequest(ctx context.Context, a hot.AuthRequest) error {
	const op = "redis.PutAuthRequest"
	ctx, cancel := e.within(ctx)
	defer cancel()
	if err := a.Check(op); err != nil {
		return err
	}
	a.Upstream, a.Legs = hot.Upstream{}, 0
	_, err := e.shelve(ctx, op, entry{kind: kindRequest, id: a.ID, record: a, owner: a.From, life: life(a.Created, a.Expires), bound: e.limits.Requests, reserve: reserve})
	return err
}

// AuthRequest implements hot.Engine.
func (e *Engine) AuthRequest(ctx context.Context, id string, now time.Time) (a hot.AuthRequest, err error) {
	ctx, cancel := e.within(ctx)
	defer cancel()
	err = e.verb(ctx, "redis.AuthRequest", kindRequest, id, func(at place) error {
		a, _, err = e.request(ctx, "redis.AuthRequest", at, now)
		return err
	})
	return a, err
}

// request reads a live request, and how it is sealed.
func (e *Engine) request(ctx context.Context, op string, at place, now time.Time) (a hot.AuthRequest, sealed string, err error) {
	if sealed, err = e.read(ctx, op, at); err != nil {
		return hot.AuthRequest{}, "", err
	}
	if sealed == "" {
		return hot.AuthRequest{}, "", hot.NotUnderWay(op)
	}
	if err := e.open(op, at.key, sealed, &a); err != nil {
		return hot.AuthRequest{}, "", err
	}
	if !now.Before(a.Expires) {
		return hot.AuthRequest{}, "", hot.NotUnderWay(op)
	}
	return a, sealed, nil
}

// stateOf names what waits for an upstream state.
func stateOf(c access.ConnectionID, state string) string { return string(c) + "\x00" + state }

// BindUpstream implements hot.Engine. The state is taken before the request says that it waits
// for it, and what the request says counts: a node that dies in between leaves a state that leads
// nowhere, and nobody else can have.
func (e *Engine) BindUpstream(ctx context.Context, id string, u hot.Upstream, now time.Time) error {
	const op = "redis.BindUpstream"
	ctx, cancel := e.within(ctx)
	defer cancel()
	if err := u.Check(op); err != nil {
		return err
	}
	a, err := e.AuthRequest(ctx, id, now)
	if err != nil {
		return err
	}
	if a.Legs < hot.MaxLegs {
		if err := e.takeState(ctx, op, a, u, now); err != nil {
			return err
		}
	}
	var before hot.Upstream
	err = e.verb(ctx, op, kindRequest, id, func(at place) error {
		a, sealed, err := e.request(ctx, op, at, now)
		if err != nil {
			return err
		}
		if a.Legs >= hot.MaxLegs {
			return hot.TooManyLegs(op)
		}
		before, a.Upstream = a.Upstream, u
		a.Legs++
		return e.move(ctx, op, at, sealed, a, rankHeld, 0)
	})
	if err != nil {
		return err
	}
	if before.State != "" && (before.State != u.State || before.Connection != u.Connection) {
		return e.leaveState(ctx, op, before)
	}
	return nil
}

// takeState makes a request the one that waits for a state: fault.Conflict if another does.
func (e *Engine) takeState(ctx context.Context, op string, a hot.AuthRequest, u hot.Upstream, now time.Time) error {
	at, err := e.shelve(ctx, op, entry{kind: kindState, id: stateOf(u.Connection, u.State), record: waiting{a.ID}, owner: a.From, life: life(now, a.Expires), bound: e.limits.Requests})
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	var holder waiting
	if err := e.open(op, at.key, at.taken, &holder); err != nil {
		return err
	}
	if holder.Request == a.ID {
		return nil
	}
	return hot.StateTaken(op)
}

// leaveState forgets who waited for a state: nobody does.
func (e *Engine) leaveState(ctx context.Context, op string, u hot.Upstream) error {
	return e.verb(ctx, op, kindState, stateOf(u.Connection, u.State), func(at place) error {
		sealed, err := e.read(ctx, op, at)
		if err != nil || sealed == "" {
			return err
		}
		return e.move(ctx, op, at, sealed, nil, rankGone, 0)
	})
}

// TakeUpstream implements hot.Engine. Of any number of callers one changes the request.
func (e *Engine) TakeUpstream(ctx context.Context, c access.ConnectionID, state string, now time.Time) (hot.AuthRequest, error) {
	const op = "redis.TakeUpstream"
	ctx, cancel := e.within(ctx)
	defer cancel()
	var holder waiting
	err := e.verb(ctx, op, kindState, stateOf(c, state), func(at place) error {
		sealed, err := e.read(ctx, op, at)
		if err != nil {
			return err
		}
		if sealed == "" {
			return hot.NotUnderWay(op)
		}
		return e.open(op, at.key, sealed, &holder)
	})
	if err != nil {
		return hot.AuthRequest{}, err
	}
	var found hot.AuthRequest
	err = e.verb(ctx, op, kindRequest, holder.Request, func(at place) error {
		a, sealed, err := e.request(ctx, op, at, now)
		if err != nil {
			return err
		}
		if a.Upstream.Connection != c || a.Upstream.State != state {
			return hot.NotUnderWay(op)
		}
		found = a
		a.Upstream = hot.Upstream{}
		return e.move(ctx, op, at, sealed, a, rankHeld, 0)
	})
	if err != nil {
		return hot.AuthRequest{}, err
	}
	if err := e.leaveState(ctx, op, found.Upstream); err != nil {
		e.observe(op, err) // it leads nowhere now
	}
	return found, nil
}
