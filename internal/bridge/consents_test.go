package bridge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// TestNoCodeBeforeThePersonAgrees, for less than what is asked, or after they took it
// back; and what they were given dies with that.
func TestNoCodeBeforeThePersonAgrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.clients = slices.Clone(w.clients)
		for i := range w.clients {
			w.clients[i].Consent = w.clients[i].ID == w.web.ID
		}
		w.web.Consent = true
	})
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	cookie, b := w.mustSignIn(banksia, "oid-sam")
	scopes := func(all ...string) func(*hot.AuthRequest) {
		return func(r *hot.AuthRequest) { r.OAuthScopes = all }
	}
	refused := func(when string, change func(*hot.AuthRequest)) {
		t.Helper()
		if _, err := w.issued(b, change); !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != oidc.ReasonConsent {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused("before anything", scopes("openid"))
	w.do(w.bridge.Agree(w.ctx, cookie, hot.AuthRequest{Client: w.web.ID, OAuthScopes: []string{"openid", "email"}}))
	refused("more than was agreed to", scopes("openid", "profile"))
	refused("more, by name", asked(`{"userinfo":{"address":{}}}`))
	code, err := w.issued(b, scopes("openid", "email"))
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	w.do(w.bridge.Agree(w.ctx, cookie, hot.AuthRequest{Client: w.web.ID, OAuthScopes: []string{"openid", "live_view"}}))
	all, err := w.bridge.Consents(w.ctx, cookie)
	w.do(err)
	if len(all) != 1 || strings.Join(all[0].OAuthScopes, " ") != "email live_view openid" || all[0].Name == "" {
		t.Errorf("agreed to %+v", all)
	}
	onItsWay, err := w.issued(b, scopes("openid"))
	w.do(err)
	w.do(w.bridge.Withdraw(w.ctx, cookie, w.web.ID))
	w.do(w.bridge.Withdraw(w.ctx, cookie, w.web.ID))
	if _, err := w.bridge.Accept(w.ctx, tokens.AccessToken); err == nil {
		t.Error("an access token outlives what was taken back")
	}
	if _, err := w.refresh(tokens.RefreshToken); err == nil {
		t.Error("a refresh token outlives it")
	}
	if _, err := w.redeem(onItsWay); err == nil {
		t.Error("a code outlives it")
	}
	if b, err = w.bridge.Browser(w.ctx, cookie); err != nil {
		t.Errorf("the person is signed out: %v", err)
	}
	refused("after it was taken back", scopes("openid"))
}
