package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

func TestStartAsksForCodeWithPKCEStateAndNonce(t *testing.T) {
	p := newIdP(t)
	l := leg()
	l.LoginHint, l.Prompt = "kim@pacific.example", "login"
	raw, err := p.upstreams(t).Start(context.Background(), "ironbark-entra", l)
	if err != nil {
		t.Fatal(err)
	}
	q := mustParse(t, raw).Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": clientID, "state": "the-state", "nonce": nonce, "scope": "openid profile",
		"code_challenge": challengeOf(verifier), "code_challenge_method": "S256", "login_hint": "kim@pacific.example",
		"prompt": "login", "max_age": "0", "redirect_uri": l.RedirectURL,
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if strings.Contains(raw, verifier) {
		t.Error("the code verifier is in the URL")
	}
}

func TestALegWithoutItsSecretsDoesNotStart(t *testing.T) {
	u := newIdP(t).upstreams(t)
	for name, breakIt := range map[string]func(*Leg){
		"state": func(l *Leg) { l.State = "" }, "nonce": func(l *Leg) { l.Nonce = "" },
		"verifier": func(l *Leg) { l.CodeVerifier = "short" }, "redirect": func(l *Leg) { l.RedirectURL = "" },
	} {
		l := leg()
		breakIt(&l)
		if _, err := u.Start(context.Background(), "ironbark-entra", l); err == nil {
			t.Errorf("a leg without %s started", name)
		}
	}
}

func TestFinishGivesTheStableIdentityAndNeverTheAddress(t *testing.T) {
	p := newIdP(t)
	id, err := p.upstreams(t).Finish(context.Background(), "ironbark-entra", leg(), answer())
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{Connection: "ironbark-entra", Issuer: p.URL, Subject: "00000000-0000-4000-8000-000000000001",
		Sub: "pairwise-subject", Session: "upstream-session", Started: leg().Started, AuthTime: time.Unix(p.clock().Unix(), 0), AMR: []string{"pwd", "mfa"}, ACR: "1"}
	if !reflect.DeepEqual(id, want) {
		t.Errorf("got  %+v\nwant %+v", id, want)
	}
	if strings.Contains(fmt.Sprintf("%+v", id), "victim.example") {
		t.Error("the address is part of the identity")
	}
	if p.asked.Get("code_verifier") != verifier {
		t.Error("the code was redeemed without the verifier")
	}
}

// T-F5: each claim removed, and broken, in turn.
func TestEveryClaimIsHeldTo(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	now := p.clock()
	type claim struct {
		name  string
		value any // nil: removed
	}
	for _, k := range []claim{
		{"iss", nil}, {"iss", "https://evil.example"}, {"iss", p.URL + "/"}, {"iss", []string{p.URL}},
		{"aud", nil}, {"aud", "another-client"}, {"aud", []string{}}, {"aud", []string{clientID, "another-client"}}, {"aud", 7},
		{"azp", "another-client"}, {"azp", 7},
		{"exp", nil}, {"exp", now.Add(-61 * time.Second).Unix()}, {"exp", fmt.Sprint(now.Add(time.Hour).Unix())}, {"exp", math.MaxInt64}, {"exp", -1},
		{"iat", nil}, {"iat", now.Add(61 * time.Second).Unix()}, {"iat", "yesterday"},
		{"nbf", now.Add(61 * time.Second).Unix()},
		{"nonce", nil}, {"nonce", ""}, {"nonce", "another"}, {"nonce", []string{nonce}},
		{"sub", nil}, {"sub", ""}, {"sub", 12}, {"sub", long(256)},
		{"oid", nil}, {"oid", ""}, {"oid", 12}, {"oid", long(256)}, {"oid", "with\x00nul"}, {"oid", map[string]any{"a": 1}},
		{"tid", nil}, {"tid", "tenant-2"}, {"tid", 1},
		{"auth_time", "now"}, {"amr", "pwd"}, {"sid", 5},
	} {
		t.Run(fmt.Sprintf("%s=%v", k.name, k.value)[:min(40, len(fmt.Sprintf("%s=%v", k.name, k.value)))], func(t *testing.T) {
			p.mu.Lock()
			was, had := p.claims[k.name]
			if p.claims[k.name] = k.value; k.value == nil {
				delete(p.claims, k.name)
			}
			p.mu.Unlock()
			_, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer())
			if !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != ReasonToken {
				t.Errorf("got %v (reason %q), want it refused as %s", err, fault.ReasonOf(err), ReasonToken)
			}
			p.mu.Lock()
			if p.claims[k.name] = was; !had {
				delete(p.claims, k.name)
			}
			p.mu.Unlock()
		})
	}
	if _, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer()); err != nil {
		t.Errorf("the whole token is refused: %v", err)
	}
}

func TestAMinuteBetweenTheClocksIsForgiven(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	p.claims["exp"] = p.clock().Add(-59 * time.Second).Unix()
	p.claims["iat"] = p.clock().Add(59 * time.Second).Unix()
	p.claims["nbf"] = p.clock().Add(59 * time.Second).Unix()
	if _, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer()); err != nil {
		t.Error(err)
	}
}

// go-oidc lets Google leave the scheme out of iss; we do not.
func TestAnIssuerWithoutItsSchemeIsAnotherIssuer(t *testing.T) {
	short := jwtclaims.Claims{"iss": jsontext.Value(`"accounts.google.com"`)}
	if err := short.Equals("iss", "https://accounts.google.com"); err == nil {
		t.Errorf("got %v", err)
	}
}

func TestADuplicateClaimIsRefused(t *testing.T) {
	p := newIdP(t)
	sign := p.signer
	p.signer = func(payload []byte) string {
		return sign([]byte(`{"oid":"00000000-0000-4000-8000-00000000000f",` + string(payload[1:])))
	}
	if _, err := p.upstreams(t).Finish(context.Background(), "ironbark-entra", leg(), answer()); fault.ReasonOf(err) != ReasonToken {
		t.Errorf("got %v", err)
	}
}

// T-F1: only our algorithms, only the provider's published keys.
func TestForgedTokensAreRefused(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	publicDER, err := json.Marshal(jose.JSONWebKey{Key: p.rsa.Public(), KeyID: "rsa"})
	if err != nil {
		t.Fatal(err)
	}
	stranger := newIdP(t)
	stranger.rsa = newRSAKey()
	good := p.signer
	part := func(b string) string { return base64.RawURLEncoding.EncodeToString([]byte(b)) }
	forged := map[string]func([]byte) string{
		"none":                     func(b []byte) string { return part(`{"alg":"none"}`) + "." + part(string(b)) + "." },
		"HMAC with the public key": p.sign(jose.SigningKey{Algorithm: jose.HS256, Key: publicDER}),
		"HMAC with the secret":     p.sign(jose.SigningKey{Algorithm: jose.HS256, Key: []byte("s3cret-that-is-long-enough-for-hs256")}),
		"a weaker habit, RS512":    p.sign(jose.SigningKey{Algorithm: jose.RS512, Key: jose.JSONWebKey{Key: p.rsa, KeyID: "rsa"}}),
		"another's key":            p.sign(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger.rsa, KeyID: "rsa"}}),
		"an embedded key": func(b []byte) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: stranger.rsa}, &jose.SignerOptions{EmbedJWK: true})
			if err != nil {
				t.Fatal(err)
			}
			jws, err := s.Sign(b)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return raw
		},
		"a jku": func(b []byte) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger.rsa, KeyID: "../../keys"}},
				(&jose.SignerOptions{}).WithHeader("jku", stranger.URL+"/keys"))
			if err != nil {
				t.Fatal(err)
			}
			jws, err := s.Sign(b)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return raw
		},
		"a changed payload": func(b []byte) string {
			parts := strings.Split(good(b), ".")
			return parts[0] + "." + part(strings.Replace(string(b), "0001", "0002", 1)) + "." + parts[2]
		},
		"no signature":   func(b []byte) string { parts := strings.Split(good(b), "."); return parts[0] + "." + parts[1] + "." },
		"not a token":    func([]byte) string { return "a.b.c" },
		"a JSON general": func(b []byte) string { return `{"payload":"` + part(string(b)) + `","signatures":[]}` },
	}
	for name, sign := range forged {
		t.Run(name, func(t *testing.T) {
			p.mu.Lock()
			p.signer = sign
			p.mu.Unlock()
			if _, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer()); fault.ReasonOf(err) != ReasonToken {
				t.Errorf("got %v", err)
			}
		})
	}
	if n := stranger.keyFetch.Load(); n != 0 {
		t.Errorf("a token made us fetch keys from a stranger %d times", n)
	}
}

func TestEachAllowedAlgorithmIsAccepted(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	for alg, k := range map[jose.SignatureAlgorithm]jose.JSONWebKey{
		jose.RS256: {Key: p.rsa, KeyID: "rsa"}, jose.PS256: {Key: p.rsa, KeyID: "rsa"},
		jose.ES256: {Key: ecKey(), KeyID: "ec"}, jose.EdDSA: {Key: edKey(), KeyID: "ed"},
	} {
		p.mu.Lock()
		p.signer = p.sign(jose.SigningKey{Algorithm: alg, Key: k})
		p.mu.Unlock()
		if _, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer()); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// T-F2: made-up key ids do not make us hammer the provider.
func TestAThousandRandomKeyIDsFetchKeysAtMostTwice(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	l := (*u.links.Load())["ironbark-entra"]
	found, err := l.discovered(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(p.claims)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"RS256","kid":"random-%d"}`, i))
		raw := header + "." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"
		if _, err := l.verify(context.Background(), found, leg(), answered{idToken: raw}); fault.ReasonOf(err) != ReasonToken {
			t.Fatalf("got %v", err)
		}
	}
	if n := p.keyFetch.Load(); n > 2 {
		t.Errorf("keys were fetched %d times", n)
	}
	if _, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer()); err != nil {
		t.Errorf("the keys that were fetched are no longer used: %v", err)
	}
}

// T-F3 and T-F4: an answer counts for one sign-in at one provider.
// Threats: T-E3.
func TestMixedUpAnswersAreRefused(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	twice := answer()
	twice["code"] = []string{"one", "two"}
	none := leg()
	none.State = ""
	for name, c := range map[string]struct {
		leg    Leg
		query  url.Values
		reason string
	}{
		"another state":             {leg(), answer("state", "other"), ReasonMixUp},
		"no state":                  {leg(), url.Values{"code": {"a-code"}}, ReasonMixUp},
		"no state on either side":   {none, url.Values{"code": {"a-code"}}, ReasonMixUp},
		"another issuer":            {leg(), answer("iss", "https://evil.example"), ReasonMixUp},
		"two codes":                 {leg(), twice, ReasonMixUp},
		"no code":                   {leg(), answer("code", ""), ReasonIdP},
		"an error":                  {leg(), answer("error", "access_denied"), ReasonIdP},
		"an error that is a script": {leg(), answer("error", "<script>alert(1)</script>"), ReasonIdP},
		"our fault":                 {leg(), answer("error", "unauthorized_client"), ReasonSetUp},
		"their fault":               {leg(), answer("error", "temporarily_unavailable"), ReasonDown},
	} {
		_, err := u.Finish(context.Background(), "ironbark-entra", c.leg, c.query)
		if fault.ReasonOf(err) != c.reason {
			t.Errorf("%s: got %v, want %s", name, err, c.reason)
		}
		if err != nil && strings.Contains(err.Error(), "<script>") {
			t.Errorf("%s: a stranger's text is repeated", name)
		}
	}
	if _, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer("iss", p.URL)); err != nil {
		t.Errorf("the right iss: %v", err)
	}
	if _, err := u.Finish(context.Background(), "nobody", leg(), answer()); fault.ReasonOf(err) != ReasonUnknown {
		t.Errorf("an unknown connection: %v", err)
	}
	if p.asked.Get("code") != "a-code" {
		t.Errorf("the code that was sent is %q", p.asked.Get("code"))
	}
}

// Threats: T-F3.
func TestAProviderThatPromisesIssMustSendIt(t *testing.T) {
	p := newIdP(t)
	p.metadata = map[string]any{"authorization_response_iss_parameter_supported": true}
	if _, err := p.upstreams(t).Finish(context.Background(), "ironbark-entra", leg(), answer()); fault.ReasonOf(err) != ReasonMixUp {
		t.Errorf("got %v", err)
	}
}

// T-F7: what is meant for the issuer goes nowhere else.
func TestForeignMetadataIsRefusedAndGetsNoSecret(t *testing.T) {
	stolen := make(chan string, 8)
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen <- r.URL.Path }))
	defer evil.Close()
	for name, metadata := range map[string]map[string]any{
		"issuer":                 {"issuer": "https://evil.example"},
		"issuer with a slash":    {"issuer": "SLASH"},
		"token endpoint":         {"token_endpoint": evil.URL + "/token"},
		"authorization endpoint": {"authorization_endpoint": evil.URL + "/authorize"},
		"keys":                   {"jwks_uri": evil.URL + "/keys"},
		"no keys":                {"jwks_uri": ""},
		"user in the endpoint":   {"token_endpoint": "USER"},
		"script":                 {"authorization_endpoint": "javascript:alert(1)"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIdP(t)
			for k, v := range metadata {
				switch v {
				case "SLASH":
					metadata[k] = p.URL + "/"
				case "USER":
					metadata[k] = strings.Replace(p.URL, "http://", "http://user@", 1) + "/token"
				}
			}
			p.metadata = metadata
			u := p.upstreams(t)
			_, errStart := u.Start(context.Background(), "ironbark-entra", leg())
			_, errFinish := u.Finish(context.Background(), "ironbark-entra", leg(), answer())
			for _, err := range []error{errStart, errFinish} {
				if !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != ReasonSetUp {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	if len(stolen) > 0 {
		t.Errorf("the foreign host was asked for %s", <-stolen)
	}
}

// Threats: T-F7.
func TestEndpointsBelongToTheirIssuer(t *testing.T) {
	for _, c := range []struct {
		issuer, endpoint string
		ok               bool
	}{
		{"https://idp.example/a", "https://idp.example/b", true},
		{"https://idp.example", "http://idp.example/token", false},
		{"https://idp.example", "https://idp.example:8443/token", false},
		{"https://idp.example", "https://idp.example.evil.example/token", false},
		{"https://idp.example", "https://evil.example/idp.example", false},
		{"https://idp.example", "https://idp.example@evil.example/token", false},
		{"https://login.microsoftonline.com/t/v2.0", "https://login.microsoftonline.com/t/oauth2/v2.0/token", true},
		{"https://sts.windows.net/t/", "https://login.microsoftonline.com/t/oauth2/token", true},
		{"https://sts.windows.net/t/", "https://graph.microsoft.com/token", false},
		{"https://fjord.okta.com", "https://fjord.okta.com/oauth2/v1/token", true},
		{"https://fjord.okta.com", "https://evil.okta.com/oauth2/v1/token", false},
		{"https://accounts.google.com", "https://oauth2.googleapis.com/token", true},
	} {
		if err := belongs(c.issuer, c.endpoint); (err == nil) != c.ok {
			t.Errorf("%s at %s: %v", c.endpoint, c.issuer, err)
		}
	}
}

func TestAProviderThatIsDownIsNamedAndNotHammered(t *testing.T) {
	p := newIdP(t)
	start := p.clock()
	now := start
	p.clock = func() time.Time { return now }
	u := p.upstreams(t)
	p.broken.Store(true)
	for range 5 {
		_, err := u.Start(context.Background(), "ironbark-entra", leg())
		var o *Outage
		if !fault.Is(err, fault.Unavailable) || !errors.As(err, &o) || !o.Since.Equal(start) || o.Connection != "ironbark-entra" {
			t.Fatalf("got %v", err)
		}
		if !strings.Contains(fault.DetailOf(err), "127.0.0.1") || !strings.Contains(fault.DetailOf(err), "2026-11-21 12:00 UTC") {
			t.Errorf("the detail %q does not say who and since when", fault.DetailOf(err))
		}
	}
	p.broken.Store(false)
	if _, err := u.Start(context.Background(), "ironbark-entra", leg()); err == nil {
		t.Error("it was asked again before the back-off was over")
	}
	now = start.Add(firstRetry)
	if _, err := u.Start(context.Background(), "ironbark-entra", leg()); err != nil {
		t.Errorf("after the back-off: %v", err)
	}
	p.broken.Store(true)
	now = start.Add(discoveryLife + time.Hour)
	if _, err := u.Start(context.Background(), "ironbark-entra", leg()); err != nil {
		t.Errorf("old metadata does not outlive the provider: %v", err)
	}
	if _, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a token endpoint that is down: %v", err)
	}
}

func TestDiscoveryHappensOnce(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	done := make(chan error, 20)
	for range 20 {
		go func() { _, err := u.Start(context.Background(), "ironbark-entra", leg()); done <- err }()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := p.discovery.Load(); n != 1 {
		t.Errorf("the metadata was fetched %d times", n)
	}
}

func TestAFreshSignInIsProvenOrRefused(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	now := p.clock()
	for name, c := range map[string]struct {
		maxAge   time.Duration
		prompt   string
		authTime any
		reason   string
	}{
		"not asked, not said":        {-1, "", nil, ""},
		"within max_age":             {5 * time.Minute, "", now.Add(-5 * time.Minute).Unix(), ""},
		"older than max_age":         {5 * time.Minute, "", now.Add(-7 * time.Minute).Unix(), ReasonStale},
		"max_age, not said":          {5 * time.Minute, "", nil, ReasonStale},
		"login, just now":            {-1, "login", now.Unix(), ""},
		"login, from before":         {-1, "login", now.Add(-2 * time.Minute).Unix(), ReasonStale},
		"login, not said":            {-1, "login", nil, ReasonStale},
		"in the future":              {-1, "", now.Add(2 * time.Minute).Unix(), ReasonStale},
		"another account, not fresh": {-1, "select_account", now.Add(-time.Hour).Unix(), ""},
	} {
		p.mu.Lock()
		if p.claims["auth_time"] = c.authTime; c.authTime == nil {
			delete(p.claims, "auth_time")
		}
		p.mu.Unlock()
		l := leg()
		l.MaxAge, l.Prompt = c.maxAge, c.prompt
		if _, err := u.Finish(context.Background(), "ironbark-entra", l, answer()); fault.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") {
			t.Errorf("%s: got %v, want %q", name, err, c.reason)
		}
	}
}

func TestTheTokenEndpointMayRefuse(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	for name, c := range map[string]struct {
		status int
		body   string
		reason string
	}{
		"code used":     {400, `{"error":"invalid_grant","error_description":"secret text"}`, ReasonIdP},
		"wrong secret":  {401, `{"error":"invalid_client"}`, ReasonSetUp},
		"down":          {503, `oops`, ReasonDown},
		"redirect":      {307, ``, ReasonIdP},
		"no ID token":   {200, `{"access_token":"a","token_type":"Bearer"}`, ReasonToken},
		"ID token of 7": {200, `{"access_token":"a","token_type":"Bearer","id_token":7}`, ReasonToken},
		"a flood":       {200, `{"access_token":"` + long(bodyLimit+1) + `"}`, ReasonDown},
	} {
		p.mu.Lock()
		p.tokens = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(c.status)
			if _, err := w.Write([]byte(c.body)); err != nil {
				t.Log(err) // the flood: we hang up
			}
			return true
		}
		p.mu.Unlock()
		_, err := u.Finish(context.Background(), "ironbark-entra", leg(), answer())
		if fault.ReasonOf(err) != c.reason {
			t.Errorf("%s: got %v, want %s", name, err, c.reason)
		}
		if err != nil && (strings.Contains(err.Error(), "secret text") || len(err.Error()) > 1000) {
			t.Errorf("%s: the provider's own text is carried on: %.100s", name, err)
		}
	}
}

func TestNewReportsEveryFaultAtOnce(t *testing.T) {
	good := Provider{Connection: "a", Issuer: "https://idp.example", ClientID: "c", SubjectClaim: "sub", ClientSecret: secret.New("x")}
	with := func(change func(*Provider)) Provider { p := good; change(&p); return p }
	_, err := New(http.DefaultClient, nil, []Provider{
		good, good,
		with(func(p *Provider) { p.Connection, p.Issuer = "b", "http://idp.example" }),
		with(func(p *Provider) { p.Connection, p.Issuer = "c", "https://idp.example/?x=1" }),
		with(func(p *Provider) { p.Connection, p.SubjectClaim = "d", "" }),
		with(func(p *Provider) { p.Connection, p.SubjectClaim = "e", "email" }),
		with(func(p *Provider) { p.Connection, p.ClientID = "f", "" }),
	}, time.Now)
	if err == nil {
		t.Fatal("no fault was found")
	}
	for _, want := range []string{"two identity providers", `"b": issuer`, `"c": issuer`, `"d": no subject`, `"e": subject claim`, `"f": no client id`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the faults:\n%v", want, err)
		}
	}
}

func FuzzClaims(f *testing.F) {
	p := Provider{Connection: "c", Issuer: "https://idp.example", ClientID: clientID, SubjectClaim: "oid", TenantID: "t"}
	l := newLink(p, nil, nil, func() time.Time { return time.Unix(1795262400, 0) })
	f.Add([]byte(`{"iss":"https://idp.example","aud":"bridge-client","sub":"s","oid":"o","tid":"t","nonce":"` + nonce + `","exp":1795262500,"iat":1795262400}`))
	f.Add([]byte(`{"aud":["bridge-client"],"exp":1e400}`))
	f.Add([]byte(`{"exp":NaN}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		parsed, err := jwtclaims.Parse(payload)
		c := claims{parsed}
		if err != nil || l.checkClaims(c, leg()) != nil {
			return
		}
		id, err := l.identity(c, leg())
		if err == nil && (id.Subject == "" || len(id.Subject) > 255 || id.Issuer != p.Issuer) {
			t.Errorf("%s gave %+v", payload, id)
		}
	})
}

// Other providers take the place of those there are: what is known of one that stays is
// kept, and one fault keeps them all.
func TestProvidersAreExchangedInWhole(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	if _, err := u.Start(context.Background(), "ironbark-entra", leg()); err != nil {
		t.Fatal(err)
	}
	stays := (*u.links.Load())["ironbark-entra"]
	next := p.provider()
	next.Connection = "coral-okta"
	broken := next
	broken.Issuer = "nowhere"
	if _, err := u.Prepare([]Provider{broken}); err == nil {
		t.Error("a provider that does not hold was taken")
	}
	put, err := u.Prepare([]Provider{p.provider(), next})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Start(context.Background(), "coral-okta", leg()); fault.ReasonOf(err) != ReasonUnknown {
		t.Errorf("one that was only prepared: %v", err)
	}
	put()
	if _, err := u.Start(context.Background(), "coral-okta", leg()); err != nil {
		t.Error(err)
	}
	if (*u.links.Load())["ironbark-entra"] != stays {
		t.Error("what was known of a provider that stays was forgotten")
	}
	put, err = u.Prepare([]Provider{next})
	if err != nil {
		t.Fatal(err)
	}
	put()
	if _, err := u.Start(context.Background(), "ironbark-entra", leg()); fault.ReasonOf(err) != ReasonUnknown {
		t.Errorf("one that is no longer there: %v", err)
	}
}
