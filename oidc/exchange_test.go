package oidc

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// exchange is a good token exchange of a token, with changes.
func exchange(token string, changes ...string) url.Values {
	f := url.Values{"grant_type": {GrantTypeTokenExchange}, "subject_token": {token}, "subject_token_type": {tokenTypeAccess}}
	for i := 0; i+1 < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

const visitDetails = `[{"type":"active_grant","id":"asg_visit"}]`

// TestATokenIsExchangedForOneOfAnotherGrant, asked for by scope or by details.
func TestATokenIsExchangedForOneOfAnotherGrant(t *testing.T) {
	for name, changes := range map[string][]string{
		"scope":   {"scope", "openid grant:asg_visit live_view"},
		"details": {"authorization_details", visitDetails, "scope", "openid live_view"},
		"both":    {"authorization_details", visitDetails, "scope", "openid live_view grant:asg_visit", "requested_token_type", tokenTypeAccess},
	} {
		w := newWorld()
		set, _ := w.signIn(t, "openid live_view")
		rec := w.post(PathToken, exchange(set["access_token"].(string), changes...), "fleet-web", webSecret)
		got := object(t, rec)
		if rec.Code != http.StatusOK || got["issued_token_type"] != tokenTypeAccess || got["token_type"] != "Bearer" || got["access_token"] == "" {
			t.Fatalf("%s: %d %s", name, rec.Code, rec.Body)
		}
		if told := strings.Contains(rec.Body.String(), `"authorization_details":`+visitDetails); told != (name != "scope") {
			t.Errorf("%s: %s", name, rec.Body)
		}
		if x := w.exchanges[0]; x.Grant != "asg_visit" || !slices.Equal(x.OAuthScopes, []string{"openid", "live_view"}) {
			t.Errorf("%s: asked %+v", name, x)
		}
	}
}

// TestExchangesThatAreRefused: what is wrong with the token is invalid_request (RFC 8693
// section 2.2.2), and garbage is no more than that.
func TestExchangesThatAreRefused(t *testing.T) {
	w := newWorld()
	set, _ := w.signIn(t, "openid live_view")
	token, refresh := set["access_token"].(string), set["refresh_token"].(string)
	for _, row := range []struct {
		name, token string
		change      []string
		want        string
	}{
		{"no token", "", nil, "invalid_request"},
		{"an opaque token", "opaque", nil, "invalid_request"},
		{"an opaque token with a colon", "id:urn:subject", nil, "invalid_request"},
		{"nearly a JWT", "..", nil, "invalid_request"},
		{"a token too long", strings.Repeat("x", maxToken+1), nil, "invalid_request"},
		{"a refresh token", refresh, nil, "invalid_request"},
		{"another type", token, []string{"subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"},
		{"no type", token, []string{"subject_token_type", ""}, "invalid_request"},
		{"another requested type", token, []string{"requested_token_type", "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"},
		{"an actor", token, []string{"actor_token", "x"}, "invalid_request"},
		{"an actor's type", token, []string{"actor_token_type", tokenTypeAccess}, "invalid_request"},
		{"which demands another sign-in", token, []string{"scope", "openid grant:asg_guarded"}, "insufficient_user_authentication"},
		{"not held", token, []string{"scope", "openid grant:asg_never"}, "invalid_target"},
		{"two grants", token, []string{"scope", "grant:asg_visit grant:asg_home"}, "invalid_scope"},
		{"no grant", token, []string{"scope", "grant:"}, "invalid_scope"},
		{"details of another grant than the scope", token, []string{"scope", "grant:asg_home", "authorization_details", visitDetails}, "invalid_authorization_details"},
		{"details of another type", token, []string{"authorization_details", `[{"type":"payment","id":"asg_visit"}]`}, "invalid_authorization_details"},
		{"details with more", token, []string{"authorization_details", `[{"type":"active_grant","id":"asg_visit","actions":["read"]}]`}, "invalid_authorization_details"},
		{"two details", token, []string{"authorization_details", `[{"type":"active_grant","id":"a"},{"type":"active_grant","id":"b"}]`}, "invalid_authorization_details"},
		{"no details", token, []string{"authorization_details", `[]`}, "invalid_authorization_details"},
		{"details that are not JSON", token, []string{"authorization_details", `[{`}, "invalid_authorization_details"},
		{"details and more", token, []string{"authorization_details", visitDetails + "x"}, "invalid_authorization_details"},
		{"details too long", token, []string{"authorization_details", strings.Repeat(" ", maxDetails+1)}, "invalid_request"},
		{"a resource of others", token, []string{"resource", "https://other.example"}, "invalid_target"},
		{"an audience of others", token, []string{"audience", "other"}, "invalid_target"},
		{"two resources", token, []string{"audience", "fleet-api", "resource", "urn:fleet:video"}, "invalid_target"},
	} {
		wantError(t, w.post(PathToken, exchange(row.token, row.change...), "fleet-web", webSecret), http.StatusBadRequest, row.want)
		if t.Failed() {
			t.Fatal(row.name)
		}
	}
	wantError(t, w.post(PathToken, exchange(token), "other-web", "a +:%secret"), http.StatusBadRequest, "unauthorized_client")
	other := w.clients["other-web"]
	other.GrantTypes = GrantTypes()
	w.clients["other-web"] = other
	wantError(t, w.post(PathToken, exchange(token), "other-web", "a +:%secret"), http.StatusBadRequest, "invalid_request")
}

// TestABoundTokenIsExchangedByItsKey alone.
func TestABoundTokenIsExchangedByItsKey(t *testing.T) {
	w := newWorld()
	key, other := w.prover(t), w.prover(t)
	set := object(t, w.token(redemption(w.code("fleet-web", webURI)), key.proof("POST", PathToken, "", nil), "fleet-web", webSecret))
	token := set["access_token"].(string)
	for name, proof := range map[string]string{"no proof": "", "another key": other.proof("POST", PathToken, "", nil)} {
		wantError(t, w.token(exchange(token), proof, "fleet-web", webSecret), http.StatusBadRequest, "invalid_request")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	rec := w.token(exchange(token), key.proof("POST", PathToken, "", nil), "fleet-web", webSecret)
	if got := object(t, rec); rec.Code != http.StatusOK || got["token_type"] != "DPoP" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestAGrantMayBeAskedForByDetails at the authorization endpoint too, and the token
// answer says so.
func TestAGrantMayBeAskedForByDetails(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	wantSent(t, w.authorize(cookie, "authorization_details", `[{"type":"x"}]`), "invalid_authorization_details")
	wantSent(t, w.authorize(cookie, "authorization_details", visitDetails, "scope", "openid grant:asg_home"), "invalid_authorization_details")
	wantSent(t, w.authorize(cookie, "authorization_details", `[{"type":"active_grant","id":"asg_never"}]`), "invalid_target")
	code := wantSent(t, w.authorize(cookie, "authorization_details", visitDetails), "").Get("code")
	if row := w.codes[code]; row.s.Active != "asg_visit" || !row.req.Details {
		t.Errorf("the code stands for %+v", row)
	}
}

// TestResourcesAreThoseOfTheApplication is RFC 8707, at both endpoints.
func TestResourcesAreThoseOfTheApplication(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	for _, resource := range []string{"https://other.example", "fleet-api", "https://api.fleet.example/v1#x", "/relative", "urn:" + strings.Repeat("x", maxResource)} {
		wantSent(t, w.authorize(cookie, "resource", resource), "invalid_target")
	}
	q := ask().Encode()
	for range maxResources + 1 {
		q += "&resource=urn:fleet:video"
	}
	wantSent(t, w.do(call{path: pathAuthorize, query: q, cookie: cookie}), "invalid_target")
	rec := w.do(call{path: pathAuthorize, query: ask("resource", "https://api.fleet.example/v1").Encode() + "&resource=urn:fleet:video&resource=urn:fleet:video", cookie: cookie})
	code := wantSent(t, rec, "").Get("code")
	if got := w.codes[code].req.Resources; !slices.Equal(got, []string{"https://api.fleet.example/v1", "urn:fleet:video"}) {
		t.Errorf("granted %q", got)
	}
	for _, row := range []struct{ resource, want string }{{"https://other.example", "invalid_target"}, {"urn:fleet:video", ""}, {"fleet-api", ""}} {
		rec := w.post(PathToken, redemption(w.code("fleet-web", webURI), "resource", row.resource), "fleet-web", webSecret)
		if row.want != "" {
			wantError(t, rec, http.StatusBadRequest, row.want)
		} else if last := w.redeemed[len(w.redeemed)-1]; rec.Code != http.StatusOK || last.Resource != row.resource {
			t.Errorf("%s: %d %+v", row.resource, rec.Code, last)
		}
	}
	two := redemption(w.code("fleet-web", webURI), "resource", "urn:fleet:video")
	two.Add("resource", "https://api.fleet.example/v1")
	wantError(t, w.post(PathToken, two, "fleet-web", webSecret), http.StatusBadRequest, "invalid_target")
}

// TestAnApplicationUsesTheGrantTypesItIsRegisteredFor and no other.
func TestAnApplicationUsesTheGrantTypesItIsRegisteredFor(t *testing.T) {
	forms := map[string]url.Values{GrantTypeCode: redemption("c"), GrantTypeRefresh: {"grant_type": {GrantTypeRefresh}, "refresh_token": {"r"}}, GrantTypeTokenExchange: exchange("a")}
	for grantType := range forms {
		w := newWorld()
		c := w.clients["fleet-web"]
		c.GrantTypes = []string{grantType}
		w.clients["fleet-web"] = c
		for asked, f := range forms {
			rec := w.post(PathToken, f, "fleet-web", webSecret)
			if refused := strings.Contains(rec.Body.String(), "unauthorized_client"); refused != (asked != grantType) {
				t.Errorf("registered for %s, asked by %s: %d %s", grantType, asked, rec.Code, rec.Body)
			}
		}
	}
}

// TestOfflineAccessIsForApplicationsThatAreRegisteredForIt: without it the scope is left
// out, and nobody is asked (OpenID Connect Core section 11).
func TestOfflineAccessIsForApplicationsThatAreRegisteredForIt(t *testing.T) {
	for _, registered := range []bool{false, true} {
		w := newWorld()
		c := w.clients["fleet-web"]
		c.Offline = registered
		w.clients["fleet-web"] = c
		code := wantSent(t, w.authorize(w.person("ada"), "scope", "openid offline_access"), "").Get("code")
		if got := slices.Contains(w.codes[code].req.OAuthScopes, ScopeOffline); got != registered {
			t.Errorf("registered %t, granted %t", registered, got)
		}
	}
}

func FuzzAuthorizationDetails(f *testing.F) {
	f.Add(visitDetails, "")
	f.Add(`[{"type":"active_grant","id":1}]`, "asg_home")
	f.Fuzz(func(t *testing.T, text, inScope string) {
		got, err := detailed(text, "")
		if err == nil && text != "" && (got == "" || !strings.Contains(fmt.Sprintf("%q", text), DetailActiveGrant)) {
			t.Errorf("%q asks for %q", text, got)
		}
	})
}
