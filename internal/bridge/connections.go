package bridge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Connections lists every connection with its counters and tokens.
func (b *Bridge) Connections(ctx context.Context) ([]ConnectionView, error) {
	var out []ConnectionView
	err := b.store.View(ctx, func(v *store.View) error {
		rows, err := v.Connections()
		if err != nil {
			return err
		}
		clients, err := v.AllSCIMClients()
		if err != nil {
			return err
		}
		out = make([]ConnectionView, len(rows))
		for i, row := range rows {
			tokens, err := v.SCIMTokens(row.ID)
			if err != nil {
				return err
			}
			out[i] = ConnectionView{ConnectionRow: row, Tokens: tokens, Clients: clients[row.ID], Signed: !b.trust[row.ID].Empty()}
		}
		return nil
	})
	return out, err
}

// ConnectionView is a connection with its SCIM tokens and clients, secrets left out.
type ConnectionView struct {
	store.ConnectionRow
	Tokens  []store.SCIMToken
	Clients []store.SCIMClient
	Signed  bool // its clients may prove themselves by signed assertions, which have no end
}

// Doors is what opens each live connection, from memory: without counters and uses.
func (b *Bridge) Doors() []ConnectionView {
	var out []ConnectionView
	for id, d := range b.store.Doors() {
		v := ConnectionView{Tokens: d.Tokens, Clients: d.Clients, Signed: !b.trust[id].Empty()}
		v.ID = id
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b ConnectionView) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Connection gives a live connection; fault.NotFound if there is none by that id.
func (b *Bridge) Connection(ctx context.Context, id access.ConnectionID) (c access.Connection, err error) {
	err = b.store.View(ctx, func(v *store.View) error {
		d, err := v.In(id)
		if err != nil {
			return err
		}
		if row := d.Row(); row.State == store.ConnectionActive {
			c = row.Connection
			return nil
		}
		return fault.New(fault.NotFound, "bridge.Connection", "the connection %q has ended", id)
	})
	return c, err
}

// ByDomain lists the live connections that name an e-mail domain, by customer name: those that
// the policy in force says name it are looked at, and no others.
func (b *Bridge) ByDomain(ctx context.Context, domain string) ([]access.Connection, error) {
	if !b.HasPolicy() {
		return nil, nil
	}
	p, err := b.policyNow(ctx)
	if err != nil {
		return nil, err
	}
	var live []access.Connection
	for _, id := range p.ByDomain(domain) {
		switch c, err := b.Connection(ctx, id); {
		case err == nil:
			live = append(live, c)
		case !fault.Is(err, fault.NotFound):
			return nil, err
		}
	}
	slices.SortFunc(live, func(a, b access.Connection) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return live, nil
}

// EndConnection refuses every credential of a connection at once: its epoch rises,
// and its SCIM tokens open nothing any more. Its rows stay until it is removed.
func (b *Bridge) EndConnection(ctx context.Context, id access.ConnectionID) error {
	err := b.change(ctx, id, event.ByAdministrator, func(c *change) error {
		return endConnection(c.tx, id, c.now)
	})
	b.nudge() // its sessions are ended one by one, for whoever must be told
	return err
}

// applyConnections adds and changes what the policy names, and ends what it no
// longer names: an ended connection's epoch alone refuses all its credentials. It
// gives those that were live before.
func applyConnections(tx *store.Tx, p *mapping.Policy, now time.Time) (lived map[access.ConnectionID]bool, err error) {
	have, err := tx.Connections()
	if err != nil {
		return nil, err
	}
	lived, state := map[access.ConnectionID]bool{}, map[access.ConnectionID]store.ConnectionState{}
	for _, c := range have {
		lived[c.ID], state[c.ID] = c.State == store.ConnectionActive, c.State
	}
	for _, c := range p.Connections() {
		if _, err := tx.PutConnection(c, now); err != nil {
			return nil, err
		}
		if err := tx.PutCeiling(c.ID, c.Ceiling); err != nil {
			return nil, err
		}
		if err := noteConnection(tx, c.ID, state[c.ID], now); err != nil {
			return nil, err
		}
	}
	for _, c := range have {
		if _, named := p.Connection(c.ID); !named && c.State == store.ConnectionActive {
			if err := endConnection(tx, c.ID, now); err != nil {
				return nil, err
			}
		}
	}
	return lived, nil
}

func noteConnection(tx *store.Tx, id access.ConnectionID, was store.ConnectionState, now time.Time) error {
	switch was {
	case store.ConnectionActive:
		return nil
	case store.ConnectionEnded:
		if err := tx.ResumeConnection(id, now); err != nil {
			return err
		}
		return tx.Append(fact(event.ConnectionResumed, event.ByAdministrator, id, "", now, nil))
	}
	return tx.Append(fact(event.ConnectionAdded, event.ByAdministrator, id, "", now, nil))
}

// endConnection ends a connection, and has what people gave to those of it reviewed.
func endConnection(tx *store.Tx, id access.ConnectionID, now time.Time) error {
	if err := tx.EndConnection(id, now); err != nil {
		return err
	}
	if err := tx.Append(fact(event.ConnectionEnded, event.ByAdministrator, id, "", now, nil)); err != nil {
		return err
	}
	return reviewEnded(tx, id, now)
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
