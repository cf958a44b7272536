package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/resource"
)

// api is the registration of an API that takes Fleet Web's tokens.
func api() oidc.Client {
	return oidc.Client{ID: "fleet-api", SecretDigest: credential.DigestOf("fleet-api-secret"), GrantTypes: []string{oidc.GrantTypeClientCredentials},
		ServiceScopes: []string{oidc.ScopeRevocations}, Audience: "fleet-web"}
}

// protected is an API behind oidc/resource, which reaches the bridge without a socket.
type protected struct {
	*world
	guard  *resource.Guard
	mu     sync.Mutex     // guards what follows, where the guard runs beside the test
	routes map[string]int // how often each path was asked for
}

func newProtected(t *testing.T, options ...func(*world)) *protected {
	t.Helper()
	w := newWorld(t, append([]func(*world){func(w *world) { w.clients = append(w.clients, api()) }}, options...)...)
	if err := w.bridge.ApplyClients(w.ctx); err != nil {
		t.Fatal(err)
	}
	p := &protected{world: w, routes: map[string]int{}}
	var err error
	p.guard, err = resource.New(resource.Config{Issuer: "http://127.0.0.1:8443", Audience: "fleet-web", ClientID: "fleet-api", ClientSecret: "fleet-api-secret",
		HTTP: &http.Client{Transport: p}, Now: w.clock.Now, Observe: func(err error) { t.Log(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *protected) provider() http.Handler {
	provider := oidc.New(oidc.Config{Issuer: "http://127.0.0.1:8443", Clients: p.bridge, Requests: p.hot, Tokens: p.bridge, Profiles: p.bridge, Services: p.bridge,
		Applications: p.bridge, Feed: p.bridge, JWKS: p.ring.JWKS, Now: p.clock.Now,
		Proofs: oidc.NewProofs(oidc.ProofConfig{Issuer: "http://127.0.0.1:8443", Nonces: p.ring.NonceKey(), Now: p.clock.Now})})
	mux := http.NewServeMux()
	provider.Routes(mux)
	return mux
}

func (p *protected) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.routes[r.URL.Path]++
	p.mu.Unlock()
	rec := httptest.NewRecorder()
	p.provider().ServeHTTP(rec, r)
	res := rec.Result()
	res.Request = r
	return res, nil
}

func (p *protected) follow() {
	p.t.Helper()
	if err := p.guard.Follow(p.ctx); err != nil {
		p.t.Fatal(err)
	}
}

// begin makes the guard hear that a new run begins, and lets a second pass: tokens are
// verified offline from then on.
func (p *protected) begin() {
	p.t.Helper()
	p.follow()
	p.clock.Add(2 * time.Second)
}

// TestWhateverEndsATokenEndsItOffline holds what an API says that never asks against
// what the bridge says: they agree on every way in which a token ends, as soon as the
// API has heard.
func TestWhateverEndsATokenEndsItOffline(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		end  func(p *protected, person string, v visit) error
	}{
		{"deactivated", func(p *protected, person string, _ visit) error {
			p.patchUser(banksia, person, `{"op":"Replace","path":"active","value":"False"}`)
			return nil
		}},
		{"deleted", func(p *protected, person string, _ visit) error {
			p.send(banksia, "DELETE", "/Users/"+person, "")
			return nil
		}},
		{"left the group", func(p *protected, person string, _ visit) error {
			found := p.must(200, banksia, "GET", `/Groups?filter=displayName+eq+%22GL+Geelong+Managers%22`, "")
			p.removeMember(banksia, found["Resources"].([]any)[0].(map[string]any)["id"].(string), person)
			return nil
		}},
		{"signed out", func(p *protected, _ string, v visit) error {
			return p.bridge.EndSession(p.ctx, v.browser.Session.ID, session.EndSignedOut, event.ByPerson)
		}},
		{"revoked", func(p *protected, _ string, v visit) error {
			return p.bridge.Revoke(p.ctx, v.tokens.AccessToken, p.web.ID)
		}},
		{"the application's tokens", func(p *protected, _ string, _ visit) error {
			_, err := p.bridge.EndClientSessions(p.ctx, p.web.ID, session.EndAdministrator, event.ByBridge)
			return err
		}},
		{"the connection's sessions", func(p *protected, _ string, _ visit) error {
			_, err := p.bridge.EndConnectionSessions(p.ctx, banksia, session.EndAdministrator, event.ByBridge)
			return err
		}},
		{"the host's epoch", func(p *protected, _ string, _ visit) error {
			return p.store.Update(p.ctx, func(tx *store.Tx) error { return tx.BumpHost(time.Time{}) })
		}},
		{"the group was deleted", func(p *protected, _ string, _ visit) error {
			found := p.must(200, banksia, "GET", `/Groups?filter=displayName+eq+%22GL+Geelong+Managers%22`, "")
			p.send(banksia, "DELETE", "/Groups/"+found["Resources"].([]any)[0].(map[string]any)["id"].(string), "")
			return nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newProtected(t)
			person := p.person(banksia, "sam@banksia.example", "oid-sam")
			p.group(banksia, "GL Geelong Managers", person)
			p.begin()
			v := p.session(banksia, "oid-sam")
			if _, err := p.guard.Check(p.ctx, v.tokens.AccessToken); err != nil || p.routes["/oauth2/introspect"] != 0 {
				t.Fatalf("before: %v, and it asked %d times", err, p.routes["/oauth2/introspect"])
			}
			if err := row.end(p, person, v); err != nil {
				t.Fatal(err)
			}
			p.follow()
			if _, err := p.guard.Check(p.ctx, v.tokens.AccessToken); !errors.Is(err, resource.ErrInvalid) {
				t.Errorf("the API lets it in: %v", err)
			}
			if _, err := p.bridge.Accept(p.ctx, v.tokens.AccessToken); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("the bridge lets it in: %v", err)
			}
		})
	}
}

// TestAnOfflineTokenDiesWithTheSCIMRequest waits in the background as an API does.
func TestAnOfflineTokenDiesWithTheSCIMRequest(t *testing.T) {
	t.Parallel()
	p := newProtected(t)
	person := p.person(banksia, "sam@banksia.example", "oid-sam")
	p.group(banksia, "GL Geelong Managers", person)
	p.begin()
	v := p.session(banksia, "oid-sam")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.guard.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	h := p.guard.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), resource.AnyGrant())
	ask := func() int {
		r := httptest.NewRequest(http.MethodGet, "/vehicles", nil)
		r.Header.Set("Authorization", "Bearer "+v.tokens.AccessToken)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec.Code
	}
	if code := ask(); code != http.StatusOK {
		t.Fatalf("before: %d", code)
	}
	p.patchUser(banksia, person, `{"op":"Replace","path":"active","value":"False"}`)
	answered := time.Now()
	for ask() == http.StatusOK {
		if time.Since(answered) > 30*time.Second {
			t.Fatal("it never ends")
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("refused %s after the SCIM answer", time.Since(answered))
}

// TestTheFeedGoesOnWhereItWas: a cursor leaves nothing out and tells nothing twice, and
// one that is not of this run begins anew.
func TestTheFeedGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	p := newProtected(t)
	person := p.person(banksia, "sam@banksia.example", "oid-sam")
	c := api()
	first, err := p.bridge.Revocations(p.ctx, c, "")
	if err != nil || !first.Reset || len(first.Changes) != 0 || first.At != p.clock.Now().Unix() {
		t.Fatalf("%+v (%v)", first, err)
	}
	p.patchUser(banksia, person, `{"op":"replace","path":"active","value":false}`)
	told, err := p.bridge.Revocations(p.ctx, c, first.Cursor)
	ended := func(r oidc.Revocation) bool { return r.Claim == "sub" && r.ID == person && r.Ended }
	if err != nil || told.Reset || !slices.ContainsFunc(told.Changes, ended) {
		t.Fatalf("%+v (%v)", told, err)
	}
	again, err := p.bridge.Revocations(p.ctx, c, told.Cursor)
	if err != nil || again.Reset || len(again.Changes) != 0 || again.Cursor != told.Cursor {
		t.Errorf("%+v (%v)", again, err)
	}
	for _, cursor := range []string{"x", "run.1", first.Cursor + "9999", "." + told.Cursor, "run_x.-1"} {
		if r, err := p.bridge.Revocations(p.ctx, c, cursor); err != nil || !r.Reset {
			t.Errorf("%q: %+v (%v)", cursor, r, err)
		}
	}
	p.forget()
	if r, err := p.bridge.Revocations(p.ctx, c, told.Cursor); err != nil || !r.Reset {
		t.Errorf("after a restart: %+v (%v)", r, err)
	}
}

// TestTheFeedSpeaksInTheNamesOfTheTokens: applications of a sector have names of their
// own, and an API hears of people by the names in the tokens that it may be shown, and
// by no others.
func TestTheFeedSpeaksInTheNamesOfTheTokens(t *testing.T) {
	t.Parallel()
	pairwise := oidc.Client{ID: "sector-web", SecretDigest: credential.DigestOf("s"), RedirectURIs: []string{"https://sector.example/cb"}, Sector: "sector.example", Audience: "sector-api"}
	other := api()
	other.ID, other.Audience = "sector-api", "sector-api"
	p := newProtected(t, func(w *world) { w.clients = append(w.clients, pairwise, other) })
	person := p.person(banksia, "sam@banksia.example", "oid-sam")
	start, err := p.bridge.Revocations(p.ctx, other, "")
	if err != nil {
		t.Fatal(err)
	}
	p.patchUser(banksia, person, `{"op":"replace","path":"active","value":false}`)
	told, err := p.bridge.Revocations(p.ctx, other, start.Cursor)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range told.Changes {
		if r.Claim == "sub" {
			names = append(names, r.ID)
		}
	}
	if want := p.bridge.SubjectFor(pairwise, access.PersonID(person)); !slices.Equal(names, []string{want}) || want == person {
		t.Errorf("told of %v, want %s alone", names, want)
	}
}

// TestTheFeedIsForThoseWhoMayFollow over HTTP.
func TestTheFeedIsForThoseWhoMayFollow(t *testing.T) {
	t.Parallel()
	p := newProtected(t, func(w *world) { w.clients = append(w.clients, watcher()) })
	for _, row := range []struct {
		name, token, query string
		want               int
	}{
		{"nobody", "", "", 401},
		{"another scope", p.serviceToken(watcher()), "", 403},
		{"what is no token", "x", "", 401},
		{"who may", p.serviceToken(api()), "", 200},
		{"a cursor twice", p.serviceToken(api()), "?since=a&since=b", 400},
		{"no time", p.serviceToken(api()), "?wait=-1", 400},
	} {
		r := httptest.NewRequest(http.MethodGet, "/oauth2/revocations"+row.query, nil)
		if row.token != "" {
			r.Header.Set("Authorization", "Bearer "+row.token)
		}
		rec := httptest.NewRecorder()
		p.provider().ServeHTTP(rec, r)
		if rec.Code != row.want || rec.Code == 200 && !bytes.Contains(rec.Body.Bytes(), []byte(`"reset":true`)) {
			t.Errorf("%s: %d %s", row.name, rec.Code, rec.Body)
		}
	}
}

// TestAProxyMayAsk: nginx by the address, Envoy by a header that it sets.
func TestAProxyMayAsk(t *testing.T) {
	t.Parallel()
	p := newProtected(t)
	person := p.person(banksia, "sam@banksia.example", "oid-sam")
	p.group(banksia, "GL Geelong Managers", person)
	v := p.session(banksia, "oid-sam", "live_view")
	scope := string(v.browser.Assignment.Scope.ID)
	for _, row := range []struct {
		name, path, need, token string
		want                    int
	}{
		{"a token", "?audience=fleet-web", "", v.tokens.AccessToken, 200},
		{"no token", "?audience=fleet-web", "", "", 401},
		{"no audience", "", "", v.tokens.AccessToken, 400},
		{"another audience", "?audience=other", "", v.tokens.AccessToken, 401},
		{"a workflow", "?audience=fleet-web&workflow=live_view", "", v.tokens.AccessToken, 200},
		{"a workflow it lacks", "?audience=fleet-web&workflow=settings.manage", "", v.tokens.AccessToken, 403},
		{"its grant", "?audience=fleet-web&grant=standard&grant=elevated", "", v.tokens.AccessToken, 200},
		{"another grant", "?audience=fleet-web&grant=administrator", "", v.tokens.AccessToken, 403},
		{"its scope", "?audience=fleet-web&reaches=" + scope, "", v.tokens.AccessToken, 200},
		{"another scope", "?audience=fleet-web&reaches=scp_x", "", v.tokens.AccessToken, 403},
		{"within its own", "?audience=fleet-web&within=" + scope, "", v.tokens.AccessToken, 200},
		{"within another", "?audience=fleet-web&within=scp_x", "", v.tokens.AccessToken, 403},
		{"its sign-in", "?audience=fleet-web&max_age=3600", "", v.tokens.AccessToken, 200},
		{"another sign-in", "?audience=fleet-web&acr=gold", "", v.tokens.AccessToken, 401},
		{"an age that is none", "?audience=fleet-web&max_age=-1", "", v.tokens.AccessToken, 400},
		{"what it does not know", "?audience=fleet-web&role=x", "", v.tokens.AccessToken, 400},
		{"Envoy", "/any/path?grant=x", "audience=fleet-web&workflow=live_view", v.tokens.AccessToken, 200},
		{"Envoy, refused", "/any/path?audience=fleet-web", "audience=fleet-web&grant=administrator", v.tokens.AccessToken, 403},
		{"a header that the client sent", "?audience=fleet-web&grant=administrator", "audience=fleet-web", v.tokens.AccessToken, 403},
		{"a path that the client sent", "/x?audience=fleet-web", "", v.tokens.AccessToken, 400},
	} {
		r := httptest.NewRequest(http.MethodGet, "/oauth2/auth_request"+row.path, nil)
		if row.token != "" {
			r.Header.Set("Authorization", "Bearer "+row.token)
		}
		if row.need != "" {
			r.Header.Set("X-Auth-Need", row.need)
		}
		rec := httptest.NewRecorder()
		p.provider().ServeHTTP(rec, r)
		if rec.Code != row.want || rec.Code == 200 && (rec.Header().Get("X-Auth-Subject") != person || rec.Header().Get("X-Auth-Grant") != "standard" || rec.Header().Get("X-Auth-Workflows") != "live_view") {
			t.Errorf("%s: %d %s", row.name, rec.Code, rec.Body)
		}
	}
}
