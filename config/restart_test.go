package config

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/hot/redis"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// TestWhatTakesEffectAtARestart changes every field of a configuration, one at a time:
// a field that somebody adds is in this table, or the test fails.
func TestWhatTakesEffectAtARestart(t *testing.T) {
	live := []string{} // taken while the bridge runs
	fields := map[string]struct {
		change func(*Config)
		want   []string
	}{
		"Vendor":                {func(c *Config) { c.Vendor.Support.Hours = "24/7" }, []string{"vendor"}},
		"Server.Listen":         {func(c *Config) { c.Server.Listen = ":1" }, []string{"server.listen"}},
		"Server.PublicURL":      {func(c *Config) { c.Server.PublicURL = "https://id.example" }, []string{"server.public_url"}},
		"Server.MetricsListen":  {func(c *Config) { c.Server.MetricsListen = ":1" }, []string{"server.metrics_listen"}},
		"Server.Data":           {func(c *Config) { c.Server.Data = "elsewhere" }, []string{"server.data"}},
		"Server.TLS":            {func(c *Config) { c.Server.TLS.CertFile = "a.pem" }, []string{"server.tls"}},
		"Server.LogLevel":       {func(c *Config) { c.Server.LogLevel = "debug" }, []string{"server.log"}},
		"Server.TrustedProxies": {func(c *Config) { c.Server.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, []string{"server.trusted_proxies"}},
		"Server.SCIMRate":       {func(c *Config) { c.Server.SCIMRate.Burst = 7 }, []string{"server.scim_rate"}},
		"Server.SCIMLog":        {func(c *Config) { c.Server.SCIMLog = 7 }, []string{"server.scim_log"}},
		"Server.SignInRate":     {func(c *Config) { c.Server.SignInRate.Burst = 7 }, []string{"server.sign_in_rate"}},
		"Server.ClientFailures": {func(c *Config) { c.Server.ClientFailures.Burst = 7 }, []string{"server.client_failures"}},
		"Server.Drain":          {func(c *Config) { c.Server.Drain = time.Minute }, []string{"server.drain"}},
		"Server.Node":           {func(c *Config) { c.Server.Node = "two" }, []string{"server.node"}},
		"Sessions":              {func(c *Config) { c.Sessions.Absolute = time.Hour }, []string{"sessions"}},
		"Keys":                  {func(c *Config) { c.Keys.Rotate = time.Hour }, []string{"keys"}},
		"Database":              {func(c *Config) { c.Database.Migrate = true }, []string{"database"}},
		"Hot":                   {func(c *Config) { c.Hot.Redis = &redis.Server{} }, []string{"hot"}},
		"Clients":               {func(c *Config) { c.Clients = []Client{{Client: oidc.Client{ID: "b"}}} }, []string{"clients.a", "clients.b"}},
		"Connections.Connection": {func(c *Config) {
			c.Connections = append(c.Connections, Connection{Connection: access.Connection{ID: "boreal-okta"}})
		}, live},
		"Connections.SignIn": {func(c *Config) { c.Connections[0].SignIn = &SignIn{Issuer: "https://idp.example"} }, live},
		"Connections.Trust": {func(c *Config) { c.Connections[0].Trust = assertion.Trust{KeysURI: "https://keys.example"} },
			[]string{"connections.southern-entra"}},
		"Webhooks": {func(c *Config) { c.Webhooks = []Webhook{{Name: "ops"}} }, []string{"webhooks.ops"}},
		"Policy":   {func(c *Config) { c.Policy.TreeInStore = true }, live},
		"Files":    {func(c *Config) { c.Files.Path = "elsewhere" }, live},
		"Text":     {func(c *Config) { c.Text = "x" }, live},
	}
	base := func() *Config {
		return &Config{Clients: []Client{{Client: oidc.Client{ID: "a"}}}, Connections: []Connection{{Connection: access.Connection{ID: "southern-entra"}}}}
	}
	for _, name := range fieldsOf(reflect.TypeFor[Config](), "", "Server", "Connections") {
		f, known := fields[name]
		if !known {
			t.Errorf("nobody has said when %s takes effect", name)
			continue
		}
		c := base()
		f.change(c)
		if got := c.AtRestart(base()); !slices.Equal(got, f.want) {
			t.Errorf("%s: at a restart %v, want %v", name, got, f.want)
		}
	}
	if got := base().AtRestart(base()); len(got) != 0 {
		t.Errorf("nothing has changed, but %v", got)
	}
}

// fieldsOf names the fields of a struct, and of those that are opened instead of the field.
func fieldsOf(of reflect.Type, under string, opened ...string) (names []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		switch {
		case !slices.Contains(opened, f.Name):
			names = append(names, under+f.Name)
		case f.Type.Kind() == reflect.Slice:
			names = append(names, fieldsOf(f.Type.Elem(), f.Name+".")...)
		default:
			names = append(names, fieldsOf(f.Type, f.Name+".")...)
		}
	}
	return names
}
