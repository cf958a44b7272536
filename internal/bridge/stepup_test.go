package bridge_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// demanding is the table in which one grant demands something of the sign-in.
func demanding(g access.Grant, maxAge time.Duration, acr ...string) access.Catalogue {
	return access.Catalogue{Grants: map[access.Grant]access.Terms{g: {ACR: acr, MaxAge: maxAge}}}
}

// grantAt is the grant of one of a browser's places.
func grantAt(b oidc.Browser, id access.AssignmentID) access.Grant {
	for _, g := range append(b.Choices, b.Guarded...) {
		if g.ID == id {
			return g.Grant
		}
	}
	return ""
}

// TestASessionDoesNotBeginOnAGrantThatDemandsAnotherSignIn: the person must choose, sees
// what needs another sign-in, and stands on it once they have it.
func TestASessionDoesNotBeginOnAGrantThatDemandsAnotherSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	_, before := w.signInAs(southern, "oid-kim", "pwd")
	w.catalogued(demanding(before.Assignment.Grant, 0, "phrh", "phr"))

	cookie, b := w.signInAs(southern, "oid-kim", "pwd")
	if b.Session.State != session.MustChoose || !b.Guards(before.Assignment.ID) || len(b.Choices)+len(b.Guarded) != 2 {
		t.Errorf("it begins %v, with %d choices and %d guarded", b.Session.State, len(b.Choices), len(b.Guarded))
	}
	_, _, err := w.bridge.Switch(w.ctx, cookie, before.Assignment.ID)
	refusedBecause(t, "a switch to it", err, session.ReasonStepUp)
	if b, err = w.bridge.Browser(w.ctx, cookie); err != nil || b.Session.State != session.MustChoose {
		t.Errorf("the refused switch moved the session: %v %v", b.Session.State, err)
	}
	if _, b = w.signInAs(southern, "oid-kim", "phr"); b.Session.Active != before.Assignment.ID || len(b.Guarded) != 0 {
		t.Errorf("with the sign-in it demands it begins on %q", b.Session.Active)
	}
}

// TestWhatAStricterTableDemandsIsDemandedOfEverythingThatIsOut: from its commit on the
// access token, the refresh token, a code, an exchange and the session for AuthZEN are
// refused, by the reason of RFC 9470, and another sign-in brings all of it back.
func TestWhatAStricterTableDemandsIsDemandedOfEverythingThatIsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	on := s.browser.Assignment.Grant
	code, err := w.code(s.browser)
	w.do(err)
	w.catalogued(demanding(on, 0, "phr"))

	_, err = w.bridge.Accept(w.ctx, s.tokens.AccessToken)
	refusedBecause(t, "the access token", err, session.ReasonStepUp)
	if up, is := errors.AsType[*oidc.StepUp](err); !is || !fault.Is(err, fault.Unauthenticated) || strings.Join(up.ACR, " ") != "phr" {
		t.Errorf("the refusal does not say what is demanded: %v", err)
	}
	_, err = w.bridge.AcceptRefresh(w.ctx, s.tokens.RefreshToken)
	refusedBecause(t, "the refresh token, introspected", err, session.ReasonStepUp)
	_, err = w.exchange(s.tokens.AccessToken, "")
	refusedBecause(t, "an exchange", err, session.ReasonStepUp)
	_, err = w.redeem(code)
	refusedBecause(t, "a code", err, session.ReasonStepUp)
	if _, err = w.refresh(s.tokens.RefreshToken); !fault.Is(err, fault.NotFound) {
		t.Errorf("a refresh is answered %v, want what becomes invalid_grant", err)
	}
	refusedBecause(t, "a refresh", err, session.ReasonStepUp)
	b, err := w.bridge.Browser(w.ctx, s.cookie)
	if w.do(err); b.Session.Active != s.browser.Session.Active || !b.Guards(b.Session.Active) {
		t.Errorf("the browser stands on %q, guarded %v: want where it was, guarded", b.Session.Active, b.Guards(b.Session.Active))
	}

	_, again := w.signInAs(southern, "oid-kim", "phr")
	code, err = w.code(again)
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	a, err := w.bridge.Accept(w.ctx, tokens.AccessToken)
	if w.do(err); a.ACR != "phr" {
		t.Errorf("the token says acr %q", a.ACR)
	}
	_, err = w.refresh(tokens.RefreshToken)
	w.do(err)
}

// TestADemandOfAnotherGrantEndsNothing: whoever stands on a grant that demands nothing
// notices nothing, but decides anew once.
func TestADemandOfAnotherGrantEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	w.catalogued(demanding(access.Administrator, 0, "phr"))
	_, err := w.bridge.Accept(w.ctx, s.tokens.AccessToken)
	w.do(err)
	_, err = w.refresh(s.tokens.RefreshToken)
	w.do(err)
}

// TestATokenEndsWithTheAgeOfItsSignIn, and nothing of that sign-in is given after it.
func TestATokenEndsWithTheAgeOfItsSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	_, before := w.signInAs(southern, "oid-kim", "")
	w.catalogued(demanding(before.Assignment.Grant, 10*time.Minute))
	cookie, b := w.signInAs(southern, "oid-kim", "")
	w.clock.Add(8 * time.Minute)
	code, err := w.code(b)
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	if tokens.ExpiresIn > 2*time.Minute || tokens.ExpiresIn < time.Minute {
		t.Errorf("the token lives for %s, and the sign-in for two minutes", tokens.ExpiresIn)
	}
	w.clock.Add(2 * time.Minute)
	_, err = w.refresh(tokens.RefreshToken)
	refusedBecause(t, "a refresh", err, session.ReasonStepUp)
	if b, err = w.bridge.Browser(w.ctx, cookie); err != nil || !b.Guards(b.Session.Active) {
		t.Errorf("the browser may go on as it is (%v)", err)
	}
}

// TestAnExchangeToAGuardedGrantIsRefusedByItsName, and changes nothing; what the
// application reads tells it what to ask for.
func TestAnExchangeToAGuardedGrantIsRefusedByItsName(t *testing.T) {
	t.Parallel()
	p := newProtected(t, func(w *world) {
		w.web.GrantTypes = []string{oidc.GrantTypeCode, oidc.GrantTypeRefresh, oidc.GrantTypeTokenExchange}
		w.clients = []oidc.Client{w.web, api()}
	})
	ida := p.person(banksia, "ida@banksia.example", "oid-ida")
	p.group(banksia, "GL Geelong Managers", ida)
	p.group(banksia, "GL Account Admins", ida)
	s := p.session(banksia, "oid-ida")
	to := guestPlace(s)
	if grantAt(s.browser, to) == s.browser.Assignment.Grant {
		t.Fatal("both places are of one grant: the demand would concern both")
	}
	p.catalogued(demanding(grantAt(s.browser, to), time.Hour, "phrh", "phr"))
	_, err := p.exchange(s.tokens.AccessToken, to)
	refusedBecause(t, "the exchange", err, session.ReasonStepUp)
	if a, err := p.bridge.Accept(p.ctx, s.tokens.AccessToken); err != nil || strings.Contains(string(a.Grant), string(to)) {
		t.Errorf("the refused exchange changed something: %v", err)
	}
	form := url.Values{"grant_type": {oidc.GrantTypeTokenExchange}, "subject_token": {s.tokens.AccessToken}, "scope": {"grant:" + string(to)},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}}
	rec := p.posted("/oauth2/token", form)
	if rec.Code != 400 || !strings.Contains(rec.Body.String(), `"insufficient_user_authentication"`) || !strings.Contains(rec.Body.String(), "phrh or phr") {
		t.Errorf("the application reads %d %s", rec.Code, rec.Body)
	}
}

// posted is a form that the world's application sends.
func (p *protected) posted(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(string(p.web.ID), "fleet-web-secret")
	rec := httptest.NewRecorder()
	p.provider().ServeHTTP(rec, r)
	return rec
}

// TestWhoeverVerifiesTokensAloneHearsOfAStricterTable: an API behind oidc/resource that
// follows the feed refuses at once, and userinfo and auth_request challenge as RFC 9470
// says.
func TestWhoeverVerifiesTokensAloneHearsOfAStricterTable(t *testing.T) {
	t.Parallel()
	p := newProtected(t)
	p.kim()
	p.begin()
	s := p.session(southern, "oid-kim")
	if _, err := p.guard.Check(p.ctx, s.tokens.AccessToken); err != nil || p.routes["/oauth2/introspect"] != 0 {
		t.Fatalf("before: %v, and it asked %d times", err, p.routes["/oauth2/introspect"])
	}
	p.catalogued(demanding(s.browser.Assignment.Grant, time.Hour, "phrh", "phr"))
	p.follow()
	if _, err := p.guard.Check(p.ctx, s.tokens.AccessToken); err == nil {
		t.Error("the API still lets the token in")
	}
	for _, path := range []string{"/oauth2/userinfo", "/oauth2/auth_request?audience=fleet-web"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+s.tokens.AccessToken)
		rec := httptest.NewRecorder()
		p.provider().ServeHTTP(rec, r)
		challenge := rec.Header().Get("WWW-Authenticate")
		for _, want := range []string{`error="insufficient_user_authentication"`, `acr_values="phrh phr"`, `max_age="3600"`} {
			if rec.Code != http.StatusUnauthorized || !strings.Contains(challenge, want) {
				t.Errorf("%s: %d %q lacks %s", path, rec.Code, challenge, want)
			}
		}
	}
	if rec := p.posted("/oauth2/introspect", url.Values{"token": {s.tokens.AccessToken}}); strings.TrimSpace(rec.Body.String()) != `{"active":false}` {
		t.Errorf("introspection says %s", rec.Body)
	}
}

// TestAnOfflineSessionIsHeldToTheDemandToo: nobody is there to sign in again.
func TestAnOfflineSessionIsHeldToTheDemandToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, away)
	w.kim()
	s, _ := w.offline()
	w.catalogued(demanding(s.browser.Assignment.Grant, 0, "phr"))
	_, err := w.refresh(s.tokens.RefreshToken)
	refusedBecause(t, "its refresh", err, session.ReasonStepUp)
}
