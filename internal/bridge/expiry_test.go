package bridge_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// A session ends when the identity provider says, if that is before our own limit; the
// application is told when, and no token outlives it.
func TestASessionEndsNoLaterThanTheIdentityProviderSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	start := w.clock.Now()
	for name, c := range map[string]struct{ says, ends time.Time }{
		"sooner": {start.Add(2 * time.Minute), start.Add(2 * time.Minute)},
		"later":  {start.Add(1000 * time.Hour), start.Add(12 * time.Hour)},
		"none":   {time.Time{}, start.Add(12 * time.Hour)},
	} {
		cookie, b, err := w.bridge.SignIn(w.ctx, upstream.Identity{Connection: southern, Issuer: "https://login.example/" + string(southern), Subject: "oid-kim", AuthTime: start, Until: c.says})
		w.do(err)
		if !b.Session.Expires.Equal(c.ends) {
			t.Errorf("%s: the session ends at %s, want %s", name, b.Session.Expires, c.ends)
		}
		code, err := w.code(b)
		w.do(err)
		tokens, err := w.redeem(code)
		w.do(err)
		if got := idToken(t, tokens.IDToken); got.Until != c.ends.Unix() || got.Expires > c.ends.Unix() {
			t.Errorf("%s: the ID token says %+v, want session_expiry %d", name, got, c.ends.Unix())
		}
		if name != "sooner" {
			continue
		}
		w.clock.Add(2 * time.Minute)
		w.allDead(visit{cookie.Reveal(), b, tokens}, "after the provider's end")
		w.do(w.bridge.Sweep(w.ctx))
		if ends := w.ends(southern); len(ends) != 1 || ends[0] != "bridge idp_session_expired "+string(b.Session.ID) {
			t.Errorf("ends %v", ends)
		}
		w.clock.Add(-2 * time.Minute)
	}
}

type idClaims struct {
	Until   int64 `json:"session_expiry"`
	Expires int64 `json:"exp"`
}

func idToken(t *testing.T, raw string) (c idClaims) {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", raw)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
