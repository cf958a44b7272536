package bridge

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// familyKept is how long it is remembered that a family ended before its session did: an
// access token of it may live for so long, and for so long a code that came twice may come
// again.
const familyKept = max(credential.MaxLife+5*time.Minute, codeLife+hot.CodeMemory+time.Minute)

// replayed treats a code that its owner shows twice as stolen: what it led to is dead
// (RFC 6749 section 4.1.2), once, and nothing else.
func (b *Bridge) replayed(ctx context.Context, g hot.CodeGrant) error {
	if err := b.endFamily(ctx, g.Bound.Subject, event.CodeReplayed, event.ByBridge, session.EndRefreshReused); err != nil {
		return err
	}
	return notGranted("bridge.Redeem", "this code was used before; what it gave has been ended")
}

// reused treats a refresh token that comes again as stolen: whoever has the other one is
// somebody else, and nobody knows which of them signed in. The session ends, with all that
// stands on it, and whoever was signed in to is told.
func (b *Bridge) reused(ctx context.Context, f hot.Family) error {
	sub := f.Bound.Subject
	err := b.ending(ctx, sub.Connection, why{by: event.ByBridge}, func(c *change) error {
		row, err := c.tx.Session(sub.Session)
		if err != nil || row.State == session.Ended {
			return err
		}
		c.noteFamily(sub, event.RefreshReused)
		return c.end([]store.SessionRow{row}, session.EndRefreshReused)
	})
	if err != nil {
		return err
	}
	return notGranted("bridge.Refresh", "this refresh token was used before; the session has been ended")
}

// endFamily ends what one sign-in led to, and records that once. The session and what
// other applications have of it live on; an offline session is nothing but its tokens, and
// ends for the reason given. The hot store comes last: whoever got no answer and asks
// again must find the family there, since a token that nobody knows counts as revoked.
func (b *Bridge) endFamily(ctx context.Context, sub credential.Subject, t event.Type, by event.Actor, offline string) error {
	err := b.ending(ctx, sub.Connection, why{by: by}, func(c *change) error {
		live, err := c.sessionsOf(sub)
		if err != nil || len(live) == 0 { // it ended with its session
			return err
		}
		first, err := c.tx.EndFamily(store.EndedFamily{ID: sub.Family, Client: sub.Client}, c.now.Add(familyKept))
		if err != nil || !first {
			return err
		}
		c.noteFamily(sub, t)
		for _, row := range live {
			if row.Offline == "" {
				continue
			}
			if err := c.end([]store.SessionRow{row}, offline); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.hot.EndFamily(ctx, sub.Family)
}

// sessionsOf are the live sessions that a family may be of: the one that it is bound to,
// and the one that redeeming its code has opened for offline access.
func (c *change) sessionsOf(sub credential.Subject) (live []store.SessionRow, err error) {
	ids := []session.ID{sub.Session, offlineSession(sub.Family)}
	if ids[0] == ids[1] {
		ids = ids[:1]
	}
	for _, id := range ids {
		row, err := c.tx.Session(id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if row.State != session.Ended {
			live = append(live, row)
		}
	}
	return live, nil
}

func (c *change) noteFamily(sub credential.Subject, t event.Type) {
	e := fact(t, c.by, c.conn, sub.Person, c.now, map[string]string{"client": string(sub.Client)})
	e.Session = string(sub.Session)
	c.events = append(c.events, e)
}

// Revoke ends what a token of this client belongs to: the tokens of the same sign-in (RFC
// 7009 section 2.1). The session stays signed in, and other applications keep theirs.
func (b *Bridge) Revoke(ctx context.Context, token string, client access.ClientID) error {
	if credential.IsService(token) {
		return b.revokeService(ctx, token, client)
	}
	sub, err := b.revocable(ctx, token, b.now())
	if err != nil || sub.Client != client {
		return err // an unknown token is no error (RFC 7009 section 2.2)
	}
	return b.endFamily(ctx, sub, event.TokenRevoked, event.ByClient, session.EndSignedOut)
}

// revocable finds whose token it is; nobody's if it is none of ours, or dead already.
func (b *Bridge) revocable(ctx context.Context, token string, now time.Time) (credential.Subject, error) {
	f, _, err := b.family(ctx, token, now)
	if err == nil {
		return f.Bound.Subject, nil
	}
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Internal) {
		return credential.Subject{}, err
	}
	claims, err := b.verify(token, now)
	if err != nil {
		return credential.Subject{}, nil //nolint:nilerr // it is none of ours
	}
	if _, err := b.accept(ctx, claims.Bound); err != nil && !fault.Is(err, fault.Unauthenticated) {
		return credential.Subject{}, err
	} else if err != nil && fault.ReasonOf(err) != store.WhyFamilyEnded { // the end of a family may have stopped half way
		return credential.Subject{}, nil
	}
	return claims.Subject, nil
}

// sweepFamilies forgets that families ended of which no access token can be left, once
// the hot store has no refresh token of theirs: whoever ended them may have got no
// further than the commit.
func (b *Bridge) sweepFamilies(ctx context.Context) error {
	for ctx.Err() == nil {
		var over []store.EndedFamily
		err := b.store.View(ctx, func(v *store.View) (err error) { over, err = v.FamiliesOver(b.now(), chunk); return err })
		if err != nil || len(over) == 0 {
			return err
		}
		for _, f := range over {
			if err := b.hot.EndFamily(ctx, f.ID); err != nil {
				return err
			}
		}
		if err := b.store.Update(ctx, func(tx *store.Tx) error { return tx.ForgetFamilies(over) }); err != nil {
			return err
		}
	}
	return nil
}
