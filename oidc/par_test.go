package oidc

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// pushed sends the request ahead and gives its request_uri.
func (w *world) pushed(t *testing.T, changes ...string) string {
	t.Helper()
	rec := w.post(pathPush, ask(changes...), "fleet-web", webSecret)
	m := object(t, rec)
	name, _ := m["request_uri"].(string)
	if rec.Code != http.StatusCreated || m["expires_in"] != 60.0 || !strings.HasPrefix(name, requestURI) || rec.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", rec.Code, m)
	}
	return name
}

// bring is the browser with a request_uri, and what else is in the address.
func (w *world) bring(cookie, name string, more ...string) *httptest.ResponseRecorder {
	q := url.Values{"client_id": {"fleet-web"}, "request_uri": {name}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return w.do(call{path: pathAuthorize, query: q.Encode(), cookie: cookie})
}

// TestARequestThatWasSentAheadIsTheOneThatCounts, and works once.
func TestARequestThatWasSentAheadIsTheOneThatCounts(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	name := w.pushed(t, "scope", "openid live_view")
	q := wantSent(t, w.bring(cookie, name, "redirect_uri", "https://evil.example/", "state", "another", "scope", "openid users.manage", "prompt", "login"), "")
	if q.Get("state") != "st&a=te" || strings.Join(w.codes[q.Get("code")].req.OAuthScopes, " ") != "openid live_view" {
		t.Errorf("%v: what stands in the address counts", q)
	}
	wantFailed(t, w.bring(cookie, name), http.StatusBadRequest)
}

func TestARequestURIEndsAndBelongsToItsClient(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	name := w.pushed(t)
	wantFailed(t, w.bring(cookie, name, "client_id", "other-web"), http.StatusBadRequest)
	wantFailed(t, w.bring(cookie, name, "client_id", ""), http.StatusBadRequest)
	wantFailed(t, w.bring(cookie, requestURI+"par_unknown"), http.StatusBadRequest)
	w.now = w.now.Add(PushedLife)
	wantFailed(t, w.bring(cookie, name), http.StatusBadRequest)
	w.now = w.now.Add(-time.Second)
	wantSent(t, w.bring(cookie, name), "")
}

// TestAPushedRequestIsJudgedAsTheOtherEndpointWould, and says so to the application
// itself.
func TestAPushedRequestIsJudgedAsTheOtherEndpointWould(t *testing.T) {
	for _, row := range []struct {
		name   string
		change []string
		want   string
	}{
		{"no response_type", []string{"response_type", ""}, "invalid_request"},
		{"hybrid", []string{"response_type", "code id_token"}, "unsupported_response_type"},
		{"no challenge", []string{"code_challenge", ""}, "invalid_request"},
		{"no openid", []string{"scope", "profile"}, "invalid_scope"},
		{"a request object", []string{"request", "e30.e30."}, "request_not_supported"},
		{"a request_uri", []string{"request_uri", requestURI + "par_1"}, "request_uri_not_supported"},
		{"registration", []string{"registration", "{}"}, "registration_not_supported"},
		{"a redirect address of another's", []string{"redirect_uri", "https://evil.example/"}, "invalid_request"},
		{"claims that do not hold", []string{"claims", "["}, "invalid_request"},
		{"a hint that is not ours", []string{"id_token_hint", "e30.e30.e30"}, "invalid_request"},
		{"another client's id", []string{"client_id", "other-web"}, "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			wantError(t, w.post(pathPush, ask(row.change...), "fleet-web", webSecret), http.StatusBadRequest, row.want)
			if len(w.pushes) != 0 {
				t.Error("it is kept")
			}
		})
	}
}

func TestWhoPushesAuthenticates(t *testing.T) {
	w := newWorld()
	wantError(t, w.post(pathPush, ask(), "fleet-web", "wrong"), http.StatusUnauthorized, "invalid_client")
	wantError(t, w.post(pathPush, ask()), http.StatusUnauthorized, "invalid_client")
	wantError(t, w.do(call{path: pathPush, query: ask().Encode()}), http.StatusMethodNotAllowed, "invalid_request")
	f := ask("client_id", "native", "redirect_uri", "http://127.0.0.1:7777/cb")
	if rec := w.post(pathPush, f); rec.Code != http.StatusCreated {
		t.Errorf("a public client pushes without a secret: %d %s", rec.Code, rec.Body)
	}
	f = ask("client_secret", webSecret)
	if rec := w.post(pathPush, f); rec.Code != http.StatusCreated {
		t.Fatalf("client_secret_post: %d %s", rec.Code, rec.Body)
	}
	for _, kept := range w.pushes {
		if strings.Contains(kept.Params, webSecret) {
			t.Error("the secret is kept with the request")
		}
	}
	f = ask("client_id", "")
	if rec := w.post(pathPush, f, "fleet-web", webSecret); rec.Code != http.StatusCreated {
		t.Errorf("the id in the header is enough: %d %s", rec.Code, rec.Body)
	}
}

// TestWhatNobodyReadsIsNotKept of a pushed request: it would take room that all share.
func TestWhatNobodyReadsIsNotKept(t *testing.T) {
	w := newWorld()
	f := ask("padding", strings.Repeat("x", 9<<10), "display", strings.Repeat("y", 2<<10), "claims_locales", "de", "resource", "urn:fleet:video", "login_hint", "ada@fleet.example")
	if rec := w.post(pathPush, f, "fleet-web", webSecret); rec.Code != http.StatusCreated {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	for _, kept := range w.pushes {
		if strings.Contains(kept.Params, "xxx") || strings.Contains(kept.Params, "yyy") || strings.Contains(kept.Params, "locales") ||
			!strings.Contains(kept.Params, "resource=urn") || !strings.Contains(kept.Params, "login_hint=ada") {
			t.Errorf("kept is %s", kept.Params)
		}
	}
}

// TestAClientThatMustPush gets no code for what a browser brings.
func TestAClientThatMustPush(t *testing.T) {
	w := newWorld()
	c := w.clients["fleet-web"]
	c.RequirePAR = true
	w.clients["fleet-web"] = c
	cookie := w.person("ada")
	wantSent(t, w.authorize(cookie), "invalid_request")
	wantSent(t, w.bring(cookie, w.pushed(t)), "")
}

// TestOtherRequestURIsAreNotSupported, whoever they belong to.
func TestOtherRequestURIsAreNotSupported(t *testing.T) {
	w := newWorld()
	for _, uri := range []string{"https://fleet.example/r", "urn:example:" + base64.RawURLEncoding.EncodeToString([]byte("x")), strings.ToUpper(requestURI) + "par_1"} {
		wantSent(t, w.authorize(w.person("ada"), "request_uri", uri), "request_uri_not_supported")
	}
}

// TestAnApplicationThatSignsNobodyInGetsNoCode where its OAuth grant types are others.
func TestAnApplicationThatSignsNobodyInGetsNoCode(t *testing.T) {
	w := newWorld()
	c := w.clients["fleet-web"]
	c.GrantTypes = []string{GrantTypeClientCredentials}
	w.clients["fleet-web"] = c
	wantSent(t, w.authorize(w.person("ada")), "unauthorized_client")
	wantError(t, w.post(pathPush, ask(), "fleet-web", webSecret), http.StatusBadRequest, "unauthorized_client")
}
