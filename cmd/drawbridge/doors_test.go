package main

import (
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
