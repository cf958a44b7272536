package oidc

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// TestIntrospectionSaysWhatAnApplicationMayKnow of a token that counts.
func TestIntrospectionSaysWhatAnApplicationMayKnow(t *testing.T) {
	w := newWorld()
	set, _ := w.signIn(t, "openid live_view")
	m := object(t, w.post(pathIntrospect, url.Values{"token": {set["access_token"].(string)}}, "fleet-web", webSecret))
	want := []string{"active", "active_grant", "aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "scope", "sid", "sub", "token_type"}
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
	if m["active"] != true || m["client_id"] != "fleet-web" || m["sub"] != "per_ada" || m["aud"] != "fleet-api" || m["sid"] != "ses_ada" ||
		m["scope"] != "openid live_view" || m["iss"] != w.issuer || m["exp"] != float64(w.now.Unix()+300) || m["iat"] != float64(w.now.Unix()) {
		t.Errorf("answered %v", m)
	}
	grant, err := json.Marshal(m["active_grant"])
	if err != nil || string(grant) != `{"flags":{"events":"none","video":false},"grant":"standard","id":"asg_home","scope":{"ancestor_ids":["scp_a0","scp_b7","scp_host"],"id":"scp_c41","level":"fleet","names":["Coral Telematics","Reefline Coaches","Cairns"],"path":"coral/reefline/cairns"},"standing":"primary"}` {
		t.Errorf("active_grant %s", grant)
	}
}

// TestIntrospectionIsForThoseTheTokenIsMeantFor is the cross-client matrix (T-E6):
// the others, and unknown tokens, get the same two words.
func TestIntrospectionIsForThoseTheTokenIsMeantFor(t *testing.T) {
	for _, row := range []struct {
		client, secret, kind, hint string
		active                     bool
	}{
		{"fleet-web", webSecret, "access_token", "", true},
		{"fleet-web", webSecret, "access_token", "refresh_token", true},
		{"fleet-web", webSecret, "access_token", "nonsense", true},
		{"fleet-web", webSecret, "refresh_token", "", true},
		{"fleet-web", webSecret, "refresh_token", "refresh_token", true},
		{"fleet-api", "api-secret", "access_token", "", true},
		{"fleet-api", "api-secret", "refresh_token", "", false},
		{"other-web", "a +:%secret", "access_token", "", false},
		{"other-web", "a +:%secret", "refresh_token", "refresh_token", false},
		{"fleet-web", webSecret, "id_token", "", false},
	} {
		w := newWorld()
		set, _ := w.signIn(t, "openid")
		rec := w.post(pathIntrospect, url.Values{"token": {set[row.kind].(string)}, "token_type_hint": {row.hint}}, row.client, row.secret)
		if got := object(t, rec)["active"]; got != row.active {
			t.Errorf("%s asks about the %s: %v", row.client, row.kind, got)
		}
		if !row.active && rec.Body.String() != `{"active":false}` {
			t.Errorf("%s asks about the %s: said too much: %s", row.client, row.kind, rec.Body)
		}
	}
}

// TestATokenIsItsOwnClientsEvenWhenTheAudienceHasChanged in the configuration.
func TestATokenIsItsOwnClientsEvenWhenTheAudienceHasChanged(t *testing.T) {
	w := newWorld()
	set, _ := w.signIn(t, "openid")
	c := w.clients["fleet-web"]
	c.Audience = "fleet-api-2"
	w.clients["fleet-web"] = c
	if m := object(t, w.post(pathIntrospect, url.Values{"token": {set["access_token"].(string)}}, "fleet-web", webSecret)); m["active"] != true {
		t.Errorf("%v", m)
	}
}

// TestIntrospectionIsSignedForWhoAsksSo (RFC 9701), and plain for all others.
func TestIntrospectionIsSignedForWhoAsksSo(t *testing.T) {
	w := newWorld()
	set, _ := w.signIn(t, "openid")
	for accept, signed := range map[string]bool{
		"application/token-introspection+jwt": true, "application/json, application/token-introspection+jwt;q=0.5": true, "Application/Token-Introspection+JWT": true,
		"": false, "*/*": false, "application/*": false, "application/json": false, "application/jwt": false,
		"application/token-introspection+jwt;q=0": false, "application/token-introspection+jwt;q=0.000": false, ";;,": false,
	} {
		for token, active := range map[string]string{set["access_token"].(string): "true", "never-was": "false"} {
			rec := w.do(call{method: http.MethodPost, path: pathIntrospect, form: url.Values{"token": {token}}, basic: [2]string{"fleet-web", webSecret}, header: http.Header{"Accept": {accept}}})
			isSigned := rec.Header().Get("Content-Type") == "application/token-introspection+jwt" && strings.HasPrefix(rec.Body.String(), `signed for fleet-web: {"active":`+active)
			isPlain := rec.Header().Get("Content-Type") == "application/json" && strings.HasPrefix(rec.Body.String(), `{"active":`+active)
			if rec.Code != http.StatusOK || isSigned != signed || isPlain == signed {
				t.Errorf("%q: %d %v %s", accept, rec.Code, rec.Header(), rec.Body)
			}
		}
	}
	wantError(t, w.do(call{method: http.MethodPost, path: pathIntrospect, form: url.Values{"token": {"x"}}, header: http.Header{"Accept": {"application/token-introspection+jwt"}}}), http.StatusUnauthorized, "invalid_client")
}

// TestAPairwiseClientIsToldItsOwnNames: at userinfo and introspection, and takes its own
// name of an assignment for the assignment.
func TestAPairwiseClientIsToldItsOwnNames(t *testing.T) {
	w := newWorld()
	c := w.clients["fleet-web"]
	c.Sector = "fleet.example"
	w.clients["fleet-web"] = c
	set, cookie := w.signIn(t, "openid")
	token := set["access_token"].(string)
	info := object(t, w.do(call{path: pathUserinfo, header: http.Header{"Authorization": {"Bearer " + token}}}))
	if info["sub"] != "fleet.example:per_ada" {
		t.Errorf("userinfo %v", info)
	}
	for _, by := range [][2]string{{"fleet-web", webSecret}, {"fleet-api", "api-secret"}} {
		m := object(t, w.post(pathIntrospect, url.Values{"token": {token}}, by[0], by[1]))
		if m["sub"] != "fleet.example:per_ada" || m["sid"] != "fleet.example:ses_ada" {
			t.Errorf("%s is told %v", by[0], m)
		}
	}
	for id, want := range map[string]string{"fleet.example:asg_visit": "", "asg_visit": "invalid_target", "other.example:asg_visit": "invalid_target"} {
		if got := sent(w.authorize(cookie, "scope", "openid grant:"+id)).Get("error"); got != want {
			t.Errorf("grant:%s: %q, want %q", id, got, want)
		}
	}
}

// TestNoGrantIsNotAnEmptyGrant: what is not known of a refresh token is left out.
func TestNoGrantIsNotAnEmptyGrant(t *testing.T) {
	w := newWorld()
	a := Accepted{OAuthScopes: []string{"openid"}}
	a.Bound.Subject.Client = "fleet-web"
	w.refresh["r"] = a
	m := object(t, w.post(pathIntrospect, url.Values{"token": {"r"}}, "fleet-web", webSecret))
	for _, name := range []string{"active_grant", "aud", "auth_time", "iat", "jti", "sid", "token_type"} {
		if _, there := m[name]; there {
			t.Errorf("%s is there: %v", name, m[name])
		}
	}
	if m["active"] != true {
		t.Errorf("%v", m)
	}
}

func TestIntrospectionIsForClientsWithASecret(t *testing.T) {
	w := newWorld()
	wantError(t, w.post(pathIntrospect, url.Values{"token": {"x"}, "client_id": {"native"}}), http.StatusUnauthorized, "invalid_client")
	wantError(t, w.post(pathIntrospect, url.Values{"token": {"x"}}), http.StatusUnauthorized, "invalid_client")
	wantError(t, w.post(pathIntrospect, url.Values{"token_type_hint": {"access_token"}}, "fleet-web", webSecret), http.StatusBadRequest, "invalid_request")
	wantError(t, w.post(pathIntrospect, url.Values{"token": {"x", "y"}}, "fleet-web", webSecret), http.StatusBadRequest, "invalid_request")
	wantError(t, w.do(call{path: pathIntrospect}), http.StatusMethodNotAllowed, "invalid_request")
}

// TestRevocationEndsOnlyWhatIsTheClients: RFC 7009; the answer never tells.
func TestRevocationEndsOnlyWhatIsTheClients(t *testing.T) {
	w := newWorld()
	set, _ := w.signIn(t, "openid")
	token := set["refresh_token"].(string)
	for _, other := range []string{token, "never-was"} {
		if rec := w.post(pathRevoke, url.Values{"token": {other}}, "other-web", "a +:%secret"); rec.Code != http.StatusOK || rec.Body.Len() != 0 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	if _, alive := w.refresh[token]; !alive {
		t.Fatal("another client ended it")
	}
	w.post(pathRevoke, url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}, "fleet-web", webSecret)
	if _, alive := w.refresh[token]; alive {
		t.Error("its own client could not end it")
	}
	wantError(t, w.post(pathRevoke, url.Values{"token_type_hint": {"access_token"}}, "fleet-web", webSecret), http.StatusBadRequest, "invalid_request")
	wantError(t, w.post(pathRevoke, url.Values{"token": {"x"}}, "fleet-web", "wrong"), http.StatusUnauthorized, "invalid_client")
	if rec := w.post(pathRevoke, url.Values{"token": {"x"}, "client_id": {"native"}}); rec.Code != http.StatusOK {
		t.Errorf("a public client may revoke: %d %s", rec.Code, rec.Body)
	}
}

// TestAnIDTokenCannotBeRevoked: RFC 7009 section 2.2.1. Whose it is, others are not told.
func TestAnIDTokenCannotBeRevoked(t *testing.T) {
	w := newWorld()
	set, _ := w.signIn(t, "openid")
	form := url.Values{"token": {set["id_token"].(string)}}
	wantError(t, w.post(pathRevoke, form, "fleet-web", webSecret), http.StatusBadRequest, "unsupported_token_type")
	if rec := w.post(pathRevoke, form, "other-web", "a +:%secret"); rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestUserinfoTellsByScope, in all three ways to ask.
func TestUserinfoTellsByScope(t *testing.T) {
	for scope, want := range map[string][]string{
		"openid":               {"active_grant", "sub"},
		"openid email":         {"active_grant", "email", "sub"},
		"openid profile":       {"active_grant", "family_name", "given_name", "locale", "name", "preferred_username", "sub", "updated_at", "zoneinfo"},
		"openid profile email": {"active_grant", "email", "family_name", "given_name", "locale", "name", "preferred_username", "sub", "updated_at", "zoneinfo"},
	} {
		w := newWorld()
		set, _ := w.signIn(t, scope)
		token := set["access_token"].(string)
		header := http.Header{"Authorization": {"Bearer " + token}}
		for name, c := range map[string]call{
			"oidcc-userinfo-get":         {path: pathUserinfo, header: header},
			"oidcc-userinfo-post-header": {method: http.MethodPost, path: pathUserinfo, header: header},
			"oidcc-userinfo-post-body":   {method: http.MethodPost, path: pathUserinfo, form: url.Values{"access_token": {token}}},
		} {
			rec := w.do(c)
			m := object(t, rec)
			if got := slices.Sorted(maps.Keys(m)); rec.Code != http.StatusOK || !slices.Equal(got, want) || m["sub"] != "per_ada" {
				t.Errorf("%s, %s: %d %v", name, scope, rec.Code, m)
			}
		}
	}
}

// TestUserinfoRefusesAsRFC6750Says.
func TestUserinfoRefusesAsRFC6750Says(t *testing.T) {
	for _, row := range []struct {
		name      string
		call      call
		status    int
		code      string
		challenge string
	}{
		{"nothing", call{path: pathUserinfo}, 401, "invalid_token", `Bearer realm="oauth2"`},
		{"unknown token", call{path: pathUserinfo, header: http.Header{"Authorization": {"Bearer x"}}}, 401, "invalid_token", `Bearer realm="oauth2", error="invalid_token"`},
		{"basic", call{path: pathUserinfo, header: http.Header{"Authorization": {"Basic eA=="}}}, 401, "invalid_token", `Bearer realm="oauth2", error="invalid_token"`},
		{"no openid", call{path: pathUserinfo, header: http.Header{"Authorization": {"Bearer plain"}}}, 403, "insufficient_scope", `Bearer realm="oauth2", error="insufficient_scope", scope="openid"`},
		{"in the address", call{path: pathUserinfo, query: "access_token=plain"}, 401, "invalid_token", `Bearer realm="oauth2"`},
		{"twice", call{method: http.MethodPost, path: pathUserinfo, form: url.Values{"access_token": {"x"}}, header: http.Header{"Authorization": {"Bearer x"}}}, 400, "invalid_request", `Bearer realm="oauth2", error="invalid_request"`},
		{"twice in the form", call{method: http.MethodPost, path: pathUserinfo, form: url.Values{"access_token": {"x", "y"}}}, 400, "invalid_request", `Bearer realm="oauth2", error="invalid_request"`},
		{"two headers", call{path: pathUserinfo, header: http.Header{"Authorization": {"Bearer x", "Bearer y"}}}, 400, "invalid_request", `Bearer realm="oauth2", error="invalid_request"`},
		{"another method", call{method: http.MethodPut, path: pathUserinfo}, 405, "invalid_request", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			w.tokens["plain"] = Accepted{OAuthScopes: []string{"live_view"}}
			rec := w.do(row.call)
			wantError(t, rec, row.status, row.code)
			if got := rec.Header().Get("WWW-Authenticate"); got != row.challenge {
				t.Errorf("challenge %q, want %q", got, row.challenge)
			}
		})
	}
	w := newWorld()
	w.down = fault.New(fault.Unavailable, "db", "")
	rec := w.do(call{path: pathUserinfo, header: http.Header{"Authorization": {"Bearer x"}}})
	if rec.Code != http.StatusServiceUnavailable || strings.Contains(rec.Body.String(), "invalid_token") {
		t.Errorf("nobody knows, and yet: %d %s", rec.Code, rec.Body)
	}
}
