//go:build lanes

package main

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/rsakey"
)

func logoutPlans() []plan {
	return []plan{
		{"oidcc-rp-initiated-logout-certification-test-plan", []module{
			{"oidcc-rp-initiated-logout-discovery-endpoint-verification", "`end_session_endpoint`, beside all that the Config plan asks", "", (*trial).logoutDiscovery},
			{"oidcc-rp-initiated-logout", "back at the registered address with `state` alone; then `prompt=none` is `login_required`", "", (*trial).logout},
			{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", "a page that says why; nothing is redirected", "wants a screenshot", (*trial).logoutElsewhere},
			{"oidcc-rp-initiated-logout-modified-id-token-hint", "whoever shows an ID token by `none` is asked, and is not led back", "wants a screenshot", (*trial).logoutHintNone},
			{"oidcc-rp-initiated-logout-no-id-token-hint", "the person is asked, and is not led back", "wants a screenshot", (*trial).logoutNoHint},
			{"oidcc-rp-initiated-logout-no-params", "the person is asked, then signed out, and sees so", "wants a screenshot", (*trial).logoutNoParams},
			{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", "signed out at once, and sees so", "wants a screenshot", (*trial).logoutNoAddress},
			{"oidcc-rp-initiated-logout-no-state", "back at the registered address without any parameter; then `login_required`", "", (*trial).logoutNoState},
			{"oidcc-rp-initiated-logout-only-state", "the person is asked, then signed out, and sees so", "wants a screenshot", (*trial).logoutOnlyState},
			{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", "a page that says why: the address is compared byte for byte", "wants a screenshot", (*trial).logoutQueryAdded},
			{"oidcc-rp-initiated-logout-bad-id-token-hint", "whoever shows an ID token that another signed is asked, and is not led back", "wants a screenshot", (*trial).logoutHintOfAnother},
		}},
		{"oidcc-backchannel-rp-initiated-logout-certification-test-plan", []module{
			{"oidcc-backchannel-logout-discovery-endpoint-verification", "`backchannel_logout_supported` and `backchannel_logout_session_supported`", "", (*trial).backchannelDiscovery},
			{"oidcc-backchannel-rp-initiated-logout", "one POST with a logout token alone, its claims as section 2.4 asks, `sub` and `sid` as in the ID token; then `login_required`", "", (*trial).backchannelLogout},
		}},
		{"oidcc-frontchannel-rp-initiated-logout-certification-test-plan", []module{
			{"oidcc-frontchannel-logout-discovery-endpoint-verification", "`frontchannel_logout_supported` and `frontchannel_logout_session_supported`", "", (*trial).frontchannelDiscovery},
			{"oidcc-frontchannel-rp-initiated-logout", "a page with a frame of the registered address, `iss` and `sid` in it, that goes on to where was asked; then `login_required`", "", (*trial).frontchannelLogout},
		}},
	}
}

// afterwards is where the suite wants people to be led when they have signed out.
func (r *trial) afterwards() string { return r.own.URL + "/test/a/drawbridge/post_logout_redirect" }

// leaves sends the person to the end_session_endpoint.
func (p *person) leaves(q url.Values) landing {
	p.t.Helper()
	return p.goes(http.MethodGet, p.listed["end_session_endpoint"].(string)+"?"+q.Encode(), nil)
}

// isOut fails unless the browser's session is over, as prompt=none tells.
func (p *person) isOut(want bool) {
	p.t.Helper()
	back := p.authorizes(p.request(p.app, url.Values{"prompt": {"none"}}))
	if out := back.Get("error") == "login_required"; out != want || !out && back.Get("code") == "" {
		p.t.Errorf("signed out: %t; prompt=none answered %v", want, back)
	}
}

func (r *trial) logoutDiscovery() {
	r.discovery()
	if at, _ := r.listed["end_session_endpoint"].(string); !strings.HasPrefix(at, r.Issuer+"/") {
		r.t.Errorf("end_session_endpoint is %v", r.listed["end_session_endpoint"])
	}
}

// leftFor fails unless the person was led to the registered address with exactly that query.
func (r *trial) leftFor(at landing, query url.Values) {
	r.t.Helper()
	to, _, _ := strings.Cut(at.url, "?")
	if !at.back || to != r.afterwards() || at.query(r.t).Encode() != query.Encode() {
		r.t.Errorf("it ended at %s with %d: %s", at.url, at.status, at.body)
	}
}

// longState is as long as the suite makes it.
func longState() string { return strings.Repeat("s", 128) }

func (r *trial) logout() {
	p := r.person()
	got := p.signsIn(r.app, nil)
	state := url.Values{"state": {longState()}}
	r.leftFor(p.leaves(url.Values{"id_token_hint": {got.id}, "post_logout_redirect_uri": {r.afterwards()}, "state": {longState()}}), state)
	p.isOut(true)
	r.dead(got)
}

func (r *trial) logoutNoState() {
	p := r.person()
	got := p.signsIn(r.app, nil)
	r.leftFor(p.leaves(url.Values{"id_token_hint": {got.id}, "post_logout_redirect_uri": {r.afterwards()}}), url.Values{})
	p.isOut(true)
}

// isRefused fails unless a page says no and the person is still signed in.
func (r *trial) isRefused(to string) {
	r.t.Helper()
	p := r.person()
	got := p.signsIn(r.app, nil)
	at := p.leaves(url.Values{"id_token_hint": {got.id}, "post_logout_redirect_uri": {to}, "state": {"s"}})
	if at.back || at.status != http.StatusBadRequest || !strings.Contains(at.body, "post_logout_redirect_uri") {
		r.t.Errorf("it ended at %s with %d: %s", at.url, at.status, at.body)
	}
	p.isOut(false)
}

func (r *trial) logoutElsewhere()  { r.isRefused(r.afterwards() + "/other") }
func (r *trial) logoutQueryAdded() { r.isRefused(r.afterwards() + "?foo=bar") }

// isAsked fails unless the person is asked, and is signed out on our own page when they
// say yes: nobody vouches for the address.
func (r *trial) isAsked(q func(idToken string) url.Values) {
	r.t.Helper()
	p := r.person()
	got := p.signsIn(r.app, nil)
	question := p.leaves(q(got.id))
	p.isOut(false)
	if at := p.confirms(question); at.back || at.status != http.StatusOK || !strings.Contains(at.body, "signed out") {
		r.t.Errorf("it ended at %s with %d: %s", at.url, at.status, at.body)
	}
	p.isOut(true)
}

func (r *trial) logoutNoParams() {
	r.isAsked(func(string) url.Values { return url.Values{} })
}

func (r *trial) logoutOnlyState() {
	r.isAsked(func(string) url.Values { return url.Values{"state": {"s"}} })
}

func (r *trial) logoutNoHint() {
	r.isAsked(func(string) url.Values {
		return url.Values{"post_logout_redirect_uri": {r.afterwards()}, "state": {"s"}}
	})
}

// withHint is a request to sign out with an ID token that was tampered with.
func (r *trial) withHint(hint string) url.Values {
	return url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {r.afterwards()}, "state": {"s"}}
}

func (r *trial) logoutHintNone() {
	r.isAsked(func(idToken string) url.Values {
		payload := strings.Split(idToken, ".")[1]
		return r.withHint(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + ".")
	})
}

// logoutHintOfAnother signs the claims of the ID token with another key under its own name.
func (r *trial) logoutHintOfAnother() {
	key, err := rsakey.Generate(2048)
	if err != nil {
		r.t.Fatal(err)
	}
	r.isAsked(func(idToken string) url.Values {
		jws, err := jose.ParseSignedCompact(idToken, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			r.t.Fatal(err)
		}
		other := jose.JSONWebKey{Key: key, KeyID: jws.Signatures[0].Protected.KeyID, Algorithm: "RS256"}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: other}, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		forged, err := signer.Sign(jws.UnsafePayloadWithoutVerification())
		if err != nil {
			r.t.Fatal(err)
		}
		hint, err := forged.CompactSerialize()
		if err != nil {
			r.t.Fatal(err)
		}
		return r.withHint(hint)
	})
}

func (r *trial) logoutNoAddress() {
	p := r.person()
	got := p.signsIn(r.app, nil)
	if at := p.leaves(url.Values{"id_token_hint": {got.id}, "state": {"s"}}); at.back || at.status != http.StatusOK || !strings.Contains(at.body, "signed out") {
		r.t.Errorf("it ended at %s with %d: %s", at.url, at.status, at.body)
	}
	p.isOut(true)
}

func (r *trial) backchannelDiscovery() {
	r.logoutDiscovery()
	if r.listed["backchannel_logout_supported"] != true || r.listed["backchannel_logout_session_supported"] != true {
		r.t.Errorf("%v, %v", r.listed["backchannel_logout_supported"], r.listed["backchannel_logout_session_supported"])
	}
}

// told waits for what an application is told of a session, and gives the claims.
func (s *suite) told(r *trial, sid any) (url.Values, map[string]any) {
	r.t.Helper()
	form := awaited(r.t, "the logout token", func() (url.Values, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := slices.IndexFunc(s.logouts, func(f url.Values) bool { return claimsOf(f.Get("logout_token"))["sid"] == sid })
		if at < 0 {
			return nil, false
		}
		return s.logouts[at], true
	})
	return form, r.verified(form.Get("logout_token"))
}

// claimsOf reads the claims of a token that nobody has verified yet.
func claimsOf(token string) map[string]any {
	var claims map[string]any
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if body, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(body, &claims) // nil where it cannot be read
		}
	}
	return claims
}

func (r *trial) backchannelLogout() {
	p := r.person()
	got := p.signsIn(r.app, nil)
	r.leftFor(p.leaves(url.Values{"id_token_hint": {got.id}, "post_logout_redirect_uri": {r.afterwards()}, "state": {longState()}}), url.Values{"state": {longState()}})
	form, c := r.told(r, got.claims["sid"])
	iat, _ := c["iat"].(float64)
	events, _ := c["events"].(map[string]any)
	event, is := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
	_, hasNonce := c["nonce"]
	jti, _ := c["jti"].(string)
	if len(form) != 1 || c["iss"] != r.Issuer || c["aud"] != r.app.id || c["sub"] != got.claims["sub"] || got.claims["sid"] == nil ||
		jti == "" || hasNonce || len(events) != 1 || !is || len(event) != 0 || time.Unix(int64(iat), 0).After(time.Now().Add(time.Minute)) || iat == 0 {
		r.t.Errorf("%v tells %v of %v", form, c, got.claims)
	}
	p.isOut(true)
}

func (r *trial) frontchannelDiscovery() {
	r.logoutDiscovery()
	if r.listed["frontchannel_logout_supported"] != true || r.listed["frontchannel_logout_session_supported"] != true {
		r.t.Errorf("%v, %v", r.listed["frontchannel_logout_supported"], r.listed["frontchannel_logout_session_supported"])
	}
}

var frameOfALogout = regexp.MustCompile(`<iframe[^>]* src="([^"]+)"`)

// frontchannelLogout reads what a browser would show: frames, and where it goes on to.
func (r *trial) frontchannelLogout() {
	p := r.person()
	app := relyingParty{id: "conformance-front", secret: "of-the-third", redirect: r.app.redirect}
	got := p.signsIn(app, nil)
	q := url.Values{"id_token_hint": {got.id}, "post_logout_redirect_uri": {r.afterwards()}, "state": {longState()}}
	res, err := p.browser.Get(r.listed["end_session_endpoint"].(string) + "?" + q.Encode())
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		r.t.Fatal(err)
	}
	frames := frameOfALogout.FindAllStringSubmatch(string(body), -1)
	sid, _ := got.claims["sid"].(string)
	want := r.own.URL + "/test/a/drawbridge/frontchannel_logout?" + url.Values{"iss": {r.Issuer}, "sid": {sid}}.Encode()
	if len(frames) != 1 || html.UnescapeString(frames[0][1]) != want || !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-src "+r.own.URL) {
		r.t.Errorf("the page's frames are %v, want %s\n%v", frames, want, res.Header)
	}
	_, next, _ := strings.Cut(res.Header.Get("Refresh"), "url=")
	r.leftFor(landing{page{url: next}, next != ""}, url.Values{"state": {longState()}})
	p.isOut(true)
}
