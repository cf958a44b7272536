package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// TestDoctorSaysWhichCredentialsEndAndWhichNobodyUses: days are counted from now; a
// created day is negative.
func TestDoctorSaysWhichCredentialsEndAndWhichNobodyUses(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	token := func(tail string, created, expires, used int) store.SCIMToken {
		out := store.SCIMToken{PublicID: "id" + tail, Tail: tail, Created: day(created), Expires: day(expires)}
		if used <= 0 {
			out.LastUsed = day(used)
		}
		return out
	}
	const never = 1
	revoked := token("gone", -300, 100, -1)
	revoked.Revoked = day(-1)
	secret := func(tail string, created, expires, used int) store.ClientSecret {
		s := token(tail, created, expires, used)
		return store.ClientSecret{PublicID: s.PublicID, Tail: s.Tail, Created: s.Created, Expires: s.Expires, LastUsed: s.LastUsed}
	}
	client := func(secrets ...store.ClientSecret) store.SCIMClient {
		return store.SCIMClient{ID: "drb_client_1", Name: "Entra", Secrets: secrets}
	}
	dead := client(secret("cccc", -10, 300, -1))
	dead.Revoked = day(-1)
	for name, c := range map[string]struct {
		view bridge.ConnectionView
		want string
		left float64
	}{
		"all is well": {bridge.ConnectionView{Tokens: []store.SCIMToken{token("aaaa", -10, 200, -1)}}, "", 200},
		"a token ends within a month": {bridge.ConnectionView{Tokens: []store.SCIMToken{token("aaaa", -100, 20, -1)}},
			"warn SCIM token ending in …aaaa ends in 20 days, on 2026-12-10", 20},
		"a token ends within a week": {bridge.ConnectionView{Tokens: []store.SCIMToken{token("aaaa", -100, 6, -1)}},
			"fail SCIM token ending in …aaaa ends in 6 days", 6},
		"its successor is there and not used yet": {bridge.ConnectionView{Tokens: []store.SCIMToken{token("aaaa", -100, 6, -1), token("bbbb", -2, 300, never)}},
			"fail SCIM token ending in …aaaa ends in 6 days", 300},
		"its successor is in use": {bridge.ConnectionView{Tokens: []store.SCIMToken{token("aaaa", -100, 6, -2)}, Clients: []store.SCIMClient{client(secret("bbbb", -2, 300, -1))}},
			"ok …aaaa ends on 2026-11-26, and its successor is in use", 300},
		"a secret ends within a week": {bridge.ConnectionView{Clients: []store.SCIMClient{client(secret("bbbb", -100, 3, -1))}},
			"fail the secret ending in …bbbb of the client Entra ends in 3 days, on 2026-11-23 | drawbridge connection client secret x drb_client_1", 3},
		"a token that nobody took": {bridge.ConnectionView{Tokens: []store.SCIMToken{token("aaaa", -14, 300, never), token("bbbb", -13, 300, never)}},
			"warn SCIM token ending in …aaaa was made on 2026-11-06 and has never been used | drawbridge token revoke x idaaaa", 300},
		"a secret that is forgotten": {bridge.ConnectionView{Tokens: []store.SCIMToken{token("aaaa", -14, 300, 0)}, Clients: []store.SCIMClient{client(secret("bbbb", -200, 300, -90))}},
			"warn …bbbb of the client Entra was last used on 2026-08-22 | drawbridge connection client revoke x drb_client_1 idbbbb", 300},
		"the last has ended": {bridge.ConnectionView{Tokens: []store.SCIMToken{token("aaaa", -400, -3, -4), revoked}, Clients: []store.SCIMClient{dead}},
			"fail no live SCIM token or client; the last ended on 2026-11-17 | drawbridge token create x", -3},
		"there was never one":  {bridge.ConnectionView{}, "fail no live SCIM token or client; nobody can be provisioned", 0},
		"a client that signs":  {bridge.ConnectionView{Signed: true, Clients: []store.SCIMClient{client()}}, "", math.Inf(1)},
		"nobody who may sign":  {bridge.ConnectionView{Signed: true, Tokens: []store.SCIMToken{token("aaaa", -1, 300, 0)}}, "warn there is no client that could send one | --without-secret", 300},
		"a client without any": {bridge.ConnectionView{Clients: []store.SCIMClient{client()}}, "fail no live SCIM token or client", 0},
	} {
		c.view.ID = "x"
		var said []string
		examineCredentials(c.view, now, func(level, fix, format string, args ...any) {
			said = append(said, level+" "+fmt.Sprintf(format, args...)+" | "+fix)
		})
		if (c.want == "") != (len(said) == 0) || len(said) > 1 {
			t.Errorf("%s: %q", name, said)
			continue
		}
		level, rest, _ := strings.Cut(c.want, " ")
		for part := range strings.SplitSeq(rest, " | ") {
			if c.want != "" && (!strings.HasPrefix(said[0], level) || !strings.Contains(said[0], part)) {
				t.Errorf("%s: %q, want %q", name, said[0], c.want)
			}
		}
		if got := daysLeft(c.view, now); got != c.left {
			t.Errorf("%s: %v days are left, want %v", name, got, c.left)
		}
	}
}
