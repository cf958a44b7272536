package redis

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// PutPushed implements hot.Engine.
func (e *Engine) PutPushed(ctx context.Context, name string, p hot.Pushed) error {
	const op = "redis.PutPushed"
	ctx, cancel := e.within(ctx)
	defer cancel()
	if err := p.Check(op, name); err != nil {
		return err
	}
	owner := string(p.Client) + " " + p.From // a client that proves itself has an account apart from whoever is in its network
	_, err := e.shelve(ctx, op, entry{kind: kindPushed, id: name, record: pushedRecord{Pushed: p}, owner: owner, life: life(p.Created, p.Expires), bound: e.limits.Pushed})
	return err
}

// TakePushed implements hot.Engine. That it was taken is kept for a moment, so that this call
// knows it even if the answer to it was lost.
func (e *Engine) TakePushed(ctx context.Context, name string, client access.ClientID, now time.Time) (p hot.Pushed, err error) {
	const op = "redis.TakePushed"
	ctx, cancel := e.within(ctx)
	defer cancel()
	err = e.verb(ctx, op, kindPushed, name, func(at place) error {
		sealed, err := e.read(ctx, op, at)
		if err != nil {
			return err
		}
		if sealed == "" {
			return hot.NotUnderWay(op)
		}
		var r pushedRecord
		if err := e.open(op, at.key, sealed, &r); err != nil {
			return err
		}
		if r.Taken || r.Client != client || !now.Before(r.Expires) {
			return hot.NotUnderWay(op)
		}
		p = r.Pushed
		return e.move(ctx, op, at, sealed, pushedRecord{Taken: true}, rankGone, margin.Milliseconds())
	})
	if err != nil {
		return hot.Pushed{}, err
	}
	return p, nil
}
