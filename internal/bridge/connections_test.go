package bridge_test

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestADomainFindsWhoNamesIt: those that live and name it, by the customers' names, as the policy
// in force says.
func TestADomainFindsWhoNamesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	found := func(domain string, want ...access.ConnectionID) {
		t.Helper()
		all, err := w.bridge.ByDomain(w.ctx, domain)
		w.do(err)
		var ids []access.ConnectionID
		for _, c := range all {
			ids = append(ids, c.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s finds %v, want %v", domain, ids, want)
		}
	}
	named := func(domains map[access.ConnectionID][]string) func(*mapping.PolicySource) {
		return func(p *mapping.PolicySource) {
			p.Connections = slices.Clone(p.Connections)
			for i := range p.Connections {
				c := &p.Connections[i]
				c.Domains, c.Name = domains[c.ID], map[access.ConnectionID]string{banksia: "Z", tundra: "A"}[c.ID]
			}
		}
	}
	w.policy(named(map[access.ConnectionID][]string{banksia: {"shared.example", "one.example"}, tundra: {"shared.example", "shared.example"}}))
	found("shared.example", tundra, banksia)
	found("one.example", banksia)
	found("none.example")
	w.policy(named(map[access.ConnectionID][]string{banksia: {"shared.example"}, tundra: {"other.example"}}))
	found("shared.example", banksia)
	found("one.example")
	found("other.example", tundra)
	w.do(w.bridge.EndConnection(w.ctx, banksia))
	found("shared.example")
	if _, err := w.bridge.Connection(w.ctx, banksia); !fault.Is(err, fault.NotFound) {
		t.Errorf("a connection that has ended is found: %v", err)
	}
	if c, err := w.bridge.Connection(w.ctx, tundra); err != nil || c.Name != "A" {
		t.Errorf("%+v (%v)", c, err)
	}

	empty := emptyWorld(t)
	empty.open()
	if all, err := empty.bridge.ByDomain(empty.ctx, "one.example"); err != nil || len(all) != 0 {
		t.Errorf("before the first policy: %v (%v)", all, err)
	}
}
