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

// The most that may live at once: of a connection's clients, and of a client's
// secrets. Rotation needs two of each.
const (
	liveClients = 5
	liveSecrets = 5
)

// maxCredentialLife is how long a token or secret may live; Entra asks for 1 to 3 years.
const maxCredentialLife = 3 * 365 * 24 * time.Hour

// MadeClient is a client with the secret that was just made for it, if one was.
type MadeClient struct {
	store.SCIMClient
	Text   secret.String // shown once
	Secret store.ClientSecret
}

// CreateSCIMClient registers an OAuth client for a connection's identity provider.
// life is that of its first secret, which is shown to the caller once; 0: it gets
// none, and proves itself by signed assertions.
func (b *Bridge) CreateSCIMClient(ctx context.Context, conn access.ConnectionID, name string, life time.Duration) (made MadeClient, _ error) {
	const op = "bridge.CreateSCIMClient"
	now := b.now()
	row := store.SCIMClient{ID: credential.NewSCIMClientID(), Connection: conn, Name: name, Created: now}
	err := b.change(ctx, conn, event.ByAdministrator, func(c *change) error {
		all, err := c.tx.SCIMClients(conn)
		if err != nil {
			return err
		}
		live := howMany(all, store.SCIMClient.Live)
		if live >= liveClients {
			return fault.New(fault.Conflict, op, "connection %s has %d live clients; revoke one first (drawbridge connection client revoke)", conn, live)
		}
		if err := c.tx.PutSCIMClient(row); err != nil {
			return err
		}
		c.say(event.SCIMClientCreated, "", map[string]string{"client": row.ID})
		if life == 0 {
			return nil
		}
		made.Text, made.Secret, err = c.addSecret(row.ID, "", life)
		return err
	})
	if err != nil {
		return MadeClient{}, err
	}
	made.SCIMClient, err = b.scimClient(ctx, row.ID)
	return made, err
}

// AddClientSecret gives a client one more secret, beside those that live.
func (b *Bridge) AddClientSecret(ctx context.Context, conn access.ConnectionID, client, note string, life time.Duration) (made MadeClient, _ error) {
	const op = "bridge.AddClientSecret"
	err := b.change(ctx, conn, event.ByAdministrator, func(c *change) error {
		row, err := c.ownClient(op, client)
		if err != nil {
			return err
		}
		live := howMany(row.Secrets, func(s store.ClientSecret) bool { return s.LiveAt(c.now) })
		switch {
		case !row.Live():
			return fault.New(fault.Conflict, op, "client %s was revoked; make another", client)
		case live >= liveSecrets:
			return fault.New(fault.Conflict, op, "client %s has %d live secrets; revoke one first (drawbridge connection client revoke)", client, live)
		}
		made.Text, made.Secret, err = c.addSecret(client, note, life)
		return err
	})
	if err != nil {
		return MadeClient{}, err
	}
	made.SCIMClient, err = b.scimClient(ctx, client)
	return made, err
}

func howMany[T any](all []T, are func(T) bool) (n int) {
	for _, one := range all {
		if are(one) {
			n++
		}
	}
	return n
}

// addSecret makes a secret; only its digest is stored.
func (c *change) addSecret(client, note string, life time.Duration) (secret.String, store.ClientSecret, error) {
	if life <= 0 || life > maxCredentialLife {
		return secret.String{}, store.ClientSecret{}, fault.New(fault.Invalid, "bridge.addSecret", "a client secret lives at most three years; give a shorter time")
	}
	made, publicID := credential.NewClientSecret()
	text := made.Reveal()
	row := store.ClientSecret{PublicID: publicID, Digest: credential.DigestOf(text), Note: note, Tail: text[len(text)-4:], Created: c.now, Expires: c.now.Add(life)}
	c.say(event.ClientSecretCreated, "", map[string]string{"client": client, "secret": publicID})
	return made, row, c.tx.PutClientSecret(client, row)
}

// RevokeSCIMClient ends a client, its secrets and its access tokens at once.
func (b *Bridge) RevokeSCIMClient(ctx context.Context, conn access.ConnectionID, client string) error {
	return b.change(ctx, conn, event.ByAdministrator, func(c *change) error {
		if _, err := c.ownClient("bridge.RevokeSCIMClient", client); err != nil {
			return err
		}
		c.say(event.SCIMClientRevoked, "", map[string]string{"client": client})
		return c.tx.RevokeSCIMClient(client, c.now)
	})
}

// RevokeClientSecret ends one secret of a client, and the access tokens it gave.
func (b *Bridge) RevokeClientSecret(ctx context.Context, conn access.ConnectionID, client, publicID string) error {
	return b.change(ctx, conn, event.ByAdministrator, func(c *change) error {
		if _, err := c.ownClient("bridge.RevokeClientSecret", client); err != nil {
			return err
		}
		c.say(event.ClientSecretRevoked, "", map[string]string{"client": client, "secret": publicID})
		return c.tx.RevokeClientSecret(client, publicID, c.now)
	})
}

// ownClient is a client of this change's connection; another's is not there.
func (c *change) ownClient(op, id string) (store.SCIMClient, error) {
	row, err := c.tx.SCIMClient(id)
	if err == nil && row.Connection != c.conn {
		return store.SCIMClient{}, fault.New(fault.NotFound, op, "connection %s has no client %s", c.conn, id)
	}
	return row, err
}

func (b *Bridge) scimClient(ctx context.Context, id string) (row store.SCIMClient, err error) {
	err = b.store.View(ctx, func(v *store.View) error {
		row, err = v.SCIMClient(id)
		return err
	})
	return row, err
}
