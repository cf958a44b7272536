package bridge

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// why is the reason of an end, one of the End reasons of package session, who wanted
// it, and what they noted about it. Notes may name people, and can be erased with them.
type why struct {
	reason string
	by     event.Actor
	note   string
}

// SignOut ends a session that its own person wants ended.
func (b *Bridge) SignOut(ctx context.Context, id session.ID, reason string) error {
	return b.EndSession(ctx, id, reason, event.ByPerson)
}

// EndSession ends one session with one of the End reasons of package session: its
// tokens and refresh families are dead with the commit. One that has ended already
// keeps its first reason, and that is no error; fault.NotFound if there is none.
func (b *Bridge) EndSession(ctx context.Context, id session.ID, reason string, by event.Actor) error {
	return b.endSession(ctx, id, why{reason: reason, by: by})
}

func (b *Bridge) endSession(ctx context.Context, id session.ID, y why) error {
	var row store.SessionRow
	err := b.found(ctx, "", func(v *store.View) (err error) { row, err = v.Session(id); return err })
	if err != nil {
		return err
	}
	return b.ending(ctx, row.Connection, y, func(c *change) error {
		now, err := c.tx.Session(id)
		if err != nil {
			return err
		}
		return c.end([]store.SessionRow{now}, y.reason)
	})
}

// found reads what is to be ended. That there is nothing is said as the store says that something
// has been done: when every node knows what has taken it away.
func (b *Bridge) found(ctx context.Context, conn access.ConnectionID, read func(*store.View) error) error {
	err := b.store.View(ctx, read)
	if fault.Is(err, fault.NotFound) {
		err = b.store.UpdateFor(ctx, conn, func(tx *store.Tx) error { return read(&tx.View) })
	}
	return err
}

// EndPersonSessions ends all that was handed out to a person, in one transaction, and
// says how many sessions that were: the person's epoch rises, so that nothing made
// before lives on. They may sign in again. fault.NotFound if there is no such person.
func (b *Bridge) EndPersonSessions(ctx context.Context, conn access.ConnectionID, person access.PersonID, reason string, by event.Actor) (int, error) {
	return b.endPerson(ctx, conn, person, why{reason: reason, by: by})
}

func (b *Bridge) endPerson(ctx context.Context, conn access.ConnectionID, person access.PersonID, y why) (n int, err error) {
	err = b.ending(ctx, conn, y, func(c *change) error {
		p, err := c.dir.Person(person)
		if err == nil {
			n, err = c.endAll(p, y.reason)
		}
		return err
	})
	return n, err
}

// endAll ends all that was handed out to a person, and says how many sessions that were.
func (c *change) endAll(p store.Person, reason string) (int, error) {
	rows, err := c.dir.Sessions(p)
	if err != nil {
		return 0, err
	}
	p.Epoch++
	if err := c.dir.UpdatePerson(p); err != nil {
		return 0, err
	}
	return len(rows), c.end(rows, reason)
}

// ending is a transaction that ends sessions and decides nothing: it needs no policy,
// and a connection that has ended does not stop it.
func (b *Bridge) ending(ctx context.Context, conn access.ConnectionID, y why, fn func(*change) error) error {
	var c *change
	now := b.now()
	err := b.store.UpdateFor(ctx, conn, func(tx *store.Tx) error {
		dir, err := tx.In(conn)
		if err != nil {
			return err
		}
		c = &change{tx: tx, dir: dir, conn: conn, by: y.by, now: now, request: RequestID(ctx)}
		if err := fn(c); err != nil {
			return err
		}
		for i := range c.events {
			c.events[i].Request = c.request
			c.events[i].Personal = noteOf(y.note)
		}
		return tx.Append(c.events...)
	})
	if err == nil {
		b.tidy(ctx, c)
	}
	return err
}

func noteOf(note string) map[string]string {
	if note == "" {
		return nil
	}
	return map[string]string{"note": note}
}

// end ends what of these sessions lives.
func (c *change) end(rows []store.SessionRow, reason string) error {
	for _, row := range rows {
		if row.State == session.Ended {
			continue
		}
		next, events := session.Revoke(row.Session, reason, c.now)
		if err := c.keep(next, events); err != nil {
			return err
		}
	}
	return nil
}

// EndConnectionSessions ends the sessions of everybody who came through a connection
// and had begun when it was asked, in chunks that hold the writer briefly, and says
// how many. Where it fails half way, asking again ends the rest. fault.NotFound if
// there is no such connection.
func (b *Bridge) EndConnectionSessions(ctx context.Context, conn access.ConnectionID, reason string, by event.Actor) (int, error) {
	return b.endConnection(ctx, conn, why{reason: reason, by: by})
}

func (b *Bridge) endConnection(ctx context.Context, conn access.ConnectionID, y why) (int, error) {
	began := b.now()
	return b.endChunks(ctx, conn, y, func(c *change) ([]store.SessionRow, string, error) {
		rows, err := c.dir.LiveSessions(began, chunk)
		return rows, y.reason, err
	})
}

// endChunks ends what pick finds until it finds nothing, a transaction for each chunk.
func (b *Bridge) endChunks(ctx context.Context, conn access.ConnectionID, y why, pick func(*change) ([]store.SessionRow, string, error)) (ended int, err error) {
	for n := 1; n > 0; ended += n {
		err := b.inTurn(ctx, conn, func() error {
			return b.ending(ctx, conn, y, func(c *change) error {
				rows, reason, err := pick(c)
				n = len(rows)
				if err != nil {
					return err
				}
				return c.end(rows, reason)
			})
		})
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// EndClientSessions signs an application out of every session: all that it was ever
// given is dead with the first commit, for its epoch rises, and it is told session by
// session. The browsers' sessions live on, and so does what other applications have.
// It says how many sessions there were; fault.NotFound if there is no such application.
func (b *Bridge) EndClientSessions(ctx context.Context, client access.ClientID, reason string, by event.Actor) (int, error) {
	return b.endClient(ctx, client, why{reason: reason, by: by})
}

func (b *Bridge) endClient(ctx context.Context, client access.ClientID, y why) (left int, err error) {
	now := b.now()
	err = b.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.BumpClient(client); err != nil {
			return err
		}
		e := fact(event.ClientEnded, y.by, "", "", now, map[string]string{"client": string(client), "reason": y.reason})
		e.Request, e.Personal = RequestID(ctx), noteOf(y.note)
		return tx.Append(e)
	})
	var after session.ID
	for err == nil {
		var rows []store.SessionRow
		err = b.store.View(ctx, func(v *store.View) (err error) { rows, err = v.SessionsOf(client, after, chunk); return err })
		if err != nil || len(rows) == 0 {
			break
		}
		after = rows[len(rows)-1].ID
		err = b.leaveSessions(ctx, rows, client, y)
		left += len(rows)
	}
	return left, err
}

// leaveSessions takes an application out of sessions that live on.
func (b *Bridge) leaveSessions(ctx context.Context, rows []store.SessionRow, client access.ClientID, y why) error {
	now := b.now()
	return b.store.Update(ctx, func(tx *store.Tx) error {
		for _, row := range rows {
			e, err := leave(tx, row, client, y, now)
			if err != nil {
				return err
			}
			e.Request = RequestID(ctx)
			if err := tx.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// leave takes an application out of a session that lives on. By the event it is told,
// which is the only word it gets: of the session's own end it is told no more.
func leave(tx *store.Tx, row store.SessionRow, client access.ClientID, y why, now time.Time) (event.Event, error) {
	if err := tx.DropSessionClient(row.ID, client); err != nil {
		return event.Event{}, err
	}
	e := fact(event.SessionClientEnded, y.by, row.Connection, row.Person, now, map[string]string{"client": string(client), "reason": y.reason})
	e.Session = string(row.ID)
	return e, nil
}

// leave does so as a part of a change, where the application is in the session at all.
func (c *change) leave(row store.SessionRow, client access.ClientID, reason string) error {
	reached, err := c.tx.SessionClients(row.ID)
	if err != nil || !slices.Contains(reached, client) {
		return err
	}
	e, err := leave(c.tx, row, client, why{reason: reason, by: c.by}, c.now)
	if err == nil {
		c.events = append(c.events, e)
	}
	return err
}

// EndEverything refuses, with one commit, every credential that was made before it:
// sessions, tokens and codes of everybody, and the access tokens of SCIM clients, which
// get new ones. SCIM bearer tokens stay. The sessions' rows follow in the background.
func (b *Bridge) EndEverything(ctx context.Context, by event.Actor) error {
	return b.endEverything(ctx, why{reason: session.EndAdministrator, by: by})
}

func (b *Bridge) endEverything(ctx context.Context, y why) error {
	now := b.now()
	err := b.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.BumpHost(now); err != nil {
			return err
		}
		e := fact(event.EverythingEnded, y.by, "", "", now, map[string]string{"reason": y.reason})
		e.Request, e.Personal = RequestID(ctx), noteOf(y.note)
		return tx.Append(e)
	})
	b.nudge()
	return err
}
