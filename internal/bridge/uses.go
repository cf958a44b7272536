package bridge

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// useWithin is how exactly is known when an assignment was last used: within it, only
// the first use is written.
const useWithin = time.Minute

// usesAtOnce is how many uses one transaction writes: some milliseconds of its connection.
const usesAtOnce = 200

// uses are the assignments that sessions stood on lately. A use costs whoever makes it
// an entry of a map; Run writes it down.
type uses struct {
	mu      sync.Mutex // guards the rest
	minute  time.Time
	seen    map[assignmentUse]bool // noted within the minute
	waiting map[access.ConnectionID]lastUses[access.AssignmentID]
}

// assignmentUse names an assignment that somebody uses.
type assignmentUse struct {
	conn access.ConnectionID
	id   access.AssignmentID
}

func (u *uses) note(conn access.ConnectionID, a access.AssignmentID, now time.Time) {
	use := assignmentUse{conn, a}
	u.mu.Lock()
	defer u.mu.Unlock()
	if minute := now.Truncate(useWithin); !minute.Equal(u.minute) {
		u.minute, u.seen = minute, map[assignmentUse]bool{}
	}
	if u.seen[use] {
		return
	}
	u.seen[use] = true
	u.waitLocked(conn, lastUses[access.AssignmentID]{a: now})
}

func (u *uses) waitLocked(conn access.ConnectionID, some lastUses[access.AssignmentID]) {
	if u.waiting == nil {
		u.waiting = map[access.ConnectionID]lastUses[access.AssignmentID]{}
	}
	all := u.waiting[conn]
	all.noteAll(some)
	u.waiting[conn] = all
}

// stoodOn notes the assignment that a session has come to stand on, if it has.
func (b *Bridge) stoodOn(s session.Session) {
	if s.State == session.Active {
		b.uses.note(s.Connection, s.Active, b.now())
	}
}

// take takes some of each connection's uses that wait to be written.
func (u *uses) take() map[access.ConnectionID]lastUses[access.AssignmentID] {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := map[access.ConnectionID]lastUses[access.AssignmentID]{}
	for conn, all := range u.waiting {
		some := lastUses[access.AssignmentID]{}
		for id, when := range all {
			if len(some) == usesAtOnce {
				break
			}
			some[id] = when
			delete(all, id)
		}
		if taken[conn] = some; len(all) == 0 {
			delete(u.waiting, conn)
		}
	}
	return taken
}

// putBack lets uses wait that could not be written.
func (u *uses) putBack(conn access.ConnectionID, some lastUses[access.AssignmentID]) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.waitLocked(conn, some)
}

func (b *Bridge) writeUses(ctx context.Context) error {
	for {
		some := b.uses.take()
		if len(some) == 0 {
			return nil
		}
		failed, err := b.store.UpdateEach(ctx, slices.Collect(maps.Keys(some)), func(d *store.DirectoryTx) error {
			return d.TouchAssignments(some[d.Row().ID])
		})
		for _, conn := range failed {
			b.uses.putBack(conn, some[conn])
		}
		if err != nil {
			return err
		}
	}
}
