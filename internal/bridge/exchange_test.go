package bridge_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// exchange asks for tokens by an access token, as the world's application.
func (w *world) exchange(token string, to access.AssignmentID, scopes ...string) (oidc.TokenSet, error) {
	return w.bridge.Exchange(w.ctx, oidc.TokenExchange{SubjectToken: token, Grant: to, OAuthScopes: scopes, Client: w.web})
}

// refusedBecause fails unless err is that reason's refusal.
func refusedBecause(t *testing.T, what string, err error, reason string) {
	t.Helper()
	if err == nil || fault.ReasonOf(err) != reason {
		t.Errorf("%s: %v, want %s", what, err, reason)
	}
}

// TestAnExchangeSwitchesTheOneActiveGrant of the session, for all of its applications;
// the browser's cookie goes on, and shows the new grant.
func TestAnExchangeSwitchesTheOneActiveGrant(t *testing.T) {
	t.Parallel()
	other := oidc.Client{ID: "other-web", Name: "Other", RedirectURIs: []string{"http://127.0.0.1:9300/callback"}, SecretDigest: credential.DigestOf("other")}
	w := newWorld(t, func(w *world) { w.clients = append(w.clients, other) })
	w.do(w.bridge.ApplyClients(w.ctx))
	w.kim()
	s := w.session(southern, "oid-kim", "live_view", "ivs_dashboard")
	web := w.web
	w.web = other
	code, err := w.code(s.browser)
	w.do(err)
	theirs, err := w.redeem(code)
	w.do(err)
	w.web = web

	to := guestPlace(s)
	set, err := w.exchange(s.tokens.AccessToken, to)
	w.do(err)
	if set.Active != to || set.RefreshToken == "" || set.IDToken == "" {
		t.Errorf("given %+v", set)
	}
	a, err := w.bridge.Accept(w.ctx, set.AccessToken)
	if w.do(err); !strings.Contains(string(a.Grant), string(to)) || a.Bound.Subject.Session != s.browser.Session.ID {
		t.Errorf("the new token stands on %s of %s", a.Grant, a.Bound.Subject.Session)
	}
	for what, token := range map[string]string{"its own old token": s.tokens.AccessToken, "the other application's": theirs.AccessToken} {
		if _, err := w.bridge.Accept(w.ctx, token); err == nil {
			t.Errorf("%s is accepted after the switch", what)
		}
	}
	if _, err := w.refresh(s.tokens.RefreshToken); !fault.Is(err, fault.NotFound) {
		t.Errorf("the old refresh token: %v", err)
	}
	b, err := w.bridge.Browser(w.ctx, s.cookie)
	if w.do(err); b.Session.Active != to || b.Assignment.ID != to {
		t.Errorf("the browser stands on %s", b.Session.Active)
	}
	next, err := w.refresh(set.RefreshToken)
	if w.do(err); next.Active != to {
		t.Errorf("a refresh stands on %s", next.Active)
	}
	if !w.said(event.SessionSwitched, map[string]string{"to": string(to), "client": "fleet-web"}) {
		t.Error("no event says which application switched")
	}
}

// said reports whether an audit row of that type has at least that data.
func (w *world) said(kind event.Type, data map[string]string) bool {
	w.t.Helper()
	found := false
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.AuditAfter(0, 10_000)
		for _, r := range rows {
			var e event.Event
			if err := json.Unmarshal(r.Body, &e); err != nil {
				return err
			}
			match := e.Type == kind
			for k, want := range data {
				match = match && e.Data[k] == want
			}
			found = found || match
		}
		return err
	}))
	return found
}

// TestARefreshAfterASwitchElsewhereIsInvalidGrant: no refresh changes what its
// application believed it held.
func TestARefreshAfterASwitchElsewhereIsInvalidGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	if _, _, err := w.bridge.Switch(w.ctx, s.cookie, guestPlace(s)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.refresh(s.tokens.RefreshToken); !fault.Is(err, fault.NotFound) {
		t.Errorf("refresh: %v", err)
	}
	if _, err := w.exchange(s.tokens.AccessToken, guestPlace(s)); !fault.Is(err, fault.NotFound) {
		t.Errorf("exchange: %v", err)
	}
}

// TestAnExchangeNeverWidens (zitadel#12413): what comes of it is what was granted at
// sign-in, as far as the client may have it and the grant opens it now.
func TestAnExchangeNeverWidens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim", "live_view", "ivs_dashboard")
	refusedBecause(t, "a scope that was not granted", func() error {
		_, err := w.exchange(s.tokens.AccessToken, guestPlace(s), "openid", "recordings.download")
		return err
	}(), "invalid_scope")
	if b, err := w.bridge.Browser(w.ctx, s.cookie); err != nil || b.Session.Active != s.browser.Session.Active {
		t.Errorf("a refusal switched the session: %v", err)
	}
	less, err := w.exchange(s.tokens.AccessToken, "", "openid")
	if w.do(err); !slices.Equal(less.OAuthScopes, []string{"openid"}) || less.RefreshToken != "" {
		t.Errorf("narrowed to %v, refresh token %t", less.OAuthScopes, less.RefreshToken != "")
	}
	all, err := w.exchange(s.tokens.AccessToken, guestPlace(s))
	w.do(err)
	for _, scope := range all.OAuthScopes {
		if !slices.Contains([]string{"openid", "live_view", "ivs_dashboard"}, scope) {
			t.Errorf("%s was not granted at sign-in", scope)
		}
	}
	w.web.OAuthScopes = []string{"reports"} // registered for less now
	w.clients = []oidc.Client{w.web}
	w.assemble()
	narrow, err := w.exchange(all.AccessToken, "")
	if w.do(err); !slices.Equal(narrow.OAuthScopes, []string{"openid"}) {
		t.Errorf("a client that may have none of it got %v", narrow.OAuthScopes)
	}
}

// TestOnlyWhatIsHeldAndAcceptedIsATarget, and asking for something else changes nothing.
func TestOnlyWhatIsHeldAndAcceptedIsATarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.web.Resources = []string{"https://api.example"}
		w.clients = []oidc.Client{w.web}
	})
	w.kim()
	s := w.session(southern, "oid-kim")
	_, err := w.exchange(s.tokens.AccessToken, "asg_never")
	refusedBecause(t, "unknown", err, "invalid_target")
	picky := w.web
	picky.Grants = []access.Grant{s.browser.Assignment.Grant}
	if at := slices.IndexFunc(s.browser.Choices, func(g oidc.ActiveGrant) bool { return g.ID == guestPlace(s) }); s.browser.Choices[at].Grant == picky.Grants[0] {
		picky.Grants = []access.Grant{access.Administrator}
	}
	_, err = w.bridge.Exchange(w.ctx, oidc.TokenExchange{SubjectToken: s.tokens.AccessToken, Grant: guestPlace(s), Client: picky})
	refusedBecause(t, "not accepted by the application", err, "invalid_target")
	_, err = w.bridge.Exchange(w.ctx, oidc.TokenExchange{SubjectToken: s.tokens.AccessToken, Resource: "https://api.example", Client: w.web})
	refusedBecause(t, "a resource that was not granted", err, "invalid_target")
	if _, err := w.bridge.Accept(w.ctx, s.tokens.AccessToken); err != nil {
		t.Errorf("a refusal ended the token: %v", err)
	}
}

// TestOnlyTheApplicationsOwnLiveAccessTokenIsASubject: nothing else is, and none of it
// is more than refused.
func TestOnlyTheApplicationsOwnLiveAccessTokenIsASubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim, _ := w.kim()
	s := w.session(southern, "oid-kim")
	code, err := w.code(s.browser)
	w.do(err)
	bound := w.bound("key-1")
	other := w.web
	other.ID = "other-web"
	refuse := func(what, token string, client oidc.Client, key string) {
		t.Helper()
		if _, err := w.bridge.Exchange(w.ctx, oidc.TokenExchange{SubjectToken: token, Grant: guestPlace(s), DPoPKey: key, Client: client}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, token := range map[string]string{"nothing": "", "opaque": "opaque", "a colon": "id:subject", "dots": "..", "a refresh token": s.tokens.RefreshToken,
		"an ID token": s.tokens.IDToken, "a code": code, "a cookie": s.cookie, "a cut token": s.tokens.AccessToken[:len(s.tokens.AccessToken)-1]} {
		refuse(what, token, w.web, "")
	}
	refuse("another application's", s.tokens.AccessToken, other, "")
	refuse("a bound token without its key", bound.tokens.AccessToken, w.web, "")
	refuse("a bound token with another key", bound.tokens.AccessToken, w.web, "key-2")
	w.patchUser(southern, kim, `{"op":"replace","path":"active","value":false}`)
	refuse("a dead token", s.tokens.AccessToken, w.web, "")
}

// TestAPublicApplicationGetsNoRefreshTokenForABearerToken: whoever has read a token that
// lives for minutes must not make one of it that lives for hours, nor bind one to their key.
func TestAPublicApplicationGetsNoRefreshTokenForABearerToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, public)
	w.kim()
	s := w.session(southern, "oid-kim")
	_, err := w.bridge.Exchange(w.ctx, oidc.TokenExchange{SubjectToken: s.tokens.AccessToken, Grant: guestPlace(s), DPoPKey: "a thief's", Client: w.web})
	if _, live := w.refresh(s.tokens.RefreshToken); !fault.Is(err, fault.NotFound) || live != nil {
		t.Errorf("a key beside a bearer token: %v, and the owner's refresh %v", err, live)
	}
	set, err := w.exchange(s.tokens.AccessToken, guestPlace(s))
	if w.do(err); set.RefreshToken != "" {
		t.Error("a bearer token was exchanged for a refresh token")
	}
	bound := w.bound("key-1")
	set, err = w.bridge.Exchange(w.ctx, oidc.TokenExchange{SubjectToken: bound.tokens.AccessToken, Grant: guestPlace(bound), DPoPKey: "key-1", Client: w.web})
	if w.do(err); set.RefreshToken == "" || set.DPoPKey != "key-1" {
		t.Errorf("a bound token gives %+v", set)
	}
	if _, err := w.refreshBy("key-2", set.RefreshToken); err == nil {
		t.Error("the new family is not bound to the key")
	}
}

// narrowToken is a token that its application has asked for to give it away: it is for one
// API, and shows no profile.
func (w *world) narrowToken(key string) (visit, oidc.TokenSet) {
	w.t.Helper()
	_, b := w.mustSignIn(southern, "oid-kim")
	code, err := w.codeFor(hot.AuthRequest{OAuthScopes: []string{"openid", "profile"}, Resources: []string{"https://api.example", "urn:video"}}, b)
	w.do(err)
	all, err := w.redeemBy(key, code)
	w.do(err)
	set, err := w.bridge.Refresh(w.ctx, oidc.RefreshExchange{RefreshToken: all.RefreshToken, OAuthScopes: []string{"openid"}, Resource: "urn:video", DPoPKey: key, Client: w.web})
	w.do(err)
	return visit{browser: b, tokens: all}, set
}

// TestAPublicBearerTokenGivesNothingThatItIsNot (RFC 8707 section 2.2): no other audience,
// no scope more, and not a second more of life, however long the chain and whatever is
// switched on it.
func TestAPublicBearerTokenGivesNothingThatItIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.web.Resources = []string{"https://api.example", "urn:video"} }, public)
	w.kim()
	s, set := w.narrowToken("")
	_, err := w.bridge.Exchange(w.ctx, oidc.TokenExchange{SubjectToken: set.AccessToken, Resource: "https://api.example", Client: w.web})
	refusedBecause(t, "another audience", err, "invalid_target")
	_, err = w.exchange(set.AccessToken, "", "openid", "profile")
	refusedBecause(t, "a scope more", err, "invalid_scope")
	_, err = w.exchange(set.AccessToken, guestPlace(s), "profile")
	refusedBecause(t, "a scope more of another grant", err, "invalid_scope")
	ends := w.clock.Now().Add(set.ExpiresIn)
	for i, to := range []access.AssignmentID{"", guestPlace(s), "", s.browser.Session.Active} {
		w.clock.Add(time.Minute)
		set, err = w.exchange(set.AccessToken, to)
		w.do(err)
		a, err := w.bridge.Accept(w.ctx, set.AccessToken)
		if w.do(err); a.Audience != "urn:video" || !slices.Equal(set.OAuthScopes, []string{"openid"}) || set.RefreshToken != "" || a.Bound.Expires.After(ends) || w.clock.Now().Add(set.ExpiresIn).After(ends) {
			t.Errorf("after %d exchanges: for %q, %v, until %s (the first ends at %s), refresh token %t", i+1, a.Audience, set.OAuthScopes, a.Bound.Expires, ends, set.RefreshToken != "")
		}
	}
	w.clock.Add(time.Minute)
	if _, err := w.exchange(set.AccessToken, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("after the end of the first: %v", err)
	}
}

// TestWhoIsProvenToBeTheApplicationMayWidenAgain, up to what was granted at sign-in: by its
// secret, or by the key of the subject token. What asks for nothing stays as it is.
func TestWhoIsProvenToBeTheApplicationMayWidenAgain(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"by its secret": "", "by the token's key": "key-1"} {
		w := newWorld(t, func(w *world) {
			w.web.Resources = []string{"https://api.example", "urn:video", "urn:never-asked"}
			w.clients = []oidc.Client{w.web}
			if key != "" {
				public(w)
			}
		})
		w.kim()
		s, set := w.narrowToken(key)
		ask := func(x oidc.TokenExchange) (oidc.TokenSet, string, error) {
			x.SubjectToken, x.DPoPKey, x.Client = set.AccessToken, key, w.web
			got, err := w.bridge.Exchange(w.ctx, x)
			if err != nil {
				return got, "", err
			}
			a, err := w.bridge.Accept(w.ctx, got.AccessToken)
			return got, a.Audience, err
		}
		w.clock.Add(time.Minute)
		if same, aud, err := ask(oidc.TokenExchange{}); err != nil || aud != "urn:video" || !slices.Equal(same.OAuthScopes, []string{"openid"}) || same.ExpiresIn < 4*time.Minute {
			t.Errorf("%s, nothing asked: for %q, %v, %s (%v)", name, aud, same.OAuthScopes, same.ExpiresIn, err)
		}
		if more, aud, err := ask(oidc.TokenExchange{OAuthScopes: []string{"profile"}, Resource: "https://api.example"}); err != nil || aud != "https://api.example" || !slices.Equal(more.OAuthScopes, []string{"profile"}) {
			t.Errorf("%s, what was granted: for %q, %v (%v)", name, aud, more.OAuthScopes, err)
		}
		_, _, err := ask(oidc.TokenExchange{OAuthScopes: []string{"settings.manage"}})
		refusedBecause(t, name+", a scope that was never granted", err, "invalid_scope")
		_, _, err = ask(oidc.TokenExchange{Resource: "urn:never-asked"})
		refusedBecause(t, name+", a resource that was never granted", err, "invalid_target")
		if switched, aud, err := ask(oidc.TokenExchange{Grant: guestPlace(s)}); err != nil || aud != "urn:video" || !slices.Contains(switched.OAuthScopes, "profile") || switched.RefreshToken == "" {
			t.Errorf("%s, switched: for %q, %v (%v)", name, aud, switched.OAuthScopes, err)
		}
	}
}

// TestNoExchangeSwitchesForAnApplicationThatPeopleMustAgreeTo: they agreed to the access
// that they used, and choose another one on a page of ours.
func TestNoExchangeSwitchesForAnApplicationThatPeopleMustAgreeTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.web.Consent = true
		w.clients = []oidc.Client{w.web}
	})
	w.kim()
	cookie, b := w.mustSignIn(southern, "oid-kim")
	w.do(w.bridge.Agree(w.ctx, cookie, hot.AuthRequest{Client: w.web.ID, OAuthScopes: []string{"openid"}}))
	code, err := w.code(b)
	w.do(err)
	set, err := w.redeem(code)
	w.do(err)
	_, err = w.exchange(set.AccessToken, guestPlace(visit{browser: b}))
	refusedBecause(t, "a switch", err, "invalid_target")
	if after, err := w.bridge.Browser(w.ctx, cookie); err != nil || after.Session.Version != b.Session.Version {
		t.Errorf("the refusal changed the session: %v", err)
	}
	if _, err := w.exchange(set.AccessToken, b.Session.Active, "openid"); err != nil {
		t.Errorf("an exchange that switches nothing: %v", err)
	}
}

// TestARefusedExchangeSwitchesNothing: what no token could stand on is no target.
func TestARefusedExchangeSwitchesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, away)
	w.kim()
	s, _ := w.offline()
	w.web.Offline = false
	w.clients = []oidc.Client{w.web}
	w.assemble()
	_, err := w.exchange(s.tokens.AccessToken, guestPlace(s))
	refusedBecause(t, "an application that may no longer act while the person is away", err, "invalid_target")
	if w.said(event.SessionSwitched, nil) {
		t.Error("the refusal switched the session")
	}
}

// TestAnAccessTokenIsForOneResource (RFC 8707): the first that was granted, or the one
// that the token request names; a refresh may choose anew, and no more than was granted.
func TestAnAccessTokenIsForOneResource(t *testing.T) {
	t.Parallel()
	const api, video = "https://api.example", "urn:video"
	w := newWorld(t, func(w *world) {
		w.web.Resources = []string{api, video, "urn:never-asked"}
		w.clients = []oidc.Client{w.web}
	})
	w.kim()
	_, b := w.mustSignIn(southern, "oid-kim")
	issue := func(resources ...string) string {
		t.Helper()
		code, err := w.codeFor(hot.AuthRequest{OAuthScopes: []string{"openid"}, Resources: resources}, b)
		w.do(err)
		return code
	}
	redeem := func(code, resource string) (oidc.TokenSet, error) {
		return w.bridge.Redeem(w.ctx, oidc.CodeExchange{Code: code, RedirectURI: w.web.RedirectURIs[0], CodeVerifier: verifier, Resource: resource, Client: w.web})
	}
	aud := func(set oidc.TokenSet, want string) {
		t.Helper()
		a, err := w.bridge.Accept(w.ctx, set.AccessToken)
		if w.do(err); a.Audience != want {
			t.Errorf("the token is for %q, want %q", a.Audience, want)
		}
	}
	none, err := redeem(issue(), "")
	w.do(err)
	aud(none, "fleet-web")
	_, err = redeem(issue(), api)
	refusedBecause(t, "a resource that the sign-in did not ask for", err, "invalid_target")
	set, err := redeem(issue(api, video), "")
	w.do(err)
	aud(set, api)
	for _, want := range []string{video, "", api} {
		set, err = w.bridge.Refresh(w.ctx, oidc.RefreshExchange{RefreshToken: set.RefreshToken, Resource: want, Client: w.web})
		w.do(err)
		if want == "" {
			want = api
		}
		aud(set, want)
	}
	_, err = w.bridge.Refresh(w.ctx, oidc.RefreshExchange{RefreshToken: set.RefreshToken, Resource: "urn:never-asked", Client: w.web})
	refusedBecause(t, "a refresh for another", err, "invalid_target")
	other, err := w.bridge.Exchange(w.ctx, oidc.TokenExchange{SubjectToken: set.AccessToken, Resource: video, Client: w.web})
	w.do(err)
	aud(other, video)
	if _, err := w.refresh(set.RefreshToken); err != nil {
		t.Errorf("refusals used the refresh token up: %v", err)
	}
}

// TestSwitchesByBrowserAndExchangeRacingRefreshesAndTheDeactivation: each switch kills
// what was given for the grant that is left, and the deactivation kills all.
func TestSwitchesByBrowserAndExchangeRacingRefreshesAndTheDeactivation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim, _ := w.kim()
	s := w.session(southern, "oid-kim")
	var mu sync.Mutex
	var given []visit
	note := func(tokens oidc.TokenSet, err error) bool {
		if err == nil {
			mu.Lock()
			given = append(given, visit{tokens: tokens})
			mu.Unlock()
		} else if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
		return err == nil
	}
	switched := together(func(i int) bool {
		switch {
		case i%3 == 0:
			return note(w.exchange(s.tokens.AccessToken, guestPlace(s)))
		case i%3 == 1:
			note(w.refresh(s.tokens.RefreshToken))
		default:
			if _, _, err := w.bridge.Switch(w.ctx, s.cookie, s.browser.Session.Active); err != nil && (fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable)) {
				t.Error(err)
			}
		}
		return false
	})
	if switched > 1 {
		t.Errorf("one token was exchanged for another grant %d times", switched)
	}
	early := slices.Clone(given)
	together(func(i int) bool {
		if i == crowd/2 {
			status, _ := w.send(southern, "PATCH", "/Users/"+kim, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
			return status == 200
		}
		if len(early) > 0 {
			g := early[i%len(early)]
			if i%2 == 0 {
				return note(w.exchange(g.tokens.AccessToken, s.browser.Session.Active))
			}
			return note(w.refresh(g.tokens.RefreshToken))
		}
		return false
	})
	for _, v := range given {
		w.allDead(v, "after the deactivation")
	}
}

// TestATokenWhoseFamilyIsLostIsNoSubject: a token whose family the hot store has lost is
// exchanged for nothing, since what was granted at sign-in is not known any more.
func TestATokenWhoseFamilyIsLostIsNoSubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	w.do(w.hot.EndSession(w.ctx, s.browser.Session.ID))
	if _, err := w.exchange(s.tokens.AccessToken, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}
