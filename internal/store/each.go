package store

import (
	"context"
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// eachAtOnce is how many transactions UpdateEach has under way: enough for an engine to commit
// many together.
const eachAtOnce = 32

// UpdateEach runs fn in each of several connections, as a transaction of its own that waits in the
// connection's lane: nobody waits for one connection with what was written in another. It says in
// which it failed, with the first error. Once the database cannot be used, the rest is not tried.
func (s *Store) UpdateEach(ctx context.Context, conns []access.ConnectionID, fn func(*DirectoryTx) error) (failed []access.ConnectionID, err error) {
	todo := make(chan access.ConnectionID, len(conns))
	for _, conn := range conns {
		todo <- conn
	}
	close(todo)
	var mu sync.Mutex // guards failed, err and down
	var down error
	one := func(conn access.ConnectionID) {
		mu.Lock()
		now := down
		mu.Unlock()
		if now == nil {
			now = s.updateIn(ctx, conn, fn)
		}
		if now == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, conn)
		if err == nil {
			err = now
		}
		if fault.Is(now, fault.Unavailable) {
			down = now
		}
	}
	var all sync.WaitGroup
	for range min(eachAtOnce, len(conns)) {
		all.Go(func() {
			for conn := range todo {
				one(conn)
			}
		})
	}
	all.Wait()
	return failed, err
}

// updateIn runs fn in one connection, in its lane.
func (s *Store) updateIn(ctx context.Context, conn access.ConnectionID, fn func(*DirectoryTx) error) error {
	return s.UpdateFor(ctx, conn, func(tx *Tx) error {
		d, err := tx.In(conn)
		if err != nil {
			return err
		}
		return fn(d)
	})
}
