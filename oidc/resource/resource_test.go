package resource

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const issuer = "https://id.example"

var day = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// op is the bridge as an API sees it, in this process.
type op struct {
	t     *testing.T
	key   *ecdsa.PrivateKey
	now   time.Time
	pages []page // of the feed, in their order
	down  bool
	says  map[string]any // the introspection answer
	asked int            // how often
	kid   string
	sets  int // how often the keys were fetched
}

func newOP(t *testing.T) *op {
	return &op{t: t, key: newKey(t), now: day, says: map[string]any{"active": false}, kid: "k1"}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (o *op) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.down {
		return nil, errors.New("nobody answers")
	}
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]string{"issuer": issuer, "jwks_uri": issuer + "/keys", "token_endpoint": issuer + "/token", "introspection_endpoint": issuer + "/introspect", "revocation_feed_endpoint": issuer + "/feed"}
	case "/keys":
		o.sets++
		answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: o.key.Public(), KeyID: o.kid, Algorithm: "ES256", Use: "sig"}}}
	case "/token":
		answer = map[string]any{"access_token": "own", "expires_in": 300}
	case "/introspect":
		o.asked++
		answer = o.says
	case "/feed":
		if len(o.pages) == 0 {
			o.t.Fatal("the feed is asked when there is nothing to tell")
		}
		answer, o.pages = o.pages[0], o.pages[1:]
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

func (o *op) guard(change ...func(*Config)) *Guard {
	o.t.Helper()
	c := Config{Issuer: issuer, Audience: "api", ClientID: "api", ClientSecret: "s", URL: "https://api.example", HTTP: &http.Client{Transport: o}, Now: func() time.Time { return o.now }}
	for _, f := range change {
		f(&c)
	}
	g, err := New(c)
	if err != nil {
		o.t.Fatal(err)
	}
	return g
}

// hears gives the guard one answer of the feed.
func (o *op) hears(g *Guard, p page) {
	o.t.Helper()
	p.Cursor = "c"
	o.pages = append(o.pages, p)
	if err := g.Follow(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}

func sign(t testing.TB, key *ecdsa.PrivateKey, options *jose.SignerOptions, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (o *op) claims() map[string]any {
	return map[string]any{"iss": issuer, "aud": "api", "client_id": "web", "sub": "per_1", "sid": "ses_1", "connection": "con", "epochs": []int64{1, 1, 1, 4, 2},
		"iat": o.now.Unix(), "exp": o.now.Add(5 * time.Minute).Unix(), "auth_time": o.now.Add(-time.Hour).Unix(), "scope": "openid live_view", "acr": "mfa",
		"active_grant": map[string]any{"id": "asg_1", "grant": "technician", "standing": "guest", "scope": map[string]any{"id": "fleet", "level": "fleet", "ancestor_ids": []string{"provider", "account", "host"}}}}
}

func (o *op) token(change map[string]any) string {
	o.t.Helper()
	c := o.claims()
	maps.Copy(c, change)
	return sign(o.t, o.key, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", o.kid), c)
}

// fresh is a guard that has heard that nothing ended, and an instant later.
func (o *op) fresh(change ...func(*Config)) *Guard {
	o.t.Helper()
	g := o.guard(change...)
	o.hears(g, page{Reset: true, At: o.now.Unix()})
	o.now = o.now.Add(2 * time.Second)
	return g
}

func TestATokenIsVerifiedWithoutAsking(t *testing.T) {
	o := newOP(t)
	g := o.fresh()
	got, err := g.Check(t.Context(), o.token(nil))
	if err != nil || o.asked != 0 || o.sets != 1 {
		t.Fatalf("%v; asked %d times, fetched keys %d times", err, o.asked, o.sets)
	}
	if got.Subject != "per_1" || got.Session != "ses_1" || got.Grant.Name != "technician" || !slices.Equal(got.Workflows, []string{"openid", "live_view"}) {
		t.Errorf("it says %+v", got)
	}
}

func TestATokenThatIsNotForTheAPIIsRefused(t *testing.T) {
	o := newOP(t)
	g := o.fresh()
	typed := func(typ jose.ContentType) string {
		return sign(t, o.key, (&jose.SignerOptions{}).WithType(typ).WithHeader("kid", o.kid), o.claims())
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"no JWT":             "abc",
		"another issuer":     o.token(map[string]any{"iss": "https://evil.example"}),
		"another audience":   o.token(map[string]any{"aud": "other"}),
		"several audiences":  o.token(map[string]any{"aud": []string{"api", "other"}}),
		"ended":              o.token(map[string]any{"exp": o.now.Unix()}),
		"of the future":      o.token(map[string]any{"iat": o.now.Add(2 * time.Minute).Unix()}),
		"lives too long":     o.token(map[string]any{"exp": o.now.Add(time.Hour).Unix()}),
		"no session":         o.token(map[string]any{"sid": ""}),
		"no epochs":          o.token(map[string]any{"epochs": []int64{}}),
		"no grant":           o.token(map[string]any{"active_grant": nil}),
		"a grant that ended": o.token(map[string]any{"active_grant": map[string]any{"grant": "technician", "scope": map[string]any{"id": "fleet"}, "until": o.now.Unix()}}),
		"an ID token":        typed("JWT"),
		"a logout token":     typed("logout+jwt"),
		"another key":        sign(t, newKey(t), (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", o.kid), o.claims()),
		"an unknown key":     sign(t, newKey(t), (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k2"), o.claims()),
	} {
		if _, err := g.Check(t.Context(), text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o.sets > 2 {
		t.Errorf("unknown keys made it fetch %d times", o.sets)
	}
}

func TestWhatTheFeedSaysIsHeld(t *testing.T) {
	for _, row := range []struct {
		name  string
		says  change
		after time.Duration
		asks  bool
		err   error
	}{
		{name: "somebody else left", says: change{Claim: "sub", ID: "per_2", Ended: true}},
		{name: "the person left", says: change{Claim: "sub", ID: "per_1", Ended: true}, err: ErrInvalid},
		{name: "the person's number rose", says: change{Claim: "sub", ID: "per_1", Epoch: 5}, err: ErrInvalid},
		{name: "the person's number is the same", says: change{Claim: "sub", ID: "per_1", Epoch: 4}},
		{name: "the session ended", says: change{Claim: "sid", ID: "ses_1", Ended: true}, err: ErrInvalid},
		{name: "the session switched", says: change{Claim: "sid", ID: "ses_1", Epoch: 3}, err: ErrInvalid},
		{name: "an id of another claim", says: change{Claim: "sid", ID: "per_1", Ended: true}},
		{name: "the connection", says: change{Claim: "connection", ID: "con", Epoch: 2}, err: ErrInvalid},
		{name: "the application", says: change{Claim: "client_id", ID: "web", Ended: true}, err: ErrInvalid},
		{name: "everything", says: change{Claim: "host", Epoch: 2}, err: ErrInvalid},
		{name: "undecided", says: change{Claim: "connection", ID: "con", Epoch: 1, Ask: day.Add(time.Minute).Unix()}, asks: true, err: ErrInvalid},
		{name: "undecided before it was issued", says: change{Claim: "connection", ID: "con", Epoch: 1, Ask: day.Unix()}},
		{name: "ends later", says: change{Claim: "sub", ID: "per_1", Epoch: 4, Until: day.Add(time.Minute).Unix()}},
		{name: "ends before", says: change{Claim: "sub", ID: "per_1", Epoch: 4, Until: day.Add(time.Minute).Unix()}, after: 2 * time.Minute, err: ErrInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := newOP(t)
			g := o.fresh()
			text := o.token(nil)
			o.hears(g, page{Changes: []change{row.says}})
			if o.now = o.now.Add(row.after); row.after > 0 {
				o.hears(g, page{})
			}
			if _, err := g.Check(t.Context(), text); !errors.Is(err, row.err) || o.asked > 0 != row.asks {
				t.Errorf("%v, asked %d times", err, o.asked)
			}
		})
	}
}

// What the bridge said is enough until the feed says that it must be asked again.
func TestAnAnswerIsGoodUntilTheFeedSaysOtherwise(t *testing.T) {
	o := newOP(t)
	g := o.guard()
	text := o.token(nil)
	o.hears(g, page{Reset: true, At: o.now.Unix()}) // the token may be older
	o.says = map[string]any{"active": true, "scope": "openid", "active_grant": o.claims()["active_grant"]}
	for range 3 {
		got, err := g.Check(t.Context(), text)
		if err != nil || o.asked != 1 || !slices.Equal(got.Workflows, []string{"openid"}) {
			t.Fatalf("%v, asked %d times, %v", err, o.asked, got.Workflows)
		}
	}
	o.hears(g, page{Changes: []change{{Claim: "host", Epoch: 1, Ask: o.now.Unix()}}})
	o.says = map[string]any{"active": false}
	if _, err := g.Check(t.Context(), text); !errors.Is(err, ErrInvalid) || o.asked != 2 {
		t.Errorf("%v, asked %d times", err, o.asked)
	}
}

// While nobody is heard, nothing is let in on a guess.
func TestASilentFeedMakesItAsk(t *testing.T) {
	for _, row := range []struct {
		name    string
		offline bool
		down    bool
		active  bool
		err     error
	}{
		{name: "the bridge says yes", active: true},
		{name: "the bridge says no", err: ErrInvalid},
		{name: "nobody answers", down: true, err: ErrNobodyKnows},
		{name: "nobody answers, and that was accepted", down: true, offline: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := newOP(t)
			g := o.fresh(func(c *Config) { c.InsecureOffline = row.offline })
			text := o.token(nil)
			if _, err := g.Check(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			o.now = o.now.Add(11 * time.Second)
			o.down, o.says = row.down, map[string]any{"active": row.active, "active_grant": o.claims()["active_grant"]}
			if _, err := g.Check(t.Context(), text); !errors.Is(err, row.err) {
				t.Error(err)
			}
		})
	}
}

func TestBeforeTheFeedWasHeardItAsks(t *testing.T) {
	o := newOP(t)
	if _, err := o.guard().Check(t.Context(), o.token(nil)); !errors.Is(err, ErrInvalid) || o.asked != 1 {
		t.Errorf("%v, asked %d times", err, o.asked)
	}
}

// More means that there is something that was not heard yet.
func TestAnAnswerWithMoreToComeConfirmsNothing(t *testing.T) {
	o := newOP(t)
	g := o.fresh()
	o.now = o.now.Add(11 * time.Second)
	o.hears(g, page{More: true})
	if _, err := g.Check(t.Context(), o.token(nil)); !errors.Is(err, ErrInvalid) || o.asked != 1 {
		t.Errorf("%v, asked %d times", err, o.asked)
	}
}

func TestNeedsAreHeld(t *testing.T) {
	place := Scope{ID: "vehicle", Above: []string{"provider", "account", "fleet"}}
	for _, row := range []struct {
		name string
		need Need
		want int
		says string // in the challenge
	}{
		{"any grant", AnyGrant(), 200, ""},
		{"a workflow", Workflow("live_view"), 200, ""},
		{"a workflow it lacks", Workflow("live_view", "reports"), 403, `error="insufficient_scope", scope="live_view reports"`},
		{"its grant", Require("standard", "technician"), 200, ""},
		{"another grant", Require("administrator"), 403, `error="insufficient_scope"`},
		{"no grant at all", Require(), 403, ""},
		{"a scope below", Require("technician").At(place), 200, ""},
		{"its own scope", AnyGrant().At(Scope{ID: "fleet"}), 200, ""},
		{"a scope beside", AnyGrant().At(Scope{ID: "fleet-two", Above: []string{"provider", "account"}}), 403, ""},
		{"a scope above", AnyGrant().At(Scope{ID: "account", Above: []string{"provider"}}), 403, ""},
		{"no scope", AnyGrant().At(Scope{}), 403, ""},
		{"an unknown thing", AnyGrant().AtEach(func(*http.Request) (Scope, error) { return Scope{}, errors.New("no such thing") }), 404, ""},
		{"within its account", AnyGrant().Within("account"), 200, ""},
		{"within another", AnyGrant().Within("account-two"), 403, ""},
		{"within nothing", AnyGrant().Within(""), 403, ""},
		{"a strong sign-in", AnyGrant().StepUp(0, "mfa"), 200, ""},
		{"a stronger one", AnyGrant().StepUp(0, "hw"), 401, `error="insufficient_user_authentication", acr_values="hw"`},
		{"a fresh one", AnyGrant().StepUp(time.Minute), 401, `error="insufficient_user_authentication", max_age="60"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := newOP(t)
			g := o.fresh()
			rec := o.send(g, row.need, "Bearer "+o.token(nil), "")
			if rec.Code != row.want || !strings.Contains(rec.Header().Get("WWW-Authenticate"), row.says) {
				t.Fatalf("%d %q", rec.Code, rec.Header().Get("WWW-Authenticate"))
			}
			if rec.Code == 403 {
				var p problem
				if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || p.SwitchURL != issuer+"/me/" || p.Active == nil || rec.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s (%v)", rec.Body, err)
				}
			}
		})
	}
}

func (o *op) send(g *Guard, need Need, authorization, proof string) *httptest.ResponseRecorder {
	h := g.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if From(r.Context()).Subject != "per_1" {
			o.t.Error("the handler does not know for whom it works")
		}
	}), need)
	r := httptest.NewRequest(http.MethodGet, "/vehicles?fleet=1", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func TestARequestWithoutATokenIsChallengedWithoutAnError(t *testing.T) {
	o := newOP(t)
	rec := o.send(o.fresh(), AnyGrant(), "", "")
	if rec.Code != 401 || rec.Header().Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("%d %q", rec.Code, rec.Header().Get("WWW-Authenticate"))
	}
	if From(context.Background()).Subject != "" {
		t.Error("a request that was not let through stands for somebody")
	}
}

func TestABoundTokenNeedsANewProofOfItsKey(t *testing.T) {
	o := newOP(t)
	g := o.fresh()
	key := newKey(t)
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	bound := o.token(map[string]any{"cnf": map[string]string{"jkt": base64.RawURLEncoding.EncodeToString(sum)}})
	ath := sha256.Sum256([]byte(bound))
	n := 0
	prove := func(by *ecdsa.PrivateKey, change map[string]any) string {
		n++
		c := map[string]any{"jti": strings.Repeat("j", n), "htm": "GET", "htu": "https://api.example/vehicles", "iat": o.now.Unix(), "ath": base64.RawURLEncoding.EncodeToString(ath[:])}
		maps.Copy(c, change)
		return sign(t, by, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"), c)
	}
	used := prove(key, nil)
	for _, row := range []struct {
		name, scheme, token, proof string
		want                       int
	}{
		{"with a proof", "DPoP", bound, used, 200},
		{"with the same proof", "DPoP", bound, used, 401},
		{"as a bearer token", "Bearer", bound, "", 401},
		{"as a bearer token with a proof", "Bearer", bound, prove(key, nil), 401},
		{"without a proof", "DPoP", bound, "", 401},
		{"by another key", "DPoP", bound, prove(newKey(t), nil), 401},
		{"for another method", "DPoP", bound, prove(key, map[string]any{"htm": "POST"}), 401},
		{"for another address", "DPoP", bound, prove(key, map[string]any{"htu": "https://api.example/other"}), 401},
		{"for another token", "DPoP", bound, prove(key, map[string]any{"ath": "x"}), 401},
		{"an old one", "DPoP", bound, prove(key, map[string]any{"iat": o.now.Add(-2 * time.Minute).Unix()}), 401},
		{"without an id", "DPoP", bound, prove(key, map[string]any{"jti": ""}), 401},
		{"a bearer token as DPoP", "DPoP", o.token(nil), prove(key, nil), 401},
	} {
		if rec := o.send(g, AnyGrant(), row.scheme+" "+row.token, row.proof); rec.Code != row.want {
			t.Errorf("%s: %d", row.name, rec.Code)
		}
	}
}

func TestAConfigurationThatProtectsNothingIsRefused(t *testing.T) {
	good := Config{Issuer: issuer, Audience: "api", ClientID: "api", ClientSecret: "s"}
	for name, change := range map[string]func(*Config){
		"no issuer":   func(c *Config) { c.Issuer = "" },
		"plain HTTP":  func(c *Config) { c.Issuer = "http://id.example" },
		"a slash":     func(c *Config) { c.Issuer += "/" },
		"no audience": func(c *Config) { c.Audience = "" },
		"no secret":   func(c *Config) { c.ClientSecret = "" },
		"no lease":    func(c *Config) { c.Lease = time.Second },
		"a long one":  func(c *Config) { c.Lease = time.Hour },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func FuzzProof(f *testing.F) {
	f.Add("")
	f.Add("eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2In0.e30.AA")
	f.Add(sign(f, newKey(f), (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"), map[string]any{"jti": "a", "htm": "GET"}))
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parseProof(text); err == nil && (p.key == "" || p.ID == "") {
			t.Errorf("%+v proves nothing", p)
		}
	})
}
