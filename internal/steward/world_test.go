package steward

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/egress"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/hot/embedded"
	"github.com/drawbridge-id/drawbridge/internal/keys"
	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // no new keys for each test
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
	"github.com/drawbridge-id/drawbridge/scim"
)

// The connections of testdata/world.yaml, and the groups that make somebody something.
const (
	banksia  = access.ConnectionID("banksia-entra")  // of the account southern/banksia
	southern = access.ConnectionID("southern-entra") // of the service provider southern
	tundra   = access.ConnectionID("tundra-okta")    // of the account boreal/tundra
	lantern  = access.ConnectionID("lantern-entra")  // of the host

	accountAdmins   = "GL Account Admins"   // of banksia: administrator @ southern/banksia
	hobartAdmins    = "Hobart Admins"       // of banksia: administrator @ southern/banksia/hobart
	geelongManagers = "GL Geelong Managers" // of banksia: standard @ southern/banksia/geelong
	contacts        = "GL FIP Contacts"     // of banksia: associate @ southern/banksia
	providerAdmins  = "Provider Admins"     // of southern: administrator @ southern
	serviceOwners   = "Service Owners"      // of lantern: administrator @ .
)

// world is a steward on real engines in a temporary folder, with a clock that tests move.
type world struct {
	t       testing.TB
	ctx     context.Context
	clock   *clock
	store   *store.Store
	bridge  *bridge.Bridge
	steward *Steward
	scim    http.Handler
	tokens  map[access.ConnectionID]string
	groups  map[string]string // by connection and name: the id
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// worldPolicy is the policy of testdata/world.yaml, of which the caller may change
// everything.
func worldPolicy(t testing.TB) (p mapping.PolicySource) {
	t.Helper()
	cfg, err := readWorld()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(cfg.Policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

var readWorld = sync.OnceValues(func() (*config.Config, error) { return config.Load("testdata/world.yaml", nil) })

// sample is a closed data folder, made once: a new world copies it.
var sample struct {
	once   sync.Once
	files  map[string][]byte
	tokens map[access.ConnectionID]string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	sample.once.Do(func() { makeSample(t) })
	if sample.files == nil {
		t.Fatal("there is no sample to copy: the test that made it failed")
	}
	dir := t.TempDir()
	for name, content := range sample.files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, stop := openWorld(t, dir)
	w.tokens = sample.tokens
	t.Cleanup(stop)
	return w
}

func makeSample(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	w, stop := openWorld(t, dir)
	w.apply(worldPolicy(t))
	if err := w.bridge.ApplyClients(w.ctx); err != nil {
		t.Fatal(err)
	}
	tokens := map[access.ConnectionID]string{}
	for _, c := range []access.ConnectionID{banksia, southern, tundra, lantern} {
		token, _, err := w.bridge.CreateSCIMToken(w.ctx, c, "test", 365*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		tokens[c] = token.Reveal()
	}
	stop()
	files := map[string][]byte{}
	for _, name := range []string{"drawbridge.db", "hot.db", "root.key"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	sample.files, sample.tokens = files, tokens
}

// openWorld opens the engines of a folder; stop closes them.
func openWorld(t testing.TB, dir string) (w *world, stop func()) {
	t.Helper()
	w = &world{t: t, ctx: context.Background(), clock: &clock{now: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)}, groups: map[string]string{}}
	rows, err := sqlite.OpenEngine(w.ctx, filepath.Join(dir, "drawbridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.New(w.ctx, rows); err != nil {
		t.Fatal(err)
	}
	hot, err := embedded.Open(w.ctx, filepath.Join(dir, "hot.db"), embedded.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Open(w.ctx, keys.Config{Root: keys.Root{File: filepath.Join(dir, "root.key")}, Rows: keyRows{w.store}, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.bridge, err = bridge.New(bridge.Config{Store: w.store, Hot: hot, Issuer: credential.NewIssuer("http://127.0.0.1:8443", ring.Keyring),
		Refresh: ring.RefreshKey(), Cursors: ring.CursorKey(), Marks: ring.MarkKey(), Cookies: ring.CookieKey(), SCIMAccess: ring.SCIMAccessKey(),
		Services: ring.ServiceKey(), Names: ring.PairwiseKey(), Assertions: assertion.NewVerifier(egress.New(egress.Options{InsecureAllowLoopback: true})),
		URL: "http://127.0.0.1:8443", Lives: bridge.DefaultLives(), Streams: bridge.Streams{AtRest: ring.AtRestKey()}, Now: w.clock.Now,
		Observe: func(op string, err error) { t.Logf("background: %s: %v", op, err) }})
	if err != nil {
		t.Fatal(err)
	}
	w.steward = New(w.bridge)
	w.scim = scim.New(scim.Config{Gate: w.bridge, Selves: w.bridge, PublicURL: "http://127.0.0.1:8443", Now: w.clock.Now})
	return w, func() {
		if err := hot.Close(); err != nil {
			t.Error(err)
		}
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	}
}

type keyRows struct{ s *store.Store }

func (k keyRows) SigningKeys(ctx context.Context) (all []store.SigningKey, err error) {
	err = k.s.View(ctx, func(v *store.View) error { all, err = v.SigningKeys(); return err })
	return all, err
}

func (k keyRows) Envelope(ctx context.Context) (text []byte, err error) {
	err = k.s.View(ctx, func(v *store.View) error { text, err = v.Envelope(); return err })
	return text, err
}

func (k keyRows) KeepEnvelope(ctx context.Context, _, next []byte, told event.Event) error {
	return k.s.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutEnvelope(next); err != nil {
			return err
		}
		return tx.Append(told)
	})
}

func (k keyRows) ChangeSigningKeys(ctx context.Context, decide func([]store.SigningKey) (keys.Change, error)) error {
	return k.s.Update(ctx, func(tx *store.Tx) error {
		held, err := tx.SigningKeys()
		if err != nil {
			return err
		}
		c, err := decide(held)
		if err != nil {
			return err
		}
		for _, key := range c.Put {
			if err := tx.PutSigningKey(key); err != nil {
				return err
			}
		}
		return tx.Append(c.Told...)
	})
}

// apply puts a policy in force.
func (w *world) apply(p mapping.PolicySource) {
	w.t.Helper()
	if _, err := w.bridge.InsecureApplyUnreviewed(w.ctx, p); err != nil {
		w.t.Fatal(err)
	}
}

// must sends a SCIM request as the identity provider of a connection.
func (w *world) must(status int, c access.ConnectionID, method, path, body string) map[string]any {
	w.t.Helper()
	r := httptest.NewRequest(method, "/scim/v2/"+string(c)+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.tokens[c])
	r.Header.Set("Content-Type", "application/scim+json")
	rec := httptest.NewRecorder()
	w.scim.ServeHTTP(rec, r)
	if rec.Code != status {
		w.t.Fatalf("%s %s answered %d %s, want %d", method, path, rec.Code, rec.Body, status)
	}
	var out map[string]any
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

// person provisions somebody "name@example.com", called Name, in these groups.
func (w *world) person(c access.ConnectionID, name string, groups ...string) access.PersonID {
	w.t.Helper()
	id := w.must(201, c, "POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%[1]s@%[2]s.example","externalId":%[1]q,"active":true,
		"displayName":%[1]q,"emails":[{"value":"%[1]s@%[2]s.example","type":"work","primary":true}]}`, name, strings.Split(string(c), "-")[0]))["id"].(string)
	for _, g := range groups {
		w.join(c, id, g)
	}
	return access.PersonID(id)
}

// join puts somebody into a group, which is made if it is not there.
func (w *world) join(c access.ConnectionID, person, group string) {
	w.t.Helper()
	key := string(c) + " " + group
	if w.groups[key] == "" {
		w.groups[key] = w.must(201, c, "POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q}`, group))["id"].(string)
	}
	w.must(204, c, "PATCH", "/Groups/"+w.groups[key], fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":%q}]}]}`, person))
}

// leave takes somebody out of a group.
func (w *world) leave(c access.ConnectionID, person access.PersonID, group string) {
	w.t.Helper()
	w.must(204, c, "PATCH", "/Groups/"+w.groups[string(c)+" "+group], fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"%s\"]"}]}`, person))
}

// activate switches somebody on or off.
func (w *world) activate(c access.ConnectionID, person access.PersonID, active bool) {
	w.t.Helper()
	w.must(200, c, "PATCH", "/Users/"+string(person), fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":%t}]}`, active))
}

// held are a person's assignments, primary first.
func (w *world) held(c access.ConnectionID, person access.PersonID) (held []access.Assignment) {
	w.t.Helper()
	err := w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(c)
		if err != nil {
			return err
		}
		p, err := dir.Person(person)
		if err != nil {
			return err
		}
		held, err = dir.Assignments(p)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return held
}

// acts is somebody who acts by their assignment of that grant, with a token for
// users.manage.
func (w *world) acts(c access.ConnectionID, person access.PersonID, grant access.Grant) Actor {
	w.t.Helper()
	for _, a := range w.held(c, person) {
		if a.Grant == grant {
			return Actor{Connection: c, Person: person, Assignment: a.ID, Manages: true}
		}
	}
	w.t.Fatalf("%s does not hold %s", person, grant)
	return Actor{}
}

// signedIn is acts with what a sign-in now hands out.
func (w *world) signedIn(c access.ConnectionID, name string, a Actor) Actor {
	w.t.Helper()
	_, b, err := w.bridge.SignIn(w.ctx, upstream.Identity{Connection: c, Issuer: "https://login.example/" + string(c), Subject: name, AuthTime: w.clock.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	a.Token = credential.Bound{Subject: credential.Subject{Connection: c, Person: a.Person, Session: b.Session.ID}, Expires: w.clock.Now().Add(5 * time.Minute)}
	err = w.store.View(w.ctx, func(v *store.View) error {
		cur, err := v.Current(a.Token.Subject)
		a.Token.Epochs = cur.Epochs
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// scope is the id of a scope by its path.
func (w *world) scope(path string) (id access.ScopeID) {
	w.t.Helper()
	err := w.bridge.Reading(w.ctx, func(_ *store.View, p *mapping.Policy, _ time.Time) error {
		s, ok := p.Tree().Resolve(path)
		if id = s.ID; !ok {
			w.t.Fatalf("there is no scope %s", path)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}
