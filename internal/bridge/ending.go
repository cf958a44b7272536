package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// SignOut ends a session that its own person wants ended.
func (b *Bridge) SignOut(ctx context.Context, id session.ID, reason string) error {
	return b.EndSession(ctx, id, reason, event.ByPerson)
}

// EndSession ends one session with one of the End reasons of package session: its
// tokens and refresh families are dead with the commit. One that has ended already
// keeps its first reason, and that is no error; fault.NotFound if there is none.
func (b *Bridge) EndSession(ctx context.Context, id session.ID, reason string, by event.Actor) error {
	var row store.SessionRow
	err := b.store.View(ctx, func(v *store.View) (err error) { row, err = v.Session(id); return err })
	if err != nil {
		return err
	}
	return b.ending(ctx, row.Connection, by, func(c *change) error {
		now, err := c.tx.Session(id)
		if err != nil {
			return err
		}
		return c.end([]store.SessionRow{now}, reason)
	})
}

// EndPersonSessions ends all that was handed out to a person, in one transaction, and
// says how many sessions that were: the person's epoch rises, so that nothing made
// before lives on. They may sign in again. fault.NotFound if there is no such person.
func (b *Bridge) EndPersonSessions(ctx context.Context, conn access.ConnectionID, person access.PersonID, reason string, by event.Actor) (n int, err error) {
	err = b.ending(ctx, conn, by, func(c *change) error {
		p, err := c.dir.Person(person)
		if err != nil {
			return err
		}
		rows, err := c.dir.Sessions(p)
		if err != nil {
			return err
		}
		n = len(rows)
		p.Epoch++
		if err := c.dir.UpdatePerson(p); err != nil {
			return err
		}
		return c.end(rows, reason)
	})
	return n, err
}

// ending is a transaction that ends sessions and decides nothing: it needs no policy,
// and a connection that has ended does not stop it.
func (b *Bridge) ending(ctx context.Context, conn access.ConnectionID, by event.Actor, fn func(*change) error) error {
	var c *change
	now := b.now()
	err := b.store.UpdateFor(ctx, conn, func(tx *store.Tx) error {
		dir, err := tx.In(conn)
		if err != nil {
			return err
		}
		c = &change{tx: tx, dir: dir, conn: conn, by: by, now: now, request: RequestID(ctx)}
		if err := fn(c); err != nil {
			return err
		}
		for i := range c.events {
			c.events[i].Request = c.request
		}
		return tx.Append(c.events...)
	})
	if err == nil {
		b.tidy(ctx, c)
	}
	return err
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
