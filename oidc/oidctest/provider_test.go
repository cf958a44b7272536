package oidctest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // no new keys for each test
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

const callback = "http://127.0.0.1:1/connect/banksia/callback"

func relyingParty(idp *oidctest.IdP) *oidctest.Client {
	return &oidctest.Client{
		Issuer: idp.Issuer(), ClientID: "bridge", ClientSecret: secret.New("s p:e%c"),
		RedirectURI: callback, OAuthScopes: []string{"profile", "email"},
	}
}

// go-oidc, which we did not write, accepts what both vendors' providers issue.
func TestSignInAtBothVendors(t *testing.T) {
	for name, v := range map[string]struct {
		make vendor
		want map[string]any
	}{
		"entra": {oidctest.NewEntra, map[string]any{"oid": "oid-sam", "tid": tenant, "preferred_username": "sam@banksia.example", "ver": "2.0"}},
		"okta":  {oidctest.NewOkta, map[string]any{"sub": "oid-sam", "email": "sam@banksia.example", "name": "Sam Ryder"}},
	} {
		t.Run(name, func(t *testing.T) {
			idp, _ := open(t, v.make, "http://127.0.0.1:1", nil)
			c := relyingParty(idp)
			tokens, err := c.SignIn(t.Context(), "SAM@banksia.example")
			if err != nil {
				t.Fatal(err)
			}
			for claim, want := range v.want {
				if tokens.Claims[claim] != want {
					t.Errorf("%s is %v, want %v", claim, tokens.Claims[claim], want)
				}
			}
			if name == "entra" && tokens.Claims["sub"] == "oid-sam" {
				t.Error("Entra's sub must be pairwise, not the object id")
			}
			info, err := c.UserInfo(t.Context(), tokens.AccessToken)
			if err != nil || info["sub"] != tokens.Claims["sub"] {
				t.Errorf("userinfo: %v, %v", info, err)
			}
		})
	}
}

// A code works once, with its verifier and its redirect URI only.
func TestCodeIsUsedOnceAndBound(t *testing.T) {
	idp, base := open(t, oidctest.NewOkta, "http://127.0.0.1:1", nil)
	verifier := strings.Repeat("v", 43)
	for name, change := range map[string]func(url.Values){
		"wrong verifier":     func(f url.Values) { f.Set("code_verifier", strings.Repeat("w", 43)) },
		"no verifier":        func(f url.Values) { f.Del("code_verifier") },
		"other redirect URI": func(f url.Values) { f.Set("redirect_uri", callback+"/") },
		"wrong secret":       func(f url.Values) { f.Set("client_secret", "nope") },
	} {
		form := exchange(codeFor(t, idp, verifier), verifier)
		change(form)
		if status := post(t, base+"/oauth2/v1/token", form); status/100 == 2 {
			t.Errorf("%s: the code was accepted", name)
		}
	}
	form := exchange(codeFor(t, idp, verifier), verifier)
	if first, second := post(t, base+"/oauth2/v1/token", form), post(t, base+"/oauth2/v1/token", form); first != 200 || second != 400 {
		t.Errorf("first use %d, second use %d", first, second)
	}
}

// Somebody who is disabled between the redirect and the exchange gets no token.
func TestDisabledPersonGetsNoToken(t *testing.T) {
	_, scim := newFar(t)
	idp, base := open(t, oidctest.NewOkta, scim, nil)
	if _, err := idp.SyncAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	verifier := strings.Repeat("v", 43)
	form := exchange(codeFor(t, idp, verifier), verifier)
	if _, err := idp.Disable(t.Context(), "sam@banksia.example"); err != nil {
		t.Fatal(err)
	}
	if status := post(t, base+"/oauth2/v1/token", form); status != 400 {
		t.Errorf("status %d", status)
	}
}

func exchange(code, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {callback},
		"client_id": {"bridge"}, "client_secret": {"s p:e%c"}}
}

func authorizeURL(idp *oidctest.IdP, change url.Values) string {
	q := url.Values{"response_type": {"code"}, "client_id": {"bridge"}, "redirect_uri": {callback}, "scope": {"openid profile"}, "state": {"st"},
		"login_hint": {"sam@banksia.example"}, "code_challenge": {s256("unused")}, "code_challenge_method": {"S256"}}
	for k, v := range change {
		q[k] = v
	}
	path := "/oauth2/v1/authorize"
	base := idp.Issuer()
	if b, ok := strings.CutSuffix(base, "/v2.0"); ok {
		base, path = b, "/oauth2/v2.0/authorize"
	}
	return base + path + "?" + q.Encode()
}

func codeFor(t *testing.T, idp *oidctest.IdP, verifier string) string {
	t.Helper()
	res, _ := visit(t, nil, authorizeURL(idp, url.Values{"code_challenge": {s256(verifier)}}))
	to, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	return to.Query().Get("code")
}

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func visit(t *testing.T, jar http.CookieJar, at string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func post(t *testing.T, at string, form url.Values) int {
	t.Helper()
	res, err := http.PostForm(at, form) //nolint:noctx // a test on loopback
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // only the status matters
	return res.StatusCode
}

// Only the registered client and redirect URI are ever redirected to.
func TestNothingIsRedirectedToStrangers(t *testing.T) {
	idp, _ := open(t, oidctest.NewEntra, "http://127.0.0.1:1", nil)
	for name, change := range map[string]url.Values{
		"unknown client": {"client_id": {"other"}},
		"longer URI":     {"redirect_uri": {callback + "/x"}},
		"other host":     {"redirect_uri": {"http://evil.example/"}},
	} {
		if res, _ := visit(t, nil, authorizeURL(idp, change)); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, res.StatusCode)
		}
	}
	for name, change := range map[string]url.Values{
		"plain PKCE":          {"code_challenge_method": {"plain"}},
		"no PKCE":             {"code_challenge": {""}},
		"implicit":            {"response_type": {"token"}},
		"no openid":           {"scope": {"profile"}},
		"none, nobody signed": {"prompt": {"none"}, "login_hint": {""}},
	} {
		res, _ := visit(t, nil, authorizeURL(idp, change))
		to, err := res.Location()
		if err != nil || to.Query().Get("error") == "" || to.Query().Get("state") != "st" {
			t.Errorf("%s: %d to %v", name, res.StatusCode, to)
		}
	}
}

// Without a hint the page lists the people; a pick signs in and is remembered; a
// disabled person is told so and gets no code.
func TestPeopleChooseThemselves(t *testing.T) {
	idp, base := open(t, oidctest.NewEntra, "http://127.0.0.1:1", nil)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	res, page := visit(t, jar, authorizeURL(idp, url.Values{"login_hint": {""}}))
	if res.StatusCode != 200 || !strings.Contains(page, "Sam Ryder") || strings.Contains(page, "pick=oid-old") {
		t.Fatalf("status %d, page:\n%s", res.StatusCode, page)
	}
	if csp := res.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
	res, _ = visit(t, jar, authorizeURL(idp, url.Values{"login_hint": {""}, "pick": {"oid-kim"}}))
	if res.StatusCode != http.StatusFound {
		t.Fatalf("the pick was answered %d", res.StatusCode)
	}
	res, _ = visit(t, jar, authorizeURL(idp, url.Values{"login_hint": {""}, "prompt": {"none"}}))
	if to, err := res.Location(); err != nil || to.Query().Get("code") == "" {
		t.Errorf("the browser was not remembered: %v", to)
	}
	for _, prompt := range []string{"", "select_account", "login"} {
		if res, _ = visit(t, jar, authorizeURL(idp, url.Values{"login_hint": {""}, "prompt": {prompt}})); res.StatusCode != 200 {
			t.Errorf("prompt %q was answered %d", prompt, res.StatusCode)
		}
	}
	res, page = visit(t, nil, authorizeURL(idp, url.Values{"login_hint": {"old@banksia.example"}}))
	if res.StatusCode != http.StatusForbidden || !strings.Contains(page, "disabled") {
		t.Errorf("a disabled person was answered %d", res.StatusCode)
	}
	if res, _ = visit(t, nil, strings.Replace(base, "127.0.0.1", "localhost", 1)+"/"); res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another host name was answered %d", res.StatusCode)
	}
}

// The client says where it stopped, and which error came back.
func TestClientSaysWhereItStopped(t *testing.T) {
	idp, _ := open(t, oidctest.NewOkta, "http://127.0.0.1:1", nil)
	var stopped *oidctest.Stopped
	if _, err := relyingParty(idp).SignIn(t.Context(), "old@banksia.example"); !errors.As(err, &stopped) || stopped.Status != 403 {
		t.Errorf("got %v", err)
	}
	var refused *oidctest.OAuthError
	if _, err := relyingParty(idp).Authorize(t.Context(), url.Values{"prompt": {"none"}}); !errors.As(err, &refused) || refused.Code != "login_required" {
		t.Errorf("got %v", err)
	}
}

// The buttons of the page send the vendor's request, show it with its answer and
// time, and do nothing for another site.
func TestButtonsSendAndShow(t *testing.T) {
	f, scim := newFar(t)
	idp, base := open(t, oidctest.NewEntra, scim, nil)
	if _, err := idp.SyncAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.said()
	if status := post(t, base+"/people/oid-sam/disable", nil); status != 200 {
		t.Fatalf("the button was answered %d", status)
	}
	if said := f.said(); !strings.Contains(said, `"active","value":"False"`) {
		t.Errorf("sent %s", said)
	}
	if _, page := visit(t, nil, base+"/"); !strings.Contains(page, "disable sam@banksia.example") || !strings.Contains(page, " ms") {
		t.Errorf("the page does not show it:\n%s", page)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/people/oid-kim/disable", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // only the status matters
	if res.StatusCode != http.StatusForbidden || f.said() != "\n" {
		t.Errorf("another site's form was answered %d", res.StatusCode)
	}
}

// A refused change is an error with the bridge's own sentence, and is in the log.
func TestRefusalIsReported(t *testing.T) {
	_, scim := newFar(t)
	idp, _ := open(t, oidctest.NewEntra, scim, func(c *oidctest.Config) { c.SCIM.Token = secret.New("wrong") })
	_, err := idp.SyncAll(t.Context())
	var refused *oidctest.SCIMError
	if !errors.As(err, &refused) || refused.Status != 401 || refused.Detail != "who are you?" {
		t.Errorf("got %v", err)
	}
	if x := idp.Exchanges(); len(x) != 1 || x[0].Status != 401 || strings.Contains(x[0].Request+x[0].Response, "wrong") {
		t.Errorf("the log has %+v", x)
	}
}

// Okta's random password reaches the bridge and not the log; members go out at
// most a hundred at a time.
func TestPasswordsStayOutAndMembersAreChunked(t *testing.T) {
	f, scim := newFar(t)
	idp, _ := open(t, oidctest.NewOkta, scim, func(c *oidctest.Config) {
		var many []oidctest.Person
		var ids []string
		for n := range 205 {
			id := fmt.Sprintf("oid-%03d", n)
			many = append(many, oidctest.Person{ObjectID: id, UserName: id + "@banksia.example", Active: true})
			ids = append(ids, id)
		}
		c.Directory = oidctest.NewDirectory(many, []oidctest.Group{{ObjectID: "g", Name: "gl-all", Members: ids}})
	})
	r, err := idp.SyncAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.PeopleCreated != 205 || r.Memberships != 205 {
		t.Errorf("report %+v", r)
	}
	if n := strings.Count(f.said(), `"op":"add"`); n != 3 {
		t.Errorf("%d requests added the members", n)
	}
	log := fmt.Sprint(idp.Exchanges())
	if len(idp.Exchanges()) > 200 || strings.Contains(log, f.password) || !strings.Contains(log, "[redacted]") {
		t.Error("the log is unbounded or shows a password")
	}
}
