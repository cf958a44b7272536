package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const narrowDoors = `version: 1
vendor: { name: Lantern Fleet Safety }
server:
  public_url: "http://127.0.0.1:8443"
  data: %s
  trusted_proxies: [10.0.0.0/8]
  sign_in_rate: { per_second: 1, burst: 3 }
  client_failures: { per_second: 1, burst: 2 }
clients:
  - { id: fleet-web, name: Fleet Web, secret: a-sample-for-loopback, redirect_uris: [ "http://127.0.0.1:8080/callback" ] }
scopes:
  southern:
    name: Southern Telematics
connections:
  southern-entra:
    idp: entra
    name: Southern Telematics
    ceiling: { scope: southern, grants: [standard] }
`

const openDoors = `version: 1
vendor: { name: Lantern Fleet Safety }
server:
  public_url: "http://127.0.0.1:8443"
  data: %s
  trusted_proxies: [10.0.0.0/8]
clients:
  - { id: field-app, name: Field App, public: true, redirect_uris: [ "http://127.0.0.1:8080/callback" ] }
scopes:
  southern:
    name: Southern Telematics
connections:
  southern-entra:
    idp: entra
    name: Southern Telematics
    ceiling: { scope: southern, grants: [standard] }
`

// TestAFloodFromOneNetworkCostsNoOtherItsSignIn: within the usual rates one address can send more
// than is kept of all. It pushes out its own.
func TestAFloodFromOneNetworkCostsNoOtherItsSignIn(t *testing.T) {
	a := assembled(t, openDoors)
	send := func(r *http.Request, from string) *httptest.ResponseRecorder {
		r.RemoteAddr = "10.0.0.1:4711"
		r.Header.Set("X-Forwarded-For", from)
		rec := httptest.NewRecorder()
		a.public.ServeHTTP(rec, r)
		return rec
	}
	wish := func(state string) url.Values {
		return url.Values{"client_id": {"field-app"}, "redirect_uri": {"http://127.0.0.1:8080/callback"}, "response_type": {"code"}, "scope": {"openid"},
			"state": {state}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}}
	}
	begin := func(q url.Values, from string) *httptest.ResponseRecorder {
		return send(httptest.NewRequest(http.MethodGet, "/oauth2/authorize?"+q.Encode(), nil), from)
	}
	push := func(q url.Values, from string) string {
		r := httptest.NewRequest(http.MethodPost, "/oauth2/par", strings.NewReader(q.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := send(r, from)
		var answer struct {
			Name string `json:"request_uri"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != http.StatusCreated {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		return answer.Name
	}
	const person, flood = "203.0.113.8", "203.0.113.7"
	begun := begin(wish("s"), person)
	pushed := push(wish("s"), person)
	wide := wish(strings.Repeat("/", 2<<10)) // three bytes each in what is kept
	wide.Set("scope", "openid "+strings.Repeat("/", 2<<10-7))
	wide.Set("login_hint", strings.Repeat("/", 512))
	for range 1_200 {
		push(wide, flood)
	}
	large := wish(strings.Repeat("s", 2<<10))
	large.Set("nonce", strings.Repeat("n", 512))
	large.Set("login_hint", strings.Repeat("l", 512))
	large.Set("scope", strings.Repeat("openid ", 290))
	for range 9_000 {
		if rec := begin(large, flood); rec.Code != http.StatusSeeOther && rec.Code != http.StatusFound {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	back := httptest.NewRequest(http.MethodGet, begun.Header().Get("Location"), nil)
	for _, c := range begun.Result().Cookies() {
		back.AddCookie(c)
	}
	if rec := send(back, person); rec.Code != http.StatusOK {
		t.Errorf("the sign-in that was begun: %d %s", rec.Code, rec.Body)
	}
	if rec := begin(url.Values{"client_id": {"field-app"}, "request_uri": {pushed}}, person); rec.Code != begun.Code {
		t.Errorf("the request that was pushed: %d %s", rec.Code, rec.Body)
	}
}

// TestFloodsAreTurnedAwayByTheNetworkOfTheClient: of every step of a sign-in together, and of
// failures at every endpoint, whoever stands behind the trusted proxy.
func TestFloodsAreTurnedAwayByTheNetworkOfTheClient(t *testing.T) {
	a := assembled(t, narrowDoors)
	ask := func(method, path, client string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.RemoteAddr = "10.0.0.1:4711"
		r.Header.Set("X-Forwarded-For", client)
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		rec := httptest.NewRecorder()
		a.public.ServeHTTP(rec, r)
		return rec
	}
	steps := []string{"/oauth2/authorize", "/sign-in", "/connect/southern-entra/callback"}
	for _, path := range steps {
		if got := ask(http.MethodGet, path, "203.0.113.7", nil); got.Code == http.StatusTooManyRequests {
			t.Errorf("%s: %d within the burst", path, got.Code)
		}
	}
	for _, path := range steps {
		if got := ask(http.MethodGet, path, "203.0.113.7", nil); got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "try again") {
			t.Errorf("%s: %d %v", path, got.Code, got.Header())
		}
		if got := ask(http.MethodGet, path, "203.0.113.8", nil); got.Code == http.StatusTooManyRequests {
			t.Errorf("%s: another client of the proxy is turned away", path)
		}
	}
	guess := func(secret string) int {
		return ask(http.MethodPost, "/oauth2/introspect", "203.0.113.7", url.Values{"client_id": {"fleet-web"}, "client_secret": {secret}, "token": {"x"}}).Code
	}
	if got := [4]int{guess("a"), guess("b"), guess("c"), guess("a-sample-for-loopback")}; got != [4]int{401, 401, 429, 200} {
		t.Errorf("three guesses and the right one: %v", got)
	}
	rec := httptest.NewRecorder()
	a.operations.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{`drawbridge_turned_away_total{door="sign_in"} 3`, `drawbridge_turned_away_total{door="client"} 1`} {
		if !strings.Contains(rec.Body.String(), line) {
			t.Errorf("metrics lack %s", line)
		}
	}
}
