package bridge

import (
	"context"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// maxOffline is how many offline sessions a person may have at one application; the
// 17th ends the oldest.
const maxOffline = 16

// offlineSession is the session that redeeming a code for offline access opens. It is
// known beforehand, as the family is, so that a replay can end it.
func offlineSession(family string) session.ID {
	return session.ID("ses_" + strings.TrimPrefix(family, "fam_"))
}

// goOffline opens, beside the browser's session, one that outlives it: of the same
// person on the same assignment, for one application. It gives what the tokens of that
// session are bound to.
func (b *Bridge) goOffline(ctx context.Context, g hot.CodeGrant) (credential.Bound, error) {
	const op = "bridge.Redeem"
	bd := g.Bound
	err := b.change(ctx, bd.Subject.Connection, event.ByPerson, func(c *change) error {
		row, err := c.tx.Session(g.Session)
		if err != nil {
			return err
		}
		p, err := c.dir.Person(row.Person)
		if err != nil {
			return err
		}
		held, err := c.dir.Assignments(p)
		if err != nil {
			return err
		}
		if row.Version != g.Bound.Epochs.Session {
			return notGranted(op, "the session has moved meanwhile; start the sign-in again")
		}
		s, events, err := session.GoOffline(row.Session, offlineSession(g.Family), g.Request.Client, held, c.now, c.now.Add(b.lives.Offline))
		if err != nil {
			return asNotGranted(err)
		}
		c.add(events)
		nobody := credential.NewOpaque(credential.KindSession) // no browser holds its cookie
		if err := c.tx.InsertSession(store.SessionRow{Session: s, Cookie: credential.DigestOf(nobody.Reveal())}); err != nil {
			return err
		}
		bd.Subject.Session, bd.Epochs.Session, bd.Expires = s.ID, s.Version, s.Expires
		return c.endOldestOffline(p, g.Request.Client)
	})
	return bd, asNotGranted(err)
}

func (c *change) endOldestOffline(p store.Person, client access.ClientID) error {
	rows, err := c.dir.Sessions(p) // the oldest first
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r store.SessionRow) bool { return r.Offline != client })
	return c.end(rows[:max(0, len(rows)-maxOffline)], session.EndReplaced)
}

// endOffline ends the offline session that a code has opened, if it has.
func (b *Bridge) endOffline(ctx context.Context, g hot.CodeGrant) error {
	err := b.EndSession(ctx, offlineSession(g.Family), session.EndRefreshReused, event.ByBridge)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
