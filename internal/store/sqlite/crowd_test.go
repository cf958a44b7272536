package sqlite

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// slow is an engine that can be made to take its time.
type slow struct {
	store.Engine
	pause atomic.Int64 // of each transaction that writes
}

func (e *slow) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	return e.Engine.Update(ctx, lane, func(q store.Querier) error {
		time.Sleep(time.Duration(e.pause.Load()))
		return fn(q)
	}, committed)
}

// A database that has become slow is not buried: beyond a number that wait, whoever comes is
// refused at once, what the node does behind requests goes on, and within a second after it is
// fast again nobody waits.
func TestAFloodOfASlowStoreIsRefusedEarlyAndPasses(t *testing.T) {
	engine := &slow{}
	s := wrapped(t, func(e store.Engine) store.Engine { engine.Engine = e; return engine })
	write := func(ctx context.Context) error {
		return s.Update(ctx, func(tx *store.Tx) error { _, err := tx.TrimAlarms(crashDay); return err })
	}
	engine.pause.Store(int64(20 * time.Millisecond))
	var refused, done, other atomic.Int64
	var flood sync.WaitGroup
	for range 6000 {
		flood.Go(func() {
			begun := time.Now()
			err := write(t.Context())
			switch {
			case err == nil:
				done.Add(1)
			case fault.ReasonOf(err) == store.ReasonBusy && fault.Is(err, fault.Unavailable):
				refused.Add(1)
				if took := time.Since(begun); took > time.Second {
					t.Errorf("somebody was refused after %s", took)
				}
			default:
				other.Add(1)
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); refused.Load() < 1000 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if refused.Load() < 1000 {
		t.Fatalf("%d of 6000 were refused while the store is slow", refused.Load())
	}
	behind := make(chan error, 1)
	go func() { behind <- write(store.Behind(t.Context())) }()
	engine.pause.Store(0)
	fast := time.Now()
	if err := <-behind; err != nil {
		t.Errorf("what goes on behind requests: %v", err)
	}
	flood.Wait()
	if err := write(t.Context()); err != nil {
		t.Errorf("when it is fast again: %v", err)
	}
	if took := time.Since(fast); took > time.Second {
		t.Errorf("it took %s until nobody waited any more", took)
	}
	t.Logf("%d were refused, %d written, %d gave up", refused.Load(), done.Load(), other.Load())
}
