package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// redeemBy redeems a code by a request that proves a key; refreshBy refreshes so.
func (w *world) redeemBy(key, code string) (oidc.TokenSet, error) {
	return w.bridge.Redeem(w.ctx, oidc.CodeExchange{Code: code, RedirectURI: w.web.RedirectURIs[0], CodeVerifier: verifier, DPoPKey: key, Client: w.web})
}

func (w *world) refreshBy(key, token string) (oidc.TokenSet, error) {
	return w.bridge.Refresh(w.ctx, oidc.RefreshExchange{RefreshToken: token, DPoPKey: key, Client: w.web})
}

// bound is a sign-in whose tokens are bound to a key.
func (w *world) bound(key string) visit {
	w.t.Helper()
	cookie, b := w.mustSignIn(southern, "oid-kim")
	code, err := w.code(b)
	w.do(err)
	tokens, err := w.redeemBy(key, code)
	w.do(err)
	return visit{cookie, b, tokens}
}

// public makes the application of the world one that can prove nothing but a key.
func public(w *world) {
	w.web.SecretDigest = oidc.Client{}.SecretDigest
	w.clients = []oidc.Client{w.web}
}

// TestTokensAreBoundToTheKeyThatAskedForThem: the access token by its cnf, and the
// refresh token of a public client by its family (RFC 9449 section 5). A request that
// does not prove the key changes nothing.
func TestTokensAreBoundToTheKeyThatAskedForThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, public)
	w.kim()
	s := w.bound("key-1")
	hold := func(set oidc.TokenSet, key string) {
		t.Helper()
		a, err := w.bridge.Accept(w.ctx, set.AccessToken)
		if w.do(err); set.DPoPKey != key || a.DPoPKey != key {
			t.Errorf("the answer says %q and the token %q, want %q", set.DPoPKey, a.DPoPKey, key)
		}
	}
	hold(s.tokens, "key-1")
	for _, key := range []string{"", "key-2"} {
		if _, err := w.refreshBy(key, s.tokens.RefreshToken); !fault.Is(err, fault.NotFound) {
			t.Errorf("a refresh by %q: %v", key, err)
		}
	}
	next, err := w.refreshBy("key-1", s.tokens.RefreshToken)
	w.do(err)
	hold(next, "key-1")
	for key, good := range map[string]bool{"key-2": false, "key-1": true} { // inside the grace
		if again, err := w.refreshBy(key, s.tokens.RefreshToken); (err == nil) != good || good && again.RefreshToken != next.RefreshToken {
			t.Errorf("a retry by %q: %v", key, err)
		}
	}
	if _, _, err := w.bridge.Grants(w.ctx, oidc.Presented{Token: next.AccessToken}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a bound token as bearer lists the grants: %v", err)
	}
	if _, _, err := w.bridge.Grants(w.ctx, oidc.PresentedBy(next.AccessToken, "key-1")); err != nil {
		t.Errorf("with its key it does not: %v", err)
	}
	if _, err := w.bridge.OpenSelf(w.ctx, string(southern), next.AccessToken); err == nil {
		t.Error("a bound token opens /Me as bearer")
	}
}

// TestAClientThatAuthenticatesMayUseAnotherKey, but never goes back to bearer tokens,
// and a retry of its is by the key of the first.
func TestAClientThatAuthenticatesMayUseAnotherKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.bound("key-1")
	if _, err := w.refreshBy("", s.tokens.RefreshToken); !fault.Is(err, fault.NotFound) {
		t.Errorf("back to bearer: %v", err)
	}
	next, err := w.refreshBy("key-2", s.tokens.RefreshToken)
	if w.do(err); next.DPoPKey != "key-2" {
		t.Errorf("bound to %q", next.DPoPKey)
	}
	if _, err := w.refreshBy("key-1", s.tokens.RefreshToken); !fault.Is(err, fault.NotFound) {
		t.Errorf("a retry by another key: %v", err)
	}
	if again, err := w.refreshBy("key-2", s.tokens.RefreshToken); err != nil || again.RefreshToken != next.RefreshToken {
		t.Errorf("a retry by the same key: %v", err)
	}
}

// TestI4_ACodeOfAKeyIsRedeemedOnceByThatKey, of as many who try at once as in the
// races without keys, half of them with another key.
func TestI4_ACodeOfAKeyIsRedeemedOnceByThatKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	code, err := w.code(s.browser)
	w.do(err)
	var got visit
	if n := together(func(i int) bool {
		tokens, err := w.redeemBy([]string{"key-1", "key-2"}[i%2], code)
		if err == nil {
			got.tokens = tokens
		}
		return err == nil
	}); n > 1 {
		t.Errorf("one code was redeemed %d times", n)
	}
	if got.tokens.AccessToken != "" {
		if _, err := w.bridge.Accept(w.ctx, got.tokens.AccessToken); err == nil {
			t.Error("what a code gave that came twice is accepted")
		}
	}
}

// TestI4_RefreshesOfAKeyHaveOneSuccessor: of as many at once, those of the family's key
// get the same successor and the others nothing; a reuse after the grace ends all.
func TestI4_RefreshesOfAKeyHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, public)
	w.kim()
	s := w.bound("key-1")
	successors := make([]string, crowd)
	if n := together(func(i int) bool {
		tokens, err := w.refreshBy([]string{"key-1", "key-2"}[i%2], s.tokens.RefreshToken)
		successors[i] = tokens.RefreshToken
		return err == nil
	}); n != crowd/2 {
		t.Errorf("%d of %d were answered, want those of the key", n, crowd)
	}
	for i, token := range successors {
		if want := map[bool]string{true: successors[0]}[i%2 == 0]; token != want {
			t.Fatalf("request %d got another successor", i)
		}
	}
	w.clock.Add(w.lives.RefreshGrace + time.Millisecond)
	if _, err := w.refreshBy("key-1", s.tokens.RefreshToken); err == nil {
		t.Error("after the grace the old token is exchanged")
	}
	if _, err := w.refreshBy("key-1", successors[0]); err == nil {
		t.Error("the family lives on after a reuse")
	}
}
