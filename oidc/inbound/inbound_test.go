package inbound

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/rsakey"
	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // no new keys for each test
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

const (
	base     = "https://id.example"
	org      = "https://org.okta.example"
	endpoint = base + "/connect/okta/global-token-revocation"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world is an identity provider on loopback, the front that hears it, and what it was
// understood to say.
type world struct {
	t       *testing.T
	idp     *httptest.Server
	key     any
	mux     *http.ServeMux
	logouts []Logout
	revoked []Revocation
	says    error // what ending says
	counted []string
	down    bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, key: key, mux: http.NewServeMux()}
	idp := http.NewServeMux()
	w.idp = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.down {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		idp.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.idp.Close)
	reply := func(v any) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(rw).Encode(v); err != nil {
				t.Error(err)
			}
		}
	}
	idp.Handle("GET /.well-known/openid-configuration", reply(map[string]string{"issuer": w.idp.URL, "authorization_endpoint": w.idp.URL + "/authorize",
		"token_endpoint": w.idp.URL + "/token", "jwks_uri": w.idp.URL + "/keys"}))
	idp.Handle("GET /keys", reply(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Use: "sig"}}}))
	now := func() time.Time { return noon }
	var providers []upstream.Provider
	var sources []Source
	for _, c := range []struct {
		conn   access.ConnectionID
		client string
	}{{"okta", "bridge-there"}, {"other", "bridge-at-other"}} {
		providers = append(providers, upstream.Provider{Connection: c.conn, Issuer: w.idp.URL, ClientID: c.client, SubjectClaim: "sub"})
		sources = append(sources, Source{Connection: c.conn, Issuer: w.idp.URL, ClientID: c.client})
	}
	sources[0].Revocation = &Revoker{Issuer: org, ClientID: "bridge-there", KeysURI: w.idp.URL + "/keys"}
	ups, err := upstream.New(w.idp.Client(), nil, providers, now)
	if err != nil {
		t.Fatal(err)
	}
	New(Config{Base: base, Client: w.idp.Client(), Signed: ups, Ends: w, Now: now,
		Counted: func(c access.ConnectionID, kind, outcome string) {
			w.counted = append(w.counted, string(c)+" "+kind+" "+outcome)
		}},
		sources).Routes(w.mux)
	return w
}

func (w *world) HearLogout(_ context.Context, l Logout) (int, error) {
	w.logouts = append(w.logouts, l)
	return 1, w.says
}

func (w *world) HearRevocation(_ context.Context, r Revocation) (int, error) {
	w.revoked = append(w.revoked, r)
	return 0, w.says
}

func (w *world) HearSignal(context.Context, Signal) (Heard, error) { return Heard{}, w.says }

// sign makes a JWT; head is a typ, "" for none.
func (w *world) sign(key jose.SigningKey, typ string, claims map[string]any) string {
	w.t.Helper()
	o := &jose.SignerOptions{}
	if typ != "" {
		o.WithType(jose.ContentType(typ))
	}
	s, err := jose.NewSigner(key, o)
	if err != nil {
		w.t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		w.t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

func (w *world) own() jose.SigningKey {
	return jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: w.key, KeyID: "one"}}
}

func (w *world) send(path, contentType, body string, head map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	for k, v := range head {
		r.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return rec
}

func (w *world) logout(conn, token string) int {
	rec := w.send("/connect/"+conn+"/backchannel-logout", "application/x-www-form-urlencoded", url.Values{"logout_token": {token}}.Encode(), nil)
	if rec.Header().Get("Cache-Control") != "no-store" {
		w.t.Error("an answer may be stored")
	}
	return rec.Code
}

func with(claims map[string]any, name string, value any) map[string]any {
	c := maps.Clone(claims)
	if c[name] = value; value == nil {
		delete(c, name)
	}
	return c
}

func (w *world) logoutClaims() map[string]any {
	return map[string]any{"iss": w.idp.URL, "aud": "bridge-there", "iat": noon.Unix(), "exp": noon.Add(2 * time.Minute).Unix(), "jti": "j1",
		"sid": "s1", "sub": "u1", "events": map[string]any{logoutEvent: map[string]any{}}}
}

// TestALogoutTokenIsHeard in the forms that providers send.
func TestALogoutTokenIsHeard(t *testing.T) {
	w := newWorld(t)
	good := w.logoutClaims()
	ends := noon.Add(logoutOldest + 2*time.Minute)
	for name, c := range map[string]struct {
		typ    string
		claims map[string]any
		want   Logout
	}{
		"whole":                    {"logout+jwt", good, Logout{Session: "s1", Subject: "u1"}},
		"typ in capitals":          {"LOGOUT+JWT", good, Logout{Session: "s1", Subject: "u1"}},
		"typ JWT":                  {"JWT", good, Logout{Session: "s1", Subject: "u1"}},
		"no typ":                   {"", good, Logout{Session: "s1", Subject: "u1"}},
		"sid alone":                {"", with(good, "sub", nil), Logout{Session: "s1"}},
		"sub alone":                {"", with(good, "sid", nil), Logout{Subject: "u1"}},
		"no exp":                   {"", with(good, "exp", nil), Logout{Session: "s1", Subject: "u1"}},
		"aud in a list":            {"", with(good, "aud", []string{"bridge-there"}), Logout{Session: "s1", Subject: "u1"}},
		"tried again for a while":  {"", with(with(good, "iat", noon.Add(-11*time.Minute+time.Second).Unix()), "exp", nil), Logout{Session: "s1", Subject: "u1"}},
		"its clock is a minute on": {"", with(good, "iat", noon.Add(time.Minute).Unix()), Logout{Session: "s1", Subject: "u1"}},
	} {
		w.logouts = nil
		c.want.Message, c.want.Connection, c.want.Issuer = Message{Signer: w.idp.URL, JTI: "j1", Ends: ends}, "okta", w.idp.URL
		if code := w.logout("okta", w.sign(w.own(), c.typ, c.claims)); code != http.StatusOK || len(w.logouts) != 1 || w.logouts[0] != c.want {
			t.Errorf("%s: %d %+v", name, code, w.logouts)
		}
	}
	if w.counted[0] != "okta logout ended" {
		t.Errorf("counted %v", w.counted)
	}
}

// TestTB17_LogoutTokensThatEndNothing: each is refused with 400 before anything is asked
// of the bridge (T-B17, T-F1).
func TestTB17_LogoutTokensThatEndNothing(t *testing.T) {
	w := newWorld(t)
	good, own := w.logoutClaims(), w.own()
	signed := func(claims map[string]any) string { return w.sign(own, "logout+jwt", claims) }
	stranger, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: w.key, KeyID: "one"}
	public, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	whole := signed(good)
	parts := strings.Split(whole, ".")
	for name, token := range map[string]string{
		"no token":                 "",
		"no JWT":                   "a.b.c",
		"unsigned":                 "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"another's key":            w.sign(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger, KeyID: "one"}}, "logout+jwt", good),
		"HMAC with the public key": w.sign(jose.SigningKey{Algorithm: jose.HS256, Key: public}, "logout+jwt", good),
		"cut":                      whole[:len(whole)-4],
		"an ID token's typ":        w.sign(own, "at+jwt", good),
		"another issuer":           signed(with(good, "iss", "https://evil.example")),
		"no issuer":                signed(with(good, "iss", nil)),
		"another client's":         signed(with(good, "aud", "someone-else")),
		"ours among others":        signed(with(good, "aud", []string{"bridge-there", "someone-else"})),
		"no audience":              signed(with(good, "aud", nil)),
		"no iat":                   signed(with(good, "iat", nil)),
		"made long ago":            signed(with(good, "iat", noon.Add(-11*time.Minute).Unix())),
		"made in the future":       signed(with(good, "iat", noon.Add(62*time.Second).Unix())),
		"over":                     signed(with(good, "exp", noon.Add(-time.Minute).Unix())),
		"no jti":                   signed(with(good, "jti", nil)),
		"an empty jti":             signed(with(good, "jti", "")),
		"jti is a number":          signed(with(good, "jti", 7)),
		"no events":                signed(with(good, "events", nil)),
		"another event":            signed(with(good, "events", map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{}})),
		"the event is no object":   signed(with(good, "events", map[string]any{logoutEvent: true})),
		"events is a list":         signed(with(good, "events", []string{logoutEvent})),
		"a nonce":                  signed(with(good, "nonce", "n")),
		"an empty nonce":           signed(with(good, "nonce", "")),
		"neither sid nor sub":      signed(with(with(good, "sid", nil), "sub", nil)),
		"an empty sid":             signed(with(good, "sid", "")),
		"sub is null":              signed(with(good, "sub", json.RawMessage("null"))),
	} {
		if code := w.logout("okta", token); code != http.StatusBadRequest {
			t.Errorf("%s: %d", name, code)
		}
	}
	for _, conn := range []string{"other", "nobody"} { // what is meant for one connection is not heard at another
		if code := w.logout(conn, whole); code != http.StatusBadRequest {
			t.Errorf("at %s: %d", conn, code)
		}
	}
	rec := w.send("/connect/okta/backchannel-logout?logout_token="+whole, "application/x-www-form-urlencoded", "", nil)
	if rec.Code != http.StatusBadRequest {
		t.Errorf("in the address: %d", rec.Code)
	}
	rec = w.send("/connect/okta/backchannel-logout", "application/x-www-form-urlencoded", "logout_token="+whole+"&logout_token="+whole, nil)
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `"error":"invalid_request"`) {
		t.Errorf("twice: %d %s", rec.Code, rec.Body)
	}
	if len(w.logouts) != 0 {
		t.Errorf("heard %+v", w.logouts)
	}
}

// TestAStrangerIsNotToldWhichConnectionsThereAre: each door says the same, word for word, of one
// that hears messages, one that does not, and one that is not there.
func TestAStrangerIsNotToldWhichConnectionsThereAre(t *testing.T) {
	w := newWorld(t)
	s := newSender(t)
	listening := newListening(t, s, s.config(true))
	listening.turn(0)
	stranger, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger, KeyID: "one"}}
	const form, set = "application/x-www-form-urlencoded", "application/secevent+jwt"
	token := func(raw string) string { return url.Values{"logout_token": {raw}}.Encode() }
	for name, c := range map[string]struct {
		at                       *world
		door, kind, body, bearer string
	}{
		"junk":                       {w, "backchannel-logout", form, token("junk"), ""},
		"a forged logout token":      {w, "backchannel-logout", form, token(w.sign(forged, "logout+jwt", w.logoutClaims())), ""},
		"one of another client":      {w, "backchannel-logout", form, token(w.sign(w.own(), "logout+jwt", with(w.logoutClaims(), "aud", "someone-else"))), ""},
		"an empty form":              {w, "backchannel-logout", form, "", ""},
		"an empty token":             {w, "backchannel-logout", form, token(""), ""},
		"no form":                    {w, "backchannel-logout", "application/json", "{}", ""},
		"no caller":                  {w, "global-token-revocation", "application/json", "{}", ""},
		"a junk caller":              {w, "global-token-revocation", "application/json", "{}", "Bearer junk"},
		"a forged caller":            {w, "global-token-revocation", "text/plain", "{", "Bearer " + w.sign(forged, callerType, w.callerClaims())},
		"a push without its secret":  {listening.world, "events", set, "junk", ""},
		"a push with another secret": {listening.world, "events", set, "junk", "Bearer junk"},
		"a push of another kind":     {listening.world, "events", form, "junk", "Bearer junk"},
	} {
		answers := map[string]bool{}
		for _, conn := range []string{"okta", "other", "nobody"} {
			head := map[string]string{}
			if c.bearer != "" {
				head["Authorization"] = c.bearer
			}
			rec := c.at.send("/connect/"+conn+"/"+c.door, c.kind, c.body, head)
			if rec.Code < 400 || rec.Code >= 500 || rec.Code == http.StatusNotFound {
				t.Errorf("%s at %s: %d", name, conn, rec.Code)
			}
			answers[fmt.Sprint(rec.Code, rec.Header(), rec.Body)] = true
		}
		if len(answers) != 1 {
			t.Errorf("%s: answers differ: %v", name, answers)
		}
	}
}

// TestALogoutThatCannotBeDoneIsNotAnsweredAsDone.
func TestALogoutThatCannotBeDoneIsNotAnsweredAsDone(t *testing.T) {
	w := newWorld(t)
	token := w.sign(w.own(), "logout+jwt", w.logoutClaims())
	for status, says := range map[int]error{400: fault.New(fault.Stale, "t", "again").Because("replayed"), 503: fault.New(fault.Unavailable, "t", "down")} {
		if w.says = says; w.logout("okta", token) != status {
			t.Errorf("%v is not %d", says, status)
		}
	}
	cold := newWorld(t)
	cold.down = true
	if code := cold.logout("okta", token); code != http.StatusServiceUnavailable || len(cold.logouts) != 0 {
		t.Errorf("no keys to judge by: %d", code)
	}
}

func (w *world) callerClaims() map[string]any {
	return map[string]any{"iss": org, "sub": "bridge-there", "aud": endpoint, "jti": "c1", "iat": noon.Unix(), "nbf": noon.Unix(), "exp": noon.Add(5 * time.Minute).Unix()}
}

func (w *world) revoke(conn, token, body string) *httptest.ResponseRecorder {
	return w.send("/connect/"+conn+"/global-token-revocation", "application/json", body, map[string]string{"Authorization": "Bearer " + token})
}

// TestARevocationIsHeard in each form in which a person may be named.
func TestARevocationIsHeard(t *testing.T) {
	w := newWorld(t)
	token := w.sign(w.own(), callerType, w.callerClaims())
	for body, want := range map[string]Subject{
		`{"sub_id":{"format":"iss_sub","iss":"` + org + `","sub":"00u1"}}`:       {Issuer: org, ID: "00u1"},
		`{"sub_id":{"format":"iss_sub","iss":"` + w.idp.URL + `","sub":"00u1"}}`: {Issuer: w.idp.URL, ID: "00u1"},
		`{"sub_id":{"format":"opaque","id":"00u1"}}`:                             {ID: "00u1"},
		`{"sub_id":{"format":"email","email":"kim@southern.example"},"x":1}`:     {Email: "kim@southern.example"},
	} {
		w.revoked = nil
		rec := w.revoke("okta", token, body)
		if rec.Code != http.StatusNoContent || len(w.revoked) != 1 || w.revoked[0].Subject != want || w.revoked[0].JTI != "c1" || w.revoked[0].Connection != "okta" || w.revoked[0].Signer != org {
			t.Errorf("%s: %d %+v", body, rec.Code, w.revoked)
		}
	}
	if w.counted[0] != "okta revocation nothing" {
		t.Errorf("counted %v", w.counted)
	}
}

// TestRevocationsThatAreRefused, each with the status that says why.
func TestRevocationsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	good, own := w.callerClaims(), w.own()
	const kim = `{"sub_id":{"format":"opaque","id":"00u1"}}`
	signed := func(name string, value any) string { return w.sign(own, callerType, with(good, name, value)) }
	whole := w.sign(own, callerType, good)
	for name, c := range map[string]struct {
		token, body string
		status      int
	}{
		"no token":               {"", kim, 401},
		"another typ":            {w.sign(own, "JWT", good), kim, 401},
		"no typ":                 {w.sign(own, "", good), kim, 401},
		"a logout token":         {w.sign(own, "logout+jwt", w.logoutClaims()), kim, 401},
		"another issuer":         {signed("iss", w.idp.URL), kim, 401},
		"another client":         {signed("sub", "someone"), kim, 401},
		"another endpoint":       {signed("aud", base+"/connect/other/global-token-revocation"), kim, 401},
		"two audiences":          {signed("aud", []string{endpoint, base}), kim, 401},
		"no jti":                 {signed("jti", nil), kim, 401},
		"no exp":                 {signed("exp", nil), kim, 401},
		"no iat":                 {signed("iat", nil), kim, 401},
		"it lives too long":      {signed("exp", noon.Add(7*time.Minute).Unix()), kim, 401},
		"over":                   {signed("exp", noon.Add(-time.Minute).Unix()), kim, 401},
		"not yet":                {signed("nbf", noon.Add(2*time.Minute).Unix()), kim, 401},
		"made long ago":          {signed("iat", noon.Add(-6*time.Minute).Unix()), kim, 401},
		"no JSON":                {whole, "sub_id", 400},
		"no sub_id":              {whole, "{}", 400},
		"a sub_id twice":         {whole, `{"sub_id":{"format":"opaque","id":"1"},"sub_id":{"format":"opaque","id":"2"}}`, 400},
		"an unknown format":      {whole, `{"sub_id":{"format":"phone_number","phone_number":"1"}}`, 400},
		"half a subject":         {whole, `{"sub_id":{"format":"iss_sub","sub":"1"}}`, 400},
		"another issuer's":       {whole, `{"sub_id":{"format":"iss_sub","iss":"https://evil.example","sub":"1"}}`, 403},
		"a body without an end":  {whole, strings.Repeat(" ", maxBody+1), 400},
		"HMAC with the audience": {w.sign(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, callerType, good), kim, 401},
	} {
		if rec := w.revoke("okta", c.token, c.body); rec.Code != c.status {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	for _, conn := range []string{"other", "nobody"} {
		if rec := w.revoke(conn, whole, kim); rec.Code != http.StatusUnauthorized || rec.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("at %s: %d", conn, rec.Code)
		}
	}
	if len(w.revoked) != 0 {
		t.Errorf("heard %+v", w.revoked)
	}
	for kind, status := range map[fault.Kind]int{fault.NotFound: 404, fault.Conflict: 422, fault.Stale: 401, fault.Unavailable: 503, fault.Limited: 503, fault.Internal: 503} {
		w.says = fault.New(kind, "t", "as it is")
		if rec := w.revoke("okta", whole, kim); rec.Code != status {
			t.Errorf("%s: %d, want %d", kind, rec.Code, status)
		}
	}
}

func FuzzParseRevocation(f *testing.F) {
	for _, s := range []string{`{"sub_id":{"format":"iss_sub","iss":"https://a","sub":"b"}}`, `{"sub_id":{"format":"email","email":"a@b"}}`, `{"sub_id":[]}`, `[]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ParseRevocation(body)
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%v is no fault of the request's", err)
		}
		if err == nil && (s.ID == "") == (s.Email == "") {
			t.Errorf("%q names %+v", body, s)
		}
	})
}
