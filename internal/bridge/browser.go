package bridge

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Browser accepts a session cookie and says what its session stands on now.
func (b *Bridge) Browser(ctx context.Context, cookie string) (oidc.Browser, error) {
	row, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return oidc.Browser{}, err
	}
	out, err := b.browser(ctx, row.Session)
	if present := b.present(row, cookie); err == nil && present != cookie {
		out.Renewed = secret.New(present)
	}
	return out, err
}

// cookieGrace is how long the secret of a session's cookie still opens it after it was
// replaced, if nobody brings the new one: the answer to a switch may get lost.
const cookieGrace = time.Minute

// acceptCookie finds the session of a cookie's secret and holds it against the
// directory. The secret is new after each sign-in and each switch; the one before it does
// until the new one has come once, but for cookieGrace at most. A session whose
// person had to be decided anew may have moved by that: it is read again.
func (b *Bridge) acceptCookie(ctx context.Context, cookie string) (store.SessionRow, error) {
	digest, err := credential.ParseOpaque(credential.KindSession, cookie)
	if err != nil {
		return store.SessionRow{}, err
	}
	for settled := false; ; settled = true {
		row, err := b.sessionByCookie(ctx, digest)
		if err != nil {
			return store.SessionRow{}, err
		}
		if !row.Cookie.Equal(credential.DigestOf(b.present(row, cookie))) { // a program replaced it that did not know of earlier ones
			return store.SessionRow{}, fault.New(fault.Unauthenticated, "bridge.Browser", "the cookie has been replaced")
		}
		_, err = b.weigh(ctx, bound(row.Session))
		if err == nil || settled || fault.ReasonOf(err) != credential.ReasonUndecided {
			return row, err
		}
		if err := b.settle(ctx, row.Connection, row.Person); err != nil {
			return store.SessionRow{}, err
		}
	}
}

func (b *Bridge) sessionByCookie(ctx context.Context, digest credential.Digest) (store.SessionRow, error) {
	var row store.SessionRow
	err := b.store.View(ctx, func(v *store.View) (err error) { row, err = v.Ending().SessionByCookie(digest); return err })
	if fault.Is(err, fault.NotFound) {
		err = b.store.View(ctx, func(v *store.View) (err error) {
			row, err = v.Ending().SessionByEarlierCookie(digest, b.now())
			return err
		})
	}
	if fault.Is(err, fault.NotFound) {
		return row, fault.Wrap(fault.Unauthenticated, "bridge.Browser", err)
	}
	if err == nil && row.Cookie.Equal(digest) && !row.EarlierUntil.IsZero() {
		err = b.store.Update(ctx, func(tx *store.Tx) error { return tx.ForgetEarlierCookie(row.ID) })
	}
	return row, err
}

// present is a session's present cookie, where it was found by that one or the one before.
func (b *Bridge) present(row store.SessionRow, cookie string) string {
	if row.Cookie.Equal(credential.DigestOf(cookie)) {
		return cookie
	}
	return b.cookies.Next(cookie).Reveal()
}

// bound is what a browser session's cookie says for itself: no client is involved,
// and the session row's own version is current by construction.
func bound(s session.Session) credential.Bound {
	return credential.Bound{
		Subject: credential.Subject{Connection: s.Connection, Person: s.Person, Session: s.ID},
		Epochs:  credential.Epochs{Host: s.Epochs.Host, Connection: s.Epochs.Connection, Person: s.Epochs.Person, Session: s.Version},
		Expires: s.Expires,
	}
}

// browser reads what a session's person may choose, and what it stands on.
func (b *Bridge) browser(ctx context.Context, s session.Session) (oidc.Browser, error) {
	out := oidc.Browser{Session: s}
	now := b.now()
	err := b.store.View(ctx, func(v *store.View) error {
		held, policy, err := b.held(v, s)
		if err != nil {
			return err
		}
		out.Choices, out.Guarded, out.Assignment, out.Catalogue = nil, nil, oidc.ActiveGrant{}, policy.Catalogue()
		for _, a := range session.Choices(held, now) {
			g := activeGrant(policy.Tree(), a)
			if s.Meets(out.Catalogue.Demands(a.Grant), now) {
				out.Choices = append(out.Choices, g)
			} else {
				out.Guarded = append(out.Guarded, g)
			}
			if s.State == session.Active && a.ID == s.Active {
				out.Assignment = g
			}
		}
		return nil
	})
	return out, err
}

func (b *Bridge) held(v *store.View, s session.Session) ([]access.Assignment, *activePolicy, error) {
	policy, err := b.active(v)
	if err != nil {
		return nil, nil, err
	}
	dir, err := v.In(s.Connection)
	if err != nil {
		return nil, nil, err
	}
	on, err := dir.Standing(s.ID, s.Person)
	return on.Held, policy, err
}

// Switch makes another assignment the session's active one: held now, chosen by
// the person. The tokens of the one that was left are dead with the commit, and
// the cookie's secret is new. Whoever did not get the answer may ask again with the old
// one, within cookieGrace, and gets the same.
func (b *Bridge) Switch(ctx context.Context, cookie string, to access.AssignmentID) (secret.String, oidc.Browser, error) {
	row, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return secret.String{}, oidc.Browser{}, err
	}
	present := b.present(row, cookie)
	next := secret.New(present)
	var s session.Session
	err = b.change(ctx, row.Connection, event.ByPerson, func(c *change) error {
		now, err := c.tx.Session(row.ID)
		if err != nil {
			return err
		}
		if !now.Cookie.Equal(row.Cookie) || now.Version != row.Version {
			return fault.New(fault.Stale, "bridge.Switch", "this session was changed in another window; reload the page")
		}
		p, err := c.dir.Person(now.Person)
		if err != nil {
			return err
		}
		held, err := c.dir.Assignments(p)
		if err != nil {
			return err
		}
		var events []event.Event
		s, events, err = session.Switch(now.Session, held, to, c.policy.Catalogue(), c.now)
		if err != nil {
			return err
		}
		c.add(events)
		if s.Version == now.Version { // it stands there already
			return nil
		}
		next = b.cookies.Next(present)
		c.ended = append(c.ended, s.ID)
		return c.tx.UpdateSession(s, &store.NewCookie{Cookie: credential.DigestOf(next.Reveal()), EarlierUntil: c.now.Add(cookieGrace)})
	})
	if err != nil {
		return secret.String{}, oidc.Browser{}, err
	}
	b.stoodOn(s)
	out, err := b.browser(ctx, s)
	return next, out, err
}
