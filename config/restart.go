package config

import (
	"reflect"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// AtRestart names the keys in which c differs from the configuration that the bridge
// was started with, and which take effect only when it starts again. All else can be
// taken while it runs: the policy, and where people sign in.
func (c *Config) AtRestart(started *Config) []string {
	var keys []string
	for _, k := range []struct {
		key      string
		was, now any
	}{
		{"vendor", started.Vendor, c.Vendor},
		{"server.listen", started.Server.Listen, c.Server.Listen},
		{"server.public_url", started.Server.PublicURL, c.Server.PublicURL},
		{"server.metrics_listen", started.Server.MetricsListen, c.Server.MetricsListen},
		{"server.data", started.Server.Data, c.Server.Data},
		{"server.tls", started.Server.TLS, c.Server.TLS},
		{"server.log", started.Server.LogLevel, c.Server.LogLevel},
		{"server.trusted_proxies", started.Server.TrustedProxies, c.Server.TrustedProxies},
		{"server.scim_rate", started.Server.SCIMRate, c.Server.SCIMRate},
		{"server.scim_log", started.Server.SCIMLog, c.Server.SCIMLog},
		{"server.sign_in_rate", started.Server.SignInRate, c.Server.SignInRate},
		{"server.client_failures", started.Server.ClientFailures, c.Server.ClientFailures},
		{"server.drain", started.Server.Drain, c.Server.Drain},
		{"server.node", started.Server.Node, c.Server.Node},
		{"sessions", started.Sessions, c.Sessions},
		{"keys", started.Keys, c.Keys},
		{"database", started.Database, c.Database},
		{"hot", started.Hot, c.Hot},
	} {
		if !reflect.DeepEqual(k.was, k.now) {
			keys = append(keys, k.key)
		}
	}
	keys = append(keys, differing("clients.", started.clients(), c.clients())...)
	keys = append(keys, differing("connections.", started.trusts(), c.trusts())...)
	return append(keys, differing("webhooks.", started.webhooks(), c.webhooks())...)
}

func (c *Config) clients() map[access.ClientID]any {
	all := map[access.ClientID]any{}
	for _, one := range c.Clients {
		all[one.ID] = one
	}
	return all
}

func (c *Config) webhooks() map[string]any {
	all := map[string]any{}
	for _, one := range c.Webhooks {
		all[one.Name] = one
	}
	return all
}

// trusts are the connections whose clients may prove themselves by signatures.
func (c *Config) trusts() map[access.ConnectionID]any {
	all := map[access.ConnectionID]any{}
	for _, one := range c.Connections {
		if !reflect.ValueOf(one.Trust).IsZero() {
			all[one.ID] = one.Trust
		}
	}
	return all
}

// differing lists what was, is new, or is another, by its key.
func differing[K ~string](prefix string, was, now map[K]any) []string {
	var keys []string
	for id, one := range now {
		if before, there := was[id]; !there || !reflect.DeepEqual(before, one) {
			keys = append(keys, prefix+string(id))
		}
	}
	for id := range was {
		if _, there := now[id]; !there {
			keys = append(keys, prefix+string(id))
		}
	}
	slices.Sort(keys)
	return keys
}
