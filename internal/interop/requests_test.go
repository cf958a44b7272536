//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// asked is one authorization request, as both providers are asked it.
type asked struct {
	post     bool
	signedIn bool       // the browser has a session
	ahead    bool       // sent ahead by the application itself (RFC 9126)
	params   url.Values // but for what differs between the two: see placeholders
	changed  []change   // how it differs from a request that is good
}

// What a request says instead of values that each provider has its own of.
const (
	ownHint   = "{hint}"         // an ID token for this application and this session
	otherHint = "{another hint}" // one that was issued to another application
)

func (a asked) String() string {
	method, who := "GET", "a stranger"
	if a.post {
		method = "POST"
	}
	if a.signedIn {
		who = "somebody signed in"
	}
	if a.ahead {
		method, who = "pushed", "the application"
	}
	return fmt.Sprintf("%s by %s with %v", method, who, a.changed)
}

// only says whether the request differs from a good one in a parameter alone, which has
// one of these values.
func (a asked) only(param string, values ...string) bool {
	return len(a.changed) == 1 && a.changed[0].param == param && slices.Contains(values, a.params.Get(param))
}

// change is a value that a parameter has instead of a good one; nil takes it out.
type change struct {
	param  string
	values []string
}

func (c change) String() string {
	if c.values == nil {
		return c.param + " left out"
	}
	return fmt.Sprintf("%s %q", c.param, c.values)
}

// good is a request that holds.
func good(redirectURI string) url.Values {
	return url.Values{"response_type": {"code"}, "client_id": {"compared"}, "redirect_uri": {redirectURI}, "scope": {"openid"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}}
}

// changes are what is tried of each parameter, each by itself and by pairs.
func changes(redirectURI string) []change {
	of := func(param string, values ...string) []change {
		var all []change
		for _, v := range values {
			all = append(all, change{param, []string{v}})
		}
		return all
	}
	twice := func(param, value string) change { return change{param, []string{value, value}} }
	return slices.Concat(
		of("response_type", "", "token", "id_token", "none", "code token", "code id_token", "Code", "code code", "unknown"),
		of("client_id", "", "unknown"),
		of("redirect_uri", "", redirectURI+"/", redirectURI+"?a=b", redirectURI+"#f", strings.Replace(redirectURI, "callback", "CALLBACK", 1), "https://other.example/callback",
			strings.Replace(redirectURI, "127.0.0.1", "localhost", 1), "javascript:alert(1)", "/callback"),
		of("scope", "", "profile", "OPENID", "openid unknown", "openid openid", "openid profile", "openid offline_access", "profile openid"),
		of("prompt", "", "none", "login", "consent", "select_account", "login consent", "none login", "login none", "none none", "unknown", "NONE", "login unknown"),
		of("max_age", "", "0", "100000", "-1", "abc", "1.5", "+100000", "99999999999999999999"),
		of("code_challenge", "", "short", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", strings.Repeat("a", 128), strings.Repeat("a", 129)),
		of("code_challenge_method", "", "plain", "s256", "S512"),
		of("request", "", "x", "eyJhbGciOiJub25lIn0.e30."),
		of("request_uri", "", "https://app.example/request", "urn:ietf:params:oauth:request_uri:unknown"),
		of("registration", "{}"),
		of("response_mode", "", "query", "fragment", "form_post", "jwt", "unknown"),
		of("id_token_hint", "", ownHint, otherHint, "x"),
		of("login_hint", "", "somebody"),
		of("acr_values", "", "one two"),
		of("ui_locales", "en", "de-DE en"),
		of("display", "page", "unknown"),
		of("claims", "", "{}", "[]", "{", `{"userinfo":{"email":null}}`, `{"id_token":{"acr":{"essential":true,"values":["unheard of"]}}}`, `{"id_token":{"email":1}}`, `{"id_token":[]}`),
		of("resource", "https://other.example/api", "not-a-uri", "https://other.example/api#f"),
		of("dpop_jkt", "short", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
		of("unknown", "", "x"),
		[]change{
			twice("response_type", "code"), twice("client_id", "compared"), twice("redirect_uri", redirectURI), twice("scope", "openid"), twice("state", "s"), twice("nonce", "n"),
			twice("prompt", "login"), twice("max_age", "1"), twice("code_challenge_method", "S256"), twice("response_mode", "query"), twice("login_hint", "a"), twice("unknown", "a"), twice("display", "page"),
			{"response_type", nil}, {"client_id", nil}, {"redirect_uri", nil}, {"scope", nil}, {"state", nil}, {"nonce", nil}, {"code_challenge", nil}, {"code_challenge_method", nil},
		})
}

// pairs is how many requests differ in two parameters.
const pairs = 400

// requests are every change by itself, and pairs of them; the same ones each time.
func requests(redirectURI string) []asked {
	all, draw := changes(redirectURI), rand.New(rand.NewPCG(1, 2))
	var out []asked
	add := func(like asked, cs ...change) {
		like.params, like.changed = good(redirectURI), cs
		for _, c := range cs {
			like.params[c.param] = c.values
		}
		out = append(out, like)
	}
	ways := []asked{{}, {post: true}, {signedIn: true}, {post: true, signedIn: true}, {ahead: true}}
	for _, way := range ways {
		add(way)
		for _, c := range all {
			add(way, c)
		}
	}
	for range pairs {
		if a, b := all[draw.IntN(len(all))], all[draw.IntN(len(all))]; a.param != b.param {
			add(ways[draw.IntN(len(ways))], a, b)
		}
	}
	return out
}

// authorizer is one of the providers.
type authorizer struct {
	endpoint           string
	redirectURI        string
	signedIn, stranger *browser
	hint, another      string // ID tokens
	pushTo             string // where requests are sent ahead
}

// answer is what becomes of a request: "page" for a person to read, "ask" (a sign-in, a
// choice, a consent), "code", "kept" if it was sent ahead, or the error that the
// application gets. What is sent otherwise than in the query says so.
func (z authorizer) answer(a asked) string {
	b := z.stranger
	if a.signedIn {
		b = z.signedIn
	}
	params := maps.Clone(a.params)
	if h := params.Get("id_token_hint"); h != "" {
		params["id_token_hint"] = []string{strings.NewReplacer(ownHint, z.hint, otherHint, z.another).Replace(h)}
	}
	if a.ahead {
		return z.push(params)
	}
	p := z.first(b, a.post, params)
	switch {
	case strings.HasPrefix(p.url.String(), z.redirectURI):
		q, how := p.url.Query(), ""
		if p.url.Fragment != "" {
			q, _ = url.ParseQuery(p.url.Fragment)
			how = " by fragment"
		}
		return outcome(q) + how
	case p.status >= 300 && p.status <= 399:
		return "ask"
	}
	for _, f := range p.forms(b.t) {
		if f.action == z.redirectURI {
			return outcome(f.values) + " by form_post"
		}
	}
	if p.status >= 400 {
		return "page"
	}
	return "ask"
}

func outcome(q url.Values) string {
	switch {
	case q.Get("error") != "":
		return q.Get("error")
	case q.Get("code") != "":
		return "code"
	}
	return fmt.Sprint("neither code nor error: ", q)
}

// push sends a request ahead in the application's name.
func (z authorizer) push(params url.Values) string {
	req := request(z.stranger.t, http.MethodPost, z.pushTo, params.Encode())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("compared", "a-secret-of-compared")
	got := send(z.stranger.t, http.DefaultClient, req)
	if got.status == http.StatusCreated {
		return "kept"
	}
	var said struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal([]byte(got.body), &said); err != nil || said.Error == "" || got.status != http.StatusBadRequest {
		return fmt.Sprintf("%d %s %s", got.status, said.Error, got.body)
	}
	return said.Error
}

// first follows redirects within the endpoint alone.
func (z authorizer) first(b *browser, post bool, params url.Values) page {
	p := page{}
	if post {
		p = b.post(z.endpoint, params)
	} else {
		p = b.get(z.endpoint + "?" + params.Encode())
	}
	for p.status >= 300 && p.status <= 399 && strings.HasPrefix(p.url.String(), z.endpoint+"?") {
		p = b.get(p.url.String())
	}
	return p
}

// still follows no redirect.
func (b *browser) still() *browser {
	c := *b.client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t: b.t, client: &c}
}
