package bridge

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// liveTokens is how many SCIM tokens of one connection may live at once: one in
// use and its successor.
const liveTokens = 2

// CreateSCIMToken makes a bearer token for a connection. The token is shown to the
// caller once; only its digest is stored.
func (b *Bridge) CreateSCIMToken(ctx context.Context, conn access.ConnectionID, note string, life time.Duration) (secret.String, store.SCIMToken, error) {
	const op = "bridge.CreateSCIMToken"
	if life <= 0 || life > maxCredentialLife {
		return secret.String{}, store.SCIMToken{}, fault.New(fault.Invalid, op, "a SCIM token lives at most three years; give a shorter time")
	}
	token, publicID := credential.NewSCIMToken()
	text := token.Reveal()
	now := b.now()
	row := store.SCIMToken{PublicID: publicID, Connection: conn, Digest: credential.DigestOf(text), Note: note,
		Tail: text[len(text)-4:], Created: now, Expires: now.Add(life)}
	err := b.change(ctx, conn, event.ByAdministrator, func(c *change) error {
		tokens, err := c.tx.SCIMTokens(conn)
		if err != nil {
			return err
		}
		live := howMany(tokens, func(t store.SCIMToken) bool { return t.LiveAt(c.now) })
		if live >= liveTokens {
			return fault.New(fault.Conflict, op, "connection %s has %d live tokens; revoke one first (drawbridge token revoke)", conn, live)
		}
		c.say(event.SCIMTokenCreated, "", map[string]string{"token": publicID})
		return c.tx.PutSCIMToken(row)
	})
	if err != nil {
		return secret.String{}, store.SCIMToken{}, err
	}
	return token, row, nil
}

// RevokeSCIMToken ends a token at once.
func (b *Bridge) RevokeSCIMToken(ctx context.Context, conn access.ConnectionID, publicID string) error {
	return b.change(ctx, conn, event.ByAdministrator, func(c *change) error {
		t, err := c.tx.SCIMToken(publicID)
		if err != nil {
			return err
		}
		if t.Connection != conn {
			return fault.New(fault.NotFound, "bridge.RevokeSCIMToken", "connection %s has no token %s", conn, publicID)
		}
		c.say(event.SCIMTokenRevoked, "", map[string]string{"token": publicID})
		return c.tx.RevokeSCIMToken(publicID, c.now)
	})
}
