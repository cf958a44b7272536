package bridge_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// signingClient is a client's key and the set that its connection lists.
type signingClient struct {
	private *ecdsa.PrivateKey
	set     []byte
}

func newSigningClient(t *testing.T) signingClient {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.Public(), KeyID: "k1", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return signingClient{k, set}
}

func (s signingClient) trust(t *testing.T) assertion.Trust {
	t.Helper()
	keys, err := assertion.ParseKeys(s.set)
	if err != nil {
		t.Fatal(err)
	}
	return assertion.Trust{Keys: keys}
}

func (s signingClient) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.private}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
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

// assertionOf is a client's own assertion, made out to the token endpoint.
func (s signingClient) assertionOf(w *world, client, jti string) oidc.ServiceExchange {
	return oidc.ServiceExchange{From: netip.MustParseAddr("203.0.113.7"), Assertion: s.sign(w.t.(*testing.T), map[string]any{"iss": client, "sub": client,
		"aud": "http://127.0.0.1:8443/oauth2/token", "jti": jti, "exp": w.clock.Now().Add(time.Minute).Unix()})}
}

func (w *world) trusts(c access.ConnectionID, t assertion.Trust) {
	w.trust = map[access.ConnectionID]assertion.Trust{c: t}
	w.assemble()
}

// TestAnAssertionOfAClientsKeyWorksOnce: also after a restart, and of 16 at the same
// time. What it gave ends when the key is taken out of the configuration.
func TestAnAssertionOfAClientsKeyWorksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := newSigningClient(t)
	w.trusts(banksia, s.trust(t))
	made, err := w.bridge.CreateSCIMClient(w.ctx, banksia, "signs", 0)
	if err != nil || !made.Text.Empty() || len(made.Secrets) != 0 {
		t.Fatalf("%+v (%v)", made, err)
	}
	once := s.assertionOf(w, made.ID, "one")
	token := w.accessToken(once)
	if !w.opens(banksia, token) || w.opens(southern, token) {
		t.Error("the token does not open exactly its own connection")
	}
	again := func(when string) {
		t.Helper()
		if _, err := w.bridge.ClientCredentials(w.ctx, once); !fault.Is(err, fault.Unauthenticated) || fault.ReasonOf(err) != "replayed" {
			t.Errorf("%s: %v", when, err)
		}
	}
	again("at once")
	w.restart()
	again("after a restart")
	if !w.opens(banksia, token) {
		t.Error("a restart ended the token")
	}

	var good sync.Map
	var wait sync.WaitGroup
	twice := s.assertionOf(w, made.ID, "two")
	for i := range 16 {
		wait.Go(func() {
			if _, err := w.bridge.ClientCredentials(w.ctx, twice); err == nil {
				good.Store(i, true)
			}
		})
	}
	wait.Wait()
	n := 0
	good.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("one assertion gave %d tokens", n)
	}

	w.trusts(banksia, newSigningClient(t).trust(t))
	if w.opens(banksia, token) {
		t.Error("the token outlives its key")
	}
}

// TestAnAssertionProvesItsOwnClientOnly: of a connection that lists the key.
func TestAnAssertionProvesItsOwnClientOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := newSigningClient(t)
	w.trusts(banksia, s.trust(t))
	id, _ := w.scimClient(banksia)
	foreign, _ := w.scimClient(southern)
	other := s.assertionOf(w, id, "x")
	other.Client = foreign
	unsaid := s.assertionOf(w, id, "y")
	unsaid.Client = "fleet-web"
	for name, x := range map[string]oidc.ServiceExchange{
		"a client of a connection without keys":  s.assertionOf(w, foreign, "a"),
		"a client that there is not":             s.assertionOf(w, credential.NewSCIMClientID(), "b"),
		"another client is named beside it":      other,
		"an application is named beside it":      unsaid,
		"somebody else's key":                    newSigningClient(t).assertionOf(w, id, "c"),
		"a SCIM token instead":                   {Client: id, Assertion: w.tokens[banksia]},
		"an access token of a person's, instead": {Client: id, Assertion: "eyJhbGciOiJFUzI1NiJ9.e30.x"},
	} {
		if _, err := w.bridge.ClientCredentials(w.ctx, x); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.bridge.RevokeSCIMClient(w.ctx, banksia, id); err != nil {
		t.Fatal(err)
	}
	if _, err := w.bridge.ClientCredentials(w.ctx, s.assertionOf(w, id, "d")); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a revoked client's key counts: %v", err)
	}
}

// TestARefusalSpendsNoAssertion: whoever asked for the wrong scope may ask again.
func TestARefusalSpendsNoAssertion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := newSigningClient(t)
	w.trusts(banksia, s.trust(t))
	id, _ := w.scimClient(banksia)
	x := s.assertionOf(w, id, "one")
	x.OAuthScopes = []string{"admin"}
	if _, err := w.bridge.ClientCredentials(w.ctx, x); fault.ReasonOf(err) != "invalid_scope" {
		t.Fatal(err)
	}
	x.OAuthScopes = []string{"scim"}
	w.accessToken(x)
}

// TestEntraProvesItselfByItsWorkloadIdentity: the token of the pinned service of the
// pinned directory, from an issuer on this machine, as often as Entra shows it.
func TestEntraProvesItselfByItsWorkloadIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := newSigningClient(t)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(s.set) }))
	t.Cleanup(issuer.Close)
	const tenant, service, app = "9d2f4e7a-0000-4000-8000-000000000001", "9d2f4e7a-0000-4000-8000-000000000002", "9d2f4e7a-0000-4000-8000-000000000003"
	f := &assertion.Federation{Issuer: issuer.URL + "/v2.0", Subject: service, Audiences: []string{"api://" + app}, KeysURI: issuer.URL, TenantID: tenant}
	w.trusts(banksia, assertion.Trust{Federation: f})
	made, err := w.bridge.CreateSCIMClient(w.ctx, banksia, "Entra", 0)
	if err != nil {
		t.Fatal(err)
	}
	entra := func(tid string) oidc.ServiceExchange {
		return oidc.ServiceExchange{Client: made.ID, From: netip.MustParseAddr("203.0.113.7"), OAuthScopes: []string{"scim"}, Assertion: s.sign(t, map[string]any{
			"aud": "api://" + app, "iss": f.Issuer, "sub": service, "oid": service, "tid": tid, "appid": app, "ver": "2.0",
			"iat": w.clock.Now().Unix(), "nbf": w.clock.Now().Unix(), "exp": w.clock.Now().Add(65 * time.Minute).Unix()})}
	}
	x := entra(tenant)
	token := w.accessToken(x)
	if !w.opens(banksia, token) || !w.opens(banksia, w.accessToken(x)) {
		t.Error("Entra is not let in")
	}
	if _, err := w.bridge.ClientCredentials(w.ctx, entra(app)); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("another directory of the same issuer: %v", err)
	}
	unnamed := entra(tenant)
	unnamed.Client = ""
	if _, err := w.bridge.ClientCredentials(w.ctx, unnamed); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("without a client id: %v", err)
	}
	if rec := w.knock(banksia, token); rec.Code != 200 || !hasScheme(t, rec, "oauth2") {
		t.Errorf("discovery hides that clients are let in: %s", rec.Body)
	}
	if rec := w.knock(southern, w.tokens[southern]); hasScheme(t, rec, "oauth2") {
		t.Errorf("discovery promises what nobody set up: %s", rec.Body)
	}
	pinned := *f
	pinned.Subject = app
	w.trusts(banksia, assertion.Trust{Federation: &pinned})
	if w.opens(banksia, token) {
		t.Error("the token outlives the trust it was given for")
	}
}

func hasScheme(t *testing.T, rec *httptest.ResponseRecorder, kind string) bool {
	t.Helper()
	var doc struct {
		AuthenticationSchemes []struct{ Type string }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.AuthenticationSchemes {
		if s.Type == kind {
			return true
		}
	}
	return false
}

// TestI23_NoStoreNoAccessToken: an assertion that cannot be remembered proves nothing,
// at whichever step the store fails; and that is "later", not "no".
func TestI23_NoStoreNoAccessToken(t *testing.T) {
	t.Parallel()
	b := &breaking{}
	w := newWorld(t, stepping(&b.steps))
	s := newSigningClient(t)
	w.trusts(banksia, s.trust(t))
	id, _ := w.scimClient(banksia)
	n := 0
	everyFault(t, b, storeSteps, func() func() error {
		n++
		x := s.assertionOf(w, id, fmt.Sprint(n))
		return func() error {
			set, err := w.bridge.ClientCredentials(w.ctx, x)
			if (err == nil) != (set.AccessToken != "") {
				t.Errorf("%+v with %v", set, err)
			}
			return err
		}
	}, func(where string, err error) {
		if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Internal) {
			t.Errorf("this failed: %s; the client was told %v", where, err)
		}
	})
}

// TestWhatIsComparedIsAllOfASecret: its public id alone opens nothing, and a sealed
// token counts for its client's own connection only, whatever it says.
func TestWhatIsComparedIsAllOfASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, text := w.scimClient(banksia)
	made, publicID := credential.NewClientSecret()
	row := store.ClientSecret{PublicID: publicID, Digest: credential.DigestOf(text), Created: w.clock.Now(), Expires: w.clock.Now().Add(time.Hour)}
	if err := w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.PutClientSecret(id, row) }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.bridge.ClientCredentials(w.ctx, bySecret(id, made.Reveal())); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("another secret under that id: %v", err)
	}
	own, _, err := credential.ParseClientSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []access.ConnectionID{banksia, southern} {
		token, err := w.ring.SCIMAccessKey().Seal(credential.SCIMAccess{Connection: c, Client: id, Proof: "secret:" + own, Host: 1, Epoch: 1, Expires: w.clock.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if open := w.opens(c, token.Reveal()); open != (c == banksia) {
			t.Errorf("of %s: %t", fmt.Sprint(c), open)
		}
	}
}
