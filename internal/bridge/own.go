package bridge

import (
	"context"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Reached lists the applications that were signed in to under a session, live or
// ended, and are still configured, with the sid that each knows it by.
func (b *Bridge) Reached(ctx context.Context, id session.ID) (reached []oidc.Reached, err error) {
	err = b.store.View(ctx, func(v *store.View) error {
		all, err := b.reached(v, id)
		for _, c := range all {
			reached = append(reached, oidc.Reached{Client: c, Session: b.SessionFor(c, id)})
		}
		return err
	})
	return reached, err
}

func (b *Bridge) reached(v *store.View, id session.ID) ([]oidc.Client, error) {
	ids, err := v.SessionClients(id)
	var reached []oidc.Client
	for _, id := range ids {
		if c, configured := b.clients[id]; configured {
			reached = append(reached, c)
		}
	}
	return reached, err
}

// OwnSessions lists the live sessions of the person behind a cookie, the latest first.
func (b *Bridge) OwnSessions(ctx context.Context, cookie string) ([]oidc.OwnSession, error) {
	mine, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return nil, err
	}
	var out []oidc.OwnSession
	now := b.now()
	err = b.store.View(ctx, func(v *store.View) error {
		out = nil
		rows, held, err := sessionsBeside(v, mine)
		if err != nil {
			return err
		}
		policy, err := b.active(v)
		if err != nil {
			return err
		}
		for _, row := range slices.Backward(rows) {
			if !row.LiveAt(now) {
				continue
			}
			o := oidc.OwnSession{Session: row.Session}
			if at := slices.IndexFunc(held, func(a access.Assignment) bool { return a.ID == row.Active }); at >= 0 {
				o.Assignment = activeGrant(policy.Tree(), held[at])
			}
			if o.Applications, err = b.reached(v, row.ID); err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// sessionsBeside are the live sessions of a session's person, oldest first, and what
// the person holds.
func sessionsBeside(v *store.View, s store.SessionRow) ([]store.SessionRow, []access.Assignment, error) {
	dir, err := v.In(s.Connection)
	if err != nil {
		return nil, nil, err
	}
	p, err := dir.Person(s.Person)
	if err != nil {
		return nil, nil, err
	}
	held, err := dir.Assignments(p)
	if err != nil {
		return nil, nil, err
	}
	rows, err := dir.Sessions(p)
	return rows, held, err
}

// EndOwn ends a session of the person behind a cookie, also the cookie's own. One that
// has ended already is no error; fault.NotFound for one that is not theirs.
func (b *Bridge) EndOwn(ctx context.Context, cookie string, id session.ID) error {
	mine, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return err
	}
	return b.ending(ctx, mine.Connection, why{by: event.ByPerson}, func(c *change) error {
		row, err := c.tx.Session(id)
		if err != nil {
			return err
		}
		if row.Connection != mine.Connection || row.Person != mine.Person {
			return fault.New(fault.NotFound, "bridge.EndOwn", "no such session")
		}
		return c.end([]store.SessionRow{row}, ownReason(row, mine))
	})
}

func ownReason(row, mine store.SessionRow) string {
	if row.ID == mine.ID {
		return session.EndSignedOut
	}
	return session.EndElsewhere
}

// EndOwnSessions ends the sessions of the person behind a cookie: all of them, with
// whatever else was handed out to the person, or all but the cookie's own.
func (b *Bridge) EndOwnSessions(ctx context.Context, cookie string, others bool) error {
	mine, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return err
	}
	return b.ending(ctx, mine.Connection, why{by: event.ByPerson}, func(c *change) error {
		p, err := c.dir.Person(mine.Person)
		if err != nil {
			return err
		}
		rows, err := c.dir.Sessions(p)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if others && row.ID == mine.ID {
				continue
			}
			if err := c.end([]store.SessionRow{row}, ownReason(row, mine)); err != nil {
				return err
			}
		}
		if others {
			return nil
		}
		p.Epoch++
		return c.dir.UpdatePerson(p)
	})
}
