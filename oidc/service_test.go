package oidc

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// service asks for a SCIM client's token; pairs change the form.
func service(pairs ...string) url.Values {
	f := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	return f
}

// TestASCIMClientGetsAToken: the answer that Entra's documentation asks for, for a
// secret in the header, form-encoded as RFC 6749 section 2.3.1 says, for one in the
// body, and for an assertion.
func TestASCIMClientGetsAToken(t *testing.T) {
	const want = `{"access_token":"drb_scimat_x","token_type":"Bearer","expires_in":3600,"scope":"scim"}`
	for name, c := range map[string]call{
		"client_secret_basic": {form: service("scope", "scim"), basic: [2]string{scimClient, scimSecret}},
		"client_secret_post":  {form: service("client_id", scimClient, "client_secret", scimSecret)},
		"private_key_jwt":     {form: service("client_assertion_type", assertion.Type, "client_assertion", signedBy(scimClient))},
		"federation":          {form: service("client_id", scimClient, "client_assertion_type", assertion.Type, "client_assertion", "a.b.c", "scope", "scim")},
	} {
		w := newWorld()
		c.method, c.path = http.MethodPost, PathToken
		rec := w.do(c)
		if rec.Code != http.StatusOK || strings.TrimSpace(rec.Body.String()) != want || rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		if len(w.services) != 1 || w.services[0].From != netip.MustParseAddr("203.0.113.7") {
			t.Errorf("%s: asked %+v", name, w.services)
		}
	}
}

func TestServiceRequestsThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		name   string
		form   url.Values
		header http.Header
		down   error
		status int
		want   string
	}{
		{name: "a wrong secret in the body", form: service("client_id", scimClient, "client_secret", "x"), status: 401, want: "invalid_client"},
		{name: "a wrong secret in the header", form: service(), header: basic(scimClient, "x"), status: 401, want: "invalid_client"},
		{name: "an unknown client", form: service("client_id", scimClient+"0", "client_secret", scimSecret), status: 401, want: "invalid_client"},
		{name: "no secret", form: service("client_id", scimClient), status: 401, want: "invalid_client"},
		{name: "a secret too long", form: service("client_id", scimClient, "client_secret", strings.Repeat("x", maxSecret+1)), status: 401, want: "invalid_client"},
		{name: "an assertion that proves nothing", form: service("client_id", scimClient, "client_assertion_type", assertion.Type, "client_assertion", "x.y.z"), status: 401, want: "invalid_client"},
		{name: "another type of assertion", form: service("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "client_assertion", "a.b.c"), status: 401, want: "invalid_client"},
		{name: "an assertion without its type", form: service("client_assertion", "a.b.c"), status: 401, want: "invalid_client"},
		{name: "an assertion too long", form: service("client_assertion_type", assertion.Type, "client_assertion", strings.Repeat("x", assertion.MaxLength+1)), status: 400, want: "invalid_request"},
		{name: "an assertion and a secret", form: service("client_id", scimClient, "client_secret", scimSecret, "client_assertion_type", assertion.Type, "client_assertion", "a.b.c"), status: 400, want: "invalid_request"},
		{name: "an assertion and a header", form: service("client_assertion_type", assertion.Type, "client_assertion", "a.b.c"), header: basic(scimClient, "x"), status: 400, want: "invalid_request"},
		{name: "no grant type", form: service("grant_type", "", "client_id", scimClient), status: 400, want: "invalid_request"},
		{name: "another grant type", form: service("grant_type", "password", "client_id", scimClient), status: 400, want: "unsupported_grant_type"},
		{name: "a code", form: service("grant_type", "authorization_code", "client_id", scimClient), status: 400, want: "unauthorized_client"},
		{name: "a refresh token", form: service("grant_type", "refresh_token", "client_id", scimClient), status: 400, want: "unauthorized_client"},
		{name: "an assertion that names nobody", form: service("client_assertion_type", assertion.Type, "client_assertion", "x.y.z"), status: 401, want: "invalid_client"},
		{name: "a token exchange", form: service("grant_type", GrantTypeTokenExchange, "client_id", scimClient), status: 400, want: "unauthorized_client"},
		{name: "an application", form: service(), header: basic("fleet-web", webSecret), status: 400, want: "unauthorized_client"},
		{name: "an application by an assertion", form: service("grant_type", "refresh_token", "client_id", "fleet-web", "client_assertion_type", assertion.Type, "client_assertion", "a.b.c"), status: 401, want: "invalid_client"},
		{name: "another scope", form: service("client_id", scimClient), down: fault.New(fault.Invalid, "x", "Ask for scim.").Because("invalid_scope"), status: 400, want: "invalid_scope"},
		{name: "too many attempts", form: service("client_id", scimClient), down: fault.New(fault.Limited, "x", ""), status: 429, want: "temporarily_unavailable"},
		{name: "the store is down", form: service("client_id", scimClient), down: fault.New(fault.Unavailable, "x", ""), status: 503, want: "temporarily_unavailable"},
		{name: "something else", form: service("client_id", scimClient), down: fault.New(fault.Internal, "x", "inner text"), status: 500, want: "server_error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			w.down = row.down
			rec := w.do(call{method: http.MethodPost, path: PathToken, form: row.form, header: row.header})
			wantError(t, rec, row.status, row.want)
			if challenged := rec.Header().Get("WWW-Authenticate") != ""; challenged != (row.header != nil && row.status == 401) {
				t.Errorf("challenged %v: only Basic is answered by a challenge", challenged)
			}
			if strings.Contains(rec.Body.String(), "stays inside") || strings.Contains(rec.Body.String(), "inner text") {
				t.Errorf("the answer tells too much: %s", rec.Body)
			}
		})
	}
}

// TestAnUnknownSCIMClientLooksLikeAWrongSecret: and whoever runs the bridge hears of both.
func TestAnUnknownSCIMClientLooksLikeAWrongSecret(t *testing.T) {
	w := newWorld()
	a := w.post(PathToken, service(), scimClient, "x")
	b := w.post(PathToken, service(), scimClient+"0", "x")
	if a.Code != b.Code || a.Body.String() != b.Body.String() || fmt.Sprint(a.Header()) != fmt.Sprint(b.Header()) {
		t.Errorf("%d %s\n%d %s", a.Code, a.Body, b.Code, b.Body)
	}
	if len(w.observed) != 2 {
		t.Errorf("observed %v", w.observed)
	}
}

// TestSCIMClientsHaveNoOtherEndpoint: introspection and revocation know applications only.
func TestSCIMClientsHaveNoOtherEndpoint(t *testing.T) {
	w := newWorld()
	for _, path := range []string{pathIntrospect, pathRevoke} {
		wantError(t, w.post(path, url.Values{"token": {"x"}}, scimClient, scimSecret), 401, "invalid_client")
	}
}

// watch is a client that has something for itself, and a public one that may not.
func (w *world) watch() {
	own := []string{GrantTypeClientCredentials}
	w.clients["watch"] = Client{ID: "watch", SecretDigest: credential.DigestOf("watch-secret"), GrantTypes: own, ServiceScopes: []string{ScopeSignalsRead, ScopeSignalsManage}}
	w.clients["public-watch"] = Client{ID: "public-watch", GrantTypes: own, ServiceScopes: []string{ScopeSignalsRead}}
}

// TestAnApplicationGetsATokenForItself: it stands for no person, so there is no ID token
// and nothing to refresh.
func TestAnApplicationGetsATokenForItself(t *testing.T) {
	for _, row := range []struct{ scope, granted, refused string }{
		{"", "ssf.read ssf.manage", ""}, {"ssf.read", "ssf.read", ""}, {"ssf.read openid", "", "invalid_scope"}, {"authzen", "", "invalid_scope"},
	} {
		w := newWorld()
		w.watch()
		rec := w.post(PathToken, service("scope", row.scope), "watch", "watch-secret")
		if row.refused != "" {
			wantError(t, rec, http.StatusBadRequest, row.refused)
			continue
		}
		m := object(t, rec)
		if got := slices.Sorted(maps.Keys(m)); rec.Code != http.StatusOK || !slices.Equal(got, []string{"access_token", "expires_in", "scope", "token_type"}) || m["scope"] != row.granted {
			t.Errorf("%q: %d %v", row.scope, rec.Code, m)
		}
	}
	w := newWorld()
	w.watch()
	wantError(t, w.post(PathToken, service("client_id", "public-watch")), http.StatusBadRequest, "unauthorized_client")
	wantError(t, w.post(PathToken, service(), "watch", "wrong"), http.StatusUnauthorized, "invalid_client")
	w.down = fault.New(fault.Unavailable, "x", "")
	wantError(t, w.post(PathToken, service(), "watch", "watch-secret"), http.StatusServiceUnavailable, "temporarily_unavailable")
}

// TestAnApplicationIsToldOfItsOwnTokenAlone, and may end it.
func TestAnApplicationIsToldOfItsOwnTokenAlone(t *testing.T) {
	w := newWorld()
	w.watch()
	token := object(t, w.post(PathToken, service(), "watch", "watch-secret"))["access_token"].(string)
	ask := func(client, secret string) map[string]any {
		return object(t, w.post(pathIntrospect, url.Values{"token": {token}}, client, secret))
	}
	m := ask("watch", "watch-secret")
	want := []string{"active", "aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub", "token_type"}
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) || m["active"] != true || m["sub"] != "watch" || m["scope"] != "ssf.read ssf.manage" {
		t.Errorf("%v", m)
	}
	if m := ask("fleet-web", webSecret); len(m) != 1 || m["active"] != false {
		t.Errorf("another is told %v", m)
	}
	wantError(t, w.do(call{path: pathUserinfo, header: http.Header{"Authorization": {"Bearer " + token}}}), http.StatusUnauthorized, "invalid_token")
	w.post(pathRevoke, url.Values{"token": {token}}, "fleet-web", webSecret)
	if m := ask("watch", "watch-secret"); m["active"] != true {
		t.Error("another ended it")
	}
	w.post(pathRevoke, url.Values{"token": {token}}, "watch", "watch-secret")
	if m := ask("watch", "watch-secret"); m["active"] != false {
		t.Error("it could not end its own")
	}
}
