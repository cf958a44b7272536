package bridge_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
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
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/hot/embedded"
	"github.com/drawbridge-id/drawbridge/internal/keys"
	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // no new keys for each test
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
	"github.com/drawbridge-id/drawbridge/scim"
)

// world is a whole bridge on real engines in a temporary folder, with a clock that
// tests move.
type world struct {
	t      testing.TB
	ctx    context.Context
	dir    string
	clock  *clock
	store  *store.Store
	rows   store.Engine
	hot    *embedded.Engine
	bridge *bridge.Bridge
	scim   http.Handler
	tokens map[access.ConnectionID]string
	web    oidc.Client
	ring   *keys.Ring

	clients []oidc.Client // the applications of the configuration
	lives   bridge.Lives
	trust   map[access.ConnectionID]assertion.Trust // whose signed word counts; assemble again after a change
	probes  bridge.Probes                           // how identity providers are asked about sessions
	// Tests put something between the engines and the bridge; nil: nothing.
	aroundStore func(store.Engine) store.Engine
	aroundHot   func(hot.Engine) hot.Engine
}

const verifier = "a-code-verifier-that-is-long-enough-for-the-rule-of-43"

type clock struct {
	look func() // called at every look at the clock, unless nil
	mu   sync.Mutex
	now  time.Time
}

func (c *clock) Now() time.Time {
	if c.look != nil {
		c.look()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// samplePolicy is the sample organisation of examples/drawbridge.yaml, without the tests
// that hold it to what it promises (other tests change it at will) and without conditions.
func samplePolicy(t testing.TB) mapping.PolicySource {
	t.Helper()
	p := examplePolicy(t)
	p.Tests, p.Conditions = nil, nil
	for i := range p.Rules {
		p.Rules[i].When = ""
	}
	return p
}

// example is the sample organisation, read once: reading it costs as much as many a test.
var example = sync.OnceValues(func() (*config.Config, error) { return config.Load("../../examples/drawbridge.yaml", nil) })

// examplePolicy is the example's policy, of which the caller may change everything.
func examplePolicy(t testing.TB) (p mapping.PolicySource) {
	t.Helper()
	cfg, err := example()
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

// newWorld is a bridge with the sample policy applied and a token per connection.
// Options change the world before its engines are opened.
func newWorld(t testing.TB, options ...func(*world)) *world {
	t.Helper()
	sample.once.Do(func() { makeSample(t) })
	if sample.files == nil {
		t.Fatal("there is no sample to copy: the test that made it failed")
	}
	w := emptyWorld(t)
	for _, o := range options {
		o(w)
	}
	for name, content := range sample.files {
		if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.tokens = maps.Clone(sample.tokens)
	w.open()
	return w
}

func emptyWorld(t testing.TB) *world {
	web := oidc.Client{ID: "fleet-web", Name: "Fleet Web", RedirectURIs: []string{"http://127.0.0.1:9200/callback"},
		SecretDigest: credential.DigestOf("fleet-web-secret")}
	return &world{t: t, ctx: context.Background(), dir: t.TempDir(), clock: &clock{now: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)},
		tokens: map[access.ConnectionID]string{}, web: web, clients: []oidc.Client{web}, lives: bridge.DefaultLives()}
}

// sample is a closed data folder, made once: a new world copies it, since keys and a
// first policy cost half a second.
var sample struct {
	once   sync.Once
	files  map[string][]byte
	tokens map[access.ConnectionID]string
}

func makeSample(t testing.TB) {
	t.Helper()
	w := emptyWorld(t)
	w.open()
	if _, err := w.bridge.ApplyPolicy(w.ctx, samplePolicy(t)); err != nil {
		t.Fatal(err)
	}
	if err := w.bridge.ApplyClients(w.ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []access.ConnectionID{"banksia-entra", "southern-entra", "tundra-okta"} {
		token, _, err := w.bridge.CreateSCIMToken(w.ctx, c, "test", 365*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[c] = token.Reveal()
	}
	w.close()
	files := map[string][]byte{}
	for _, name := range []string{"drawbridge.db", "hot.db", "root.key"} {
		content, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	sample.files, sample.tokens = files, w.tokens
}

// open opens the engines and puts the bridge together; restart closes and opens again.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.rows, err = sqlite.OpenEngine(w.ctx, filepath.Join(w.dir, "drawbridge.db")); err != nil {
		w.t.Fatal(err)
	}
	w.rows = lastEnds{w.rows}
	if w.aroundStore != nil {
		w.rows = w.aroundStore(w.rows)
	}
	if w.store, err = store.New(w.ctx, w.rows); err != nil {
		w.t.Fatal(err)
	}
	if w.hot, err = embedded.Open(w.ctx, filepath.Join(w.dir, "hot.db"), embedded.Limits{}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.close)
	if w.ring, err = keys.Open(w.ctx, keys.Config{Root: keys.Root{File: filepath.Join(w.dir, "root.key")}, Rows: keyRows{w.store}, Now: w.clock.Now}); err != nil {
		w.t.Fatal(err)
	}
	w.assemble()
}

// assemble makes a bridge of the world's engines, clients and lives.
func (w *world) assemble() {
	w.t.Helper()
	var h hot.Engine = w.hot
	if w.aroundHot != nil {
		h = w.aroundHot(h)
	}
	var err error
	w.bridge, err = bridge.New(bridge.Config{Store: w.store, Hot: h, Issuer: credential.NewIssuer("http://127.0.0.1:8443", w.ring.Keyring),
		Refresh: w.ring.RefreshKey(), Cursors: w.ring.CursorKey(), Marks: w.ring.MarkKey(), Cookies: w.ring.CookieKey(), SCIMAccess: w.ring.SCIMAccessKey(),
		Services: w.ring.ServiceKey(), Names: w.ring.PairwiseKey(),
		Assertions: assertion.NewVerifier(egress.New(egress.Options{InsecureAllowLoopback: true}), w.trusted()...), Trust: w.trust, Probes: w.probes, URL: "http://127.0.0.1:8443", Clients: w.clients, Lives: w.lives, Streams: bridge.Streams{AtRest: w.ring.AtRestKey()}, Now: w.clock.Now,
		Observe: func(op string, err error) { w.t.Logf("background: %s: %v", op, err) }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.scim = scim.New(scim.Config{Gate: w.bridge, Selves: w.bridge, PublicURL: "http://127.0.0.1:8443", Now: w.clock.Now})
}

// trusted are all whose signed word counts.
func (w *world) trusted() []assertion.Trust {
	all := slices.Collect(maps.Values(w.trust))
	for _, c := range w.clients {
		all = append(all, c.Trust)
	}
	return all
}

func (w *world) close() {
	if w.store == nil {
		return
	}
	if err := w.hot.Close(); err != nil {
		w.t.Error(err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
	w.store = nil
}

// forget puts the bridge together anew on the open engines: nothing is remembered
// of epochs or policy, and all is read again.
func (w *world) forget() {
	w.t.Helper()
	var err error
	if w.store, err = store.New(w.ctx, w.rows); err != nil {
		w.t.Fatal(err)
	}
	w.assemble()
}

func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
}

type keyRows struct{ s *store.Store }

func (k keyRows) SigningKeys(ctx context.Context) (all []store.SigningKey, err error) {
	err = k.s.View(ctx, func(v *store.View) error {
		all, err = v.SigningKeys()
		return err
	})
	return all, err
}

func (k keyRows) Envelope(ctx context.Context) (text []byte, err error) {
	err = k.s.View(ctx, func(v *store.View) error {
		text, err = v.Envelope()
		return err
	})
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

// send sends a SCIM request as the identity provider of a connection.
func (w *world) send(c access.ConnectionID, method, path, body string) (int, map[string]any) {
	w.t.Helper()
	r := httptest.NewRequest(method, "/scim/v2/"+string(c)+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.tokens[c])
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	rec := httptest.NewRecorder()
	w.scim.ServeHTTP(rec, r)
	var out map[string]any
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			w.t.Fatalf("%s %s answered %q: %v", method, path, rec.Body, err)
		}
	}
	return rec.Code, out
}

// must is send, expecting that status.
func (w *world) must(status int, c access.ConnectionID, method, path, body string) map[string]any {
	w.t.Helper()
	got, out := w.send(c, method, path, body)
	if got != status {
		w.t.Fatalf("%s %s answered %d %v, want %d", method, path, got, out, status)
	}
	return out
}

// person provisions somebody and gives their id.
func (w *world) person(c access.ConnectionID, userName, externalID string) string {
	w.t.Helper()
	return w.must(201, c, "POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"externalId":%q,"active":true,
		"name":{"givenName":"Test","familyName":"Person"},"emails":[{"value":%q,"type":"work","primary":true}]}`, userName, externalID, userName))["id"].(string)
}

// group provisions a group with these members and gives its id.
func (w *world) group(c access.ConnectionID, name string, members ...string) string {
	w.t.Helper()
	return w.must(201, c, "POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"members":%s}`, name, memberList(members)))["id"].(string)
}

func memberList(ids []string) string {
	list := []map[string]string{}
	for _, id := range ids {
		list = append(list, map[string]string{"value": id})
	}
	b, _ := json.Marshal(list)
	return string(b)
}

func (w *world) addMember(c access.ConnectionID, group string, members ...string) {
	w.t.Helper()
	w.must(204, c, "PATCH", "/Groups/"+group, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":%s}]}`, memberList(members)))
}

func (w *world) removeMember(c access.ConnectionID, group, member string) {
	w.t.Helper()
	w.must(204, c, "PATCH", "/Groups/"+group, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"%s\"]"}]}`, member))
}

// patchUser sends one PatchOp whose Operations are ops.
func (w *world) patchUser(c access.ConnectionID, id, ops string) {
	w.t.Helper()
	w.must(200, c, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+ops+`]}`)
}

// holds are a person's assignments as explain shows them: "primary standard @ …".
func (w *world) holds(userName string) []string {
	w.t.Helper()
	found, err := w.bridge.Explain(w.ctx, userName, "")
	if err != nil {
		w.t.Fatal(err)
	}
	out := []string{}
	for _, e := range found {
		for _, h := range e.Holds {
			out = append(out, string(h.Standing)+" "+h.Is)
		}
	}
	return out
}

// signIn signs a person in at the bridge and gives the cookie.
func (w *world) signIn(c access.ConnectionID, subject string) (string, oidc.Browser, error) {
	cookie, b, err := w.bridge.SignIn(w.ctx, upstream.Identity{Connection: c, Issuer: "https://login.example/" + string(c), Subject: subject, AuthTime: w.clock.Now()})
	return cookie.Reveal(), b, err
}

// mustSignIn is signIn that must succeed.
func (w *world) mustSignIn(c access.ConnectionID, subject string) (string, oidc.Browser) {
	w.t.Helper()
	cookie, b, err := w.signIn(c, subject)
	if err != nil {
		w.t.Fatal(err)
	}
	return cookie, b
}

// code issues an authorization code for the browser's session.
func (w *world) code(b oidc.Browser, scopes ...string) (string, error) {
	w.t.Helper()
	return w.codeFor(hot.AuthRequest{OAuthScopes: append([]string{"openid"}, scopes...)}, b)
}

// codeFor issues a code for what a request asks for; the rest of it is made up.
func (w *world) codeFor(req hot.AuthRequest, b oidc.Browser) (string, error) {
	w.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	req.ID, req.Client, req.RedirectURI = credential.NewID("req"), w.web.ID, w.web.RedirectURIs[0]
	req.CodeChallenge, req.Expires = base64.RawURLEncoding.EncodeToString(sum[:]), w.clock.Now().Add(time.Minute)
	redirect, err := w.bridge.Issue(w.ctx, req, b.Session)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(redirect)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Query().Get("code"), nil
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (w *world) redeem(code string) (oidc.TokenSet, error) {
	return w.bridge.Redeem(w.ctx, oidc.CodeExchange{Code: code, RedirectURI: w.web.RedirectURIs[0], CodeVerifier: verifier, Client: w.web})
}

func (w *world) refresh(token string) (oidc.TokenSet, error) {
	return w.bridge.Refresh(w.ctx, oidc.RefreshExchange{RefreshToken: token, Client: w.web})
}

// session is one sign-in with everything that came of it.
type visit struct {
	cookie  string
	browser oidc.Browser
	tokens  oidc.TokenSet
}

func (w *world) session(c access.ConnectionID, subject string, scopes ...string) visit {
	w.t.Helper()
	cookie, b := w.mustSignIn(c, subject)
	code, err := w.code(b, scopes...)
	if err != nil {
		w.t.Fatal(err)
	}
	tokens, err := w.redeem(code)
	if err != nil {
		w.t.Fatal(err)
	}
	return visit{cookie, b, tokens}
}

// alive reports which of a sign-in's credentials the bridge accepts now. Refreshing
// is tried last, since it uses the token up.
func (w *world) alive(s visit) (browser, access, refresh bool) {
	_, errBrowser := w.bridge.Browser(w.ctx, s.cookie)
	_, errAccess := w.bridge.Accept(w.ctx, s.tokens.AccessToken)
	_, errRefresh := w.refresh(s.tokens.RefreshToken)
	return errBrowser == nil, errAccess == nil, errRefresh == nil
}

// allDead fails unless nothing of the sign-in is accepted.
func (w *world) allDead(s visit, when string) {
	w.t.Helper()
	if b, a, r := w.alive(s); b || a || r {
		w.t.Errorf("%s: browser %t, access token %t, refresh token %t are accepted; none may be", when, b, a, r)
	}
}
