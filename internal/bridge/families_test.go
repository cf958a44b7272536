package bridge_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// twoApplications registers a second one beside the world's own.
func twoApplications(w *world) {
	office := w.web
	office.ID, office.RedirectURIs = "office-web", []string{"https://office.example/callback"}
	w.clients = []oidc.Client{w.web, office}
}

// asOffice does something as the second application.
func (w *world) asOffice(do func()) {
	web := w.web
	defer func() { w.web = web }()
	w.web = w.clients[1]
	do()
}

// again is one more sign-in of the application under a session that there is.
func (w *world) again(s visit) visit {
	w.t.Helper()
	code, err := w.code(s.browser)
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	return visit{s.cookie, s.browser, tokens}
}

// withTwo is a world with both applications.
func withTwo(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, twoApplications)
	w.do(w.bridge.ApplyClients(w.ctx))
	return w
}

// neighbours are what one session has beside the tokens that a test is about: other
// tokens of the same application, and those of another one.
func (w *world) neighbours(s visit) (check func(when string)) {
	w.t.Helper()
	same, office := w.again(s), visit{}
	w.asOffice(func() { office = w.again(s) })
	return func(when string) {
		w.t.Helper()
		if b, a, r := w.alive(same); !b || !a || !r {
			w.t.Errorf("%s: of another sign-in of the application: browser %t, access token %t, refresh token %t are accepted; all must be", when, b, a, r)
		}
		w.asOffice(func() {
			if b, a, r := w.alive(office); !b || !a || !r {
				w.t.Errorf("%s: of another application: browser %t, access token %t, refresh token %t are accepted; all must be", when, b, a, r)
			}
		})
	}
}

// happened are the facts, in order, that a session's tokens or sign-ins ended.
func (w *world) happened() (all []string) {
	w.t.Helper()
	for _, e := range w.facts(southern) {
		switch e.Type {
		case event.CodeReplayed, event.RefreshReused, event.TokenRevoked, event.SessionRevoked, event.SessionChanged:
			all = append(all, strings.TrimSpace(string(e.Type)+" "+e.Data["reason"]))
		}
	}
	return all
}

func (w *world) wantHappened(want ...string) {
	w.t.Helper()
	if got := w.happened(); !slices.Equal(got, want) {
		w.t.Errorf("it is recorded that %q, want %q", got, want)
	}
}

// tokensDead fails if a token of the sign-in is accepted, or the browser is not.
func (w *world) tokensDead(s visit, when string) {
	w.t.Helper()
	if b, a, r := w.alive(s); !b || a || r {
		w.t.Errorf("%s: browser %t, access token %t, refresh token %t are accepted; only the browser may be", when, b, a, r)
	}
}

// TestACodeIsItsOwnersAlone: whoever has a code and cannot prove that it was made for them
// ends nothing by showing it, before it is used or after.
// Threats: T-B11.
func TestACodeIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	w := withTwo(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	code, err := w.codeFor(hot.AuthRequest{OAuthScopes: []string{"openid"}, DPoPKey: "key-1"}, s.browser)
	w.do(err)
	owner := oidc.CodeExchange{Code: code, RedirectURI: w.web.RedirectURIs[0], CodeVerifier: verifier, DPoPKey: "key-1", Client: w.web}
	others := map[string]func(*oidc.CodeExchange){
		"another application":  func(x *oidc.CodeExchange) { x.Client = w.clients[1] },
		"another redirect_uri": func(x *oidc.CodeExchange) { x.RedirectURI = w.clients[1].RedirectURIs[0] },
		"another verifier":     func(x *oidc.CodeExchange) { x.CodeVerifier = strings.Repeat("x", 43) },
		"no verifier":          func(x *oidc.CodeExchange) { x.CodeVerifier = "" },
		"another key":          func(x *oidc.CodeExchange) { x.DPoPKey = "key-2" },
		"no key":               func(x *oidc.CodeExchange) { x.DPoPKey = "" },
	}
	tryAll := func(when string) {
		t.Helper()
		for name, spoil := range others {
			x := owner
			spoil(&x)
			if _, err := w.bridge.Redeem(w.ctx, x); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s, %s: %v", when, name, err)
			}
		}
	}
	tryAll("before")
	set, err := w.bridge.Redeem(w.ctx, owner)
	w.do(err)
	tryAll("after")
	if _, err := w.bridge.Accept(w.ctx, set.AccessToken); err != nil {
		t.Errorf("the owner's access token: %v", err)
	}
	if _, err := w.refreshBy("key-1", set.RefreshToken); err != nil {
		t.Errorf("the owner's refresh token: %v", err)
	}
	w.wantHappened()
}

// TestAReplayEndsWhatTheCodeGaveAndNoMore, once, however often it comes, and over a
// restart. The session lives on, and so does all that came of other codes.
// Threats: T-B10.
func TestAReplayEndsWhatTheCodeGaveAndNoMore(t *testing.T) {
	t.Parallel()
	w := withTwo(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	code, err := w.code(s.browser)
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	check := w.neighbours(s)
	for range 3 {
		if _, err := w.redeem(code); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a code is redeemed twice: %v", err)
		}
	}
	of := visit{s.cookie, s.browser, tokens}
	if _, err := w.bridge.Accept(w.ctx, tokens.AccessToken); fault.ReasonOf(err) != store.WhyFamilyEnded {
		t.Errorf("the access token: %v", err)
	}
	if _, err := w.exchange(tokens.AccessToken, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("the access token is exchanged: %v", err)
	}
	w.tokensDead(of, "after a replay")
	w.restart()
	w.tokensDead(of, "after a restart")
	check("after a replay")
	w.wantHappened("code.replayed")
}

// TestRevocationEndsWhatOneSignInLedTo (RFC 7009 section 2.1), whichever of its tokens is
// shown, and nothing of other applications, which hear of nothing.
func TestRevocationEndsWhatOneSignInLedTo(t *testing.T) {
	t.Parallel()
	for name, shown := range map[string]func(oidc.TokenSet) string{
		"the refresh token": func(s oidc.TokenSet) string { return s.RefreshToken },
		"the access token":  func(s oidc.TokenSet) string { return s.AccessToken },
	} {
		w := withTwo(t)
		w.kim()
		s := w.session(southern, "oid-kim")
		check := w.neighbours(s)
		w.do(w.bridge.Revoke(w.ctx, shown(s.tokens), w.clients[1].ID))
		w.wantHappened()
		for range 2 {
			w.do(w.bridge.Revoke(w.ctx, shown(s.tokens), w.web.ID))
		}
		w.tokensDead(s, name+" revoked")
		check(name + " revoked")
		w.wantHappened("token.revoked")
	}
}

// An offline session is nothing but its tokens: it ends when they are revoked, and that
// alone is told.
func TestRevocationEndsAnOfflineSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, away)
	w.kim()
	s, id := w.offline()
	w.do(w.bridge.Revoke(w.ctx, s.tokens.AccessToken, w.web.ID))
	w.tokensDead(s, "revoked")
	if row := w.row(id); row.State != session.Ended || row.EndReason != session.EndSignedOut {
		t.Errorf("the offline session is %s because %q", row.State, row.EndReason)
	}
	w.wantHappened("token.revoked", "session.revoked "+session.EndSignedOut)
}

// TestAReusedRefreshTokenEndsItsSessionOnce, however many show it at once, and whoever was
// signed in to is told: that is true.
// Threats: T-B9.
func TestAReusedRefreshTokenEndsItsSessionOnce(t *testing.T) {
	t.Parallel()
	var app *told
	w := newWorld(t, withTold(&app), func(w *world) { w.lives.RefreshGrace = 0 })
	w.kim()
	s := w.session(southern, "oid-kim")
	other := w.again(s)
	_, err := w.refresh(s.tokens.RefreshToken)
	w.do(err)
	if n := together(func(int) bool {
		_, err := w.refresh(s.tokens.RefreshToken)
		return !fault.Is(err, fault.NotFound)
	}); n != 0 {
		t.Errorf("%d of a crowd got something else than a refusal", n)
	}
	w.allDead(s, "after a reuse")
	w.allDead(other, "after a reuse, of another sign-in")
	w.wantHappened("refresh.reused", "session.revoked "+session.EndRefreshReused)
	w.clock.Add(time.Second)
	want := []string{session.EndRefreshReused + " " + string(s.browser.Session.ID)}
	if got := w.hear(app); !slices.Equal(got, want) {
		t.Errorf("the application heard %q, want %q", got, want)
	}
}

// TestAnEndedFamilyIsForgottenOnceNothingOfItIsLeft: also where the process ended between
// the commit and the hot store.
func TestAnEndedFamilyIsForgottenOnceNothingOfItIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	a, err := w.bridge.Accept(w.ctx, s.tokens.AccessToken)
	w.do(err)
	family := a.Bound.Family
	w.do(w.store.Update(w.ctx, func(tx *store.Tx) error { // no more than this had been done
		_, err := tx.EndFamily(store.EndedFamily{ID: family, Client: w.web.ID}, w.clock.Now().Add(credential.MaxLife))
		return err
	}))
	w.do(w.bridge.Sweep(w.ctx))
	if got := w.familiesOver(); len(got) != 1 {
		t.Errorf("too early, %v are remembered", got)
	}
	w.clock.Add(credential.MaxLife)
	w.do(w.bridge.Sweep(w.ctx))
	if got := w.familiesOver(); len(got) != 0 {
		t.Errorf("%v are remembered for ever", got)
	}
	if _, err := w.hot.Family(w.ctx, family, w.clock.Now()); !fault.Is(err, fault.NotFound) {
		t.Errorf("the refresh token comes back to life: %v", err)
	}
}

func (w *world) familiesOver() (all []store.EndedFamily) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) (err error) {
		all, err = v.FamiliesOver(w.clock.Now().Add(time.Hour), 10)
		return err
	}))
	return all
}

// TestASwitchByExchangeLeavesNoFamilyBehind: the one that the switch ended goes with it.
func TestASwitchByExchangeLeavesNoFamilyBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	a, err := w.bridge.Accept(w.ctx, s.tokens.AccessToken)
	w.do(err)
	set, err := w.exchange(s.tokens.AccessToken, guestPlace(s))
	w.do(err)
	if _, err := w.hot.Family(w.ctx, a.Bound.Family, w.clock.Now()); !fault.Is(err, fault.NotFound) {
		t.Errorf("the family that was switched from is still there: %v", err)
	}
	now, err := w.bridge.Accept(w.ctx, set.AccessToken)
	w.do(err)
	if _, err := w.hot.Family(w.ctx, now.Bound.Family, w.clock.Now()); err != nil || now.Bound.Family == a.Bound.Family {
		t.Errorf("the new family %s: %v", now.Bound.Family, err)
	}
}
