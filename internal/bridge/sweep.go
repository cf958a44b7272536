package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// swept is under which epochs nothing is left behind; only Run uses it.
type swept struct {
	host        int64
	connections map[access.ConnectionID]int64
}

// Sweep gives an end to sessions that nobody ended: their time is over, or an epoch
// above them rose. Nothing of theirs is accepted already; this writes it down, once,
// with its reason, so that applications are told. Chunks hold the writer briefly, and
// after a crash the next sweep goes on. It also forgets what ended long enough ago.
func (b *Bridge) Sweep(ctx context.Context) error {
	if err := b.sweepOver(ctx); err != nil {
		return err
	}
	if err := b.sweepFamilies(ctx); err != nil {
		return err
	}
	return b.sweepBehind(ctx)
}

func (b *Bridge) sweepOver(ctx context.Context) error {
	for ctx.Err() == nil {
		var over []store.SessionRow
		err := b.store.View(ctx, func(v *store.View) (err error) { over, err = v.SessionsOver(b.now(), chunk); return err })
		if err != nil || len(over) == 0 {
			return err
		}
		of := func(row store.SessionRow) (access.ConnectionID, session.ID) { return row.Connection, row.ID }
		for conn, ids := range byConnection(over, of) {
			if err := b.ending(ctx, conn, why{by: event.ByBridge}, func(c *change) error { return c.endOver(ids) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// endOver ends those of the sessions that are still over: another's reason stays.
func (c *change) endOver(ids []session.ID) error {
	for _, id := range ids {
		row, err := c.tx.Session(id)
		if err != nil {
			return err
		}
		if row.LiveAt(c.now) {
			continue
		}
		if err := c.end([]store.SessionRow{row}, reasonOver(row.Session)); err != nil {
			return err
		}
	}
	return nil
}

// reasonOver says whose limit a session reached that is over: ours, or that of its
// identity provider.
func reasonOver(s session.Session) string {
	if !s.Upstream.Until.IsZero() && s.Upstream.Until.UnixMilli() == s.Expires.UnixMilli() {
		return session.EndIdPExpired
	}
	return session.EndExpired
}

// sweepBehind looks through the connections whose epoch, or the host's, has risen
// since it looked last; after a start, through all.
func (b *Bridge) sweepBehind(ctx context.Context) error {
	host, connections := b.store.Epochs()
	if host != b.swept.host {
		b.swept = swept{host, map[access.ConnectionID]int64{}}
	}
	for conn, epoch := range connections {
		if b.swept.connections[conn] == epoch {
			continue
		}
		if _, err := b.endChunks(ctx, conn, why{by: event.ByAdministrator}, func(c *change) ([]store.SessionRow, string, error) { return c.behind(host) }); err != nil {
			return err
		}
		b.swept.connections[conn] = epoch
	}
	return nil
}

// behind finds sessions of an older epoch, and why they are over.
func (c *change) behind(host int64) ([]store.SessionRow, string, error) {
	rows, err := c.dir.SessionsBehind(host, chunk)
	if c.dir.Row().State != store.ConnectionActive {
		return rows, session.EndConnection, err
	}
	return rows, session.EndAdministrator, err
}

// TrimSessions forgets what ended long ago.
func (b *Bridge) TrimSessions(ctx context.Context) error {
	before := b.now().Add(-store.EndedKept)
	for removed := int64(1); removed > 0 && ctx.Err() == nil; {
		err := b.store.Update(ctx, func(tx *store.Tx) (err error) { removed, err = tx.TrimSessions(before); return err })
		if err != nil {
			return err
		}
	}
	return nil
}
