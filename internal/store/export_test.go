package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Wide is what is wide, to be compared. Uses are left out: they are not kept up.
type Wide struct {
	Host, Policy int64
	Connections  map[access.ConnectionID]any
	Clients      map[access.ClientID]clientState
	Tokens       map[string]SCIMToken
	SCIMClients  map[string]SCIMClient
	Ended        map[string]access.ClientID
}

// RememberedWide is what s remembers, believed or not.
func (s *Store) RememberedWide() Wide {
	f := &s.window.families
	f.mu.RLock()
	defer f.mu.RUnlock()
	return s.window.wide.Load().compared(maps.Clone(f.ended))
}

// StoredWide is a reading of everything.
func (s *Store) StoredWide(ctx context.Context) (all Wide, err error) {
	err = s.View(ctx, func(v *View) error {
		w := &wide{}
		if err := v.readWide(w, wideRows{all: true}); err != nil {
			return err
		}
		ended, err := v.endedFamilies()
		all = w.compared(ended)
		return err
	})
	return all, err
}

// Heard is Hear up to where something is to be read.
func (s *Store) Heard(news ...News) error {
	for _, n := range news {
		var refs []ref
		if err := json.Unmarshal(n.Refs, &refs); err != nil {
			return err
		}
		s.window.hear(refs)
	}
	return nil
}

// ReadHeard is the rest of Hear.
func (s *Store) ReadHeard(ctx context.Context) error {
	_, err := s.rereading.do(ctx)
	return err
}

func (w *wide) compared(ended map[string]access.ClientID) Wide {
	all := Wide{w.host, w.policy, map[access.ConnectionID]any{}, maps.Collect(w.clients.all()), maps.Collect(w.tokens.all()), maps.Collect(w.scimClients.all()), ended}
	for id, c := range w.connections.all() {
		defined := *c.defined
		c.defined = nil
		all.Connections[id] = []any{c, defined}
	}
	for id, t := range all.Tokens {
		t.LastUsed = time.Time{}
		all.Tokens[id] = t
	}
	for id, c := range all.SCIMClients {
		c.LastUsed, c.LastUsedBy, c.Secrets = time.Time{}, "", slices.Clone(c.Secrets)
		for i := range c.Secrets {
			c.Secrets[i].LastUsed = time.Time{}
		}
		all.SCIMClients[id] = c
	}
	return all
}
