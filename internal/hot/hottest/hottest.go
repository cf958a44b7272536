// Package hottest is the suite that every hot engine must pass. What it asserts is
// the contract of package hot; an engine that needs an exception does not fit it.
package hottest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// Run holds an engine to its contract. open gives an empty engine and closes it
// when the test ends.
func Run(t *testing.T, open func(t *testing.T) hot.Engine) {
	for _, promise := range []struct {
		name string
		test func(*testing.T, hot.Engine)
	}{
		{"a request is found until its end", requestLives},
		{"what was not asked for is not there", sparseRoundTrip},
		{"a request's id is its own", requestIDTaken},
		{"what is handed out is a copy", requestIsACopy},
		{"an upstream state works once", stateWorksOnce},
		{"an upstream state belongs to its connection", stateBelongsToConnection},
		{"a new upstream leg replaces the old", legIsReplaced},
		{"two requests cannot wait for one state", stateIsUnique},
		{"a request begins ten legs and no more", legsAreCounted},
		{"64 callbacks with one state: one request", stateRaced},
		{"a flood of requests is its own network's", requestsAreAccounted},
		{"a pushed request is taken once, by its client", pushedOnce},
		{"a pushed request ends", pushedEnds},
		{"64 browsers with one pushed request: one gets it", pushedRaced},
		{"a flood of pushed requests is its own pusher's", pushedAreAccounted},
		{"a code is consumed once", codeOnce},
		{"another's showing of a code changes nothing", othersShowing},
		{"a code without a challenge", withoutChallenge},
		{"a code ends", codeEnds},
		{"a session has sixteen live codes at a client", liveCodesCapped},
		{"a replayed code forbids its family", replayForbidsFamily},
		{"an ended family is not stored afterwards", endBeforePut},
		{"64 exchanges of one code: one OK", codeRaced},
		{"a family comes back as it was stored", familyRoundTrip},
		{"a family ends", familyEnds},
		{"one live leaf per family", OneLiveLeafPerFamily},
		{"a rotation chain moves one by one", chain},
		{"a retry inside the grace is told apart", graceRetries},
		{"a retry is by the same key, and a key is never given up", keys},
		{"reuse ends the family", reuseEnds},
		{"another client changes nothing", otherClient},
		{"a request that does not fit its family changes nothing", unfit},
		{"a number from the future needs its proof", forward},
		{"ending a session ends its families only", sessionEnds},
		{"64 rotations with one token inside the grace: one OK", graceRaced},
		{"ending a family while it rotates leaves nothing", endWhileRotating},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.test(t, open(t)) })
	}
}

const racers = 64

// instant is when every test begins: whole nanoseconds, so that nothing is rounded.
func instant() time.Time { return time.Date(2026, 3, 2, 9, 30, 0, 123456789, time.UTC) }

func request(id string) hot.AuthRequest {
	return hot.AuthRequest{
		ID: id, Browser: credential.DigestOf("cookie of " + id), Client: "fleet-web",
		RedirectURI: "https://fleet.example/callback", State: "st", Nonce: "no", CodeChallenge: "challenge",
		DPoPKey: "thumbprint", Resources: []string{"https://api.fleet.example"}, Claims: json.RawMessage(`{"userinfo":{"name":null}}`),
		ACRValues: []string{"phr"}, UILocales: []string{"nb", "en"}, OAuthScopes: []string{"openid", "live_view"}, Prompt: []string{"login"}, MaxAge: -1,
		LoginHint: "mara@ironbark.example", From: "203.0.113.7", Created: instant(), Expires: instant().Add(10 * time.Minute),
	}
}

func bound() credential.Bound {
	return credential.Bound{
		Subject: credential.Subject{Connection: "ironbark-entra", Client: "fleet-web", Person: "per_mara", Session: "ses_1"},
		Epochs:  credential.Epochs{Host: 1, Connection: 2, Client: 3, Person: 4, Session: 5},
		Expires: instant().Add(8 * time.Hour),
	}
}

func ofFamily(id string) credential.Bound {
	b := bound()
	b.Family = id
	return b
}

// owner shows a code as whom it was made for does.
func owner(g hot.CodeGrant) hot.Showing {
	return hot.Showing{Client: g.Request.Client, RedirectURI: g.Request.RedirectURI, Challenge: g.Request.CodeChallenge, DPoPKey: g.Request.DPoPKey}
}

func code(n int) (credential.Digest, hot.CodeGrant) {
	return credential.DigestOf(fmt.Sprint("code ", n)), hot.CodeGrant{
		Request: request(fmt.Sprint("req_", n)), Session: "ses_1", Active: "asg_1", Bound: ofFamily(fmt.Sprint("fam_", n)),
		Expires: instant().Add(time.Minute), Family: fmt.Sprint("fam_", n),
	}
}

func family(id string) hot.Family {
	return hot.Family{ID: id, Bound: ofFamily(id), Active: "asg_1", OAuthScopes: []string{"openid", "live_view"},
		Resources: []string{"https://api.fleet.example"}, Claims: json.RawMessage(`{"userinfo":{"name":null}}`), Details: true, DPoPKey: "thumbprint",
		AuthTime: instant().Add(-time.Minute), Nonce: "no", N: 1, Rotated: instant(),
		Expires: instant().Add(8 * time.Hour), Salt: "salt of " + id}
}

func ofSession(f hot.Family, s session.ID) hot.Family {
	f.Bound.Subject.Session = s
	return f
}

func rotation(id string, n int64) hot.Rotation {
	return hot.Rotation{Family: id, Client: access.ClientID("fleet-web"), N: n, Now: instant().Add(time.Minute), DPoPKey: "thumbprint"}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
