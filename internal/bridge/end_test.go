package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// TestI1_TheEndOfOneSessionEndsItsCredentials: what ends one session's tokens ends
// them all, and touches no other session of the same person (I-1).
// Threats: T-B4.
func TestI1_TheEndOfOneSessionEndsItsCredentials(t *testing.T) {
	for name, end := range map[string]struct {
		do      func(w *world, s visit)
		browser bool // the browser's own session lives on
	}{
		"signed out": {func(w *world, s visit) { w.do(w.bridge.SignOut(w.ctx, s.browser.Session.ID, "signed_out")) }, false},
		"ended by an administrator": {func(w *world, s visit) {
			w.do(w.bridge.EndSession(w.ctx, s.browser.Session.ID, session.EndAdministrator, event.ByAdministrator))
		}, false},
		"over":            {func(w *world, _ visit) { w.clock.Add(12 * time.Hour) }, false},
		"refresh revoked": {func(w *world, s visit) { w.do(w.bridge.Revoke(w.ctx, s.tokens.RefreshToken, w.web.ID)) }, true},
		"access revoked":  {func(w *world, s visit) { w.do(w.bridge.Revoke(w.ctx, s.tokens.AccessToken, w.web.ID)) }, true},
		"refresh used twice": {func(w *world, s visit) {
			if _, err := w.refresh(s.tokens.RefreshToken); err != nil {
				w.t.Fatal(err)
			}
			w.clock.Add(time.Minute)
			if _, err := w.refresh(s.tokens.RefreshToken); err == nil {
				w.t.Error("a refresh token is exchanged twice")
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.kim()
			s := w.session(southern, "oid-kim")
			if name != "over" {
				other := w.session(southern, "oid-kim")
				defer func() {
					if b, a, r := w.alive(other); !b || !a || !r {
						t.Errorf("the person's other session lost something: browser %t, access %t, refresh %t", b, a, r)
					}
				}()
			}
			end.do(w, s)
			if b, a, r := w.alive(s); b != end.browser || a || r {
				t.Errorf("browser %t, access token %t, refresh token %t are accepted; want browser %t and no token", b, a, r, end.browser)
			}
		})
	}
}

// TestI1_AnotherSubjectEndsEverything: when the claim that links the sign-in
// changes after the first sign-in, nothing made before it is accepted (I-1).
func TestI1_AnotherSubjectEndsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim, _ := w.kim()
	s := w.session(southern, "oid-kim")
	code, err := w.code(s.browser)
	w.do(err)
	w.patchUser(southern, kim, `{"op":"replace","path":"externalId","value":"oid-somebody"}`)
	if _, err := w.redeem(code); err == nil {
		t.Error("a code made before is redeemed")
	}
	w.allDead(s, "after another subject")
}

// TestI13_NothingOlderRevives: credentials made before any number of disables and
// enables stay dead, of every kind and every generation (I-13).
// Threats: T-B6.
func TestI13_NothingOlderRevives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim, _ := w.kim()
	var old []visit
	var codes []string
	for range 3 {
		s := w.session(southern, "oid-kim")
		code, err := w.code(s.browser)
		w.do(err)
		old, codes = append(old, s), append(codes, code)
		w.patchUser(southern, kim, `{"op":"replace","path":"active","value":false}`)
		w.patchUser(southern, kim, `{"op":"replace","path":"active","value":true}`)
		for i, s := range old {
			if _, err := w.redeem(codes[i]); err == nil {
				t.Error("an old code is redeemed")
			}
			w.allDead(s, "after another enable")
		}
	}
	w.restart()
	for _, s := range old {
		w.allDead(s, "after a restart")
	}
}
