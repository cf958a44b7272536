package credential

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

const issuerURL = "https://bridge.example"

const grantClaim = `{"id":"asg_1","grant":"standard"}`

// testRing has one active key of each algorithm.
func testRing(t testing.TB, root DataKey, algorithms ...string) *Keyring {
	t.Helper()
	var keys []SealedKey
	for _, alg := range algorithms {
		k, err := root.GenerateKey(alg, KeyActive, noon())
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	ring, err := NewKeyring(root, keys)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func testIssuer(t testing.TB, algorithms ...string) *Issuer {
	t.Helper()
	ring := testRing(t, testDataKey(t), algorithms...)
	return NewIssuer(issuerURL, func() *Keyring { return ring })
}

func order() Order {
	return Order{Current: alive(), Subject: mara(), Grant: json.RawMessage(grantClaim), Audience: "https://fleet.example",
		OAuthScopes: []string{"openid", "live_view"}, SessionAMR: []string{"pwd", "mfa"}, ACR: "2",
		AuthTime: noon().Add(-time.Hour), Now: noon(), Life: MaxLife,
		ID: &IDOrder{Nonce: "n-1", Claims: map[string]any{"name": "Mara Lindt", "email": "mara@ironbark.example"}}}
}

// payload reads a token without verifying it.
func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestMintedTokensSayWhatWasOrdered(t *testing.T) {
	i := testIssuer(t, ES256)
	m, err := i.Mint(order())
	if err != nil {
		t.Fatal(err)
	}
	grant := map[string]any{"id": "asg_1", "grant": "standard"}
	want := map[string]any{
		"iss": issuerURL, "aud": "https://fleet.example", "client_id": "fleet-web", "sub": "per_mara", "sid": "ses_1", "family": "fam_1",
		"jti": m.JTI, "iat": 1772452800.0, "exp": 1772453100.0, "auth_time": 1772449200.0, "scope": "openid live_view",
		"connection": "ironbark-entra", "epochs": []any{2.0, 3.0, 4.0, 5.0, 6.0},
		"amr": []any{"pwd", "mfa"}, "acr": "2", "active_grant": grant,
	}
	if got := payload(t, m.AccessToken); !reflect.DeepEqual(got, want) {
		t.Errorf("access token\ngot  %v\nwant %v", got, want)
	}
	want = map[string]any{
		"iss": issuerURL, "aud": "fleet-web", "sub": "per_mara", "sid": "ses_1", "iat": 1772452800.0, "exp": 1772453100.0,
		"auth_time": 1772449200.0, "nonce": "n-1", "at_hash": atHash(m.AccessToken), "amr": []any{"pwd", "mfa"}, "acr": "2",
		"session_expiry": float64(alive().SessionExpires.Unix()), "active_grant": grant, "name": "Mara Lindt", "email": "mara@ironbark.example",
	}
	if got := payload(t, m.IDToken); !reflect.DeepEqual(got, want) {
		t.Errorf("ID token\ngot  %v\nwant %v", got, want)
	}
	if err := Accept(m.Bound, alive(), noon()); err != nil || m.Bound != boundTo(alive()) {
		t.Errorf("what was minted is not accepted: %+v, %v", m.Bound, err)
	}
}

func TestVerifiedTokenSaysWhatWasMinted(t *testing.T) {
	i := testIssuer(t, ES256)
	m, err := i.Mint(order())
	if err != nil {
		t.Fatal(err)
	}
	want := AccessClaims{Bound: m.Bound, JTI: m.JTI, Audience: "https://fleet.example", OAuthScopes: []string{"openid", "live_view"},
		Grant: json.RawMessage(grantClaim), IssuedAt: noon(), AuthTime: noon().Add(-time.Hour), ACR: order().ACR}
	for range 2 { // the second time from memory
		got, err := i.Verify(m.AccessToken, noon())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v\n%v", got, want, err)
		}
		got.OAuthScopes[0], got.Grant[0] = "users.manage", '['
	}
	hint, err := i.VerifyIDToken(m.IDToken)
	if err != nil || hint != (IDClaims{Person: "per_mara", Client: "fleet-web", Session: "ses_1", Nonce: "n-1",
		IssuedAt: noon(), AuthTime: noon().Add(-time.Hour), Expires: m.Expires}) {
		t.Errorf("hint %+v, %v", hint, err)
	}
}

// Every link of the chain, each way it can be broken: mint gives nothing, and says
// why in the words of accept. The matrix is generated from the fields of Current, and
// fails when a field is added that nobody has judged.
// Threats: T-B3.
func TestI3_MintRefusesEveryDisabledThing(t *testing.T) {
	i := testIssuer(t, ES256)
	for _, x := range changes() {
		for _, withID := range []bool{true, false} {
			o := order()
			x.to(&o.Current)
			if superseding := x.reason == ReasonSuperseded; superseding && o.Current.Epochs.live(o.Subject) {
				continue // mint signs the integers of now, whatever they are
			}
			if !withID {
				o.ID = nil
			}
			m, err := i.Mint(o)
			if !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != x.reason || m != (Minted{}) {
				t.Errorf("%s: minted %+v, %v", x.name, m, err)
			}
		}
	}
	o := order()
	o.GrantUntil = noon()
	if m, err := i.Mint(o); !fault.Is(err, fault.Denied) || m != (Minted{}) {
		t.Errorf("the active assignment has ended: %v", err)
	}
}

func TestEveryFieldOfCurrentIsJudged(t *testing.T) {
	judged := map[string]bool{"Why": true} // Why only explains Alive
	for _, x := range changes() {
		now := alive()
		x.to(&now)
		for _, f := range reflect.VisibleFields(reflect.TypeFor[Current]()) {
			was, is := reflect.ValueOf(alive()).FieldByIndex(f.Index), reflect.ValueOf(now).FieldByIndex(f.Index)
			if !reflect.DeepEqual(was.Interface(), is.Interface()) {
				judged[path(f)] = true
			}
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Current]()) {
		if !judged[path(f)] {
			t.Errorf("no change of Current.%s is in the matrix", path(f))
		}
	}
}

// path names a field with the struct it is promoted from: Connection, Client, Person
// and Session are each both a subject and a counter.
func path(f reflect.StructField) string {
	names := []string{f.Name}
	t := reflect.TypeFor[Current]()
	for _, i := range f.Index[:len(f.Index)-1] {
		names = append(names, t.Field(i).Name)
		t = t.Field(i).Type
	}
	return strings.Join(names, " of ")
}

func TestTokenEndsWithTheFirstOfItsEnds(t *testing.T) {
	i := testIssuer(t, ES256)
	for name, shorten := range map[string]func(*Order, time.Time){
		"assignment": func(o *Order, end time.Time) { o.GrantUntil = end },
		"decision":   func(o *Order, end time.Time) { o.Current.ValidUntil = end },
		"session":    func(o *Order, end time.Time) { o.Current.SessionExpires = end },
		"life":       func(o *Order, end time.Time) { o.Life = end.Sub(o.Now) },
	} {
		o := order()
		shorten(&o, noon().Add(90*time.Second+500*time.Millisecond))
		m, err := i.Mint(o)
		want := noon().Add(90 * time.Second)
		if name == "decision" {
			want = want.Add(time.Second) // rounded up: Accept is exact
		}
		if err != nil || !m.Expires.Equal(want) || !m.Bound.Expires.Equal(want) {
			t.Errorf("%s: ends %s, want %s, %v", name, m.Expires, want, err)
		}
		o = order()
		shorten(&o, noon().Add(999*time.Millisecond))
		if _, err := i.Mint(o); name != "decision" && (!fault.Is(err, fault.Denied) || fault.ReasonOf(err) != ReasonExpired) {
			t.Errorf("%s ends within this second: %v", name, err)
		}
	}
}

func TestMistakesOfTheCallerMintNothing(t *testing.T) {
	i := testIssuer(t, ES256)
	for name, spoil := range map[string]func(*Order){
		"no client":         func(o *Order) { o.Subject.Client, o.Current.Subject.Client, o.Current.Epochs.Client = "", "", 0 },
		"no audience":       func(o *Order) { o.Audience = "" },
		"no life":           func(o *Order) { o.Life = 0 },
		"too long a life":   func(o *Order) { o.Life = MaxLife + 1 },
		"no instant":        func(o *Order) { o.Now = time.Time{} },
		"no grant":          func(o *Order) { o.Grant = nil },
		"grant is a list":   func(o *Order) { o.Grant = json.RawMessage(`[]`) },
		"grant is cut":      func(o *Order) { o.Grant = json.RawMessage(`{"id":`) },
		"claim is no JSON":  func(o *Order) { o.ID.Claims = map[string]any{"name": func() {}} },
		"unknown algorithm": func(o *Order) { o.ID.Alg = "HS256" },
		"none":              func(o *Order) { o.ID.Alg = "none" },
		"no RS256 key":      func(o *Order) { o.ID.Alg = RS256 },
	} {
		o := order()
		spoil(&o)
		if m, err := i.Mint(o); !fault.Is(err, fault.Internal) || m != (Minted{}) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// T-E5: reserved claims win, in every token.
func TestProfileClaimsCannotOverrideOurs(t *testing.T) {
	i := testIssuer(t, ES256)
	plain, err := i.Mint(order())
	if err != nil {
		t.Fatal(err)
	}
	o := order()
	hostile := []string{"nbf", "jti", "client_id", "scope", "epochs", "connection", "events", "cnf", "azp", "act", "c_hash"}
	for name := range payload(t, plain.IDToken) {
		if name != "name" && name != "email" {
			hostile = append(hostile, name)
		}
	}
	for _, name := range hostile {
		o.ID.Claims[name] = "hostile"
	}
	m, err := i.Mint(o)
	if err != nil {
		t.Fatal(err)
	}
	got := payload(t, m.IDToken)
	for name, value := range got {
		if value == "hostile" {
			t.Errorf("a profile claim overrides %s", name)
		}
	}
	if len(got) != len(payload(t, plain.IDToken)) {
		t.Errorf("claims %v", got)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(m.IDToken, ".")[1])
	if err != nil || strings.Count(string(raw), `"iss"`) != 1 {
		t.Errorf("a claim stands twice: %s", raw)
	}
}

func TestIDTokenInTheClientsAlgorithm(t *testing.T) {
	i := testIssuer(t, ES256, RS256)
	for _, alg := range []string{"", ES256, RS256} {
		o := order()
		o.ID.Alg = alg
		m, err := i.Mint(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.VerifyIDToken(m.IDToken); err != nil {
			t.Errorf("%q: %v", alg, err)
		}
		header, err := base64.RawURLEncoding.DecodeString(strings.Split(m.IDToken, ".")[0])
		want := alg
		if want == "" {
			want = ES256
		}
		if err != nil || !strings.Contains(string(header), `"alg":"`+want+`"`) || !strings.Contains(string(header), `"typ":"JWT"`) {
			t.Errorf("%q: header %s", alg, header)
		}
	}
}

func TestOnlyAnActiveKeySigns(t *testing.T) {
	root := testDataKey(t)
	for _, state := range []KeyState{KeyNext, KeyRetired} {
		k, err := root.GenerateKey(ES256, state, noon())
		if err != nil {
			t.Fatal(err)
		}
		ring, err := NewKeyring(root, []SealedKey{k})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewIssuer(issuerURL, func() *Keyring { return ring }).Mint(order()); !fault.Is(err, fault.Internal) {
			t.Errorf("a %s key signs: %v", state, err)
		}
		if strings.Count(string(ring.JWKS()), k.ID) != 1 {
			t.Errorf("a %s key is not published", state)
		}
	}
	none := NewIssuer(issuerURL, func() *Keyring { return nil })
	if _, err := none.Mint(order()); err == nil {
		t.Error("minted without keys")
	}
	if _, err := none.Verify("a.b.c", noon()); err == nil {
		t.Error("verified without keys")
	}
}
