package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
)

// shared is a transaction that several use cases are steps of: a bulk's operations
// are on the disk by one commit, and each is all or nothing all the same.
type shared struct {
	b    *Bridge
	conn store.ConnectionRow
	tx   *store.Tx
	done []*change // what will be committed, in order
}

// together runs fn with a directory whose writes share one commit. Once it returns
// nil, every change that fn saw succeed is on the disk, and what those changes ended
// is refused; before that nothing is acknowledged.
func (b *Bridge) together(ctx context.Context, conn store.ConnectionRow, fn func(scim.Directory) error) error {
	var s *shared
	err := b.store.UpdateFor(ctx, conn.ID, func(tx *store.Tx) error {
		s = &shared{b: b, conn: conn, tx: tx} // fn may run again
		return fn(s.directory())
	})
	if err != nil {
		return edge(err)
	}
	for _, c := range s.done {
		b.follow(ctx, c)
	}
	return nil
}

func (s *shared) directory() scim.Directory {
	d := s.b.directoryWith(s.conn, s.change, true)
	d.Together = s.together
	return d
}

// change is Bridge.change as a step.
func (s *shared) change(ctx context.Context, conn access.ConnectionID, by event.Actor, fn func(*change) error) error {
	now := s.b.now()
	return s.tx.Step(func() error {
		c, err := s.b.within(ctx, s.tx, conn, by, now, fn)
		if err == nil {
			s.done = append(s.done, c)
		}
		return err
	})
}

// together undoes all of fn's changes if fn fails.
func (s *shared) together(_ context.Context, fn func(scim.Directory) error) error {
	before := len(s.done)
	err := s.tx.Step(func() error { return fn(s.directory()) })
	if err != nil {
		s.done = s.done[:before]
	}
	return edge(err)
}
