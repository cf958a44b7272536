package bridge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/console"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/authzen"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

const base = "http://127.0.0.1:8443"

// vouching is an identity provider that vouches for whoever comes back with their name.
type vouching struct{ w *world }

func (vouching) Start(_ context.Context, c access.ConnectionID, leg upstream.Leg) (string, error) {
	return idpIssuer(c) + "/authorize?" + url.Values{"state": {leg.State}, "acr_values": {strings.Join(leg.ACRValues, " ")}, "prompt": {leg.Prompt}}.Encode(), nil
}

func (vouching) Knows(access.ConnectionID) bool { return true }

func (v vouching) Finish(_ context.Context, c access.ConnectionID, leg upstream.Leg, q url.Values) (upstream.Identity, error) {
	who := q.Get("who")
	return upstream.Identity{Connection: c, Issuer: idpIssuer(c), Subject: who, Sub: who, Session: "sid-" + who, ACR: q.Get("acr"), AuthTime: v.w.clock.Now(), Started: leg.Started}, nil
}

func (vouching) SignOutURL(access.ConnectionID) string { return "" }

// front is all that browsers and applications meet: pages and endpoints, on a world as it is.
func (w *world) front() http.Handler {
	mux := http.NewServeMux()
	pages := console.New(console.Config{Base: base, Product: "Lantern", SignIns: w.bridge, Own: w.bridge, Finder: w.bridge, Grants: w.bridge, Requests: w.hot,
		Clients: w.bridge, Codes: w.bridge, Upstream: vouching{w}, Now: w.clock.Now})
	pages.Routes(mux)
	oidc.New(oidc.Config{Issuer: base, Clients: w.bridge, Requests: w.hot, Browsers: w.bridge, Switcher: w.bridge, Tokens: w.bridge, Profiles: w.bridge, Codes: w.bridge,
		Services: w.bridge, Applications: w.bridge, Feed: w.bridge, Interaction: pages, JWKS: w.ring.JWKS, Now: w.clock.Now, CookieName: console.SessionCookie(false),
		ClientAddr: func(*http.Request) netip.Addr { return netip.MustParseAddr("203.0.113.7") }}).Routes(mux)
	mux.Handle("/scim/v2/", w.scim)
	return mux
}

// visitor is one person with a browser, on the way to an application and after that.
type visitor struct {
	w           *world
	at          http.Handler
	who, person string
	scope       string
	cookies     map[string]string

	state, request string // of the way so far
	choices        []oidc.ActiveGrant
	sid            session.ID
	code           string
	tokens         struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
}

// do sends what a browser or an application would.
func (v *visitor) do(method, target string, form url.Values, bearer string) *http.Response {
	r := httptest.NewRequest(method, base+target, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	switch bearer {
	case "": // a browser
		for name, value := range v.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
	case "client":
		r.SetBasicAuth("fleet-web", "fleet-web-secret")
	default:
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	rec := httptest.NewRecorder()
	v.at.ServeHTTP(rec, r)
	res := rec.Result()
	for _, c := range res.Cookies() {
		if v.cookies[c.Name] = c.Value; c.MaxAge < 0 || c.Value == "" {
			delete(v.cookies, c.Name)
		}
	}
	return res
}

func (v *visitor) asked(prompt string) string {
	q := url.Values{"client_id": {"fleet-web"}, "redirect_uri": {"http://127.0.0.1:9200/callback"}, "response_type": {"code"}, "scope": {v.scope}, "state": {"s"},
		"nonce": {"n"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}, "connection": {southern}, "prompt": {prompt}}
	return "/oauth2/authorize?" + q.Encode()
}

// in is a value of the address that an answer leads to, "" if it leads nowhere.
func in(res *http.Response, name string) string {
	to, err := res.Location()
	if err != nil {
		return ""
	}
	return to.Query().Get(name)
}

// The legs of a sign-in. One that finds the way closed does nothing.

func (v *visitor) authorize() {
	v.state = in(v.do(http.MethodGet, v.asked("select_account consent"), nil, ""), "state")
}

func (v *visitor) callback() {
	if v.state == "" {
		return
	}
	res := v.do(http.MethodGet, "/connect/"+southern+"/callback?code=x&state="+url.QueryEscape(v.state)+"&who="+v.who, nil, "")
	v.request = in(res, "request")
	if b, err := v.w.bridge.Browser(v.w.ctx, v.cookies[console.SessionCookie(false)]); err == nil {
		v.choices, v.sid = b.Choices, b.Session.ID
	}
}

var offered = regexp.MustCompile(`name="assignment" value="([^"]+)"`)

func (v *visitor) choose() {
	if v.request == "" {
		return
	}
	res := v.do(http.MethodGet, "/me/choose?request="+v.request, nil, "")
	page := new(strings.Builder)
	if err := res.Write(page); err != nil {
		v.w.t.Error(err)
	}
	if m := offered.FindAllStringSubmatch(page.String(), -1); len(m) > 1 {
		v.do(http.MethodPost, "/me/choose", url.Values{"request": {v.request}, "assignment": {m[1][1]}}, "") // the one that it does not stand on
	}
}

func (v *visitor) consent() {
	if v.request != "" {
		v.code = in(v.do(http.MethodPost, "/me/consent", url.Values{"request": {v.request}, "answer": {"allow"}}, ""), "code")
	}
}

func (v *visitor) redeem() {
	if v.code != "" {
		v.token(url.Values{"grant_type": {oidc.GrantTypeCode}, "code": {v.code}, "redirect_uri": {"http://127.0.0.1:9200/callback"}, "code_verifier": {verifier}})
	}
}

func (v *visitor) token(form url.Values) bool {
	res := v.do(http.MethodPost, "/oauth2/token", form, "client")
	if res.StatusCode != http.StatusOK {
		return false
	}
	return json.NewDecoder(res.Body).Decode(&v.tokens) == nil && v.tokens.Access != ""
}

// leg is one step of a sign-in, as somebody may be in the middle of it.
type leg struct {
	name string
	take func(*visitor)
}

func signInLegs() []leg {
	return []leg{{"authorize", (*visitor).authorize}, {"callback", (*visitor).callback}, {"chooser", (*visitor).choose}, {"consent", (*visitor).consent}, {"token", (*visitor).redeem}}
}

// door is where a credential is shown; it reports whether it was accepted.
type door struct {
	name string
	open func(*visitor) bool
}

// doors are all of them, those that use a credential up last.
func doors() []door {
	ok := func(v *visitor, method, target string, form url.Values, bearer string) bool {
		return bearer != "" && v.do(method, target, form, bearer).StatusCode == http.StatusOK
	}
	active := func(v *visitor, token string) bool {
		var said struct{ Active bool }
		res := v.do(http.MethodPost, "/oauth2/introspect", url.Values{"token": {token}}, "client")
		return token != "" && json.NewDecoder(res.Body).Decode(&said) == nil && said.Active
	}
	return []door{
		{"/me/", func(v *visitor) bool { return v.do(http.MethodGet, "/me/", nil, "").StatusCode == http.StatusOK }},
		{"authorize, remembered", func(v *visitor) bool { return in(v.do(http.MethodGet, v.asked("none"), nil, ""), "code") != "" }},
		{"/me/grants", func(v *visitor) bool { return ok(v, http.MethodGet, "/me/grants", nil, v.tokens.Access) }},
		{"userinfo", func(v *visitor) bool { return ok(v, http.MethodGet, "/oauth2/userinfo", nil, v.tokens.Access) }},
		{"auth_request", func(v *visitor) bool {
			return ok(v, http.MethodGet, "/oauth2/auth_request?audience=fleet-web", nil, v.tokens.Access)
		}},
		{"SCIM /Me", func(v *visitor) bool { return ok(v, http.MethodGet, "/scim/v2/"+southern+"/Me", nil, v.tokens.Access) }},
		{"introspection, access", func(v *visitor) bool { return active(v, v.tokens.Access) }},
		{"introspection, refresh", func(v *visitor) bool { return active(v, v.tokens.Refresh) }},
		{"decision on the session", (*visitor).mayDo},
		{"refresh", func(v *visitor) bool {
			return v.token(url.Values{"grant_type": {oidc.GrantTypeRefresh}, "refresh_token": {v.tokens.Refresh}})
		}},
		{"exchange", func(v *visitor) bool {
			return slices.ContainsFunc(v.choices, func(a oidc.ActiveGrant) bool {
				return v.token(url.Values{"grant_type": {oidc.GrantTypeTokenExchange}, "subject_token": {v.tokens.Access}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "scope": {"grant:" + string(a.ID)}})
			})
		}},
		{"switch", func(v *visitor) bool {
			return slices.ContainsFunc(v.choices, func(a oidc.ActiveGrant) bool {
				_, _, err := v.w.bridge.Switch(v.w.ctx, v.cookies[console.SessionCookie(false)], a.ID)
				return err == nil
			})
		}},
	}
}

// mayDo asks as an AuthZEN enforcement point does, by the session.
func (v *visitor) mayDo() bool {
	if v.sid == "" {
		return false
	}
	c := pep("")
	return slices.ContainsFunc(v.choices, func(a oidc.ActiveGrant) bool {
		yes, err := v.w.bridge.MayDo(v.w.ctx, c, authzen.Question{SubjectType: "user", SubjectID: v.w.bridge.SubjectFor(c, access.PersonID(v.person)), Session: v.w.bridge.SessionFor(c, v.sid),
			Action: authzen.CanAccess, ResourceType: authzen.TypeScope, ResourceID: string(a.Scope.ID)})
		return err == nil && yes
	})
}
