//go:build lanes

package redis

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// used is how many bytes a server takes.
func (s *server) used() int64 {
	s.t.Helper()
	_, rest, _ := strings.Cut(fmt.Sprint(s.do("INFO", "memory")), "used_memory:")
	number, _, _ := strings.Cut(rest, "\r")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// What a record takes of Redis's memory, with its name and what it takes to find it: the table in
// docs/operations.md says no less.
func TestWhatARecordTakes(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	const many = 3000
	challenge, verifier := strings.Repeat("c", 43), strings.Repeat("v", 43)
	request := func(n int) hot.AuthRequest {
		id := fmt.Sprintf("req_%026d", n)
		return hot.AuthRequest{ID: id, Client: "fleet-web", RedirectURI: "https://fleet.example/callback", State: id, Nonce: id, CodeChallenge: challenge, Browser: credential.DigestOf(id),
			OAuthScopes: []string{"openid", "profile", "offline_access", "live_view"}, Prompt: []string{"login"}, MaxAge: -1, Connection: "ironbark-entra", From: fmt.Sprintf("203.0.%d.%d", n/256, n%256),
			Created: at(0), Expires: at(10 * time.Minute)}
	}
	code := func(n int) (credential.Digest, hot.CodeGrant) {
		d, g := codeOf(n)
		g.Request, g.Session = request(n), familyOf("", fmt.Sprintf("ses_%026d", n)).Bound.Subject.Session
		return d, g
	}
	family := func(n int) hot.Family {
		f := familyOf(fmt.Sprintf("fam_%026d", n), fmt.Sprintf("ses_%026d", n))
		f.OAuthScopes, f.Nonce, f.Claims = request(n).OAuthScopes, request(n).Nonce, json.RawMessage(`{"userinfo":{"name":null,"email":null}}`)
		return f
	}
	for _, c := range []struct {
		what string
		most int64 // bytes, as documented
		do   func(n int) error
	}{
		{"an authorization request", 1800, func(n int) error { return e.PutAuthRequest(t.Context(), request(n)) }},
		{"its upstream leg, besides", 1000, func(n int) error {
			return e.BindUpstream(t.Context(), request(n).ID, hot.Upstream{Connection: "ironbark-entra", State: "state of " + request(n).ID, Nonce: challenge, CodeVerifier: verifier, Started: at(0)}, at(0))
		}},
		{"a pushed request", 1700, func(n int) error {
			return e.PutPushed(t.Context(), fmt.Sprint("par", n), hot.Pushed{Client: "fleet-web", From: request(n).From, Params: strings.Repeat("scope=openid&", 30), Created: at(0), Expires: at(time.Minute)})
		}},
		{"a code", 2300, func(n int) error {
			d, g := code(n)
			return e.PutCode(t.Context(), d, g, at(0))
		}},
		{"a family", 1400, func(n int) error { return e.PutFamily(t.Context(), family(n)) }},
		{"a revocation in a feed", 400, func(n int) error {
			return e.Feed("news").Publish(t.Context(), []byte(strings.Repeat("r", 200)))
		}},
	} {
		before := s.used()
		for n := range many {
			ok(t, c.do(n))
		}
		each := (s.used() - before) / many
		t.Logf("%s takes %d bytes", c.what, each)
		if each > c.most {
			t.Errorf("%s takes %d bytes, and at most %d are documented", c.what, each, c.most)
		}
	}
}
