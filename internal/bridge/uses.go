package bridge

import (
	"context"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// useWithin is how exactly is known when an assignment was last used: within it, only
// the first use is written.
const useWithin = time.Minute

// usesAtOnce is how many uses one transaction writes: some milliseconds of the writer.
const usesAtOnce = 200

// uses are the assignments that sessions stood on lately. A use costs whoever makes it
// an entry of a map; Run writes it down.
type uses struct {
	mu      sync.Mutex // guards the rest
	minute  time.Time
	seen    map[store.AssignmentUse]bool // noted within the minute
	waiting map[store.AssignmentUse]time.Time
}

func (u *uses) note(conn access.ConnectionID, a access.AssignmentID, now time.Time) {
	use := store.AssignmentUse{Connection: conn, Assignment: a}
	u.mu.Lock()
	defer u.mu.Unlock()
	if minute := now.Truncate(useWithin); !minute.Equal(u.minute) {
		u.minute, u.seen = minute, map[store.AssignmentUse]bool{}
	}
	if u.seen[use] {
		return
	}
	if u.waiting == nil {
		u.waiting = map[store.AssignmentUse]time.Time{}
	}
	u.seen[use], u.waiting[use] = true, now
}

// stoodOn notes the assignment that a session has come to stand on, if it has.
func (b *Bridge) stoodOn(s session.Session) {
	if s.State == session.Active {
		b.uses.note(s.Connection, s.Active, b.now())
	}
}

// take takes some of the uses that wait to be written.
func (u *uses) take() map[store.AssignmentUse]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	some := map[store.AssignmentUse]time.Time{}
	for use, when := range u.waiting {
		if len(some) == usesAtOnce {
			break
		}
		some[use] = when
		delete(u.waiting, use)
	}
	return some
}

// putBack lets uses wait that could not be written. A later use counts.
func (u *uses) putBack(some map[store.AssignmentUse]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for use, when := range some {
		if when.After(u.waiting[use]) {
			u.waiting[use] = when
		}
	}
}

func (b *Bridge) writeUses(ctx context.Context) error {
	for {
		some := b.uses.take()
		if len(some) == 0 {
			return nil
		}
		if err := b.store.Update(ctx, func(tx *store.Tx) error { return tx.TouchAssignments(some) }); err != nil {
			b.uses.putBack(some)
			return err
		}
	}
}
