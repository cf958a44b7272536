package ssf

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// bound is one application whose tokens are bound to a key, or to none.
type bound struct {
	Streams
	keys map[string]string // by token; "" for a bearer token
}

func (b bound) AcceptServiceShown(_ context.Context, shown oidc.Presented, _ string) (oidc.Client, error) {
	key, ok := b.keys[shown.Token]
	if !ok {
		return oidc.Client{}, fault.New(fault.Unauthenticated, "t", "not so")
	}
	return oidc.Client{ID: "app"}, shown.Proves(key)
}

func (b bound) Stream(context.Context, oidc.Client, string) (Stream, error) {
	return Stream{}, fault.New(fault.NotFound, "t", "none")
}

// TestATokenThatIsBoundToAKeyIsShownWithItsProof (RFC 9449 section 7.1), and in no other
// way; a bearer token is one.
func TestATokenThatIsBoundToAKeyIsShownWithItsProof(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	own, other := newProver(t), newProver(t)
	gate := bound{keys: map[string]string{"theirs": own.thumbprint(t), "anyones": ""}}
	serve := func(proofs *oidc.Proofs) http.Handler {
		mux := http.NewServeMux()
		New(Config{Issuer: "https://id.example", Receivers: gate, Streams: gate, Proofs: proofs}).Routes(mux)
		return mux
	}
	mux := serve(oidc.NewProofs(oidc.ProofConfig{Issuer: "https://id.example", Now: func() time.Time { return now }}))
	for name, c := range map[string]struct {
		authorization, proof string
		status               int
		challenge            string
	}{
		"with its proof":                {"DPoP theirs", own.proof(t, "theirs", now), 200, ""},
		"as bearer":                     {"Bearer theirs", "", 401, "Bearer"},
		"as bearer with proof":          {"Bearer theirs", own.proof(t, "theirs", now), 401, "Bearer"},
		"with another key's proof":      {"DPoP theirs", other.proof(t, "theirs", now), 401, "Bearer"},
		"with the proof of another":     {"DPoP theirs", own.proof(t, "anyones", now), 401, "DPoP"},
		"without proof":                 {"DPoP theirs", "", 401, "DPoP"},
		"with an old proof":             {"DPoP theirs", own.proof(t, "theirs", now.Add(-time.Hour)), 401, "DPoP"},
		"a bearer token":                {"Bearer anyones", "", 200, ""},
		"a bearer token as if with key": {"DPoP anyones", own.proof(t, "anyones", now), 401, "Bearer"},
	} {
		if rec := ask(mux, c.authorization, c.proof); rec.Code != c.status || !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), c.challenge) || (c.challenge == "") != (rec.Header().Get("WWW-Authenticate") == "") {
			t.Errorf("%s: %d %q %s", name, rec.Code, rec.Header().Get("WWW-Authenticate"), rec.Body)
		}
	}
	if rec := ask(serve(nil), "DPoP theirs", own.proof(t, "theirs", now)); rec.Code != 401 {
		t.Errorf("where there is no DPoP: %d %s", rec.Code, rec.Body)
	}
}

func ask(h http.Handler, authorization, proof string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/ssf/streams", nil)
	r.Header.Set("Authorization", authorization)
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// prover makes DPoP proofs by one key.
type prover struct{ key *ecdsa.PrivateKey }

func newProver(t *testing.T) prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return prover{key}
}

func (p prover) public() jose.JSONWebKey { return jose.JSONWebKey{Key: p.key.Public()} }

func (p prover) thumbprint(t *testing.T) string {
	t.Helper()
	public := p.public()
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

func (p prover) proof(t *testing.T, token string, at time.Time) string {
	t.Helper()
	sum := sha256.Sum256([]byte(token))
	payload, err := json.Marshal(map[string]any{"htm": "GET", "htu": "https://id.example/ssf/streams", "iat": at.Unix(), "jti": rand.Text(), "ath": base64.RawURLEncoding.EncodeToString(sum[:])})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": p.public()}})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
