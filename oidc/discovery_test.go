package oidc

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/assertion"
)

func (w *world) metadata(t *testing.T, path string) map[string]any {
	t.Helper()
	rec := w.do(call{path: path})
	if rec.Code != http.StatusOK || rec.Header().Get("Cache-Control") != "public, max-age=300" || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	return object(t, rec)
}

func list(m map[string]any, member string) []string {
	var out []string
	values, _ := m[member].([]any)
	for _, v := range values {
		out = append(out, v.(string))
	}
	return out
}

// TestOIDCCDiscoveryEndpointVerification: both documents say the same, and what the
// certification asks for.
func TestOIDCCDiscoveryEndpointVerification(t *testing.T) {
	w := newWorld()
	m := w.metadata(t, "/.well-known/openid-configuration")
	if a, b := w.do(call{path: "/.well-known/openid-configuration"}), w.do(call{path: "/.well-known/oauth-authorization-server"}); a.Body.String() != b.Body.String() {
		t.Error("the two documents differ")
	}
	if m["issuer"] != w.issuer || m["authorization_response_iss_parameter_supported"] != true ||
		m["request_parameter_supported"] != false || m["request_uri_parameter_supported"] != false || m["claims_parameter_supported"] != true {
		t.Errorf("%v", m)
	}
	for member, want := range map[string]string{
		"response_types_supported": "code", "response_modes_supported": "query", "code_challenge_methods_supported": "S256",
		"grant_types_supported": "authorization_code refresh_token urn:ietf:params:oauth:grant-type:token-exchange client_credentials", "authorization_details_types_supported": "active_grant", "dpop_signing_alg_values_supported": "ES256 ES384 ES512 EdDSA PS256 RS256", "id_token_signing_alg_values_supported": "ES256 RS256",
		"subject_types_supported": "public pairwise", "token_endpoint_auth_methods_supported": "none client_secret_basic client_secret_post private_key_jwt",
		"introspection_endpoint_auth_methods_supported": "client_secret_basic client_secret_post private_key_jwt",
		"revocation_endpoint_auth_methods_supported":    "none client_secret_basic client_secret_post private_key_jwt",
		"introspection_signing_alg_values_supported":    "ES256 RS256",
		"prompt_values_supported":                       "none login consent select_account",
	} {
		if got := strings.Join(list(m, member), " "); got != want {
			t.Errorf("%s is %q, want %q", member, got, want)
		}
	}
}

// TestDiscoveryNamesTheKindsOfSignInThatAreAskedFor now, and leaves the member out where
// none is.
func TestDiscoveryNamesTheKindsOfSignInThatAreAskedFor(t *testing.T) {
	w := newWorld()
	asked := []string{"phr"}
	w.change = func(c *Config) { c.ACRValues = func() []string { return asked } }
	for _, want := range []string{"phr", "phr phrh", ""} {
		asked = strings.Fields(want)
		m := w.metadata(t, "/.well-known/openid-configuration")
		if _, there := m["acr_values_supported"]; there != (want != "") || strings.Join(list(m, "acr_values_supported"), " ") != want {
			t.Errorf("acr_values_supported is %v, want %q", m["acr_values_supported"], want)
		}
	}
}

// TestDiscoveryTellsTheTruth: every endpoint is there, every scope and prompt is
// accepted, every grant type known.
func TestDiscoveryTellsTheTruth(t *testing.T) {
	w := newWorld()
	c := w.clients["fleet-web"]
	c.Offline = true // a scope that is had by registration
	w.clients["fleet-web"] = c
	m := w.metadata(t, "/.well-known/openid-configuration")
	mux := w.serve()
	for member, v := range m {
		address, _ := v.(string)
		path, ours := strings.CutPrefix(address, w.issuer)
		if !ours || path == "" {
			continue
		}
		if _, pattern := mux.Handler(httptest.NewRequest(http.MethodGet, path, nil)); pattern != path {
			t.Errorf("%s: nothing serves %s", member, path)
		}
	}
	cookie := w.person("ada")
	for _, scope := range list(m, "scopes_supported") {
		if scope == ScopeSCIM || slices.Contains(ServiceScopes(), scope) {
			continue // of the client credentials grant
		}
		q := wantSent(t, w.authorize(cookie, "scope", "openid "+scope), "")
		if !slices.Contains(w.codes[q.Get("code")].req.OAuthScopes, scope) {
			t.Errorf("the scope %s is not granted", scope)
		}
	}
	for _, prompt := range list(m, "prompt_values_supported") {
		if q := sent(w.authorize(cookie, "prompt", prompt)); q.Get("error") != "" {
			t.Errorf("prompt=%s is refused: %s", prompt, q.Get("error"))
		}
	}
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		if algs := list(m, endpoint+"_endpoint_auth_signing_alg_values_supported"); !slices.Equal(algs, assertion.Algorithms()) {
			t.Errorf("%s: algorithms of assertions %v", endpoint, algs)
		}
	}
	for _, grantType := range list(m, "grant_types_supported") {
		rec := w.post(PathToken, redemption("c", "grant_type", grantType), "fleet-web", webSecret)
		if object(t, rec)["error"] == "unsupported_grant_type" {
			t.Errorf("grant_type=%s is not supported", grantType)
		}
	}
}

func TestKeysArePublicForFiveMinutes(t *testing.T) {
	w := newWorld()
	if m := w.metadata(t, pathKeys); m["keys"] == nil {
		t.Errorf("%v", m)
	}
	wantError(t, w.do(call{method: http.MethodPost, path: pathKeys, body: "a=b"}), http.StatusMethodNotAllowed, "invalid_request")
}

// Whoever has the document there is gets no other one.
func TestPublishedDocumentsAreRevalidated(t *testing.T) {
	w := newWorld()
	for _, path := range []string{"/oauth2/keys", "/.well-known/openid-configuration"} {
		first := w.do(call{path: path})
		tag := first.Header().Get("ETag")
		if first.Code != http.StatusOK || tag == "" || strings.HasPrefix(tag, "W/") {
			t.Fatalf("%s: %d, ETag %q", path, first.Code, tag)
		}
		for sent, want := range map[string]int{tag: http.StatusNotModified, `"another"`: http.StatusOK} {
			again := w.do(call{path: path, header: http.Header{"If-None-Match": {sent}}})
			if again.Code != want || again.Header().Get("ETag") != tag || again.Header().Get("Cache-Control") != "public, max-age=300" || (again.Body.Len() == 0) != (want == http.StatusNotModified) {
				t.Errorf("%s with %s: %d %v", path, sent, again.Code, again.Header())
			}
		}
	}
}

// TestTG2_NoHeaderMovesTheIssuer: who we are is configured; nobody who sends a request
// decides where others go next.
func TestTG2_NoHeaderMovesTheIssuer(t *testing.T) {
	w := newWorld()
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		want := w.do(call{path: path}).Body.String()
		for name, value := range map[string]string{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Port": "81", "X-Host": "evil.example",
			"X-Original-Url": "https://evil.example/", "X-Original-Host": "evil.example", "Forwarded": "host=evil.example;proto=http", "X_forwarded_host": "evil.example"} {
			if got := w.do(call{path: path, header: http.Header{name: {value}}}).Body.String(); got != want {
				t.Errorf("%s with %s: %s says otherwise", path, name, value)
			}
		}
	}
}
