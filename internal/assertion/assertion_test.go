package assertion

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/rsakey"
	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // no new keys for each test
)

const (
	client   = "drb_client_0123456789"
	issuer   = "https://id.vendor.example"
	endpoint = issuer + "/oauth2/token"
)

func noon() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

// signer is a key of a client or an issuer, with its public half as a JWK.
type signer struct {
	kid     string
	alg     jose.SignatureAlgorithm
	private any
}

func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.private.(crypto.Signer).Public(), KeyID: s.kid, Use: "sig"}
}

func (s signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return s.signRaw(t, payload, map[jose.HeaderKey]any{"typ": "JWT"})
}

func (s signer) signRaw(t testing.TB, payload []byte, head map[jose.HeaderKey]any) string {
	t.Helper()
	o := &jose.SignerOptions{ExtraHeaders: maps.Clone(head)}
	if s.kid != "" {
		o = o.WithHeader("kid", s.kid)
	}
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.private}, o)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := made.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func ecKey(t testing.TB, kid string, curve elliptic.Curve, alg jose.SignatureAlgorithm) signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, alg, k}
}

func rsaKey(t testing.TB, kid string, bits int, alg jose.SignatureAlgorithm) signer {
	t.Helper()
	k, err := rsakey.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, alg, k}
}

func jwks(t testing.TB, signers ...signer) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, s.public())
	}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func listed(t testing.TB, signers ...signer) Trust {
	t.Helper()
	keys, err := ParseKeys(jwks(t, signers...))
	if err != nil {
		t.Fatal(err)
	}
	return Trust{Keys: keys}
}

// good is an assertion as RFC 7523 section 3 wants it.
func good() map[string]any {
	return map[string]any{"iss": client, "sub": client, "aud": endpoint, "jti": "one", "iat": noon().Unix(), "exp": noon().Add(5 * time.Minute).Unix()}
}

func with(base map[string]any, pairs ...any) map[string]any {
	c := maps.Clone(base)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(c, pairs[i].(string))
		} else {
			c[pairs[i].(string)] = pairs[i+1]
		}
	}
	return c
}

func verify(t testing.TB, v *Verifier, raw string, trust Trust) (Proof, error) {
	t.Helper()
	return v.Verify(t.Context(), raw, client, trust, []string{issuer, endpoint}, noon())
}

func TestAnAssertionOfEveryAlgorithmThatCountsIsTaken(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big := rsaKey(t, "rsa", 2048, jose.RS256)
	for _, s := range []signer{big, {"rsa", jose.PS256, big.private}, {"rsa", jose.RS512, big.private}, {"", jose.PS384, big.private},
		ecKey(t, "a", elliptic.P256(), jose.ES256), ecKey(t, "b", elliptic.P384(), jose.ES384), ecKey(t, "c", elliptic.P521(), jose.ES512), {"ed", jose.EdDSA, ed}} {
		trust := listed(t, s)
		p, err := verify(t, NewVerifier(nil), s.sign(t, good()), trust)
		if err != nil || p.Kind != KindKey || p.ID != "one" || !trust.Stands(p.Name) || KindOf(p.Name) != KindKey {
			t.Errorf("%s: %+v (%v)", s.alg, p, err)
		}
		if (Trust{}).Stands(p.Name) || listed(t, ecKey(t, "x", elliptic.P256(), jose.ES256)).Stands(p.Name) {
			t.Errorf("%s: the proof stands without its key", s.alg)
		}
	}
}

func TestAssertionsThatProveNothing(t *testing.T) {
	s := ecKey(t, "a", elliptic.P256(), jose.ES256)
	other := ecKey(t, "a", elliptic.P256(), jose.ES256)
	public, err := json.Marshal(s.public())
	if err != nil {
		t.Fatal(err)
	}
	hmac := signer{"a", jose.HS256, []byte(strings.Repeat("k", 32))}
	forged := signer{"a", jose.HS256, public} // signed with what everybody knows
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	payload, err := json.Marshal(good())
	if err != nil {
		t.Fatal(err)
	}
	none := part(`{"alg":"none","typ":"JWT"}`) + "." + part(string(payload)) + "."
	whole := s.sign(t, good())
	rows := map[string]string{
		"nothing":                      "",
		"no JWT":                       "a.b.c",
		"none":                         none,
		"none in capitals":             part(`{"alg":"NONE"}`) + "." + part(string(payload)) + ".x",
		"a shared secret":              hmac.sign(t, good()),
		"the public key as a secret":   forged.sign(t, good()),
		"another key of the same name": other.sign(t, good()),
		"a key that is not listed":     ecKey(t, "b", elliptic.P256(), jose.ES256).sign(t, good()),
		"another algorithm":            rsaKey(t, "a", 2048, jose.RS256).sign(t, good()),
		"a changed payload":            strings.Replace(whole, ".", "."+part(`{"a":1}`)[:1], 1),
		"an access token":              s.signRaw(t, payload, map[jose.HeaderKey]any{"typ": "at+jwt"}),
		"a typ that is no text":        s.signRaw(t, payload, map[jose.HeaderKey]any{"typ": 5}),
		"too long":                     s.sign(t, with(good(), "pad", strings.Repeat("x", MaxLength))),
		"no object":                    s.signRaw(t, []byte(`"text"`), nil),
		"null":                         s.signRaw(t, []byte(`null`), nil),
		"a claim twice":                s.signRaw(t, append([]byte(`{"sub":"x",`), payload[1:]...), nil),
		"an unknown critical header":   s.signRaw(t, payload, map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1}),
	}
	for name, pairs := range map[string][]any{
		"another issuer":              {"iss", "drb_client_other"},
		"another subject":             {"sub", "drb_client_other"},
		"no subject":                  {"sub", nil},
		"no audience":                 {"aud", nil},
		"another audience":            {"aud", "https://other.example"},
		"the audience with a slash":   {"aud", issuer + "/"},
		"an audience and another":     {"aud", []string{endpoint, "https://other.example"}},
		"no audience in a list":       {"aud", []string{}},
		"an audience that is no text": {"aud", 7},
		"no end":                      {"exp", nil},
		"an end that is text":         {"exp", "1800000000"},
		"an end beyond time":          {"exp", 1e300},
		"expired":                     {"exp", noon().Add(-Skew).Unix()},
		"a life too long":             {"exp", noon().Add(maxKeyLife + Skew + time.Second).Unix()},
		"made in the future":          {"iat", noon().Add(Skew + time.Second).Unix()},
		"not valid yet":               {"nbf", noon().Add(Skew + time.Second).Unix()},
		"no id":                       {"jti", nil},
		"an empty id":                 {"jti", ""},
		"an id too long":              {"jti", strings.Repeat("x", maxID+1)},
		"an id that is a number":      {"jti", 7},
	} {
		rows[name] = s.sign(t, with(good(), pairs...))
	}
	for name, raw := range rows {
		if p, err := verify(t, NewVerifier(nil), raw, listed(t, s)); !fault.Is(err, fault.Unauthenticated) || p != (Proof{}) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for name, pairs := range map[string][]any{"as it is": nil, "the issuer as the audience": {"aud", issuer}, "a list of one": {"aud", []string{endpoint}},
		"clocks a minute apart": {"exp", noon().Add(-Skew + time.Second).Unix(), "iat", nil}, "no iat": {"iat", nil}} {
		if _, err := verify(t, NewVerifier(nil), s.sign(t, with(good(), pairs...)), listed(t, s)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := verify(t, NewVerifier(nil), whole, Trust{}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("somebody is believed although nobody is trusted: %v", err)
	}
}

func TestKeySetsThatAreRefused(t *testing.T) {
	s := ecKey(t, "a", elliptic.P256(), jose.ES256)
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.private, KeyID: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte("canary4711"), KeyID: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	var many []signer
	for i := range maxListed + 1 {
		many = append(many, ecKey(t, fmt.Sprint(i), elliptic.P256(), jose.ES256))
	}
	encryption := s.public()
	encryption.Use = "enc"
	enc, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{encryption}})
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("drb"), "no keys": []byte(`{}`), "an empty set": []byte(`{"keys":[]}`), "null": []byte(`{"keys":null}`),
		"a private key": private, "a shared secret": secret, "too many": jwks(t, many...), "twice": jwks(t, s, s),
		"for encryption": enc, "a small RSA key": jwks(t, rsaKey(t, "r", 1024, jose.RS256)), "no key": []byte(`{"keys":[7]}`),
		"an unknown type": []byte(`{"keys":[{"kty":"ML-DSA","kid":"a"}]}`), "P-224": []byte(`{"keys":[{"kty":"EC","crv":"P-224","x":"AA","y":"AA"}]}`),
		"a point off the curve": []byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}]}`),
	} {
		if keys, err := ParseKeys(set); err == nil || strings.Contains(err.Error(), "canary4711") {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
}

// publisher is an issuer's key set, on this machine.
type publisher struct {
	*httptest.Server
	mu    sync.Mutex
	body  []byte
	code  int
	asked int
}

func publish(t testing.TB, signers ...signer) *publisher {
	p := &publisher{code: http.StatusOK}
	p.body = jwks(t, signers...)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		w.WriteHeader(p.code)
		_, _ = w.Write(p.body)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) set(code int, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.code, p.body = code, body
}

func (p *publisher) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// TestPublishedKeysRotateWithoutARestart: an unknown key id is looked up once, made-up
// ones cost the publisher a request a minute, and a publisher that is down leaves what
// was read last in use for a day.
func TestPublishedKeysRotateWithoutARestart(t *testing.T) {
	first, second := ecKey(t, "first", elliptic.P256(), jose.ES256), ecKey(t, "second", elliptic.P256(), jose.ES256)
	p := publish(t, first)
	trust := Trust{KeysURI: p.URL}
	v := NewVerifier(p.Client(), trust)
	at := func(now time.Time, s signer) error {
		c := with(good(), "exp", now.Add(time.Minute).Unix(), "iat", nil)
		_, err := v.Verify(t.Context(), s.sign(t, c), client, trust, []string{endpoint}, now)
		return err
	}
	now := noon()
	for range 3 {
		if err := at(now, first); err != nil {
			t.Fatal(err)
		}
	}
	if p.times() != 1 {
		t.Errorf("the keys were read %d times", p.times())
	}
	p.set(200, jwks(t, first, second))
	if err := at(now, second); err != nil || p.times() != 2 {
		t.Errorf("a new key is not found: %v, read %d times", err, p.times())
	}
	for i := range 20 {
		if err := at(now, signer{fmt.Sprint("made up ", i), jose.ES256, first.private}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a made-up key id: %v", err)
		}
	}
	if p.times() != 2 {
		t.Errorf("made-up key ids made us read %d times", p.times())
	}
	if err := at(now, first); err != nil {
		t.Errorf("a known key after them: %v", err)
	}
	p.set(503, nil)
	now = now.Add(freshFor)
	if err := at(now, first); err != nil || p.times() != 3 {
		t.Errorf("the publisher is down for an hour: %v, read %d times", err, p.times())
	}
	now = noon().Add(keptFor)
	if err := at(now, first); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the publisher is down for a day: %v", err)
	}
	p.set(200, jwks(t, second))
	now = now.Add(2 * fetchEvery)
	if err := at(now, second); err != nil {
		t.Errorf("the publisher is back: %v", err)
	}
	if err := at(now, first); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a key that was taken out: %v", err)
	}
}

// refusing is an egress that says which address it refuses to call.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fault.New(fault.Unavailable, "egress", "the address 10.1.2.3 is not a public one")
}

func TestPublishersThatAnswerBadlyAreUnavailable(t *testing.T) {
	s := ecKey(t, "a", elliptic.P256(), jose.ES256)
	for name, set := range map[string]func(p *publisher){
		"an error":      func(p *publisher) { p.set(500, jwks(t, s)) },
		"no key set":    func(p *publisher) { p.set(200, []byte("<html>")) },
		"an empty set":  func(p *publisher) { p.set(200, []byte(`{"keys":[]}`)) },
		"a set too big": func(p *publisher) { p.set(200, append(jwks(t, s), make([]byte, maxKeySet)...)) },
		"nobody there":  func(p *publisher) { p.Close() },
	} {
		p := publish(t, s)
		set(p)
		trust := Trust{KeysURI: p.URL}
		v := NewVerifier(http.DefaultClient, trust)
		if _, err := verify(t, v, s.sign(t, good()), trust); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if err := v.Probe(t.Context(), p.URL, noon()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: doctor would find %v", name, err)
		}
	}
	inside := &http.Client{Transport: refusing{}}
	hidden := Trust{KeysURI: "https://keys.example/"}
	_, err := verify(t, NewVerifier(inside, hidden), s.sign(t, good()), hidden)
	if told := fault.DetailOf(err); strings.Contains(told, "10.1.2.3") || !strings.Contains(err.Error(), "10.1.2.3") {
		t.Errorf("whoever asks is told %q, and the log %v", told, err)
	}
	p := publish(t, s)
	trust := Trust{KeysURI: p.URL}
	v := NewVerifier(p.Client(), trust)
	for range 2 {
		if err := v.Probe(t.Context(), p.URL, noon()); err != nil || p.times() != 1 {
			t.Errorf("a good set is read %d times: %v", p.times(), err)
		}
	}
	if err := v.Probe(t.Context(), "https://nobody.example", noon()); !fault.Is(err, fault.NotFound) {
		t.Errorf("a set that nobody names: %v", err)
	}
}

// What does not suit in a published set is left out, and the rest counts: Entra's
// keys carry certificates, and other issuers publish keys for other uses.
func TestOfAPublishedSetWhatSuitsIsRead(t *testing.T) {
	s := ecKey(t, "a", elliptic.P256(), jose.ES256)
	one, err := json.Marshal(s.public())
	if err != nil {
		t.Fatal(err)
	}
	set := `{"keys":[7,{"kty":"ML-DSA"},{"kty":"RSA","use":"enc"},` + strings.Replace(string(one), "{", `{"x5c":["not a certificate"],"x5t":"x",`, 1) + `]}`
	keys, err := published([]byte(set))
	if err != nil || len(keys) != 1 || keys[0].ID != "a" {
		t.Errorf("%+v (%v)", keys, err)
	}
}

const (
	tenant  = "9d2f4e7a-0000-4000-8000-000000000001"
	service = "9d2f4e7a-0000-4000-8000-000000000002"
	app     = "9d2f4e7a-0000-4000-8000-000000000003"
)

// entra is what Entra's sync service shows (idp-wire 1.13).
func entra() map[string]any {
	return map[string]any{"aud": "api://" + app, "iss": "https://login.entra.example/" + tenant + "/v2.0", "iat": noon().Unix(), "nbf": noon().Unix(),
		"exp": noon().Add(65 * time.Minute).Unix(), "appid": app, "appidacr": "2", "oid": service, "sub": service, "tid": tenant, "ver": "2.0"}
}

func TestOnlyThePinnedServiceOfThePinnedDirectoryIsBelieved(t *testing.T) {
	s := rsaKey(t, "entra", 2048, jose.RS256)
	p := publish(t, s)
	f := &Federation{Issuer: "https://login.entra.example/" + tenant + "/v2.0", Subject: service, Audiences: []string{"api://" + app, app},
		KeysURI: p.URL, TenantID: tenant, ObjectID: service, AuthorizedParty: app, Version: "2.0"}
	trust := Trust{Federation: f}
	v := NewVerifier(p.Client(), trust)
	for name, pairs := range map[string][]any{"as Entra sends it": nil, "the bare id as audience": {"aud", app}, "azp instead of appid": {"appid", nil, "azp", app}, "both": {"azp", app}} {
		proof, err := verify(t, v, s.sign(t, with(entra(), pairs...)), trust)
		if err != nil || proof.Kind != KindFederation || proof.ID != "" || !trust.Stands(proof.Name) || KindOf(proof.Name) != KindFederation {
			t.Errorf("%s: %+v (%v)", name, proof, err)
		}
		changed := *f
		changed.Subject = "somebody else"
		if (Trust{Federation: &changed}).Stands(proof.Name) {
			t.Errorf("%s: it stands although another service is pinned now", name)
		}
	}
	for name, pairs := range map[string][]any{
		"another directory's issuer":  {"iss", "https://login.entra.example/" + app + "/v2.0"},
		"the issuer of version 1":     {"iss", "https://sts.entra.example/" + tenant + "/"},
		"another directory":           {"tid", app},
		"no directory":                {"tid", nil},
		"another service":             {"sub", app},
		"another object":              {"oid", app},
		"no object":                   {"oid", nil},
		"another audience":            {"aud", "api://" + app + "/.default"},
		"the audience in other case":  {"aud", "API://" + app},
		"two audiences":               {"aud", []string{"api://" + app, app}},
		"another application":         {"appid", service},
		"appid says one, azp another": {"azp", service},
		"no application":              {"appid", nil},
		"another version":             {"ver", "1.0"},
		"a version that is a number":  {"ver", 2.0},
		"expired":                     {"exp", noon().Add(-time.Hour).Unix()},
		"a life too long":             {"exp", noon().Add(25 * time.Hour).Unix()},
		"no end":                      {"exp", nil},
		"issued in the future":        {"iat", noon().Add(time.Hour).Unix()},
	} {
		if proof, err := verify(t, v, s.sign(t, with(entra(), pairs...)), trust); !fault.Is(err, fault.Unauthenticated) || proof != (Proof{}) {
			t.Errorf("%s: %+v, %v", name, proof, err)
		}
	}
	if _, err := verify(t, v, rsaKey(t, "entra", 2048, jose.RS256).sign(t, entra()), trust); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("another's key: %v", err)
	}
	loose := Trust{Federation: &Federation{Issuer: f.Issuer, Subject: f.Subject, Audiences: f.Audiences, KeysURI: p.URL}}
	if _, err := verify(t, v, s.sign(t, with(entra(), "tid", nil, "oid", nil, "ver", nil, "appid", nil)), loose); err != nil {
		t.Errorf("what is not pinned is asked for: %v", err)
	}
}

// An identity provider's keys do not sign for a client, nor a client's for it.
func TestAKeySignsForItsOwnOnly(t *testing.T) {
	mine, theirs := ecKey(t, "mine", elliptic.P256(), jose.ES256), rsaKey(t, "theirs", 2048, jose.RS256)
	p := publish(t, theirs)
	trust := listed(t, mine)
	trust.Federation = &Federation{Issuer: "https://login.entra.example/" + tenant + "/v2.0", Subject: service, Audiences: []string{"api://" + app}, KeysURI: p.URL}
	v := NewVerifier(p.Client(), trust)
	for name, raw := range map[string]string{"theirs for the client": theirs.sign(t, good()), "mine for the service": mine.sign(t, entra())} {
		if _, err := verify(t, v, raw, trust); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, raw := range map[string]string{"mine": mine.sign(t, good()), "theirs": theirs.sign(t, entra())} {
		if _, err := verify(t, v, raw, trust); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPublisherIsAskedOnceByAllWhoWait(t *testing.T) {
	s := ecKey(t, "a", elliptic.P256(), jose.ES256)
	p := publish(t, s)
	trust := Trust{KeysURI: p.URL}
	v := NewVerifier(p.Client(), trust)
	raw := s.sign(t, good())
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			if _, err := verify(t, v, raw, trust); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if p.times() != 1 {
		t.Errorf("%d times", p.times())
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	other := NewVerifier(p.Client(), trust)
	other.sets[p.URL].busy <- struct{}{}
	if _, err := other.Verify(gone, raw, client, trust, []string{endpoint}, noon()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("whoever hung up: %v", err)
	}
}

func TestClaimedSaysWhomToLookFor(t *testing.T) {
	s := ecKey(t, "a", elliptic.P256(), jose.ES256)
	if iss, sub := Claimed(s.sign(t, entra())); iss == "" || sub != service {
		t.Errorf("%q, %q", iss, sub)
	}
	if iss, sub := Claimed("a.b.c"); iss != "" || sub != "" {
		t.Errorf("%q, %q", iss, sub)
	}
}

// Whatever is sent, reading it ends in a refusal: nobody is trusted with an accident.
func FuzzVerify(f *testing.F) {
	s := ecKey(f, "a", elliptic.P256(), jose.ES256)
	trust := listed(f, s)
	v := NewVerifier(nil)
	f.Add(s.sign(f, with(good(), "aud", "x")))
	f.Add("e30.e30.e30")
	f.Fuzz(func(t *testing.T, raw string) {
		Claimed(raw)
		if p, err := v.Verify(t.Context(), raw, client, trust, []string{endpoint}, noon()); !fault.Is(err, fault.Unauthenticated) || p != (Proof{}) {
			t.Errorf("%q: %+v, %v", raw, p, err)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add(jwks(f, ecKey(f, "a", elliptic.P256(), jose.ES256)))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, set []byte) {
		keys, err := ParseKeys(set)
		if err == nil && (len(keys) == 0 || len(keys) > maxListed) {
			t.Errorf("%d keys", len(keys))
		}
		for _, k := range keys {
			if k.Thumbprint == "" || k.public == nil {
				t.Errorf("%+v is not whole", k)
			}
		}
	})
}

// A header that asks to be understood is not: what it asks for might change what is signed.
func TestAHeaderThatMustBeUnderstoodIsRefused(t *testing.T) {
	s := ecKey(t, "a", elliptic.P256(), jose.ES256)
	for _, head := range []map[jose.HeaderKey]any{
		{"crit": []string{"exp"}, "exp": 1}, {"crit": []string{"b64"}, "b64": true}, {"crit": []string{}}, {"crit": "x"}, {"typ": 7},
	} {
		raw := s.signRaw(t, []byte(`{}`), head)
		if token, err := ParseToken(raw, MaxLength, "ES256"); err == nil {
			t.Errorf("%v was read as %+v", head, token)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	s := ecKey(f, "a", elliptic.P256(), jose.ES256)
	f.Add(s.sign(f, good()))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := ParseToken(raw, 512, "ES256")
		if err != nil {
			return
		}
		if token.Algorithm != "ES256" || len(raw) > 512 {
			t.Errorf("%q was read as %+v", raw, token)
		}
		if _, _, err := token.by(nil); err == nil {
			t.Errorf("%q is signed by nobody and holds", raw)
		}
	})
}
