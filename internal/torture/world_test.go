//go:build lanes

package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// world is a deployment: nodes, the servers behind them, identity providers beside them and
// one address in front of them.
type world struct {
	t         testing.TB
	dir       string
	issuer    string // the address in front
	front     *balancer
	nodes     []*node
	postgres  *pgServer // nil: one node on SQLite
	redis     *redisServer
	customers map[string]*customer
}

// customer is one connection: its identity provider, and what opens SCIM.
type customer struct {
	id, vendor, domain string
	idp                *oidctest.IdP
	token              secret.String
	spare              chan oidctest.Person // in the directory there, unknown to the bridge
}

// pool is how many people each identity provider has.
const pool = 600

// newWorld starts it all: n nodes on PostgreSQL and Redis, or one on SQLite if n is 0.
func newWorld(t testing.TB, n int) *world {
	t.Helper()
	if n == 0 {
		return newWorldOn(t, 1, nil, nil)
	}
	return newWorldOn(t, n, newPostgres(t, memory(t, "postgres")), newRedis(t, memory(t, "redis")))
}

func newWorldOn(t testing.TB, n int, p *pgServer, r *redisServer) *world {
	t.Helper()
	w := &world{t: t, dir: memory(t, "world"), customers: map[string]*customer{}, postgres: p, redis: r}
	w.front = newBalancer(t)
	w.issuer = w.front.url
	for _, c := range []*customer{{id: "banksia-entra", vendor: "entra", domain: "banksia.example"}, {id: "tundra-okta", vendor: "okta", domain: "tundra.example"},
		{id: "reefline-okta", vendor: "okta", domain: "reefline.example"}} {
		w.customers[c.id] = c
		w.provide(c)
	}
	for i := range n {
		w.add(i)
	}
	w.nodes[0].start() // makes keys and applies the policy
	w.nodes[0].ready()
	for _, d := range w.nodes[1:] {
		d.start()
	}
	for _, d := range w.nodes[1:] {
		d.ready()
	}
	w.connect()
	t.Cleanup(func() {
		if t.Failed() {
			for _, d := range w.nodes {
				t.Logf("%s said at last:\n%s", d.name, d.Said())
			}
		}
	})
	return w
}

// add makes a node with links and a configuration of its own.
func (w *world) add(i int) {
	w.t.Helper()
	d := newNode(w.t, i, w.dir)
	if w.postgres != nil {
		d.database, d.hot = newLink(w.t, d.name+"-postgres", w.postgres.Port), newLink(w.t, d.name+"-redis", w.redis.Port)
	}
	w.nodes = append(w.nodes, d)
	w.front.add(d)
	var b bytes.Buffer
	if err := configuration.Execute(&b, map[string]any{"Node": d, "World": w}); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.dir, "drawbridge.yaml"), b.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) RootKey() string { return filepath.Join(w.dir, "root.key") }

// Issuer and the rest are for the configuration.
func (w *world) Issuer() string               { return w.issuer }
func (w *world) Customer(id string) *customer { return w.customers[id] }
func (c *customer) UpstreamIssuer() string    { return c.idp.Issuer() }
func (d *node) Name() string                  { return d.name }
func (d *node) Public() string                { return d.public }
func (d *node) Operations() string            { return d.operations }
func (d *node) Data() string                  { return filepath.Join(d.dir, "data") }
func (d *node) Alone() bool                   { return d.database == nil }
func (d *node) Database() string              { return d.database.address() }
func (d *node) Hot() string                   { return d.hot.address() }
func group(fleet string) string               { return "GL " + fleet }
func (w *world) Redirect() string             { return "http://127.0.0.1:8080/callback" }

var configuration = template.Must(template.New("").Parse(`version: 1
vendor: { name: Lantern Fleet Safety, support: { name: Support, email: support@lantern.example } }
server:
  listen: {{.Node.Public}}
  public_url: {{.World.Issuer}}
  metrics_listen: {{.Node.Operations}}
  data: {{.Node.Data}}
  log: { level: warn }
  drain: 1s
{{- if not .Node.Alone}}
  node: {{.Node.Name}}
{{- end}}
keys: { root: { file: {{.World.RootKey}} } }
{{- if not .Node.Alone}}
database: { url: "postgres://drawbridge@{{.Node.Database}}/drawbridge?sslmode=disable" }
hot: { url: "redis://{{.Node.Hot}}" }
{{- end}}
clients:
  - id: fleet-web
    name: Fleet Web
    secret: of-the-lane
    redirect_uris: [ "{{.World.Redirect}}" ]
    audience: https://api.lantern.example
    grants: [ technician, standard, elevated, administrator ]
scopes:
  southern: { name: Southern Telematics, accounts: { banksia: { name: Banksia Freight, fleets: {
    geelong: { name: Geelong, timezone: Australia/Melbourne, location: Geelong }, hobart: { name: Hobart, timezone: Australia/Hobart, location: Hobart } } },
    reefline: { name: Reefline Coaches, fleets: {
    cairns: { name: Cairns, timezone: Australia/Brisbane, location: Cairns }, darwin: { name: Darwin, timezone: Australia/Darwin, location: Darwin } } } } }
  boreal: { name: Boreal Road Safety, accounts: { tundra: { name: Tundra Transport, fleets: {
    tromso: { name: Tromsø, timezone: Europe/Oslo, location: Tromsø }, lulea: { name: Luleå, timezone: Europe/Stockholm, location: Luleå } } } } }
connections:
{{- with .World.Customer "banksia-entra"}}
  banksia-entra: { idp: entra, name: Banksia Freight, domains: [ banksia.example ], root: southern/banksia, contact: it@banksia.example,
    ceiling: { scope: southern/banksia, grants: [ standard ] },
    sign_in: { issuer: "{{.UpstreamIssuer}}", tenant_id: 0b8a2c1e-0000-4000-8000-000000000001, client_id: bridge, client_secret: of-the-lane } }
{{- end}}
{{- with .World.Customer "tundra-okta"}}
  tundra-okta: { idp: okta, name: Tundra Transport, domains: [ tundra.example ], root: boreal/tundra, contact: it@tundra.example,
    ceiling: { scope: boreal/tundra, grants: [ standard ] },
    sign_in: { issuer: "{{.UpstreamIssuer}}", client_id: bridge, client_secret: of-the-lane } }
{{- end}}
{{- with .World.Customer "reefline-okta"}}
  reefline-okta: { idp: okta, name: Reefline Coaches, domains: [ reefline.example ], root: southern/reefline, contact: it@reefline.example,
    ceiling: { scope: southern/reefline, grants: [ standard ] },
    sign_in: { issuer: "{{.UpstreamIssuer}}", client_id: bridge, client_secret: of-the-lane } }
{{- end}}
rules:
  - { id: geelong, from: banksia-entra, group: GL geelong, give: standard @ southern/banksia/geelong }
  - { id: hobart, from: banksia-entra, group: GL hobart, give: standard @ southern/banksia/hobart }
  - { id: tromso, from: tundra-okta, group: GL tromso, give: standard @ boreal/tundra/tromso }
  - { id: lulea, from: tundra-okta, group: GL lulea, give: standard @ boreal/tundra/lulea }
  - { id: cairns, from: reefline-okta, group: GL cairns, give: standard @ southern/reefline/cairns }
  - { id: darwin, from: reefline-okta, group: GL darwin, give: standard @ southern/reefline/darwin }
`))

// fleets are the two places of each customer.
var fleets = map[string][2]string{"banksia-entra": {"geelong", "hobart"}, "tundra-okta": {"tromso", "lulea"}, "reefline-okta": {"cairns", "darwin"}}

// provide opens a customer's identity provider, whose people can always sign in there: it is
// the bridge that must say no.
func (w *world) provide(c *customer) {
	w.t.Helper()
	var people []oidctest.Person
	c.spare = make(chan oidctest.Person, pool)
	for i := range pool {
		name := fmt.Sprintf("p%03d@%s", i, c.domain)
		p := oidctest.Person{ObjectID: fmt.Sprintf("%s-%03d", c.id, i), UserName: name, Email: name, GivenName: "P", FamilyName: fmt.Sprint(i), DisplayName: fmt.Sprint("P ", i), Active: true}
		people = append(people, p)
		c.spare <- p
	}
	s := httptest.NewUnstartedServer(nil)
	at := "http://" + s.Listener.Addr().String()
	cfg := oidctest.Config{Name: c.id, ID: c.id, BaseURL: at, ClientID: "bridge", ClientSecret: secret.New("of-the-lane"),
		RedirectURIs: []string{w.issuer + "/connect/" + c.id + "/callback"}, Directory: oidctest.NewDirectory(people, nil)}
	open := oidctest.NewOkta
	if c.vendor == "entra" {
		cfg.TenantID, open = "0b8a2c1e-0000-4000-8000-000000000001", oidctest.NewEntra
	}
	var err error
	if c.idp, err = open(cfg); err != nil {
		w.t.Fatal(err)
	}
	s.Config.Handler = c.idp.Handler()
	s.Start()
	w.t.Cleanup(s.Close)
}

// connect gives each identity provider its SCIM token.
func (w *world) connect() {
	w.t.Helper()
	for _, c := range w.customers {
		var made struct {
			Secret string `json:"secret"`
		}
		if err := w.api(context.Background(), w.nodes[0], http.MethodPost, "/connections/"+c.id+"/tokens", map[string]any{"note": "lane"}, &made); err != nil {
			w.t.Fatal(err)
		}
		c.token = secret.New(made.Secret)
	}
}

// quick asks what must be answered soon.
var quick = &http.Client{Timeout: 5 * time.Second}

// api asks a node as its operator does.
func (w *world) api(ctx context.Context, d *node, method, path string, body, into any) error {
	at, token, err := d.administrator()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, at+path, &b)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := quick.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read below
	if res.StatusCode/100 != 2 {
		return &answered{status: res.StatusCode, body: brief(res.Body)}
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// answered is an answer that is no success.
type answered struct {
	status int
	body   string
}

func (a *answered) Error() string { return fmt.Sprintf("%d %s", a.status, a.body) }

func brief(r io.Reader) string {
	b, err := io.ReadAll(io.LimitReader(r, 2000))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}
