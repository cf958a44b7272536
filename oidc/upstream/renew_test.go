package upstream

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

func probing(p *Provider) { p.ProbeEvery = 15 * time.Minute }

// The provider's refresh token is asked for, and taken, only where it will be used.
func TestARefreshTokenIsTakenOnlyWhereTheProviderIsAsked(t *testing.T) {
	p := newIdP(t)
	p.tokens = func(w http.ResponseWriter, _ *http.Request) bool {
		payload, err := json.Marshal(p.claims)
		if err != nil {
			t.Error(err)
		}
		writeJSON(w, map[string]any{"access_token": "at", "token_type": "Bearer", "id_token": p.signer(payload), "refresh_token": "theirs"})
		return true
	}
	for _, asked := range []bool{true, false} {
		u := p.upstreams(t)
		if asked {
			u = p.upstreamsOf(t, probing)
		}
		to, err := u.Start(t.Context(), "ironbark-entra", leg())
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(strings.Fields(mustParse(t, to).Query().Get("scope")), "offline_access"); got != asked {
			t.Errorf("offline_access is asked for: %t, want %t", got, asked)
		}
		id, err := u.Finish(t.Context(), "ironbark-entra", leg(), answer())
		if err != nil || (id.Refresh.Reveal() == "theirs") != asked || !asked && !id.Refresh.Empty() {
			t.Errorf("asked %t: %v", asked, err)
		}
	}
}

// What a provider says when it is shown its refresh token: that the sign-in stands, that
// it does not, or nothing.
func TestAProviderVouchesTakesItsWordBackOrSaysNothing(t *testing.T) {
	p := newIdP(t)
	u := p.upstreamsOf(t, probing)
	now := p.clock()
	subject := "00000000-0000-4000-8000-000000000001"
	idToken := func(changed map[string]any) string {
		c := map[string]any{"iss": p.URL, "aud": clientID, "sub": "pairwise-subject", "oid": subject, "tid": "tenant-1", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix()}
		for k, v := range changed {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		payload, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return p.signer(payload)
	}
	answers := func(more map[string]any) map[string]any {
		a := map[string]any{"access_token": "at", "token_type": "Bearer"}
		for k, v := range more {
			a[k] = v
		}
		return a
	}
	for name, c := range map[string]struct {
		status  int
		body    any
		reason  string
		rotated string
		until   time.Time
	}{
		"stands":                    {200, answers(nil), "", "", time.Time{}},
		"the same token again":      {200, answers(map[string]any{"refresh_token": "mine"}), "", "", time.Time{}},
		"another token":             {200, answers(map[string]any{"refresh_token": "next"}), "", "next", time.Time{}},
		"with an ID token":          {200, answers(map[string]any{"id_token": idToken(nil)}), "", "", time.Time{}},
		"with an end":               {200, answers(map[string]any{"id_token": idToken(map[string]any{"session_expiry": now.Add(time.Hour).Unix()})}), "", "", now.Add(time.Hour)},
		"with an end that is past":  {200, answers(map[string]any{"refresh_token": "next", "id_token": idToken(map[string]any{"session_expiry": now.Unix()})}), ReasonOver, "next", time.Time{}},
		"somebody else":             {200, answers(map[string]any{"refresh_token": "next", "id_token": idToken(map[string]any{"oid": "other"})}), ReasonRefused, "next", time.Time{}},
		"another issuer":            {200, answers(map[string]any{"refresh_token": "next", "id_token": idToken(map[string]any{"iss": "https://evil.example"})}), ReasonToken, "next", time.Time{}},
		"another audience":          {200, answers(map[string]any{"id_token": idToken(map[string]any{"aud": "other"})}), ReasonToken, "", time.Time{}},
		"a token that is old":       {200, answers(map[string]any{"id_token": idToken(map[string]any{"exp": now.Add(-time.Hour).Unix()})}), ReasonToken, "", time.Time{}},
		"a token that is no token":  {200, answers(map[string]any{"refresh_token": "next", "id_token": "a.b.c"}), ReasonToken, "next", time.Time{}},
		"invalid_grant":             {400, map[string]any{"error": "invalid_grant"}, ReasonRefused, "", time.Time{}},
		"invalid_grant with 500":    {500, map[string]any{"error": "invalid_grant"}, ReasonDown, "", time.Time{}},
		"our secret is wrong":       {401, map[string]any{"error": "invalid_client"}, ReasonSetUp, "", time.Time{}},
		"we may not":                {400, map[string]any{"error": "unauthorized_client"}, ReasonSetUp, "", time.Time{}},
		"too many questions":        {429, map[string]any{"error": "slow_down"}, ReasonDown, "", time.Time{}},
		"down":                      {503, map[string]any{}, ReasonDown, "", time.Time{}},
		"invalid_grant as a notice": {403, map[string]any{"error": "invalid_grant"}, ReasonIdP, "", time.Time{}},
	} {
		p.mu.Lock()
		p.tokens = func(w http.ResponseWriter, r *http.Request) bool {
			if r.PostForm.Get("grant_type") != "refresh_token" || r.PostForm.Get("refresh_token") != "mine" {
				t.Errorf("%s: it was asked %v", name, r.PostForm)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.status)
			if err := json.NewEncoder(w).Encode(c.body); err != nil {
				t.Error(err)
			}
			return true
		}
		p.mu.Unlock()
		got, err := u.Renew(t.Context(), "ironbark-entra", secret.New("mine"), subject)
		if fault.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") || got.Refresh.Reveal() != c.rotated || !got.Until.Equal(c.until) {
			t.Errorf("%s: %q until %s, %v; want reason %q, token %q until %s", name, got.Refresh.Reveal(), got.Until, err, c.reason, c.rotated, c.until)
		}
	}
}
