package bridge

import (
	"context"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// agreed refuses a request for more than the session's person has agreed to, where the
// application needs that.
func (b *Bridge) agreed(ctx context.Context, req hot.AuthRequest, client oidc.Client, s session.Session) error {
	if !client.Consent {
		return nil
	}
	wants, err := oidc.ConsentTo(req)
	if err != nil {
		return fault.Wrap(fault.Internal, "bridge.Issue", err)
	}
	return b.read(ctx, s.Connection, func(dir *store.Directory) error {
		c, _, err := dir.Consent(s.Person, client.ID)
		if err != nil {
			return err
		}
		for _, scope := range wants {
			if !slices.Contains(c.OAuthScopes, scope) {
				return fault.New(fault.Denied, "bridge.Issue", "the person has not agreed to what %s asks for", client.ID).Because(oidc.ReasonConsent)
			}
		}
		return nil
	})
}

// stillAgreed refuses tokens of an application that people must agree to, for somebody
// who has taken that back. Offline tokens outlive the session's version; not this.
func (b *Bridge) stillAgreed(ctx context.Context, dir *store.Directory, p access.PersonID, id access.ClientID) error {
	client, err := b.Client(ctx, id)
	if err != nil || !client.Consent {
		return err
	}
	_, agreed, err := dir.Consent(p, id)
	if err == nil && !agreed {
		return fault.New(fault.NotFound, "bridge.warrant", "the person has taken back what they agreed to; ask again at the authorization endpoint").Because(oidc.ReasonConsent)
	}
	return err
}

// Agree remembers that the person of a session agrees to what a request asks for,
// beside what they agreed to for that application before.
func (b *Bridge) Agree(ctx context.Context, cookie string, req hot.AuthRequest) error {
	row, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return err
	}
	wants, err := oidc.ConsentTo(req)
	if err != nil {
		return fault.Wrap(fault.Internal, "bridge.Agree", err)
	}
	return b.change(ctx, row.Connection, event.ByPerson, func(c *change) error {
		before, _, err := c.dir.Consent(row.Person, req.Client)
		if err != nil {
			return err
		}
		all := slices.Concat(before.OAuthScopes, wants)
		slices.Sort(all)
		all = slices.Compact(all)
		c.say(event.ConsentGiven, row.Person, map[string]string{"client": string(req.Client), "scopes": strings.Join(all, " ")})
		return c.dir.PutConsent(row.Person, store.Consent{Client: req.Client, OAuthScopes: all, At: c.now})
	})
}

// Consents lists what the person of a session has agreed to.
func (b *Bridge) Consents(ctx context.Context, cookie string) (all []oidc.Consent, err error) {
	row, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return nil, err
	}
	err = b.read(ctx, row.Connection, func(dir *store.Directory) error {
		kept, err := dir.Consents(row.Person)
		all = nil
		for _, c := range kept {
			one := oidc.Consent{Client: c.Client, Name: string(c.Client), OAuthScopes: c.OAuthScopes, At: c.At}
			if client, err := b.Client(ctx, c.Client); err == nil {
				one.Name = client.Name
			}
			all = append(all, one)
		}
		return err
	})
	return all, err
}

// Withdraw takes back what the person of a session has agreed to for an application.
// The tokens of all their sessions die, since a code may be on its way; applications that
// they did not mean get new ones silently, and the one that they meant is told that its part
// of each session has ended. That there was nothing is no error.
func (b *Bridge) Withdraw(ctx context.Context, cookie string, client access.ClientID) error {
	row, err := b.acceptCookie(ctx, cookie)
	if err != nil {
		return err
	}
	return b.change(ctx, row.Connection, event.ByPerson, func(c *change) error {
		was, err := c.dir.DropConsent(row.Person, client)
		if err != nil || !was {
			return err
		}
		c.say(event.ConsentWithdrawn, row.Person, map[string]string{"client": string(client)})
		p, err := c.dir.Person(row.Person)
		if err != nil {
			return err
		}
		live, err := c.dir.Sessions(p)
		if err != nil {
			return err
		}
		for _, s := range live {
			s.Version++
			if err := c.keep(s.Session, nil); err != nil {
				return err
			}
			if err := c.leave(s, client, session.EndConsent); err != nil {
				return err
			}
		}
		return nil
	})
}
