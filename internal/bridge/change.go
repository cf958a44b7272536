package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// inlinePeople is how many people one transaction decides by itself. What touches
// more marks them as due in that transaction, which refuses what they hold until it
// has been decided anew, at their next use or by the background work.
const inlinePeople = 200

// change is one use case's transaction: where it happens, under which policy, at
// which instant, and what it has said so far.
type change struct {
	tx       *store.Tx
	dir      *store.DirectoryTx
	policy   *activePolicy
	conn     access.ConnectionID
	by       event.Actor
	now      time.Time
	events   []event.Event
	ended    []session.ID         // their refresh families are tidied away after the commit
	due      bool                 // people were left for the background work
	lastUsed map[pairOf]time.Time // of what was dropped
	moving   moving               // of a large change: members whose rows go or come in chunks, behind this transaction

	because string                // why what is given is nothing that an identity provider did
	had     map[mapping.Pair]bool // what the person who is decided held before it was dropped to be given anew

	failed map[string]int64 // by rule, decisions in which its condition could not be told

	request string // the id of the request that asked for it, for the events
}

type moving struct{ in, out int }

func (c *change) say(t event.Type, p access.PersonID, data map[string]string) {
	c.events = append(c.events, fact(t, c.by, c.conn, p, c.now, data))
}

func (c *change) add(events []event.Event) {
	for _, e := range events {
		e.Actor, e.Connection, e.At = c.by, c.conn, c.now
		c.events = append(c.events, e)
	}
}

// changer carries out one use case: in a transaction of its own (Bridge.change), or
// as a step of one that several share (shared.change).
type changer func(ctx context.Context, conn access.ConnectionID, by event.Actor, fn func(*change) error) error

// change runs fn as one transaction on one connection and records what it said.
// fn may run again: its only effects are on the change and the transaction. The
// background work is woken if people were left to it.
func (b *Bridge) change(ctx context.Context, conn access.ConnectionID, by event.Actor, fn func(*change) error) error {
	now := b.now()
	var c *change
	err := b.store.UpdateFor(ctx, conn, func(tx *store.Tx) (err error) {
		c, err = b.within(ctx, tx, conn, by, now, fn)
		return err
	})
	if err != nil {
		return err
	}
	return b.done(ctx, c)
}

// done is a change's last step before its answer.
func (b *Bridge) done(ctx context.Context, c *change) error {
	b.follow(ctx, c)
	return failpoint.Hit(ctx, failpoint.BeforeReply)
}

// within is a use case inside a transaction.
func (b *Bridge) within(ctx context.Context, tx *store.Tx, conn access.ConnectionID, by event.Actor, now time.Time, fn func(*change) error) (*change, error) {
	c, err := b.begin(ctx, tx, conn, by, now)
	if err != nil {
		return nil, err
	}
	if err := fn(c); err != nil {
		return nil, err
	}
	return c, b.end(ctx, c)
}

func (b *Bridge) begin(ctx context.Context, tx *store.Tx, conn access.ConnectionID, by event.Actor, now time.Time) (*change, error) {
	dir, err := tx.In(conn)
	if err != nil {
		return nil, err
	}
	if dir.Row().State != store.ConnectionActive {
		return nil, fault.New(fault.Unauthenticated, "bridge.change", "this connection has ended").Because(session.EndConnection)
	}
	policy, err := b.active(&tx.View)
	if err != nil {
		return nil, err
	}
	return &change{tx: tx, dir: dir, policy: policy, conn: conn, by: by, now: now, request: RequestID(ctx)}, nil
}

// end records what a change said.
func (b *Bridge) end(ctx context.Context, c *change) error {
	if len(c.events) == 0 { // whoever asks again, perhaps because a node died before it answered
		c.tx.Confirm()
	}
	if planted.Bug(planted.PurgeBeforeCommit) {
		b.tidy(ctx, c)
	}
	if planted.Bug(planted.AuditAfterCommit) {
		return nil
	}
	for i := range c.events {
		c.events[i].Request = c.request
	}
	return c.tx.Append(c.events...)
}

// follow does what waits for the commit.
func (b *Bridge) follow(ctx context.Context, c *change) {
	if planted.Bug(planted.AuditAfterCommit) {
		_ = b.store.Update(ctx, func(tx *store.Tx) error { return tx.Append(c.events...) })
	}
	b.ruleErrors.add(c.failed)
	b.tidy(ctx, c)
	if c.due {
		b.nudge()
	}
}

// tidied is how long an answer waits for each piece of what has no bearing on it.
const tidied = 500 * time.Millisecond

// tidy drops the refresh families of sessions that ended or moved. They are dead
// already (their integers no longer match); a failure is only worth a log line, and
// the first is the last: what is left over goes at its end.
func (b *Bridge) tidy(ctx context.Context, c *change) {
	ctx = context.WithoutCancel(ctx) // the commit is done: a caller who hung up leaves nothing behind
	if err := failpoint.Hit(ctx, failpoint.BeforePurge); err != nil {
		b.observe("bridge.tidy", err)
		return
	}
	for n, id := range c.ended {
		if err := b.tidySession(ctx, id); err != nil {
			b.observe("bridge.tidy", fmt.Errorf("the families of %d of %d sessions are left over: %w", len(c.ended)-n, len(c.ended), err))
			return
		}
	}
}

func (b *Bridge) tidySession(ctx context.Context, id session.ID) error {
	ctx, cancel := context.WithTimeout(ctx, tidied)
	defer cancel()
	return b.hot.EndSession(ctx, id)
}

// read runs fn on a snapshot of one connection. It asks nothing of its state: who
// may look has been decided by then.
func (b *Bridge) read(ctx context.Context, conn access.ConnectionID, fn func(*store.Directory) error) error {
	return b.store.View(ctx, func(v *store.View) error {
		dir, err := v.In(conn)
		if err != nil {
			return err
		}
		return fn(dir)
	})
}
