package bridge

import (
	"context"

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
	return b.browser(ctx, row.Session)
}

// acceptCookie finds the session of a cookie's secret and holds it against the
// directory. The secret is new after each sign-in and each switch. A session whose
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
	err := b.store.View(ctx, func(v *store.View) error {
		var err error
		row, err = v.SessionByCookie(digest)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return row, fault.Wrap(fault.Unauthenticated, "bridge.Browser", err)
	}
	return row, err
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
	p, err := dir.Person(s.Person)
	if err != nil {
		return nil, nil, err
	}
	held, err := dir.Assignments(p)
	return held, policy, err
}

// Switch makes another assignment the session's active one: held now, chosen by
// the person. The tokens of the one that was left are dead with the commit, and
// the cookie's secret is new.
func (b *Bridge) Switch(ctx context.Context, cookie string, to access.AssignmentID) (secret.String, oidc.Browser, error) {
	row, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return secret.String{}, oidc.Browser{}, err
	}
	next := credential.NewOpaque(credential.KindSession)
	digest := credential.DigestOf(next.Reveal())
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
		if s.Version != now.Version {
			c.ended = append(c.ended, s.ID)
		}
		return c.tx.UpdateSession(s, &digest)
	})
	if err != nil {
		return secret.String{}, oidc.Browser{}, err
	}
	b.stoodOn(s)
	out, err := b.browser(ctx, s)
	return next, out, err
}
