//go:build lanes

package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// relyingParty is an application as the suite is one: it does not use PKCE.
type relyingParty struct {
	id, secret, redirect string
	post                 bool // client_secret_post instead of client_secret_basic
}

// person is somebody at a browser who reads what it shows and goes on.
type person struct {
	*trial
	browser *http.Client
	asked   []url.Values // what the identity provider was asked, in order
}

func (r *trial) person() *person {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &person{trial: r, browser: &http.Client{Jar: jar, Timeout: patience, CheckRedirect: stay}}
}

// landing is where a browser came to rest: on a page, or back at the suite.
type landing struct {
	page
	back bool // at an address of the suite
}

func (l landing) query(t *testing.T) url.Values {
	t.Helper()
	u, err := url.Parse(l.url)
	if err != nil || u.Fragment != "" {
		t.Fatalf("%s: %v", l.url, err)
	}
	return u.Query()
}

var (
	cardOfAsh     = regexp.MustCompile(`<a class="card" href="([^"]+)">\s*<strong>Ash`)
	linkToGoOn    = regexp.MustCompile(`<a class="button primary" href="([^"]+)"[^>]*>Continue</a>`)
	formForEmail  = regexp.MustCompile(`<form method="post" action="/sign-in">\s*<input type="hidden" name="request" value="([^"]+)">`)
	formToSignOut = regexp.MustCompile(`(?s)<form method="post" action="(/oauth2/end_session)">(.*?)</form>`)
	hiddenField   = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
)

// goes follows redirects, and pages that need no thought, to where it comes to rest.
func (p *person) goes(method, at string, form url.Values) landing {
	p.t.Helper()
	for range 20 {
		got, next := p.hop(method, at, form)
		if strings.HasPrefix(next, p.own.URL+"/") {
			return landing{page{url: next}, true}
		}
		method, form = http.MethodGet, nil
		if next == "" {
			if next, method, form = p.reads(got); next == "" {
				return landing{page: got}
			}
		}
		at = resolved(p.t, got.url, next)
	}
	p.t.Fatalf("no end of redirects at %s", at)
	return landing{}
}

func (p *person) hop(method, at string, form url.Values) (got page, to string) {
	p.t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, at, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if q := req.URL.Query(); strings.HasPrefix(at, p.Connections[0].IdPIssuer+"/") && !q.Has("pick") {
		p.asked = append(p.asked, q)
	}
	res, err := p.browser.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		p.t.Fatal(err)
	}
	if to = res.Header.Get("Location"); to != "" {
		to = resolved(p.t, at, to)
	}
	return page{url: at, status: res.StatusCode, body: string(text)}, to
}

// reads says what somebody does on a page: gives their address, says who they are, goes on.
func (p *person) reads(got page) (next, method string, form url.Values) {
	if m := formForEmail.FindStringSubmatch(got.body); m != nil {
		return "/sign-in", http.MethodPost, url.Values{"request": {html.UnescapeString(m[1])}, "email": {ash}}
	}
	for _, link := range []*regexp.Regexp{cardOfAsh, linkToGoOn} {
		if m := link.FindStringSubmatch(got.body); m != nil {
			return html.UnescapeString(m[1]), http.MethodGet, nil
		}
	}
	return "", "", nil
}

// confirms presses the button of a page that asks whether to sign out.
func (p *person) confirms(on landing) landing {
	p.t.Helper()
	m := formToSignOut.FindStringSubmatch(on.body)
	if on.back || m == nil {
		p.t.Fatalf("nobody asks whether to sign out at %s: %s", on.url, on.body)
	}
	form := url.Values{}
	for _, f := range hiddenField.FindAllStringSubmatch(m[2], -1) {
		form.Set(f[1], html.UnescapeString(f[2]))
	}
	return p.goes(http.MethodPost, resolved(p.t, on.url, m[1]), form)
}

func resolved(t *testing.T, base, ref string) string {
	t.Helper()
	b, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	to, err := b.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	return to.String()
}

// request is the suite's authorization request: no PKCE, state and nonce as it makes them.
func (r *trial) request(app relyingParty, extra url.Values) url.Values {
	q := url.Values{"client_id": {app.id}, "redirect_uri": {app.redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {rand.Text()}, "nonce": {rand.Text()}}
	for name, values := range extra {
		if q[name] = values; len(values) == 0 {
			delete(q, name)
		}
	}
	return q
}

// authorizes sends the person to the authorization endpoint and gives what came back to
// the redirect URI; iss and state are held against the request (RFC 9207).
func (p *person) authorizes(q url.Values) url.Values {
	p.t.Helper()
	at := p.goes(http.MethodGet, p.listed["authorization_endpoint"].(string)+"?"+q.Encode(), nil)
	return p.returned(q, at)
}

func (p *person) returned(q url.Values, at landing) url.Values {
	p.t.Helper()
	if !at.back || !strings.HasPrefix(at.url, q.Get("redirect_uri")+"?") {
		p.t.Fatalf("the browser stopped at %s with status %d:\n%s\n%s", at.url, at.status, at.body, p.log)
	}
	back := at.query(p.t)
	if back.Get("iss") != p.Issuer || back.Get("state") != q.Get("state") || back.Has("code") == back.Has("error") {
		p.t.Fatalf("the answer is %v", back)
	}
	known := []string{"code", "state", "iss"}
	if back.Has("error") {
		known = []string{"error", "error_description", "state", "iss"}
		if d := back.Get("error_description"); strings.ContainsFunc(d, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
			p.t.Errorf("error_description has characters that RFC 6749 section 4.1.2.1 does not allow: %q", d)
		}
	}
	for name, values := range back {
		if len(values) != 1 || !slices.Contains(known, name) {
			p.t.Errorf("the answer has %s=%v", name, values)
		}
	}
	return back
}

// tokens is a token answer whose form has been checked, with the claims of the ID token.
type tokens struct {
	access, refresh, id string
	claims              map[string]any
}

// signsIn runs the whole flow and checks all that the suite checks of every one.
func (p *person) signsIn(app relyingParty, extra url.Values) tokens {
	p.t.Helper()
	q := p.request(app, extra)
	return p.redeems(app, q, p.authorizes(q))
}

func (p *person) redeems(app relyingParty, q, back url.Values) tokens {
	p.t.Helper()
	if back.Get("code") == "" {
		p.t.Fatalf("no code: %v", back)
	}
	status, answer := app.asks(p.trial, "token_endpoint", url.Values{"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {q.Get("redirect_uri")}})
	if status != http.StatusOK {
		p.t.Fatalf("the code: %d %v", status, answer)
	}
	return p.checked(app, answer, q.Get("nonce"))
}

// asks sends a form with the application's credentials to an endpoint that is listed.
func (app relyingParty) asks(r *trial, endpoint string, form url.Values) (int, map[string]any) {
	r.t.Helper()
	if app.post {
		form.Set("client_id", app.id)
		form.Set("client_secret", app.secret)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.listed[endpoint].(string), strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !app.post {
		req.SetBasicAuth(url.QueryEscape(app.id), url.QueryEscape(app.secret))
	}
	return r.sends(req)
}

// sends gives status and JSON of an answer, which nobody may keep.
func (r *trial) sends(req *http.Request) (int, map[string]any) {
	r.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		r.t.Fatal(err)
	}
	if h := res.Header; res.StatusCode == http.StatusOK && (!strings.Contains(h.Get("Cache-Control"), "no-store") || !strings.HasPrefix(h.Get("Content-Type"), "application/json")) {
		r.t.Errorf("%s: %v", req.URL, h)
	}
	answer := map[string]any{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &answer); err != nil {
			r.t.Fatalf("%s: %s %s", req.URL, res.Status, body)
		}
	}
	return res.StatusCode, answer
}

// tokenText are the characters that tokens are made of (RFC 6749 appendix A.12 and A.17).
var tokenText = regexp.MustCompile(`^[\x20-\x7e]{22,}$`)

// checked holds a token answer against RFC 6749 section 5.1 and OpenID Connect Core 3.1.3.3.
func (r *trial) checked(app relyingParty, answer map[string]any, nonce string) tokens {
	r.t.Helper()
	var got tokens
	got.access, _ = answer["access_token"].(string)
	got.refresh, _ = answer["refresh_token"].(string)
	got.id, _ = answer["id_token"].(string)
	expires, isNumber := answer["expires_in"].(float64)
	if !tokenText.MatchString(got.access) || got.refresh != "" && !tokenText.MatchString(got.refresh) || answer["token_type"] != "Bearer" || !isNumber || expires <= 0 || expires != float64(int(expires)) {
		r.t.Fatalf("the token answer: %v", answer)
	}
	for member := range answer {
		if !slices.Contains([]string{"access_token", "token_type", "expires_in", "refresh_token", "id_token", "scope"}, member) {
			r.t.Errorf("the token answer has a member %s", member)
		}
	}
	got.claims = r.verified(got.id)
	r.standard(app, got, nonce)
	return got
}

// verified checks the signature of an ID token, which is by RS256 and names its key.
func (r *trial) verified(token string) map[string]any {
	r.t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		r.t.Fatalf("%v: %s", err, token)
	}
	of := r.keys.Key(jws.Signatures[0].Protected.KeyID)
	if len(of) != 1 {
		r.t.Fatalf("kid %q is not published once", jws.Signatures[0].Protected.KeyID)
	}
	payload, err := jws.Verify(of[0])
	var claims map[string]any
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return claims
}

// standard checks the claims of an ID token (OpenID Connect Core section 2 and 3.1.3.7).
func (r *trial) standard(app relyingParty, got tokens, nonce string) {
	r.t.Helper()
	c := got.claims
	number := func(name string) time.Time { n, _ := c[name].(float64); return time.Unix(int64(n), 0) }
	sub, _ := c["sub"].(string)
	sum := sha256.Sum256([]byte(got.access))
	said, _ := c["nonce"].(string)
	switch {
	case c["iss"] != r.Issuer, c["aud"] != app.id, sub == "", len(sub) > 255, said != nonce,
		!number("exp").After(time.Now()), number("iat").After(time.Now().Add(time.Minute)), number("iat").Before(time.Now().Add(-time.Minute)),
		c["at_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]):
		r.t.Errorf("the ID token for %s with nonce %q says %v", app.id, nonce, c)
	}
}

// userinfo asks in the way that how makes a request of, and holds sub against the ID token's.
func (r *trial) userinfo(got tokens, how func(at string) (*http.Request, error)) map[string]any {
	r.t.Helper()
	req, err := how(r.listed["userinfo_endpoint"].(string))
	if err != nil {
		r.t.Fatal(err)
	}
	status, info := r.sends(req.WithContext(r.t.Context()))
	if status != http.StatusOK || info["sub"] != got.claims["sub"] {
		r.t.Fatalf("userinfo: %d %v", status, info)
	}
	for name, v := range info {
		if v == nil || v == "" {
			r.t.Errorf("userinfo says %s is %q", name, v)
		}
	}
	return info
}

// byHeader shows the access token in the header.
func byHeader(method, access string) func(string) (*http.Request, error) {
	return func(at string) (*http.Request, error) {
		req, err := http.NewRequest(method, at, nil)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+access)
		}
		return req, err
	}
}

// works fails unless an access token opens userinfo; dead unless it does not.
func (r *trial) works(got tokens) {
	r.t.Helper()
	r.userinfo(got, byHeader(http.MethodGet, got.access))
}

func (r *trial) dead(got tokens) {
	r.t.Helper()
	req, err := byHeader(http.MethodGet, got.access)(r.listed["userinfo_endpoint"].(string))
	if err != nil {
		r.t.Fatal(err)
	}
	if status, answer := r.sends(req); status != http.StatusUnauthorized {
		r.t.Errorf("the access token still opens userinfo: %d %v", status, answer)
	}
}

// refused fails unless an answer of the token endpoint is that error.
func (r *trial) refused(status int, answer map[string]any, code string) {
	r.t.Helper()
	if status != http.StatusBadRequest || answer["error"] != code {
		r.t.Errorf("answered %d %v, want %s", status, answer, code)
	}
}
