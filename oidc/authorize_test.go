package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// wantSent checks a redirect to the application: where, which error ("" for a
// code), and that state and iss are there.
func wantSent(t *testing.T, rec *httptest.ResponseRecorder, code string) url.Values {
	t.Helper()
	q := sent(rec)
	if q == nil || !strings.HasPrefix(rec.Header().Get("Location"), webURI+"?") {
		t.Fatalf("not redirected to the application: %d %s %s", rec.Code, rec.Header().Get("Location"), rec.Body)
	}
	if q.Get("error") != code || (code == "") != (q.Get("code") != "") {
		t.Errorf("redirected with error %q (%s) and code %q, want error %q", q.Get("error"), q.Get("error_description"), q.Get("code"), code)
	}
	if code != "" && q.Get("error_description") == "" {
		t.Error("an error says what to do")
	}
	if q.Get("iss") != "https://id.drawbridge.example" {
		t.Errorf("iss is %q (RFC 9207)", q.Get("iss"))
	}
	if rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers of a redirect: %v", rec.Header())
	}
	return q
}

func wantFailed(t *testing.T, rec *httptest.ResponseRecorder, status int) {
	t.Helper()
	if rec.Code != status || rec.Header().Get("Location") != "" || !strings.HasPrefix(rec.Body.String(), "FAIL ") {
		t.Errorf("want a page with %d and no redirect: %d %s %s", status, rec.Code, rec.Header().Get("Location"), rec.Body)
	}
}

// TestPKCEIsRequiredOfEveryClient is the table of T-E2.
func TestPKCEIsRequiredOfEveryClient(t *testing.T) {
	for _, row := range []struct {
		name, challenge, method, want string
	}{
		{"S256", challenge, "S256", ""},
		{"nothing", "", "", "invalid_request"},
		{"method without challenge", "", "S256", "invalid_request"},
		{"method left out means plain", challenge, "", "invalid_request"},
		{"plain", challenge, "plain", "invalid_request"},
		{"plain with a verifier as challenge", verifier, "plain", "invalid_request"},
		{"lower-case s256", challenge, "s256", "invalid_request"},
		{"unknown method", challenge, "S512", "invalid_request"},
		{"short challenge", challenge[1:], "S256", "invalid_request"},
		{"long challenge", challenge + "A", "S256", "invalid_request"},
		{"padded challenge", challenge[1:] + "=", "S256", "invalid_request"},
		{"challenge with other characters", challenge[1:] + "~", "S256", "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			cookie := w.person("ada")
			wantSent(t, w.authorize(cookie, "code_challenge", row.challenge, "code_challenge_method", row.method), row.want)
		})
	}
	t.Run("empty method is there but says nothing", func(t *testing.T) {
		w := newWorld()
		q := strings.Replace(ask().Encode(), "code_challenge_method=S256", "code_challenge_method=", 1)
		wantSent(t, w.do(call{path: pathAuthorize, query: q, cookie: w.person("ada")}), "invalid_request")
	})
}

// TestRequestsThatTheApplicationMustFix go to its redirect URI.
func TestRequestsThatTheApplicationMustFix(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, row := range []struct {
		name   string
		change []string
		want   string
	}{
		{"oidcc-response-type-missing", []string{"response_type", ""}, "invalid_request"},
		{"implicit", []string{"response_type", "token"}, "unsupported_response_type"},
		{"hybrid", []string{"response_type", "code id_token"}, "unsupported_response_type"},
		{"response_type=none", []string{"response_type", "none"}, "unsupported_response_type"},
		{"fragment", []string{"response_mode", "fragment"}, "invalid_request"},
		{"query, said aloud", []string{"response_mode", "query"}, ""},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", []string{"request", "e30.e30."}, "request_not_supported"},
		{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", []string{"request_uri", "https://fleet.example/r"}, "request_uri_not_supported"},
		{"no scope", []string{"scope", ""}, "invalid_scope"},
		{"scope without openid", []string{"scope", "profile"}, "invalid_scope"},
		{"two grants", []string{"scope", "openid grant:a grant:b"}, "invalid_scope"},
		{"a grant without an id", []string{"scope", "openid grant:"}, "invalid_scope"},
		{"unknown prompt", []string{"prompt", "create"}, "invalid_request"},
		{"none with login", []string{"prompt", "none login"}, "invalid_request"},
		{"negative max_age", []string{"max_age", "-1"}, "invalid_request"},
		{"max_age with a fraction", []string{"max_age", "1.5"}, "invalid_request"},
		{"huge max_age", []string{"max_age", "99999999999"}, "invalid_request"},
		{"hint that is not ours", []string{"id_token_hint", "e30.e30.e30"}, "invalid_request"},
		{"nonce of 512", []string{"nonce", long(512)}, ""},
		{"nonce of 513", []string{"nonce", long(513)}, "invalid_request"},
		{"state of 2 KiB", []string{"state", long(2048)}, ""},
		{"long state", []string{"state", long(2049)}, "invalid_request"},
		{"long scope", []string{"scope", "openid " + long(2048)}, "invalid_request"},
		{"long login_hint", []string{"login_hint", long(513)}, "invalid_request"},
		{"long connection", []string{"connection", long(129)}, "invalid_request"},
		{"long prompt", []string{"prompt", strings.Repeat("login ", 30)}, "invalid_request"},
		{"long hint", []string{"id_token_hint", long(8193)}, "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			q := wantSent(t, w.authorize(w.person("ada"), row.change...), row.want)
			if s := q.Get("state"); row.change[0] != "state" && s != "st&a=te" {
				t.Errorf("state came back as %q", s)
			}
		})
	}
}

// TestRequestsThatMustPass names the certification modules whose behaviour is here.
func TestRequestsThatMustPass(t *testing.T) {
	for _, row := range []struct {
		name   string
		change []string
	}{
		{"oidcc-server", nil},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", []string{"nonce", ""}},
		{"oidcc-scope-profile", []string{"scope", "openid profile"}},
		{"oidcc-scope-email", []string{"scope", "openid email"}},
		{"oidcc-scope-address", []string{"scope", "openid address"}},
		{"oidcc-scope-phone", []string{"scope", "openid phone"}},
		{"oidcc-scope-all", []string{"scope", "openid address email phone profile"}},
		{"oidcc-alternate-happy-flow", []string{"scope", "live_view profile openid"}},
		{"oidcc-display-page", []string{"display", "page"}},
		{"oidcc-display-popup", []string{"display", "popup"}},
		{"oidcc-ensure-request-with-unknown-parameter-succeeds", []string{"extra", "foobar"}},
		{"oidcc-login-hint", []string{"login_hint", "buffy@id.drawbridge.example"}},
		{"oidcc-ui-locales", []string{"ui_locales", "se"}},
		{"oidcc-claims-locales", []string{"claims_locales", "se"}},
		{"oidcc-ensure-request-with-acr-values-succeeds", []string{"acr_values", "1 2"}},
		{"implicit claims of nothing", []string{"claims", "{}"}},
		{"claims that nobody knows", []string{"claims", `{"userinfo":{"https://fleet.example/shoe":null,"picture":{"essential":true}},"other":[1]}`}},
		{"acr that is a wish", []string{"claims", `{"id_token":{"acr":{"values":["gold"]}}}`}},
		{"claims-locales and languages that are none", []string{"claims_locales", "??", "ui_locales", "?? en-AU"}},
		{"oidcc-claims-essential", []string{"claims", `{"userinfo":{"name":{"essential":true}}}`}},
		{"oidcc-ensure-request-with-valid-pkce-succeeds", nil},
		{"no state", []string{"state", ""}},
		{"offline_access is ignored unless registered", []string{"scope", "openid offline_access"}},
		{"resource may repeat", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			query := ask(row.change...).Encode()
			if row.name == "resource may repeat" {
				query += "&resource=https%3A%2F%2Fapi.fleet.example%2Fv1&resource=urn:fleet:video"
			}
			wantSent(t, w.do(call{path: pathAuthorize, query: query, cookie: w.person("ada")}), "")
		})
	}
}

func TestAParameterThatRepeatsIsRefused(t *testing.T) {
	for _, name := range authorizeParams {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			q := ask(name, cmpOr(ask().Get(name), "x"))
			if name == "request" || name == "request_uri" || name == "registration" {
				q.Del(name)
			}
			q.Add(name, "x")
			q.Add(name, "x")
			rec := w.do(call{path: pathAuthorize, query: q.Encode(), cookie: w.person("ada")})
			switch name {
			case "client_id", "redirect_uri":
				wantFailed(t, rec, http.StatusBadRequest)
			case "request", "request_uri", "registration":
				wantSent(t, rec, name+"_not_supported")
			case "state":
				if got := wantSent(t, rec, "invalid_request"); got.Has("state") {
					t.Error("one of two states was echoed")
				}
			default:
				wantSent(t, rec, "invalid_request")
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestAHeadSignsNobodyIn: link checkers and previews send them.
func TestAHeadSignsNobodyIn(t *testing.T) {
	w := newWorld()
	for _, path := range []string{pathAuthorize, pathEndSession} {
		rec := w.do(call{method: http.MethodHead, path: path, query: ask().Encode(), cookie: w.person("ada")})
		if rec.Code != http.StatusMethodNotAllowed || len(w.codes) != 0 {
			t.Errorf("%s: %d, %d codes", path, rec.Code, len(w.codes))
		}
	}
}

// TestARequestThatNeedsAPageIsStoredAndBound: immutable, for ten minutes, to the
// browser that has its cookie.
func TestARequestThatNeedsAPageIsStoredAndBound(t *testing.T) {
	w := newWorld()
	rec := w.authorize("", "max_age", "60", "login_hint", "ada@reefline.example", "connection", "reefline",
		"scope", "openid live_view unknown reports live_view grant:asg_7")
	if rec.Code != http.StatusOK || len(w.begun) != 1 {
		t.Fatalf("no page began: %d %s", rec.Code, rec.Body)
	}
	got := w.begun[0]
	stored, kept := w.requests[got.ID]
	if !kept || stored.ID != got.ID || stored.Browser != got.Browser {
		t.Error("the stored request is not the one that the page was given")
	}
	if got.Client != "fleet-web" || got.RedirectURI != webURI || got.State != "st&a=te" || got.Nonce != "n-1" || got.CodeChallenge != challenge ||
		got.MaxAge != time.Minute || got.LoginHint != "ada@reefline.example" || got.Connection != "reefline" || got.Grant != "asg_7" {
		t.Errorf("stored %+v", got)
	}
	if s := strings.Join(got.OAuthScopes, " "); s != "openid live_view reports" {
		t.Errorf("scopes %q", s)
	}
	if !got.Created.Equal(w.now) || !got.Expires.Equal(w.now.Add(10*time.Minute)) {
		t.Errorf("lives from %v to %v", got.Created, got.Expires)
	}
	cookies := rec.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies: %v", cookies)
	}
	c := cookies[0]
	if c.Name != RequestCookie(true, got.ID) || !strings.HasPrefix(c.Name, "__Host-drawbridge_req_") || credential.DigestOf(c.Value) != got.Browser {
		t.Errorf("the cookie %s does not bind the request", c.Name)
	}
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("the cookie's attributes: %s", c)
	}
}

func TestCookiesOverPlainHTTPHaveNoPrefix(t *testing.T) {
	w := newWorld()
	w.issuer = "http://127.0.0.1:8080"
	c := w.authorize("").Result().Cookies()[0]
	if c.Secure || !strings.HasPrefix(c.Name, "drawbridge_req_") {
		t.Errorf("%s", c)
	}
}

func TestTwoTabsHaveTwoCookies(t *testing.T) {
	w := newWorld()
	a, b := w.authorize("").Result().Cookies()[0], w.authorize("").Result().Cookies()[0]
	if a.Name == b.Name || a.Value == b.Value {
		t.Error("two requests share a cookie")
	}
}

// TestTheStoredRequestSaysWhatThePageMustDo even though the browser has a session.
func TestTheStoredRequestSaysWhatThePageMustDo(t *testing.T) {
	for name, row := range map[string]struct {
		change []string
		prompt string
	}{
		"prompt=login":                  {[]string{"prompt", "login"}, "login"},
		"max_age=0":                     {[]string{"max_age", "0"}, "login"},
		"chooser":                       {[]string{"prompt", "select_account"}, "select_account"},
		"sign in, then choose":          {[]string{"prompt", "select_account login"}, "select_account login"},
		"the client takes other grants": {[]string{"client_id", "technicians", "redirect_uri", "https://tech.example/cb"}, "select_account"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.authorize(w.person("ada"), row.change...)
			if len(w.begun) != 1 || strings.Join(w.begun[0].Prompt, " ") != row.prompt {
				t.Errorf("began %+v, want prompt %q", w.begun, row.prompt)
			}
		})
	}
}

func TestAClientIsGivenOnlyItsWorkflows(t *testing.T) {
	w := newWorld()
	w.authorize("", "client_id", "native", "redirect_uri", "http://127.0.0.1:7777/cb", "scope", "openid live_view users.manage")
	if s := strings.Join(w.begun[0].OAuthScopes, " "); s != "openid live_view" {
		t.Errorf("scopes %q", s)
	}
}

func TestOIDCCEnsurePostRequestSucceeds(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	wantSent(t, w.do(call{method: http.MethodPost, path: pathAuthorize, form: ask(), cookie: cookie}), "")
	wantFailed(t, w.do(call{method: http.MethodPost, path: pathAuthorize, query: ask().Encode(), body: "x=1", cookie: cookie}), http.StatusBadRequest)
	wantFailed(t, w.do(call{method: http.MethodPost, path: pathAuthorize, body: "{}", contentType: "application/json"}), http.StatusUnsupportedMediaType)
	wantFailed(t, w.do(call{method: http.MethodPost, path: pathAuthorize, body: strings.Repeat("a", maxForm+1)}), http.StatusRequestEntityTooLarge)
}

// TestAPostFromAnotherSiteComesBackAsAGet, because browsers leave SameSite=Lax
// cookies out of it and the person would have to sign in again.
func TestAPostFromAnotherSiteComesBackAsAGet(t *testing.T) {
	w := newWorld()
	rec := w.do(call{method: http.MethodPost, path: pathAuthorize, form: ask(), header: http.Header{"Sec-Fetch-Site": {"cross-site"}}})
	to, err := rec.Result().Location()
	if err != nil || rec.Code != http.StatusSeeOther || to.Host != "id.drawbridge.example" || to.Path != pathAuthorize {
		t.Fatalf("%d %v", rec.Code, to)
	}
	wantSent(t, w.do(call{path: pathAuthorize, query: to.RawQuery, cookie: w.person("ada")}), "")
}

func TestMustChooseIsNeverSilent(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	w.mustChoose(cookie)
	wantSent(t, w.authorize(cookie, "prompt", "none"), "interaction_required")
	wantSent(t, w.authorize(cookie, "prompt", "none", "scope", "openid grant:asg_visit"), "")
}

// TestTroubleIsToldWithoutInternalText at the redirect URI once that is good.
func TestTroubleIsToldWithoutInternalText(t *testing.T) {
	for _, row := range []struct {
		down error
		want string
	}{
		{fault.New(fault.Unavailable, "db.Secret", ""), "temporarily_unavailable"},
		{fault.New(fault.Limited, "db.Secret", ""), "temporarily_unavailable"},
		{fault.Wrap(fault.Internal, "db.Secret", http.ErrServerClosed), "server_error"},
		{fault.New(fault.Denied, "db.Secret", ""), "access_denied"},
		{fault.New(fault.Stale, "db.Secret", ""), "login_required"},
	} {
		w := newWorld()
		cookie := w.person("ada")
		w.change = func(c *Config) { c.Codes = failing{row.down} }
		rec := w.authorize(cookie)
		wantSent(t, rec, row.want)
		if strings.Contains(rec.Header().Get("Location"), "Secret") || strings.Contains(rec.Header().Get("Location"), "Server") {
			t.Errorf("internal text left: %s", rec.Header().Get("Location"))
		}
		if len(w.observed) != 1 {
			t.Errorf("observed %v, want the error once", w.observed)
		}
	}
}

// TestTheStoreIsDownBehindAGoodAddress: the application is told, and nobody is
// taken for signed out.
func TestTheStoreIsDownBehindAGoodAddress(t *testing.T) {
	for name, row := range map[string]struct {
		cookie string
		change []string
	}{
		"the session cannot be read":   {"cookie-ada", nil},
		"the hint cannot be verified":  {"", []string{"id_token_hint", "own"}},
		"the request cannot be stored": {"", nil},
		"silent":                       {"cookie-ada", []string{"prompt", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.person("ada")
			w.hints["own"] = Hint{Session: "ses_ada", Person: "per_ada", Client: "fleet-web"}
			w.down = fault.New(fault.Unavailable, "db", "")
			w.change = func(c *Config) { c.Clients = newWorld() }
			wantSent(t, w.authorize(row.cookie, row.change...), "temporarily_unavailable")
			if len(w.begun) != 0 {
				t.Error("a page began with a request that was not stored")
			}
		})
	}
}

// TestAHintIsOfTheSameClient, and a good one lets a silent request through.
func TestAHintIsOfTheSameClient(t *testing.T) {
	w := newWorld()
	set, cookie := w.signIn(t, "openid")
	wantSent(t, w.authorize(cookie, "prompt", "none", "id_token_hint", set["id_token"].(string)), "")
	w.hints["foreign"] = Hint{Session: "ses_ada", Person: "per_ada", Client: "other-web"}
	wantSent(t, w.authorize(cookie, "prompt", "none", "id_token_hint", "foreign"), "invalid_request")
	w.hints["bob"] = Hint{Session: "ses_bob", Person: "per_bob", Client: "fleet-web"}
	wantSent(t, w.authorize(cookie, "prompt", "none", "id_token_hint", "bob"), "login_required")
	w.authorize(cookie, "id_token_hint", "bob")
	if len(w.begun) != 1 || !slices.Contains(w.begun[0].Prompt, PromptLogin) {
		t.Errorf("began %+v, want a new sign-in", w.begun)
	}
}
