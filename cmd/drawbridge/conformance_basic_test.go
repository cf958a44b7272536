//go:build lanes

package main

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func basicPlans() []plan {
	return []plan{
		{"oidcc-basic-certification-test-plan", []module{
			{"oidcc-server", "code flow without PKCE; every check of answer, ID token and userinfo", "", (*trial).happyFlow},
			{"oidcc-response-type-missing", "`invalid_request` at the redirect URI", "", (*trial).responseTypeMissing},
			{"oidcc-idtoken-signature", "RS256, by a key that is published under its `kid`", "not for registered clients", (*trial).happyFlow},
			{"oidcc-idtoken-unsigned", "`none` is not among the algorithms of the discovery document, and no ID token is by it", "not for registered clients", (*trial).neverUnsigned},
			{"oidcc-userinfo-get", "the access token in the header of a GET; `sub` is the ID token's", "", (*trial).happyFlow},
			{"oidcc-userinfo-post-header", "the same with a POST", "", (*trial).userinfoPostHeader},
			{"oidcc-userinfo-post-body", "the access token in the form of a POST", "", (*trial).userinfoPostBody},
			{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", "a code; the ID token has no `nonce`", "", (*trial).withoutNonce},
			{"oidcc-scope-profile", "`name`, `given_name`, `family_name`, `preferred_username` at userinfo, and neither address nor phone number", "", (*trial).scopeProfile},
			{"oidcc-scope-email", "`email` at userinfo", "warns: the ID token has `email`, too", (*trial).scopeEmail},
			{"oidcc-scope-address", "`address` at userinfo, an object", "", (*trial).scopeAddress},
			{"oidcc-scope-phone", "`phone_number` at userinfo", "", (*trial).scopePhone},
			{"oidcc-scope-all", "all of these at once", "", (*trial).scopeAll},
			{"oidcc-alternate-happy-flow", "the same flow with scopes and parameters in another order", "", (*trial).anotherOrder},
			{"oidcc-display-page", "`display=page` changes nothing", "", (*trial).displayPage},
			{"oidcc-display-popup", "`display=popup` changes nothing", "", (*trial).displayPopup},
			{"oidcc-prompt-login", "the identity provider is asked again, with `prompt=login`; `auth_time` is later", "wants a screenshot", (*trial).promptLogin},
			{"oidcc-prompt-none-not-logged-in", "`login_required`, and nobody is asked anything", "", (*trial).promptNoneNotLoggedIn},
			{"oidcc-prompt-none-logged-in", "a code at once; `sub` and `auth_time` are the same", "", (*trial).promptNoneLoggedIn},
			{"oidcc-max-age-1", "after a second the identity provider is asked again; `auth_time` is there, and later", "wants a screenshot", (*trial).maxAge1},
			{"oidcc-max-age-10000", "a code at once; `auth_time` is there, and the same", "", (*trial).maxAge10000},
			{"oidcc-ensure-request-with-unknown-parameter-succeeds", "`extra=foobar` changes nothing", "", (*trial).unknownParameter},
			{"oidcc-id-token-hint", "with `prompt=none` a code at once; `sub` and `auth_time` are the same", "", (*trial).idTokenHint},
			{"oidcc-login-hint", "the person that is named is signed in without being asked for an address", "", (*trial).loginHint},
			{"oidcc-ui-locales", "`ui_locales=se` changes nothing", "", (*trial).uiLocales},
			{"oidcc-claims-locales", "`claims_locales=se` changes nothing", "", (*trial).claimsLocales},
			{"oidcc-ensure-request-with-acr-values-succeeds", "a code; `acr_values` reaches the identity provider", "warns unless the identity provider's `acr` is among them", (*trial).acrValues},
			{"oidcc-codereuse", "`invalid_grant`, and the first access token is dead", "", (*trial).codeReuse},
			{"oidcc-codereuse-30seconds", "the same half a minute later", "", (*trial).codeReuseLater},
			{"oidcc-ensure-registered-redirect-uri", "a page that says why; nothing is redirected", "wants a screenshot", (*trial).unregisteredRedirect},
			{"oidcc-ensure-post-request-succeeds", "the authorization request as a POST", "", (*trial).byPost},
			{"oidcc-server-client-secret-post", "the whole flow with `client_secret_post`", "", (*trial).secretPost},
			{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", "`request_uri_not_supported`", "not for registered clients", (*trial).requestURI},
			{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", "`request_not_supported`", "skipped when it is refused by that name", (*trial).requestObject},
			{"oidcc-claims-essential", "`name` at userinfo, asked for by `claims` alone", "", (*trial).claimsEssential},
			{"oidcc-ensure-request-object-with-redirect-uri", "a page that says why: the redirect URI beside the request object is not registered", "wants a screenshot", (*trial).requestObjectRedirect},
			{"oidcc-refresh-token", "the refreshed tokens are good, `sub`, `auth_time` and `aud` stay; another client gets `invalid_grant`", "", (*trial).refreshToken},
			{"oidcc-ensure-request-with-valid-pkce-succeeds", "PKCE is taken, and without its verifier the code is worth nothing", "", (*trial).validPKCE},
		}},
		{"oidcc-config-certification-test-plan", []module{
			{"oidcc-discovery-endpoint-verification", "every required member, endpoints below the issuer, and keys that are public", "knows no `revocation_feed_endpoint`, and the file tells it that this is meant", (*trial).discovery},
		}},
	}
}

// with is a happy flow with one more parameter.
func (r *trial) with(name string, values ...string) tokens {
	r.t.Helper()
	got := r.person().signsIn(r.app, url.Values{name: values})
	r.works(got)
	return got
}

func (r *trial) happyFlow()        { r.works(r.person().signsIn(r.app, nil)) }
func (r *trial) displayPage()      { r.with("display", "page") }
func (r *trial) displayPopup()     { r.with("display", "popup") }
func (r *trial) unknownParameter() { r.with("extra", "foobar") }
func (r *trial) uiLocales()        { r.with("ui_locales", "se") }
func (r *trial) claimsLocales()    { r.with("claims_locales", "se") }
func (r *trial) withoutNonce()     { r.with("nonce") }

func (r *trial) responseTypeMissing() {
	p := r.person()
	if back := p.authorizes(r.request(r.app, url.Values{"response_type": nil})); back.Get("error") != "invalid_request" || len(p.asked) > 0 {
		r.t.Errorf("answered %v", back)
	}
}

func (r *trial) neverUnsigned() {
	algorithms, _ := r.listed["id_token_signing_alg_values_supported"].([]any)
	if len(algorithms) == 0 || slices.Contains(algorithms, any("none")) {
		r.t.Errorf("ID tokens may be signed by %v", algorithms)
	}
	r.happyFlow()
}

func (r *trial) userinfoPostHeader() {
	got := r.person().signsIn(r.app, nil)
	r.userinfo(got, byHeader(http.MethodPost, got.access))
}

func (r *trial) userinfoPostBody() {
	got := r.person().signsIn(r.app, nil)
	r.userinfo(got, func(at string) (*http.Request, error) {
		req, err := http.NewRequest(http.MethodPost, at, strings.NewReader(url.Values{"access_token": {got.access}}.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return req, err
	})
}

// ofScope are the claims that each OAuth scope shows of ash (OpenID Connect Core section 5.4).
func ofScope() map[string]map[string]any {
	return map[string]map[string]any{
		"profile": {"name": "Ash Demo", "given_name": "Ash", "family_name": "Demo", "preferred_username": ash},
		"email":   {"email": ash}, "phone": {"phone_number": "+47 77 00 00 00"}, "address": {"address": nil},
	}
}

// shows fails unless userinfo has all that the scopes show, and nothing that others do.
func (r *trial) shows(scopes ...string) tokens {
	r.t.Helper()
	got := r.person().signsIn(r.app, url.Values{"scope": {"openid " + strings.Join(scopes, " ")}})
	info := r.userinfo(got, byHeader(http.MethodGet, got.access))
	for scope, claims := range ofScope() {
		for claim, want := range claims {
			is, there := info[claim]
			if asked := slices.Contains(scopes, scope); there != asked || asked && want != nil && is != want {
				r.t.Errorf("with %v, %s is %v (there: %t)", scopes, claim, is, there)
			}
		}
	}
	if a, _ := info["address"].(map[string]any); slices.Contains(scopes, "address") && (a["locality"] != "Tromsø" || a["street_address"] != "Storgata 1") {
		r.t.Errorf("the address is %v", info["address"])
	}
	return got
}

func (r *trial) scopeEmail() {
	if got := r.shows("email"); got.claims["email"] != ash {
		r.t.Errorf("the ID token says %v: docs/conformance.md says that it has the address", got.claims)
	}
}

func (r *trial) scopeProfile() { r.shows("profile") }
func (r *trial) scopeAddress() { r.shows("address") }
func (r *trial) scopePhone()   { r.shows("phone") }
func (r *trial) scopeAll()     { r.shows("address", "email", "phone", "profile") }

func (r *trial) anotherOrder() {
	p := r.person()
	q := r.request(r.app, url.Values{"scope": {"email openid"}})
	var reversed []string
	for _, pair := range slices.Backward(strings.Split(q.Encode(), "&")) {
		reversed = append(reversed, pair)
	}
	at := p.goes(http.MethodGet, r.listed["authorization_endpoint"].(string)+"?"+strings.Join(reversed, "&"), nil)
	r.works(p.redeems(r.app, q, p.returned(q, at)))
}

// signedInTwice signs in, and again with other parameters; anew says whether the identity
// provider must be asked again.
func (r *trial) signedInTwice(p *person, first tokens, extra url.Values, anew bool) tokens {
	r.t.Helper()
	before := len(p.asked)
	second := p.signsIn(r.app, extra)
	if (len(p.asked) > before) != anew {
		r.t.Errorf("with %v the identity provider was asked %d more times", extra, len(p.asked)-before)
	}
	was, _ := first.claims["auth_time"].(float64)
	is, there := second.claims["auth_time"].(float64)
	if second.claims["sub"] != first.claims["sub"] || !there || was == 0 || (is > was) != anew {
		r.t.Errorf("the first ID token says %v, the second %v", first.claims, second.claims)
	}
	return second
}

// aSecondLater waits until auth_time, which has seconds, must be another.
func aSecondLater() { time.Sleep(1200 * time.Millisecond) }

func (r *trial) promptLogin() {
	p := r.person()
	first := p.signsIn(r.app, nil)
	aSecondLater()
	r.signedInTwice(p, first, url.Values{"prompt": {"login"}}, true)
	if asked := p.asked[len(p.asked)-1]; asked.Get("prompt") != "login" {
		r.t.Errorf("the identity provider was asked %v", asked)
	}
}

func (r *trial) maxAge1() {
	p := r.person()
	first := p.signsIn(r.app, nil)
	aSecondLater()
	r.signedInTwice(p, first, url.Values{"max_age": {"1"}}, true)
}

func (r *trial) maxAge10000() {
	p := r.person()
	first := p.signsIn(r.app, url.Values{"max_age": {"15000"}})
	r.signedInTwice(p, first, url.Values{"max_age": {"10000"}}, false)
}

func (r *trial) promptNoneNotLoggedIn() {
	p := r.person()
	if back := p.authorizes(r.request(r.app, url.Values{"prompt": {"none"}})); back.Get("error") != "login_required" || len(p.asked) > 0 {
		r.t.Errorf("answered %v, and the identity provider was asked %v", back, p.asked)
	}
}

func (r *trial) promptNoneLoggedIn() {
	p := r.person()
	r.signedInTwice(p, p.signsIn(r.app, nil), url.Values{"prompt": {"none"}}, false)
}

func (r *trial) idTokenHint() {
	p := r.person()
	first := p.signsIn(r.app, nil)
	r.signedInTwice(p, first, url.Values{"prompt": {"none"}, "id_token_hint": {first.id}}, false)
}

func (r *trial) loginHint() {
	p := r.person()
	p.browser.Transport = noAddress{r}
	p.signsIn(r.app, url.Values{"login_hint": {ash}})
	if len(p.asked) != 1 || p.asked[0].Get("login_hint") != ash {
		r.t.Errorf("the identity provider was asked %v", p.asked)
	}
}

// noAddress fails where somebody types in an address.
type noAddress struct{ *trial }

func (n noAddress) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost {
		n.t.Errorf("somebody had to fill in a form at %s", req.URL)
	}
	return http.DefaultTransport.RoundTrip(req)
}

func (r *trial) acrValues() {
	p := r.person()
	p.signsIn(r.app, url.Values{"acr_values": {"1 2"}})
	if len(p.asked) != 1 || p.asked[0].Get("acr_values") != "1 2" {
		r.t.Errorf("the identity provider was asked %v", p.asked)
	}
}

// reuses redeems a code, and again after a while.
func (r *trial) reuses(after time.Duration) {
	r.t.Helper()
	p := r.person()
	q := r.request(r.app, nil)
	back := p.authorizes(q)
	first := p.redeems(r.app, q, back)
	r.works(first)
	time.Sleep(after)
	status, answer := r.app.asks(r, "token_endpoint", url.Values{"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {r.app.redirect}})
	r.refused(status, answer, "invalid_grant")
	r.dead(first)
}

func (r *trial) codeReuse()      { r.reuses(0) }
func (r *trial) codeReuseLater() { r.reuses(30 * time.Second) }

// stopsOnAPage fails unless the request ends on a page that says no, whatever it asks.
func (r *trial) stopsOnAPage(q url.Values, says string) {
	r.t.Helper()
	p := r.person()
	at := p.goes(http.MethodGet, r.listed["authorization_endpoint"].(string)+"?"+q.Encode(), nil)
	if at.back || at.status != http.StatusBadRequest || !strings.Contains(at.body, says) || len(p.asked) > 0 {
		r.t.Errorf("it ended at %s with %d: %s", at.url, at.status, at.body)
	}
}

func (r *trial) unregisteredRedirect() {
	r.stopsOnAPage(r.request(r.app, url.Values{"redirect_uri": {r.app.redirect + "/other"}}), "redirect_uri")
}

// unsigned is a request object by the algorithm none, which has the whole request.
func (r *trial) unsigned(q url.Values) string {
	body := []string{`"iss":"` + r.app.id + `"`, `"aud":"` + r.Issuer + `"`}
	for name := range q {
		body = append(body, `"`+name+`":"`+q.Get(name)+`"`)
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte("{"+strings.Join(body, ",")+"}")) + "."
}

// inObject is a request whose every parameter is in an unsigned request object; beside it
// stands what OAuth 2.0 needs, and redirect_uri (OpenID Connect Core section 6.1).
func (r *trial) inObject() url.Values {
	whole := r.request(r.app, nil)
	return url.Values{"client_id": whole["client_id"], "redirect_uri": whole["redirect_uri"], "response_type": {"code"}, "scope": {"openid"}, "request": {r.unsigned(whole)}}
}

func (r *trial) requestObject() {
	q := r.inObject()
	if back := r.person().authorizes(q); back.Get("error") != "request_not_supported" || r.listed["request_parameter_supported"] != false {
		r.t.Errorf("answered %v", back)
	}
}

func (r *trial) requestURI() {
	q := r.inObject()
	q.Del("request")
	q.Set("request_uri", r.own.URL+"/test/a/drawbridge/requesturi")
	if back := r.person().authorizes(q); back.Get("error") != "request_uri_not_supported" || r.listed["request_uri_parameter_supported"] != false {
		r.t.Errorf("answered %v", back)
	}
}

func (r *trial) requestObjectRedirect() {
	q := r.inObject()
	q.Set("redirect_uri", r.app.redirect+"/other")
	r.stopsOnAPage(q, "redirect_uri")
}

func (r *trial) byPost() {
	p := r.person()
	q := r.request(r.app, nil)
	r.works(p.redeems(r.app, q, p.returned(q, p.goes(http.MethodPost, r.listed["authorization_endpoint"].(string), q))))
}

func (r *trial) secretPost() {
	r.app.post = true
	r.happyFlow()
}

func (r *trial) claimsEssential() {
	got := r.person().signsIn(r.app, url.Values{"claims": {`{"userinfo":{"name":{"essential":true}}}`}})
	if info := r.userinfo(got, byHeader(http.MethodGet, got.access)); info["name"] != "Ash Demo" {
		r.t.Errorf("userinfo says %v", info)
	}
}

func (r *trial) refreshToken() {
	offline := url.Values{"scope": {"openid offline_access"}, "prompt": {"consent"}}
	mine := r.refreshes(r.app, r.person().signsIn(r.app, offline))
	offline.Set("nonce", strings.Repeat("n", 43))
	theirs := r.refreshes(r.other, r.person().signsIn(r.other, offline))
	status, answer := r.app.asks(r, "token_endpoint", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {theirs.refresh}})
	r.refused(status, answer, "invalid_grant")
	r.works(mine)
	r.refreshes(r.other, theirs) // and is worth as much as before
}

// refreshes uses a refresh token and holds the tokens against those of before (OpenID
// Connect Core section 12.2).
func (r *trial) refreshes(app relyingParty, was tokens) tokens {
	r.t.Helper()
	status, answer := app.asks(r, "token_endpoint", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {was.refresh}, "scope": {"openid offline_access"}})
	if was.refresh == "" || status != http.StatusOK {
		r.t.Fatalf("the refresh: %d %v", status, answer)
	}
	nonce, _ := was.claims["nonce"].(string)
	if answer["id_token"] != nil && r.verified(answer["id_token"].(string))["nonce"] == nil {
		nonce = "" // it should be left out of a refreshed ID token, or be the same
	}
	is := r.checked(app, answer, nonce)
	if is.access == was.access {
		r.t.Error("the access token is the same")
	}
	for _, claim := range []string{"iss", "sub", "aud", "auth_time", "sid"} {
		if is.claims[claim] != was.claims[claim] {
			r.t.Errorf("%s was %v and is %v", claim, was.claims[claim], is.claims[claim])
		}
	}
	r.works(is)
	return is
}

// challenge is that of RFC 7636 appendix B.
const (
	pkceVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	pkceChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func (r *trial) validPKCE() {
	p := r.person()
	for verifier, want := range map[string]int{pkceVerifier: http.StatusOK, "": http.StatusBadRequest} {
		q := r.request(r.app, url.Values{"code_challenge": {pkceChallenge}, "code_challenge_method": {"S256"}})
		form := url.Values{"grant_type": {"authorization_code"}, "code": {p.authorizes(q).Get("code")}, "redirect_uri": {r.app.redirect}}
		if verifier != "" {
			form.Set("code_verifier", verifier)
		}
		if status, answer := r.app.asks(r, "token_endpoint", form); status != want {
			r.t.Errorf("with verifier %q: %d %v", verifier, status, answer)
		}
	}
}

func (r *trial) discovery() {
	d := r.listed
	has := func(member string, want ...string) {
		values, _ := d[member].([]any)
		for _, w := range want {
			if !slices.Contains(values, any(w)) {
				r.t.Errorf("%s is %v, without %s", member, d[member], w)
			}
		}
	}
	has("response_types_supported", "code")
	has("subject_types_supported", "public")
	has("id_token_signing_alg_values_supported", "RS256")
	has("scopes_supported", "openid", "profile", "email", "address", "phone", "offline_access")
	has("grant_types_supported", "authorization_code", "refresh_token")
	has("token_endpoint_auth_methods_supported", "client_secret_basic", "client_secret_post")
	has("claims_supported", "sub", "iss", "auth_time", "acr", "name", "email")
	has("code_challenge_methods_supported", "S256")
	if d["issuer"] != r.Issuer || d["claims_parameter_supported"] != true {
		r.t.Errorf("issuer %v, claims_parameter_supported %v", d["issuer"], d["claims_parameter_supported"])
	}
	for member, value := range d {
		if at, _ := value.(string); (strings.HasSuffix(member, "_endpoint") || member == "jwks_uri") && !strings.HasPrefix(at, r.Issuer+"/") {
			r.t.Errorf("%s is %v", member, value)
		}
	}
	for member := range d {
		if !slices.Contains(strings.Fields(metadataNames), member) {
			r.t.Errorf("%s is in no registry, and the suite's file does not name it", member)
		}
	}
	seen := map[string]bool{}
	for _, k := range r.keys.Keys {
		if !k.Valid() || !k.IsPublic() || k.KeyID == "" || seen[k.KeyID] || k.Use != "sig" {
			r.t.Errorf("key %s: %s %s", k.KeyID, k.Algorithm, k.Use)
		}
		seen[k.KeyID] = true
	}
}

// metadataNames are the members of ours that have a place in the registry of RFC 8414
// section 7.1 or in OpenID Connect Discovery and its logout specifications, and the one that
// examples/conformance/oidcc.json tells the suite of.
const metadataNames = `issuer authorization_endpoint pushed_authorization_request_endpoint require_pushed_authorization_requests token_endpoint userinfo_endpoint
	jwks_uri introspection_endpoint revocation_endpoint end_session_endpoint scopes_supported response_types_supported response_modes_supported grant_types_supported
	authorization_details_types_supported subject_types_supported id_token_signing_alg_values_supported token_endpoint_auth_methods_supported
	token_endpoint_auth_signing_alg_values_supported introspection_endpoint_auth_methods_supported introspection_endpoint_auth_signing_alg_values_supported
	introspection_signing_alg_values_supported revocation_endpoint_auth_methods_supported revocation_endpoint_auth_signing_alg_values_supported
	dpop_signing_alg_values_supported code_challenge_methods_supported prompt_values_supported claim_types_supported claims_supported claims_parameter_supported
	request_parameter_supported request_uri_parameter_supported authorization_response_iss_parameter_supported frontchannel_logout_supported
	frontchannel_logout_session_supported backchannel_logout_supported backchannel_logout_session_supported revocation_feed_endpoint`
