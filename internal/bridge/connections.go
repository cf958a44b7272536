package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Connections lists every connection with its counters and tokens.
func (b *Bridge) Connections(ctx context.Context) ([]ConnectionView, error) {
	var out []ConnectionView
	err := b.store.View(ctx, func(v *store.View) error {
		rows, err := v.Connections()
		if err != nil {
			return err
		}
		out = make([]ConnectionView, len(rows))
		for i, row := range rows {
			tokens, err := v.SCIMTokens(row.ID)
			if err != nil {
				return err
			}
			out[i] = ConnectionView{ConnectionRow: row, Tokens: tokens}
		}
		return nil
	})
	return out, err
}

// ConnectionView is a connection with its SCIM tokens, secrets left out.
type ConnectionView struct {
	store.ConnectionRow
	Tokens []store.SCIMToken
}

// Connection gives a live connection; fault.NotFound if there is none by that id.
func (b *Bridge) Connection(ctx context.Context, id access.ConnectionID) (access.Connection, error) {
	all, err := b.connections(ctx)
	if err != nil {
		return access.Connection{}, err
	}
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return access.Connection{}, fault.New(fault.NotFound, "bridge.Connection", "there is no connection %q", id)
}

// connections lists the live connections.
func (b *Bridge) connections(ctx context.Context) ([]access.Connection, error) {
	var live []access.Connection
	err := b.store.View(ctx, func(v *store.View) error {
		rows, err := v.Connections()
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.State == store.ConnectionActive {
				live = append(live, row.Connection)
			}
		}
		return nil
	})
	return live, err
}

// EndConnection refuses every credential of a connection at once: its epoch rises,
// and its SCIM tokens open nothing any more. Its rows stay until it is removed.
func (b *Bridge) EndConnection(ctx context.Context, id access.ConnectionID) error {
	return b.change(ctx, id, event.ByAdministrator, func(c *change) error {
		c.say(event.ConnectionEnded, "", nil)
		return c.tx.EndConnection(id, c.now)
	})
}

// ApplyClients makes the configured applications the only live ones: the epoch of
// one that is no longer configured rises, and its tokens are dead.
func (b *Bridge) ApplyClients(ctx context.Context) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		known, err := tx.Clients()
		if err != nil {
			return err
		}
		for _, id := range known {
			if _, configured := b.clients[id]; !configured {
				if err := tx.PutClient(id, false); err != nil {
					return err
				}
			}
		}
		for id := range b.clients {
			if err := tx.PutClient(id, true); err != nil {
				return err
			}
		}
		return nil
	})
}
