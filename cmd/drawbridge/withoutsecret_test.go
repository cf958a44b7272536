package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/rsakey"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// withOkta starts a demo whose tundra-okta has an identity provider of this test's, to
// which the bridge proves itself by its own keys; more is added to its sign_in.
func withOkta(t *testing.T, more string) (d *running, issuer string) {
	t.Helper()
	var idp atomic.Pointer[http.Handler]
	none := http.Handler(http.NotFoundHandler())
	idp.Store(&none)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*idp.Load()).ServeHTTP(w, r) }))
	t.Cleanup(at.Close)
	const was = "issuer: https://login.example/tundra\n      client_id: drawbridge-tundra\n      client_secret: sample-secret-for-loopback-only\n"
	text := strings.Replace(string(examples.Drawbridge), was, fmt.Sprintf("issuer: %s\n      client_id: bridge-there\n      client_authentication: private_key_jwt\n%s", at.URL, more), 1)
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil || text == string(examples.Drawbridge) {
		t.Fatal("the sample has no such sign_in", err)
	}
	d = startDemo(t, t.TempDir(), "--config", file)
	okta, err := oidctest.NewOkta(oidctest.Config{Name: "Tundra Transport", ID: "tundra", BaseURL: at.URL, ClientID: "bridge-there", ClientKeysURI: d.Issuer + "/oauth2/keys",
		RedirectURIs: []string{d.Issuer + "/connect/tundra-okta/callback"},
		SCIM:         oidctest.SCIM{BaseURL: d.Issuer + "/scim/v2/tundra-okta", Token: secret.New(d.connection("tundra-okta").SCIMToken)},
		Directory: oidctest.NewDirectory([]oidctest.Person{{ObjectID: "00u1", UserName: "noor@tundra.example", Email: "noor@tundra.example", DisplayName: "Noor Vance", Active: true}},
			[]oidctest.Group{{ObjectID: "00g1", Name: "gl-tromso-ops", Members: []string{"00u1"}}})})
	if err != nil {
		t.Fatal(err)
	}
	h := okta.Handler()
	idp.Store(&h)
	if report, err := okta.SyncAll(t.Context()); err != nil {
		t.Fatal(report, err)
	}
	return d, at.URL
}

// The bridge signs people in at an identity provider that gave it no secret: it proves
// itself by the keys that it publishes, and the provider verifies that (private_key_jwt).
func TestPeopleSignInWhereTheBridgeHasNoSecret(t *testing.T) {
	t.Parallel()
	for _, audience := range []string{"token_endpoint", "issuer"} {
		t.Run(audience, func(t *testing.T) {
			t.Parallel()
			d, issuer := withOkta(t, "      assertion_audience: "+audience+"\n")
			tokens, err := d.client("tundra-okta").SignIn(t.Context(), "noor@tundra.example")
			if err != nil || tokens.Claims["active_grant"] == nil {
				t.Fatalf("%v, %v", tokens.Claims, err)
			}
			refusesWithoutProof(t, issuer+"/oauth2/v1/token")
		})
	}
}

// refusesWithoutProof: the provider of this test does look at the proof.
func refusesWithoutProof(t *testing.T, endpoint string) {
	t.Helper()
	for _, form := range []url.Values{
		{"client_id": {"bridge-there"}},
		{"client_id": {"bridge-there"}, "client_secret": {"x"}},
		{"client_id": {"bridge-there"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {"e30.e30.e30"}},
	} {
		form.Set("grant_type", "authorization_code")
		resp, err := http.PostForm(endpoint, form)
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ Error string }
		if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || resp.StatusCode != http.StatusUnauthorized || said.Error != "invalid_client" {
			t.Errorf("%v: %d %+v (%v)", form, resp.StatusCode, said, err)
		}
		resp.Body.Close() //nolint:errcheck // it was read
	}
}

// signalling is a transmitter with one stream, which is polled.
type signalling struct {
	*httptest.Server
	t   *testing.T
	key jose.JSONWebKey

	mu      sync.Mutex // guards what follows
	stream  map[string]any
	waiting map[string]string
}

func newSignalling(t *testing.T) *signalling {
	key, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	s := &signalling{t: t, key: jose.JSONWebKey{Key: key, KeyID: "one", Use: "sig"}, waiting: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *signalling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var said map[string]any
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			s.t.Error(err)
		}
	}
	var answer any
	switch r.Method + " " + r.URL.Path {
	case "GET /.well-known/ssf-configuration":
		answer = map[string]any{"issuer": s.URL, "jwks_uri": s.URL + "/keys", "configuration_endpoint": s.URL + "/streams"}
	case "GET /keys":
		answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.key.Public()}}
	case "GET /streams":
		if answer = []any{}; r.URL.Query().Has("stream_id") {
			answer = s.stream
		}
	case "POST /streams":
		s.stream = said
		said["stream_id"], said["aud"], said["delivery"] = "str-1", "bridge", map[string]string{"method": "urn:ietf:rfc:8936", "endpoint_url": s.URL + "/poll"}
		answer = said
	case "POST /poll":
		acks, _ := said["ack"].([]any)
		for _, jti := range acks {
			delete(s.waiting, jti.(string))
		}
		answer = map[string]any{"sets": s.waiting}
	}
	if r.Header.Get("Authorization") != "Bearer a-token-for-loopback-only" && r.URL.Path != "/keys" && !strings.HasPrefix(r.URL.Path, "/.well-known") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

// revoke signals that all sessions of somebody were revoked.
func (s *signalling) revoke(issuer, sub string) {
	s.t.Helper()
	payload, err := json.Marshal(map[string]any{"iss": s.URL, "aud": "bridge", "jti": "set-1", "iat": time.Now().Unix(), "sub_id": map[string]string{"format": "iss_sub", "iss": issuer, "sub": sub},
		"events": map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{"event_timestamp": time.Now().Unix()}}})
	if err != nil {
		s.t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: s.key}, (&jose.SignerOptions{}).WithType("secevent+jwt"))
	if err != nil {
		s.t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting["set-1"] = raw
}

func (s *signalling) left() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.waiting) }

// What an identity provider signals ends sessions in the running program, and doctor says
// how the stream stands.
func TestASignalEndsWhatItIsAbout(t *testing.T) {
	t.Parallel()
	s := newSignalling(t)
	d, issuer := withOkta(t, fmt.Sprintf("      signals: { issuer: %q, every: 1s, bearer_secret: a-token-for-loopback-only }\n", s.URL))
	c := d.client("tundra-okta")
	tokens, err := c.SignIn(t.Context(), "noor@tundra.example")
	if err != nil {
		t.Fatal(err)
	}
	s.revoke(issuer, "00u1")
	until(t, "the session ends", func() bool {
		said, err := c.Introspect(t.Context(), tokens.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		return said["active"] == false
	})
	until(t, "the signal is acknowledged", func() bool { return s.left() == 0 })
	if code, out := d.command("doctor"); !strings.Contains(out, "tundra-okta: signals: the stream str-1 (polled) stands") || strings.Contains(out, "last event: never") {
		t.Errorf("doctor ended with %d:\n%s", code, out)
	}
}

// until waits for something that happens by itself.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}
