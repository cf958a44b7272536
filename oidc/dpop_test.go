package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// prover makes DPoP proofs with one key.
type prover struct {
	t   testing.TB
	w   *world
	alg jose.SignatureAlgorithm
	key any
	n   int
}

func (w *world) prover(t testing.TB) *prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &prover{t: t, w: w, alg: jose.ES256, key: key}
}

func (p *prover) public() jose.JSONWebKey {
	k := jose.JSONWebKey{Key: p.key}
	return k.Public()
}

func (p *prover) thumbprint() string {
	k := p.public()
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		p.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// claims are those of a good proof, with changes: a nil value leaves one out.
func (p *prover) claims(method, path, accessToken string, changes map[string]any) map[string]any {
	p.n++
	c := map[string]any{"htm": method, "htu": p.w.issuer + path, "iat": p.w.now.Unix(), "jti": fmt.Sprintf("jti-%d", p.n)}
	if accessToken != "" {
		c["ath"] = tokenHash(accessToken)
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign makes a proof of these claims, with these headers beside alg.
func (p *prover) sign(claims any, header map[jose.HeaderKey]any) string {
	p.t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": p.public()}}
	maps.Copy(options.ExtraHeaders, header)
	maps.DeleteFunc(options.ExtraHeaders, func(_ jose.HeaderKey, v any) bool { return v == nil })
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: p.alg, Key: p.key}, options)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	jws, err := signer.Sign(body)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

func (p *prover) proof(method, path, accessToken string, changes map[string]any) string {
	p.t.Helper()
	return p.sign(p.claims(method, path, accessToken, changes), nil)
}

// token asks the token endpoint with a proof; "" sends none.
func (w *world) token(f url.Values, proof, id, secret string) *httptest.ResponseRecorder {
	c := call{method: http.MethodPost, path: PathToken, form: f, basic: [2]string{id, secret}}
	if secret == "" {
		c.basic = [2]string{}
		f.Set("client_id", id)
	}
	if proof != "" {
		c.header = http.Header{"Dpop": {proof}}
	}
	return w.do(c)
}

// show asks userinfo with an Authorization header and a proof; "" sends none.
func (w *world) show(authorization, proof string) *httptest.ResponseRecorder {
	h := http.Header{"Authorization": {authorization}}
	if proof != "" {
		h["Dpop"] = []string{proof}
	}
	return w.do(call{path: pathUserinfo, header: h})
}

// TestABoundTokenIsUsedByItsKeyAlone walks RFC 9449: bound at the token endpoint, said
// so in the answer and at introspection, shown as DPoP with a proof of the same key, and
// in no other way.
func TestABoundTokenIsUsedByItsKeyAlone(t *testing.T) {
	w := newWorld()
	key, other := w.prover(t), w.prover(t)
	rec := w.token(redemption(w.code("fleet-web", webURI)), key.proof("POST", PathToken, "", nil), "fleet-web", webSecret)
	set := object(t, rec)
	token, _ := set["access_token"].(string)
	if set["token_type"] != "DPoP" || token == "" {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	seen := object(t, w.post(pathIntrospect, url.Values{"token": {token}}, "fleet-api", "api-secret"))
	if cnf, _ := seen["cnf"].(map[string]any); seen["token_type"] != "DPoP" || cnf["jkt"] != key.thumbprint() {
		t.Errorf("introspection says %v", seen)
	}
	if rec := w.show("DPoP "+token, key.proof("GET", pathUserinfo, token, nil)); rec.Code != http.StatusOK {
		t.Errorf("shown as it must be: %d %s", rec.Code, rec.Body)
	}
	bearer := object(t, w.post(PathToken, redemption(w.code("fleet-web", webURI)), "fleet-web", webSecret))["access_token"].(string)
	for name, got := range map[string]*httptest.ResponseRecorder{
		"a bound token as bearer":            w.show("Bearer "+token, ""),
		"a bound token as bearer with proof": w.show("Bearer "+token, key.proof("GET", pathUserinfo, token, nil)),
		"another key":                        w.show("DPoP "+token, other.proof("GET", pathUserinfo, token, nil)),
		"no proof":                           w.show("DPoP "+token, ""),
		"no ath":                             w.show("DPoP "+token, key.proof("GET", pathUserinfo, "", nil)),
		"ath of another token":               w.show("DPoP "+token, key.proof("GET", pathUserinfo, bearer, nil)),
		"a bearer token as DPoP":             w.show("DPoP "+bearer, key.proof("GET", pathUserinfo, bearer, nil)),
		"in the form":                        w.do(call{method: "POST", path: pathUserinfo, form: url.Values{"access_token": {token}}, header: http.Header{"Dpop": {key.proof("POST", pathUserinfo, token, nil)}}}),
	} {
		if got.Code != http.StatusUnauthorized || !strings.Contains(got.Header().Get("WWW-Authenticate"), "error=") {
			t.Errorf("%s: %d %q %s", name, got.Code, got.Header().Get("WWW-Authenticate"), got.Body)
		}
	}
	if rec := w.show("Bearer "+bearer, ""); rec.Code != http.StatusOK {
		t.Errorf("a bearer token: %d %s", rec.Code, rec.Body)
	}
}

// TestProofsThatAreRefused is RFC 9449 section 4.3, point by point.
func TestProofsThatAreRefused(t *testing.T) {
	w := newWorld()
	key := w.prover(t)
	claims := func(changes map[string]any) string { return key.proof("POST", PathToken, "", changes) }
	header := func(h map[jose.HeaderKey]any) string {
		return key.sign(key.claims("POST", PathToken, "", nil), h)
	}
	other := w.prover(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that it is weak is the test
	if err != nil {
		t.Fatal(err)
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: key.key})
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := &prover{t: t, w: w, alg: jose.PS256, key: weak}
	mac := &prover{t: t, w: w, alg: jose.HS256, key: []byte("0123456789abcdef0123456789abcdef")}
	symmetric := mac.sign(mac.claims("POST", PathToken, "", nil), map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: mac.key}})
	good := claims(nil)
	parts := strings.Split(claims(nil), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"dpop+jwt","alg":"none"}`))
	for name, proof := range map[string]string{
		"not a JWT":               "x",
		"too long":                strings.Repeat("x", maxProof+1),
		"a MAC":                   symmetric,
		"alg none":                none + "." + parts[1] + ".",
		"another type":            header(map[jose.HeaderKey]any{"typ": "JWT"}),
		"no type":                 header(map[jose.HeaderKey]any{"typ": nil}),
		"no key":                  header(map[jose.HeaderKey]any{"jwk": nil}),
		"a private key":           header(map[jose.HeaderKey]any{"jwk": json.RawMessage(private)}),
		"another key":             header(map[jose.HeaderKey]any{"jwk": other.public()}),
		"a weak key":              rsaKey.proof("POST", PathToken, "", nil),
		"a broken signature":      parts[0] + "." + parts[1] + "." + strings.Split(good, ".")[2],
		"no method":               claims(map[string]any{"htm": nil}),
		"another method":          claims(map[string]any{"htm": "GET"}),
		"the method in lower":     claims(map[string]any{"htm": "post"}),
		"no address":              claims(map[string]any{"htu": nil}),
		"another address":         claims(map[string]any{"htu": w.issuer + pathUserinfo}),
		"another host":            claims(map[string]any{"htu": "https://id.example" + PathToken}),
		"another scheme":          claims(map[string]any{"htu": "http://id.drawbridge.example" + PathToken}),
		"another port":            claims(map[string]any{"htu": w.issuer + ":8443" + PathToken}),
		"somebody in the address": claims(map[string]any{"htu": "https://me@id.drawbridge.example" + PathToken}),
		"no jti":                  claims(map[string]any{"jti": nil}),
		"a long jti":              claims(map[string]any{"jti": strings.Repeat("j", maxProofJTI+1)}),
		"no iat":                  claims(map[string]any{"iat": nil}),
		"iat as text":             claims(map[string]any{"iat": "now"}),
		"too old":                 claims(map[string]any{"iat": w.now.Add(-proofWindow - time.Second).Unix()}),
		"from the future":         claims(map[string]any{"iat": w.now.Add(proofWindow + time.Second).Unix()}),
		"with an access token":    claims(map[string]any{"ath": tokenHash("x")}),
	} {
		rec := w.token(redemption(w.code("fleet-web", webURI)), proof, "fleet-web", webSecret)
		if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `"invalid_dpop_proof"`) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	twice := w.do(call{method: http.MethodPost, path: PathToken, form: redemption("c"), basic: [2]string{"fleet-web", webSecret}, header: http.Header{"Dpop": {claims(nil), claims(nil)}}})
	wantError(t, twice, http.StatusBadRequest, "invalid_dpop_proof")
	w.proofs = nil
	wantError(t, w.token(redemption("c"), claims(nil), "fleet-web", webSecret), http.StatusBadRequest, "invalid_dpop_proof")
}

func TestAProofsAddressIsComparedByMeaning(t *testing.T) {
	const ours = "https://id.example/oauth2/token"
	for htu, same := range map[string]bool{
		ours: true, "HTTPS://ID.example:443/oauth2/token": true, ours + "?x=1": true, ours + "#x": true, "https://id.example/oauth2/%74oken": true,
		ours + "/": false, "https://id.example/OAuth2/token": false, "https://id.example:8443/oauth2/token": false, "": false, "%": false, "https:id.example": false,
	} {
		if sameAddress(htu, ours) != same {
			t.Errorf("%q is the same: %t", htu, !same)
		}
	}
}

// TestEveryAlgorithmOfProofsWorks that discovery lists.
func TestEveryAlgorithmOfProofsWorks(t *testing.T) {
	w := newWorld()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	keys := map[string]any{"ES256": curve(elliptic.P256()), "ES384": curve(elliptic.P384()), "ES512": curve(elliptic.P521()), "EdDSA": edKey, "PS256": rsaKey, "RS256": rsaKey}
	for _, alg := range ProofAlgorithms() {
		p := &prover{t: t, w: w, alg: jose.SignatureAlgorithm(alg), key: keys[alg]}
		proof, err := ParseProof(p.proof("POST", PathToken, "", nil))
		if err != nil || proof.Key != p.thumbprint() {
			t.Errorf("%s: %+v %v", alg, proof, err)
		}
	}
}

// TestAProofWorksOnce, also for many at once, until its iat no longer lets it.
func TestAProofWorksOnce(t *testing.T) {
	w := newWorld()
	key := w.prover(t)
	proof := key.proof("POST", PathToken, "", map[string]any{"iat": w.now.Add(proofWindow).Unix()})
	var mu sync.Mutex
	good := 0
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			r := httptest.NewRequest("POST", PathToken, nil)
			r.Header["Dpop"] = []string{proof}
			p, err := w.proofs.prove(r, "")
			if err == nil && w.proofs.use(t.Context(), p, counted) == nil {
				mu.Lock()
				good++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if good != 1 {
		t.Errorf("one proof worked %d times", good)
	}
	for range 8 { // generations turn over, and it is still known or too old
		w.now = w.now.Add(proofWindow / 2)
		rec := w.token(redemption("c"), proof, "fleet-web", webSecret)
		wantError(t, rec, http.StatusBadRequest, "invalid_dpop_proof")
	}
}

// TestWhereThereIsNoRoomForProofsNoneIsTaken: forgetting would let them be used again.
func TestWhereThereIsNoRoomForProofsNoneIsTaken(t *testing.T) {
	w := newWorld()
	key := w.prover(t)
	w.proofs.seen.room = 64
	for i := range 64 {
		if got := w.proofs.seen.add(Proof{Key: fmt.Sprint("key-", i), JTI: "jti"}, w.now); got != proofNew {
			t.Fatalf("proof %d: %d", i, got)
		}
	}
	wantError(t, w.token(redemption("c"), key.proof("POST", PathToken, "", nil), "fleet-web", webSecret), http.StatusTooManyRequests, "temporarily_unavailable")
}

// TestOneKeyDoesNotTakeTheRoomOfAllProofs: once half of it is taken, a key has its share.
func TestOneKeyDoesNotTakeTheRoomOfAllProofs(t *testing.T) {
	w := newWorld()
	s := &seenProofs{room: 64}
	taken := 0
	for i := range 100 {
		if s.add(Proof{Key: "busy", JTI: fmt.Sprint(i)}, w.now) == proofNew {
			taken++
		}
	}
	if taken != 32 {
		t.Errorf("one key has %d of 64", taken)
	}
	for i := range 4 {
		if got := s.add(Proof{Key: "other", JTI: fmt.Sprint(i)}, w.now); got != proofNew {
			t.Errorf("another key's proof %d: %d", i, got)
		}
	}
	s.forget(Proof{Key: "other", JTI: "0"})
	if got := s.add(Proof{Key: "other", JTI: "0"}, w.now); got != proofNew {
		t.Errorf("a proof that was forgotten: %d", got)
	}
	if got := s.add(Proof{Key: "other", JTI: "4"}, w.now); got != proofRefused {
		t.Errorf("beyond its share: %d", got)
	}
}

// TestAStrangerFillsNoMemoryOfProofs: one is remembered when what it came with counts. What
// anybody can push is remembered apart.
func TestAStrangerFillsNoMemoryOfProofs(t *testing.T) {
	w := newWorld()
	key := w.prover(t)
	seen := func() int { return len(w.proofs.seen.young) }
	for range 3 {
		wantError(t, w.show("DPoP no-token-of-ours", key.proof("GET", pathUserinfo, "no-token-of-ours", nil)), http.StatusUnauthorized, "invalid_token")
		wantError(t, w.token(redemption("no-code"), key.proof("POST", PathToken, "", nil), "native", ""), http.StatusBadRequest, "invalid_grant")
		f := ask("client_id", "native", "redirect_uri", "http://127.0.0.1:7777/cb")
		rec := w.do(call{method: http.MethodPost, path: pathPush, form: f, header: http.Header{"Dpop": {key.proof("POST", pathPush, "", nil)}}})
		if rec.Code != http.StatusCreated {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	if seen() != 0 || len(w.proofs.pushed.young) != 3 {
		t.Errorf("%d proofs of strangers are remembered, and %d of what was pushed", seen(), len(w.proofs.pushed.young))
	}
	rec := w.token(redemption(w.code("native", "http://127.0.0.1:7777/cb"), "redirect_uri", "http://127.0.0.1:7777/cb"), key.proof("POST", PathToken, "", nil), "native", "")
	token, _ := object(t, rec)["access_token"].(string)
	proof := key.proof("GET", pathUserinfo, token, nil)
	if got := w.show("DPoP "+token, proof); got.Code != http.StatusOK || seen() != 2 {
		t.Errorf("%d, %d are remembered", got.Code, seen())
	}
	wantError(t, w.show("DPoP "+token, proof), http.StatusUnauthorized, "invalid_dpop_proof")
}

// TestAProofDoesNotWorkAgainAfterARestart: what was used before is not known, so that a proof from
// before needs a nonce from after (RFC 9449 section 8). The client tries again with it,
// also if its clock is slow.
func TestAProofDoesNotWorkAgainAfterARestart(t *testing.T) {
	for _, required := range []bool{false, true} {
		w := newWorld()
		w.proofs.RequireNonce = required
		w.now = w.now.Add(proofMemory)
		key := w.prover(t)
		changes := map[string]any{}
		if required {
			changes["nonce"] = w.proofs.Nonces.Nonce(w.now)
		}
		proof := key.proof("POST", PathToken, "", changes)
		if rec := w.token(redemption(w.code("fleet-web", webURI)), proof, "fleet-web", webSecret); rec.Code != http.StatusOK {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		w.now = w.now.Add(time.Second)
		w.proofs = NewProofs(w.proofs.ProofConfig)
		rec := w.token(redemption(w.code("fleet-web", webURI)), proof, "fleet-web", webSecret)
		wantError(t, rec, http.StatusBadRequest, "use_dpop_nonce")
		nonce := rec.Header().Get("DPoP-Nonce")
		if nonce == "" || nonce == w.proofs.Nonces.Nonce(w.now) {
			t.Fatalf("the nonce %q could be from before", nonce)
		}
		slow := map[string]any{"nonce": nonce, "iat": w.now.Add(-proofWindow / 2).Unix()}
		if rec := w.token(redemption(w.code("fleet-web", webURI)), key.proof("POST", PathToken, "", slow), "fleet-web", webSecret); rec.Code != http.StatusOK {
			t.Errorf("with the nonce: %d %s", rec.Code, rec.Body)
		}
		if required { // from a clock that is fast, and with a nonce that was known
			changes["nonce"] = w.proofs.Nonces.Nonce(w.now)
		}
		rec = w.token(redemption(w.code("fleet-web", webURI)), key.proof("POST", PathToken, "", changes), "fleet-web", webSecret)
		if required {
			wantError(t, rec, http.StatusBadRequest, "use_dpop_nonce")
		} else if rec.Code != http.StatusOK {
			t.Errorf("a proof that was made after the start: %d %s", rec.Code, rec.Body)
		}
		w.now = w.now.Add(proofWindow + time.Second)
		late := map[string]any{"nonce": w.proofs.Nonces.Nonce(w.now)}
		if rec := w.token(redemption(w.code("fleet-web", webURI)), key.proof("POST", PathToken, "", late), "fleet-web", webSecret); rec.Code != http.StatusOK {
			t.Errorf("a minute later, with any node's nonce: %d %s", rec.Code, rec.Body)
		}
	}
}

// TestANonceOfOursMustBeInTheProof where it is required, and a wrong one never is good.
func TestANonceOfOursMustBeInTheProof(t *testing.T) {
	for _, required := range []bool{false, true} {
		w := newWorld()
		w.proofs.RequireNonce = required
		key := w.prover(t)
		rec := w.token(redemption(w.code("fleet-web", webURI)), key.proof("POST", PathToken, "", map[string]any{"nonce": "made up"}), "fleet-web", webSecret)
		wantError(t, rec, http.StatusBadRequest, "use_dpop_nonce")
		nonce := rec.Header().Get("DPoP-Nonce")
		without := w.token(redemption(w.code("fleet-web", webURI)), key.proof("POST", PathToken, "", nil), "fleet-web", webSecret)
		if required {
			wantError(t, without, http.StatusBadRequest, "use_dpop_nonce")
		} else if without.Code != http.StatusOK || without.Header().Get("DPoP-Nonce") != "" {
			t.Errorf("without a nonce: %d %s", without.Code, without.Body)
		}
		with := w.token(redemption(w.code("fleet-web", webURI)), key.proof("POST", PathToken, "", map[string]any{"nonce": nonce}), "fleet-web", webSecret)
		if with.Code != http.StatusOK || (with.Header().Get("DPoP-Nonce") != "") != required {
			t.Fatalf("with a nonce: %d %v %s", with.Code, with.Header(), with.Body)
		}
		token := object(t, with)["access_token"].(string)
		if bearer := w.post(PathToken, redemption(w.code("fleet-web", webURI)), "fleet-web", webSecret); bearer.Code != http.StatusOK {
			t.Errorf("no proof needs no nonce: %d %s", bearer.Code, bearer.Body)
		}
		at := w.show("DPoP "+token, key.proof("GET", pathUserinfo, token, map[string]any{"nonce": "made up"}))
		if at.Code != http.StatusUnauthorized || at.Header().Get("DPoP-Nonce") == "" || !strings.HasPrefix(at.Header().Get("WWW-Authenticate"), `DPoP realm="oauth2", error="use_dpop_nonce"`) {
			t.Errorf("userinfo: %d %v", at.Code, at.Header())
		}
		w.now = w.now.Add(5 * time.Minute)
		old := w.show("DPoP "+token, key.proof("GET", pathUserinfo, token, map[string]any{"nonce": nonce}))
		if fresh := old.Header().Get("DPoP-Nonce"); old.Code != http.StatusUnauthorized || fresh == "" || fresh == nonce {
			t.Errorf("an old nonce: %d, then %q", old.Code, fresh)
		}
	}
}

// TestEveryRefreshProvesItsKey: a public client's the same, another client's some.
func TestEveryRefreshProvesItsKey(t *testing.T) {
	for _, c := range []struct {
		id, secret, uri string
		other           int
	}{{"fleet-web", webSecret, webURI, http.StatusOK}, {"native", "", "http://127.0.0.1:7777/cb", http.StatusBadRequest}} {
		w := newWorld()
		key, other := w.prover(t), w.prover(t)
		rec := w.token(redemption(w.code(c.id, c.uri), "redirect_uri", c.uri), key.proof("POST", PathToken, "", nil), c.id, c.secret)
		if rec.Code != http.StatusOK {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		f := func() url.Values {
			return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {object(t, rec)["refresh_token"].(string)}}
		}
		wantError(t, w.token(f(), "", c.id, c.secret), http.StatusBadRequest, "invalid_grant")
		if got := w.token(f(), other.proof("POST", PathToken, "", nil), c.id, c.secret); got.Code != c.other {
			t.Errorf("%s by another key: %d %s", c.id, got.Code, got.Body)
		}
		if c.other == http.StatusOK {
			continue // it is used up
		}
		if got := w.token(f(), key.proof("POST", PathToken, "", nil), c.id, c.secret); got.Code != http.StatusOK || object(t, got)["token_type"] != "DPoP" {
			t.Errorf("%s by its key: %d %s", c.id, got.Code, got.Body)
		}
	}
}

func TestAnApplicationMayBeHeldToDPoP(t *testing.T) {
	w := newWorld()
	c := w.clients["fleet-web"]
	c.RequireDPoP = true
	w.clients["fleet-web"] = c
	wantError(t, w.post(PathToken, redemption(w.code("fleet-web", webURI)), "fleet-web", webSecret), http.StatusBadRequest, "invalid_dpop_proof")
	if rec := w.token(redemption(w.code("fleet-web", webURI)), w.prover(t).proof("POST", PathToken, "", nil), "fleet-web", webSecret); rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestTheRequestMayNameTheKeyOfItsCode is RFC 9449 section 10.
func TestTheRequestMayNameTheKeyOfItsCode(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	wantSent(t, w.authorize(cookie, "dpop_jkt", "short"), "invalid_request")
	key, other := w.prover(t), w.prover(t)
	for name, row := range map[string]struct {
		proof  string
		status int
	}{
		"that key":    {key.proof("POST", PathToken, "", nil), http.StatusOK},
		"another key": {other.proof("POST", PathToken, "", nil), http.StatusBadRequest},
		"no proof":    {"", http.StatusBadRequest},
	} {
		code := sent(w.authorize(cookie, "dpop_jkt", key.thumbprint())).Get("code")
		if rec := w.token(redemption(code), row.proof, "fleet-web", webSecret); rec.Code != row.status {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

// TestAPushMayProveTheKeyOfItsCode is RFC 9449 section 10.1: a proof beside the pushed
// request binds its code as dpop_jkt does, and both name the same key.
func TestAPushMayProveTheKeyOfItsCode(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	key, other := w.prover(t), w.prover(t)
	push := func(proof string, changes ...string) *httptest.ResponseRecorder {
		return w.do(call{method: http.MethodPost, path: pathPush, form: ask(changes...), basic: [2]string{"fleet-web", webSecret}, header: http.Header{"Dpop": {proof}}})
	}
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"another key than dpop_jkt":  push(key.proof("POST", pathPush, "", nil), "dpop_jkt", other.thumbprint()),
		"of another endpoint":        push(key.proof("POST", PathToken, "", nil)),
		"of an access token as well": push(key.proof("POST", pathPush, "token", nil)),
		"no proof at all":            push("x"),
	} {
		if rec.Code != http.StatusBadRequest || object(t, rec)["error"] != "invalid_dpop_proof" {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	for name, row := range map[string]struct {
		changes []string
		prover  *prover
		status  int
	}{
		"that key":             {nil, key, http.StatusOK},
		"that key, named, too": {[]string{"dpop_jkt", key.thumbprint()}, key, http.StatusOK},
		"another key":          {nil, other, http.StatusBadRequest},
	} {
		uri, _ := object(t, push(key.proof("POST", pathPush, "", nil), row.changes...))["request_uri"].(string)
		code := sent(w.bring(cookie, uri)).Get("code")
		if rec := w.token(redemption(code), row.prover.proof("POST", PathToken, "", nil), "fleet-web", webSecret); code == "" || rec.Code != row.status {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	uri, _ := object(t, push(key.proof("POST", pathPush, "", nil)))["request_uri"].(string)
	if rec := w.token(redemption(sent(w.bring(cookie, uri)).Get("code")), "", "fleet-web", webSecret); rec.Code != http.StatusBadRequest {
		t.Errorf("no proof at the token endpoint: %d %s", rec.Code, rec.Body)
	}
}

func FuzzParseProof(f *testing.F) {
	w := newWorld()
	p := w.prover(f)
	f.Add(p.proof("POST", PathToken, "", nil))
	f.Add(p.sign([]int{1}, nil))
	f.Add(p.sign(map[string]any{"iat": 1e300, "htm": "x", "htu": "x", "jti": "x"}, nil))
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		proof, err := ParseProof(text)
		if err == nil && (len(proof.Key) != 43 || proof.JTI == "" || proof.Method == "" || proof.Address == "") {
			t.Errorf("%+v of %q", proof, text)
		}
	})
}
