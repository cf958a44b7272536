package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/rsakey"
)

const twoProviders = `version: 1
vendor: { name: Lantern Fleet Safety }
server: { public_url: "http://127.0.0.1:8443", data: %%s }
scopes:
  southern: { name: Southern Telematics }
  tundra: { name: Tundra Transport }
connections:
  southern-okta:
    idp: okta
    name: Southern Telematics
    ceiling: { scope: southern, grants: [standard] }
    sign_in:
      { issuer: %[1]q, client_id: bridge, client_secret: a-sample-for-loopback, revocation: { issuer: %[1]q }, signals: { issuer: %[1]q, delivery: push, bearer_secret: a-sample-for-loopback } }
  tundra-okta:
    idp: okta
    name: Tundra Transport
    ceiling: { scope: tundra, grants: [standard] }
    sign_in:
      { issuer: %[2]q, client_id: bridge, client_secret: a-sample-for-loopback, revocation: { issuer: %[2]q }, signals: { issuer: %[2]q, delivery: push, bearer_secret: a-sample-for-loopback } }
`

// teller is an identity provider that tells the bridge of its people: by logout tokens,
// requests for revocation and pushed signals.
type teller struct {
	*httptest.Server
	t   *testing.T
	key jose.JSONWebKey

	mu     sync.Mutex // guards what follows
	stream map[string]any
	pushes string // the Authorization header of its pushes, as the bridge asked
}

func newTeller(t *testing.T) *teller {
	t.Helper()
	key, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	s := &teller{t: t, key: jose.JSONWebKey{Key: key, KeyID: "one", Use: "sig"}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *teller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer any
	switch r.Method + " " + r.URL.Path {
	case "GET /.well-known/openid-configuration":
		answer = map[string]any{"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys"}
	case "GET /.well-known/ssf-configuration":
		answer = map[string]any{"issuer": s.URL, "jwks_uri": s.URL + "/keys", "configuration_endpoint": s.URL + "/streams"}
	case "GET /keys", "GET /oauth2/v1/keys":
		answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.key.Public()}}
	case "GET /streams":
		if answer = []any{}; r.URL.Query().Has("stream_id") {
			answer = s.stream
		}
	case "POST /streams":
		if err := json.NewDecoder(r.Body).Decode(&s.stream); err != nil {
			s.t.Error(err)
		}
		s.stream["stream_id"], s.stream["aud"], answer = "str-1", "bridge", s.stream
		delivery, _ := s.stream["delivery"].(map[string]any)
		s.pushes, _ = delivery["authorization_header"].(string)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}

func (s *teller) secret() string { s.mu.Lock(); defer s.mu.Unlock(); return s.pushes }

// says signs claims of iss with the key of s.
func (s *teller) says(typ, iss, aud string, more map[string]any) string {
	s.t.Helper()
	claims := map[string]any{"iss": iss, "aud": aud, "jti": fmt.Sprint("j-", time.Now().UnixNano()), "iat": time.Now().Unix()}
	for name, value := range more {
		claims[name] = value
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		s.t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: s.key}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
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
	return raw
}

func (s *teller) logoutOf(iss string) string {
	return s.says("logout+jwt", iss, "bridge", map[string]any{"sub": "00u1", "exp": time.Now().Add(time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
}

func (s *teller) callerOf(iss, connection string) string {
	return s.says("global-token-revocation+jwt", iss, "http://127.0.0.1:8443/connect/"+connection+"/global-token-revocation",
		map[string]any{"sub": "bridge", "exp": time.Now().Add(time.Minute).Unix()})
}

func (s *teller) signalOf(iss string) string {
	return s.says("secevent+jwt", iss, "bridge", map[string]any{"sub_id": map[string]string{"format": "iss_sub", "iss": iss, "sub": "00u1"},
		"events": map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{"event_timestamp": time.Now().Unix()}}})
}

// TestTB17_NoProviderSpeaksForAnothersConnection: what proves itself at one connection proves nothing at
// another, and the words of one provider with the key of the other nothing anywhere.
func TestTB17_NoProviderSpeaksForAnothersConnection(t *testing.T) {
	t.Parallel()
	southern, tundra := newTeller(t), newTeller(t)
	a := assembledWith(t, fmt.Sprintf(twoProviders, southern.URL, tundra.URL), setting{log: io.Discard, insecureLoopbackEgress: true})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { a.receiver.Run(ctx) })
	defer running.Wait()
	defer cancel()
	until(t, "both have a stream", func() bool { return southern.secret() != "" && tundra.secret() != "" })
	send := func(connection, door, kind, authorization, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/connect/"+connection+"/"+door, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		rec := httptest.NewRecorder()
		a.public.ServeHTTP(rec, r)
		return rec.Code
	}
	logout := func(connection, token string) int {
		return send(connection, "backchannel-logout", "application/x-www-form-urlencoded", "", url.Values{"logout_token": {token}}.Encode())
	}
	revoke := func(connection, token string) int {
		return send(connection, "global-token-revocation", "application/json", "Bearer "+token, `{"sub_id":{"format":"opaque","id":"00u1"}}`)
	}
	push := func(connection, secret, token string) int {
		return send(connection, "events", "application/secevent+jwt", secret, token)
	}
	for name, c := range map[string]struct{ got, want int }{
		"a logout token of its own provider":    {logout("southern-okta", southern.logoutOf(southern.URL)), http.StatusOK},
		"of the other connection's":             {logout("southern-okta", tundra.logoutOf(tundra.URL)), http.StatusBadRequest},
		"in its name, by the other's key":       {logout("southern-okta", tundra.logoutOf(southern.URL)), http.StatusBadRequest},
		"in the other's name, by its key":       {logout("southern-okta", southern.logoutOf(tundra.URL)), http.StatusBadRequest},
		"a revocation by its own provider":      {revoke("southern-okta", southern.callerOf(southern.URL, "southern-okta")), http.StatusNotFound}, // nobody has that id
		"by the other connection's":             {revoke("southern-okta", tundra.callerOf(tundra.URL, "southern-okta")), http.StatusUnauthorized},
		"in its name, by the other's own key":   {revoke("southern-okta", tundra.callerOf(southern.URL, "southern-okta")), http.StatusUnauthorized},
		"made for the other connection":         {revoke("tundra-okta", tundra.callerOf(tundra.URL, "southern-okta")), http.StatusUnauthorized},
		"a signal of its own provider":          {push("southern-okta", southern.secret(), southern.signalOf(southern.URL)), http.StatusAccepted},
		"with the other's secret":               {push("southern-okta", tundra.secret(), southern.signalOf(southern.URL)), http.StatusUnauthorized},
		"with its secret, of the other":         {push("southern-okta", southern.secret(), tundra.signalOf(tundra.URL)), http.StatusBadRequest},
		"with its secret and name, by that key": {push("southern-okta", southern.secret(), tundra.signalOf(southern.URL)), http.StatusBadRequest},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", name, c.got, c.want)
		}
	}
}
