package oidc

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// wantError checks an error answer of the JSON endpoints.
func wantError(t *testing.T, rec *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	if rec.Code != status {
		t.Errorf("status %d, want %d: %s", rec.Code, status, rec.Body)
		return
	}
	m := object(t, rec)
	if m["error"] != code || m["error_description"] == "" || m["error_description"] == nil {
		t.Errorf("answered %v, want error %s with a description", m, code)
	}
	if rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", rec.Header())
	}
}

// code signs ada in at a client and gives her code.
func (w *world) code(client, uri string) string {
	return sent(w.authorize(w.person("ada"), "client_id", client, "redirect_uri", uri)).Get("code")
}

func redemption(code string, changes ...string) url.Values {
	f := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {webURI}, "code_verifier": {verifier}}
	for i := 0; i+1 < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

func (w *world) post(path string, f url.Values, basic ...string) *httptest.ResponseRecorder {
	c := call{method: http.MethodPost, path: path, form: f}
	if len(basic) == 2 {
		c.basic = [2]string{basic[0], basic[1]}
	}
	return w.do(c)
}

// TestATokenAnswerHasExactlyItsMembers: custom members would confuse strict clients.
func TestATokenAnswerHasExactlyItsMembers(t *testing.T) {
	w := newWorld()
	rec := w.post(PathToken, redemption(w.code("fleet-web", webURI)), "fleet-web", webSecret)
	m := object(t, rec)
	want := []string{"access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"}
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
	if m["token_type"] != "Bearer" || m["expires_in"] != 300.0 || m["scope"] != "openid profile live_view" {
		t.Errorf("answered %v", m)
	}
	if rec.Header().Get("Cache-Control") != "no-store" {
		t.Error("tokens must not be stored")
	}
}

// TestClientsAuthenticateByOneMethod is the table of client authentication.
func TestClientsAuthenticateByOneMethod(t *testing.T) {
	for _, row := range []struct {
		name   string
		header http.Header
		form   []string // client_id, client_secret, …
		want   string   // "" for tokens
	}{
		{name: "client_secret_basic", header: basic("fleet-web", webSecret)},
		{name: "oidcc-server-client-secret-post", form: []string{"client_id", "fleet-web", "client_secret", webSecret}},
		{name: "basic, and the id again", header: basic("fleet-web", webSecret), form: []string{"client_id", "fleet-web"}},
		{name: "basic in lower case", header: http.Header{"Authorization": {"basic " + base64.StdEncoding.EncodeToString([]byte("fleet-web:"+webSecret))}}},
		{name: "basic, another id", header: basic("fleet-web", webSecret), form: []string{"client_id", "other-web"}, want: "invalid_request"},
		{name: "both methods", header: basic("fleet-web", webSecret), form: []string{"client_secret", webSecret}, want: "invalid_request"},
		{name: "two headers", header: http.Header{"Authorization": {"Basic Og==", "Basic Og=="}}, want: "invalid_request"},
		{name: "nobody", want: "invalid_client"},
		{name: "unknown, basic", header: basic("who", "x"), want: "invalid_client"},
		{name: "unknown, post", form: []string{"client_id", "who", "client_secret", "x"}, want: "invalid_client"},
		{name: "unknown, public", form: []string{"client_id", "who"}, want: "invalid_client"},
		{name: "wrong secret", header: basic("fleet-web", "x"), want: "invalid_client"},
		{name: "empty secret", header: basic("fleet-web", ""), want: "invalid_client"},
		{name: "confidential as public", form: []string{"client_id", "fleet-web"}, want: "invalid_client"},
		{name: "public with a secret", form: []string{"client_id", "native", "client_secret", "x"}, want: "invalid_client"},
		{name: "public by basic", header: basic("native", ""), want: "invalid_client"},
		{name: "assertion", form: []string{"client_assertion", "e30.e30.x"}, want: "invalid_client"},
		{name: "assertion of who has a secret", form: asserting(signedBy("fleet-web")), want: "invalid_client"},
		{name: "assertion of somebody public", form: asserting(signedBy("native"), "client_id", "native"), want: "invalid_client"},
		{name: "assertion of nobody", form: asserting(signedBy("who")), want: "invalid_client"},
		{name: "bearer", header: http.Header{"Authorization": {"Bearer x"}}, want: "invalid_client"},
		{name: "not base64", header: http.Header{"Authorization": {"Basic ***"}}, want: "invalid_client"},
		{name: "no colon", header: http.Header{"Authorization": {"Basic eA=="}}, want: "invalid_client"},
		{name: "broken escape", header: basic("fleet-web", "%zz"), want: "invalid_client"},
		{name: "long id", form: []string{"client_id", strings.Repeat("c", 256)}, want: "invalid_client"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			rec := w.do(call{method: http.MethodPost, path: PathToken, header: row.header,
				form: redemption(w.code("fleet-web", webURI), row.form...)})
			if row.want == "" {
				if rec.Code != http.StatusOK {
					t.Errorf("refused: %d %s", rec.Code, rec.Body)
				}
				return
			}
			status := http.StatusBadRequest
			if row.want == "invalid_client" {
				status = http.StatusUnauthorized
				if challenged := rec.Header().Get("WWW-Authenticate") != ""; challenged != (row.header != nil) {
					t.Errorf("challenged %v: only an Authorization header is answered by a challenge", challenged)
				}
			}
			wantError(t, rec, status, row.want)
		})
	}
}

// asserting is a form with a client assertion, and more.
func asserting(text string, more ...string) []string {
	return append([]string{"client_assertion_type", assertion.Type, "client_assertion", text}, more...)
}

// TestAnApplicationUsesOnlyItsGrantTypes: at both endpoints.
func TestAnApplicationUsesOnlyItsGrantTypes(t *testing.T) {
	w := newWorld()
	c := w.clients["fleet-web"]
	for _, row := range []struct {
		registered []string
		grantType  string
		allowed    bool
	}{
		{nil, GrantTypeCode, true}, {nil, GrantTypeRefresh, true}, {nil, GrantTypeClientCredentials, false}, {nil, GrantTypeTokenExchange, false},
		{[]string{GrantTypeCode}, GrantTypeCode, true}, {[]string{GrantTypeCode}, GrantTypeRefresh, false},
		{[]string{GrantTypeClientCredentials}, GrantTypeCode, false}, {[]string{GrantTypeClientCredentials}, GrantTypeClientCredentials, true},
	} {
		c.GrantTypes = row.registered
		w.clients["fleet-web"] = c
		rec := w.post(PathToken, redemption("c", "grant_type", row.grantType, "refresh_token", "r"), "fleet-web", webSecret)
		if refused := object(t, rec)["error"] == "unauthorized_client"; refused == row.allowed {
			t.Errorf("%v uses %s: %d %s", row.registered, row.grantType, rec.Code, rec.Body)
		}
	}
	q := sent(w.authorize(w.person("ada")))
	if q.Get("error") != "unauthorized_client" || q.Get("state") != "st&a=te" {
		t.Errorf("somebody signs in to it: %v", q)
	}
}

// TestAClientThatSignsProvesItselfByThatAlone: private_key_jwt at every endpoint that
// clients authenticate at, and no other method.
func TestAClientThatSignsProvesItselfByThatAlone(t *testing.T) {
	for _, row := range []struct {
		name   string
		form   []string
		header http.Header
		down   error
		want   string // "" for authenticated
	}{
		{name: "its assertion", form: asserting(signedBy("signer"))},
		{name: "its assertion, and the id", form: asserting(signedBy("signer"), "client_id", "signer")},
		{name: "its assertion, and another id", form: asserting(signedBy("signer"), "client_id", "signs-too"), want: "invalid_client"},
		{name: "another's assertion", form: asserting(signedBy("signs-too"), "client_id", "signer"), want: "invalid_client"},
		{name: "nothing", form: []string{"client_id", "signer"}, want: "invalid_client"},
		{name: "an empty secret by basic", header: basic("signer", ""), want: "invalid_client"},
		{name: "a secret", form: []string{"client_id", "signer", "client_secret", "x"}, want: "invalid_client"},
		{name: "its assertion and a secret", form: asserting(signedBy("signer"), "client_secret", "x"), want: "invalid_request"},
		{name: "its assertion and a header", form: asserting(signedBy("signer")), header: basic("signer", "x"), want: "invalid_request"},
		{name: "its assertion twice", form: asserting(signedBy("signer"), "client_assertion_type", ""), want: "invalid_client"},
		{name: "another type", form: asserting(signedBy("signer"), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), want: "invalid_client"},
		{name: "no keys to judge by", form: asserting(signedBy("signer")), down: fault.New(fault.Unavailable, "x", ""), want: "temporarily_unavailable"},
	} {
		for _, path := range []string{PathToken, pathIntrospect, pathRevoke} {
			t.Run(row.name+" at "+path, func(t *testing.T) {
				w := newWorld()
				for _, id := range []access.ClientID{"signer", "signs-too"} {
					w.clients[id] = Client{ID: id, Trust: assertion.Trust{KeysURI: "https://signer.example/keys"}, RedirectURIs: []string{webURI}}
				}
				form := url.Values{"token": {"x"}}
				if path == PathToken {
					form = redemption(w.code("signer", webURI))
				}
				for i := 0; i < len(row.form); i += 2 {
					form.Set(row.form[i], row.form[i+1])
				}
				w.down = row.down
				rec := w.do(call{method: http.MethodPost, path: path, form: form, header: row.header})
				if row.want != "" {
					if got := object(t, rec)["error"]; got != row.want || strings.Contains(rec.Body.String(), "inside") {
						t.Errorf("%d %s, want %s", rec.Code, rec.Body, row.want)
					}
					return
				}
				if rec.Code != http.StatusOK || !slices.Equal(w.proved, []string{w.issuer + path}) {
					t.Errorf("%d %s, shown at %v", rec.Code, rec.Body, w.proved)
				}
			})
		}
	}
}

func TestAnUnknownClientLooksLikeAWrongSecret(t *testing.T) {
	w := newWorld()
	for _, pass := range []string{"", "x"} {
		a, b := w.post(PathToken, redemption("c"), "fleet-web", pass), w.post(PathToken, redemption("c"), "who", pass)
		if a.Code != b.Code || a.Body.String() != b.Body.String() || fmt.Sprint(a.Header()) != fmt.Sprint(b.Header()) {
			t.Errorf("%d %s\n%d %s", a.Code, a.Body, b.Code, b.Body)
		}
	}
	if len(w.observed) != 4 {
		t.Errorf("observed %v: whoever runs the bridge hears of each", w.observed)
	}
	for _, err := range w.observed {
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("observed %v", err)
		}
	}
}

// TestBasicIsFormEncoded: RFC 6749 section 2.3.1.
func TestBasicIsFormEncoded(t *testing.T) {
	w := newWorld()
	code := w.code("other-web", "https://other.example/callback")
	rec := w.post(PathToken, redemption(code, "redirect_uri", "https://other.example/callback"), "other-web", "a +:%secret")
	if rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestAPublicClientRedeemsWithPKCEAlone(t *testing.T) {
	w := newWorld()
	code := w.code("native", "http://127.0.0.1:7777/cb")
	rec := w.post(PathToken, redemption(code, "redirect_uri", "http://127.0.0.1:7777/cb", "client_id", "native"))
	if rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestTokenRequestsThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		name   string
		change []string
		want   string
	}{
		{"no grant type", []string{"grant_type", ""}, "invalid_request"},
		{"password", []string{"grant_type", "password"}, "unsupported_grant_type"},
		{"client credentials", []string{"grant_type", "client_credentials"}, "unauthorized_client"},
		{"a token exchange of nothing", []string{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"}, "invalid_request"},
		{"no code", []string{"code", ""}, "invalid_request"},
		{"long code", []string{"code", strings.Repeat("c", maxToken+1)}, "invalid_request"},
		{"unknown code", []string{"code", "code-999"}, "invalid_grant"},
		{"no redirect URI", []string{"redirect_uri", ""}, "invalid_request"},
		{"another redirect URI", []string{"redirect_uri", webURI + "/"}, "invalid_grant"},
		{"no verifier", []string{"code_verifier", ""}, "invalid_request"},
		{"short verifier", []string{"code_verifier", verifier[1:]}, "invalid_request"},
		{"verifier of 129", []string{"code_verifier", strings.Repeat("v", 129)}, "invalid_request"},
		{"verifier with other characters", []string{"code_verifier", verifier[1:] + "+"}, "invalid_request"},
		{"wrong verifier", []string{"code_verifier", strings.Repeat("v", 43)}, "invalid_grant"},
		{"challenge as verifier", []string{"code_verifier", challenge}, "invalid_grant"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			wantError(t, w.post(PathToken, redemption(w.code("fleet-web", webURI), row.change...), "fleet-web", webSecret), http.StatusBadRequest, row.want)
		})
	}
}

func TestOIDCCCodeReuse(t *testing.T) {
	w := newWorld()
	code := w.code("fleet-web", webURI)
	w.post(PathToken, redemption(code), "fleet-web", webSecret)
	wantError(t, w.post(PathToken, redemption(code), "fleet-web", webSecret), http.StatusBadRequest, "invalid_grant")
}

func TestTheTokenEndpointTakesAFormByPost(t *testing.T) {
	w := newWorld()
	rec := w.do(call{path: PathToken, query: redemption("c").Encode()})
	wantError(t, rec, http.StatusMethodNotAllowed, "invalid_request")
	if rec.Header().Get("Allow") != "POST" {
		t.Errorf("Allow: %s", rec.Header().Get("Allow"))
	}
	wantError(t, w.do(call{method: http.MethodPost, path: PathToken, body: "{}", contentType: "application/json"}), http.StatusUnsupportedMediaType, "invalid_request")
	wantError(t, w.do(call{method: http.MethodPost, path: PathToken, body: "a=%"}), http.StatusBadRequest, "invalid_request")
	wantError(t, w.do(call{method: http.MethodPost, path: PathToken, body: strings.Repeat("x", maxForm+1)}), http.StatusRequestEntityTooLarge, "invalid_request")
	if rec := w.do(call{method: http.MethodPost, path: PathToken, body: redemption(w.code("fleet-web", webURI)).Encode(),
		contentType: "Application/x-www-form-urlencoded; charset=UTF-8", basic: [2]string{"fleet-web", webSecret}}); rec.Code != http.StatusOK {
		t.Errorf("with a charset: %d %s", rec.Code, rec.Body)
	}
	secretInAddress := url.Values{"client_id": {"fleet-web"}, "client_secret": {webSecret}}.Encode()
	wantError(t, w.do(call{method: http.MethodPost, path: PathToken, query: secretInAddress, form: redemption(w.code("fleet-web", webURI))}),
		http.StatusUnauthorized, "invalid_client")
}

func TestATokenParameterThatRepeatsIsRefused(t *testing.T) {
	for _, name := range []string{"grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "scope", "refresh_token"} {
		w := newWorld()
		f := redemption(w.code("fleet-web", webURI), name, "x")
		f.Add(name, "x")
		wantError(t, w.post(PathToken, f, "fleet-web", webSecret), http.StatusBadRequest, "invalid_request")
	}
}

// TestNothingWorksForAnotherClient is T-B11, as far as the endpoints decide it: a
// code, a verifier, a redirect URI and a refresh token of one client, in every
// combination, with the authentication of the other.
func TestNothingWorksForAnotherClient(t *testing.T) {
	parties := []struct{ id, secret, uri string }{{"fleet-web", webSecret, webURI}, {"other-web", "a +:%secret", "https://other.example/callback"}}
	for a := range 2 {
		for b := range 2 {
			for c := range 2 {
				for _, v := range []string{verifier, strings.Repeat("w", 43)} {
					w := newWorld()
					code := w.code(parties[a].id, parties[a].uri)
					rec := w.post(PathToken, redemption(code, "redirect_uri", parties[b].uri, "code_verifier", v), parties[c].id, parties[c].secret)
					if good := a == b && b == c && v == verifier; good != (rec.Code == http.StatusOK) {
						t.Errorf("code of %s, address of %s, as %s, right verifier %v: %d", parties[a].id, parties[b].id, parties[c].id, v == verifier, rec.Code)
					}
				}
			}
		}
	}
	w := newWorld()
	set, _ := w.signIn(t, "openid")
	stolen := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {set["refresh_token"].(string)}}
	wantError(t, w.post(PathToken, stolen, "other-web", "a +:%secret"), http.StatusBadRequest, "invalid_grant")
	if rec := w.post(PathToken, stolen, "fleet-web", webSecret); rec.Code != http.StatusOK {
		t.Errorf("its own client: %d %s", rec.Code, rec.Body)
	}
}

func TestARefreshMayNarrowAndNeverWiden(t *testing.T) {
	for _, row := range []struct{ scope, granted, refused string }{
		{"", "openid profile live_view", ""},
		{"openid live_view", "openid live_view", ""},
		{"openid reports", "", "invalid_scope"},
		{"openid grant:asg_visit", "", "invalid_scope"},
	} {
		w := newWorld()
		set, _ := w.signIn(t, "openid profile live_view")
		f := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {set["refresh_token"].(string)}, "scope": {row.scope}}
		rec := w.post(PathToken, f, "fleet-web", webSecret)
		if row.refused != "" {
			wantError(t, rec, http.StatusBadRequest, row.refused)
			if _, unused := w.refresh[f.Get("refresh_token")]; !unused {
				t.Errorf("scope %q: a refusal used the token up", row.scope)
			}
			continue
		}
		if got := object(t, rec)["scope"]; got != row.granted {
			t.Errorf("scope %q gives %v", row.scope, got)
		}
	}
	w := newWorld()
	asked := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "scope": {"grant:a"}}
	wantError(t, w.post(PathToken, asked, "fleet-web", webSecret), http.StatusBadRequest, "invalid_scope")
	wantError(t, w.post(PathToken, url.Values{"grant_type": {"refresh_token"}}, "fleet-web", webSecret), http.StatusBadRequest, "invalid_request")
}

// TestTheStoreIsDown: nobody is told no when nobody knows.
func TestTheStoreIsDown(t *testing.T) {
	for _, path := range []string{PathToken, pathIntrospect, pathRevoke} {
		for kind, status := range map[fault.Kind]int{fault.Unavailable: 503, fault.Limited: 429, fault.Internal: 500} {
			for _, clientsToo := range []bool{true, false} {
				w := newWorld()
				if !clientsToo {
					w.change = func(c *Config) { c.Clients = newWorld() }
				}
				w.down = fault.Wrap(kind, "db.Secret", fmt.Errorf("disk %s", "sda1"))
				w.wantTrouble(t, w.post(path, redemption("c", "token", "x"), "fleet-web", webSecret), status)
			}
		}
	}
}

// wantTrouble checks an answer that says that nobody knows.
func (w *world) wantTrouble(t *testing.T, rec *httptest.ResponseRecorder, status int) {
	t.Helper()
	if rec.Code != status || strings.Contains(rec.Body.String(), "active") || strings.Contains(rec.Body.String(), "sda1") {
		t.Errorf("%d %s, want %d", rec.Code, rec.Body, status)
	}
	if (rec.Header().Get("Retry-After") != "") != (status != http.StatusInternalServerError) {
		t.Errorf("Retry-After %q with %d", rec.Header().Get("Retry-After"), status)
	}
	if len(w.observed) != 1 {
		t.Errorf("observed %v, want it once", w.observed)
	}
}

// basic is a header that joins id and password as they are.
func basic(id, pass string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+pass))}}
}
