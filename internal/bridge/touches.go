package bridge

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// lastUses is when things were last used that has not been written. The last use counts.
type lastUses[K comparable] map[K]time.Time

func (l *lastUses[K]) note(k K, when time.Time) {
	if *l == nil {
		*l = lastUses[K]{}
	}
	if when.After((*l)[k]) {
		(*l)[k] = when
	}
}

func (l *lastUses[K]) noteAll(others lastUses[K]) {
	for k, when := range others {
		l.note(k, when)
	}
}

// touches are the uses of SCIM's credentials lately: Run writes them down every second.
type touches struct {
	mu      sync.Mutex // guards what follows
	tokens  lastUses[string]
	clients lastUses[store.ClientUse]
	heard   lastUses[access.ConnectionID] // with a good credential
}

func (u *touches) token(conn access.ConnectionID, publicID string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tokens.note(publicID, now)
	u.heard.note(conn, now)
}

func (u *touches) client(conn access.ConnectionID, use store.ClientUse, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clients.note(use, now)
	u.heard.note(conn, now)
}

// writeTouches stores when tokens, clients and assignments were last used. What it
// could not write waits for the next time.
func (b *Bridge) writeTouches(ctx context.Context) error {
	u := &b.touches
	u.mu.Lock()
	tokens, clients, heard := u.tokens, u.clients, u.heard
	u.tokens, u.clients, u.heard = nil, nil, nil
	u.mu.Unlock()
	errCredentials := b.writeCredentials(ctx, tokens, clients)
	errHeard := b.writeHeard(ctx, heard)
	return errors.Join(errCredentials, errHeard, b.writeUses(ctx))
}

// writeCredentials writes rows of the host's, as does whoever revokes a credential.
func (b *Bridge) writeCredentials(ctx context.Context, tokens lastUses[string], clients lastUses[store.ClientUse]) error {
	if len(tokens)+len(clients) == 0 {
		return nil
	}
	err := b.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.TouchSCIMTokens(tokens); err != nil {
			return err
		}
		return tx.TouchSCIMClients(clients)
	})
	if err != nil {
		b.touches.mu.Lock()
		defer b.touches.mu.Unlock()
		b.touches.tokens.noteAll(tokens)
		b.touches.clients.noteAll(clients)
	}
	return err
}

// writeHeard writes each connection's row in its own lane.
func (b *Bridge) writeHeard(ctx context.Context, heard lastUses[access.ConnectionID]) error {
	failed, err := b.store.UpdateEach(ctx, slices.Collect(maps.Keys(heard)), func(d *store.DirectoryTx) error {
		return d.TouchSCIM(heard[d.Row().ID])
	})
	b.touches.mu.Lock()
	defer b.touches.mu.Unlock()
	for _, conn := range failed {
		b.touches.heard.note(conn, heard[conn])
	}
	return err
}
