package upstream

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// idp is a real OpenID provider on loopback that says exactly what a test wants.
type idp struct {
	*httptest.Server
	clock func() time.Time

	mu       sync.Mutex // guards what follows
	claims   map[string]any
	signer   func(payload []byte) string
	metadata map[string]any
	tokens   func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	asked    url.Values                                        // the last token request
	keys     any                                               // what is published; nil: the keys of all kinds

	rsa       *rsa.PrivateKey
	keyFetch  atomic.Int64
	discovery atomic.Int64
	broken    atomic.Bool // every request is answered 503
}

const (
	clientID = "bridge-client"
	nonce    = "the-nonce-that-was-sent"
	verifier = "a-code-verifier-of-at-least-forty-three-characters"
)

func newIdP(t *testing.T) *idp {
	t.Helper()
	key := rsaKey()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	p := &idp{rsa: key, clock: func() time.Time { return now }}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveMetadata)
	mux.HandleFunc("GET /keys", p.serveKeys)
	mux.HandleFunc("POST /token", p.serveToken)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	p.signer = p.sign(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "rsa"}})
	p.claims = map[string]any{
		"iss": p.URL, "aud": clientID, "sub": "pairwise-subject", "oid": "00000000-0000-4000-8000-000000000001", "tid": "tenant-1",
		"nonce": nonce, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "auth_time": now.Unix(),
		"sid": "upstream-session", "acr": "1", "amr": []string{"pwd", "mfa"}, "email": "somebody.else@victim.example",
	}
	return p
}

func (p *idp) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	p.discovery.Add(1)
	m := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"HS256", "none", "RS256"}, // not what decides
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, v := range p.metadata {
		m[k] = v
	}
	writeJSON(w, m)
}

func (p *idp) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.keyFetch.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys != nil {
		writeJSON(w, p.keys)
		return
	}
	writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: p.rsa.Public(), KeyID: "rsa", Use: "sig"},
		{Key: ecKey().Public(), KeyID: "ec", Use: "sig"},
		{Key: edKey().Public(), KeyID: "ed", Use: "sig"},
	}})
}

func (p *idp) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = r.PostForm
	if p.tokens != nil && p.tokens(w, r) {
		return
	}
	payload, err := json.Marshal(p.claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]any{"access_token": "at", "token_type": "Bearer", "id_token": p.signer(payload)})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

func (p *idp) sign(k jose.SigningKey) func([]byte) string {
	return func(payload []byte) string {
		s, err := jose.NewSigner(k, (&jose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			panic(err)
		}
		jws, err := s.Sign(payload)
		if err != nil {
			panic(err)
		}
		raw, err := jws.CompactSerialize()
		if err != nil {
			panic(err)
		}
		return raw
	}
}

var (
	rsaKey = sync.OnceValue(newRSAKey)
	ecKey  = sync.OnceValue(func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	})
	edKey = sync.OnceValue(func() ed25519.PrivateKey {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	})
)

func newRSAKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// provider is the bridge's configuration for the test provider, as for Entra.
func (p *idp) provider() Provider {
	return Provider{Connection: "ironbark-entra", Issuer: p.URL, ClientID: clientID, ClientSecret: secret.New("s3cret"),
		SubjectClaim: "oid", TenantID: "tenant-1", OAuthScopes: []string{"profile"}}
}

func (p *idp) upstreams(t *testing.T) *Upstreams {
	t.Helper()
	u, err := New(p.Client(), nil, []Provider{p.provider()}, func() time.Time { return p.clock() })
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func leg() Leg {
	return Leg{State: "the-state", Nonce: nonce, CodeVerifier: verifier, RedirectURL: "https://id.example/connect/ironbark-entra/callback",
		MaxAge: -1, Started: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
}

func answer(pairs ...string) url.Values {
	q := url.Values{"state": {"the-state"}, "code": {"a-code"}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

func challengeOf(v string) string { return oauth2.S256ChallengeFromVerifier(v) }

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func long(n int) string { return strings.Repeat("x", n) }
