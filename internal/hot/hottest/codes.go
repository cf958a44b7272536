package hottest

import (
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

func consume(t *testing.T, e hot.Engine, d credential.Digest, by hot.CodeGrant, now time.Time, want hot.Outcome) hot.CodeGrant {
	t.Helper()
	return shown(t, e, d, owner(by), now, want)
}

func shown(t *testing.T, e hot.Engine, d credential.Digest, by hot.Showing, now time.Time, want hot.Outcome) hot.CodeGrant {
	t.Helper()
	g, got, err := e.ConsumeCode(t.Context(), d, by, now)
	must(t, err)
	if got != want {
		t.Errorf("ConsumeCode: outcome %d, want %d", got, want)
	}
	return g
}

func codeOnce(t *testing.T, e hot.Engine) {
	d, g := code(1)
	must(t, e.PutCode(t.Context(), d, g, instant()))
	wantKind(t, "the same code again", e.PutCode(t.Context(), d, g, instant()), fault.Conflict)
	want := g
	want.Request = g.Request.Redemption()
	if got := consume(t, e, d, g, instant(), hot.OK); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	again := consume(t, e, d, g, instant(), hot.Replayed)
	if again.Family != g.Family || again.Session != g.Session || again.Active != g.Active ||
		again.Bound != g.Bound || again.Request.Client != g.Request.Client {
		t.Errorf("a replay must name what to end: %+v", again)
	}
	consume(t, e, credential.DigestOf("never was"), g, instant(), hot.Unknown)
}

func codeEnds(t *testing.T, e hot.Engine) {
	late, g := code(1)
	must(t, e.PutCode(t.Context(), late, g, instant()))
	if got := consume(t, e, late, g, g.Expires, hot.Unknown); got.Session != "" {
		t.Errorf("an unknown code says %+v", got)
	}
	used, g := code(2)
	must(t, e.PutCode(t.Context(), used, g, instant()))
	consume(t, e, used, g, g.Expires.Add(-time.Nanosecond), hot.OK)
	consume(t, e, used, g, g.Expires.Add(hot.CodeMemory-time.Nanosecond), hot.Replayed)
	consume(t, e, used, g, g.Expires.Add(hot.CodeMemory), hot.Unknown)
}

// liveCodesCapped: the cap is for unused codes of one session at one client.
func liveCodesCapped(t *testing.T, e hot.Engine) {
	spent, g := code(0)
	must(t, e.PutCode(t.Context(), spent, g, instant()))
	consume(t, e, spent, g, instant(), hot.OK)
	other, g := code(-1)
	g.Session = "ses_2"
	must(t, e.PutCode(t.Context(), other, g, instant()))
	app, a := code(-2)
	a.Request.Client = "another-app"
	must(t, e.PutCode(t.Context(), app, a, instant()))
	for n := range hot.MaxLiveCodes + 1 {
		d, g := code(n + 1)
		must(t, e.PutCode(t.Context(), d, g, instant()))
	}
	oldest, o := code(1)
	consume(t, e, oldest, o, instant(), hot.Unknown)
	for n := range hot.MaxLiveCodes {
		d, g := code(n + 2)
		consume(t, e, d, g, instant(), hot.OK)
	}
	consume(t, e, spent, g, instant(), hot.Replayed)
	consume(t, e, other, g, instant(), hot.OK)
	consume(t, e, app, a, instant(), hot.OK)
}

// othersShowing: whoever cannot prove that the code was made for them changes nothing by
// showing it, before its use and after.
func othersShowing(t *testing.T, e hot.Engine) {
	d, g := code(1)
	must(t, e.PutCode(t.Context(), d, g, instant()))
	others := map[string]func(*hot.Showing){
		"another client":       func(s *hot.Showing) { s.Client = "another-app" },
		"another redirect_uri": func(s *hot.Showing) { s.RedirectURI += "/" },
		"another verifier":     func(s *hot.Showing) { s.Challenge = "another" },
		"no verifier":          func(s *hot.Showing) { s.Challenge = "" },
		"another key":          func(s *hot.Showing) { s.DPoPKey = "another" },
		"no key":               func(s *hot.Showing) { s.DPoPKey = "" },
	}
	tryAll := func() {
		t.Helper()
		for name, spoil := range others {
			by := owner(g)
			spoil(&by)
			if got := shown(t, e, d, by, instant(), hot.Unknown); got.Session != "" {
				t.Errorf("%s learns %+v", name, got)
			}
		}
	}
	tryAll()
	consume(t, e, d, g, instant(), hot.OK)
	tryAll()
	must(t, e.PutFamily(t.Context(), family(g.Family)))
	consume(t, e, d, g, instant(), hot.Replayed)
	tryAll()
}

// withoutChallenge: a code of a request that had no challenge, nor a key, is for whoever
// proves neither; a proof of a key may come along.
func withoutChallenge(t *testing.T, e hot.Engine) {
	d, g := code(1)
	g.Request.CodeChallenge, g.Request.DPoPKey = "", ""
	must(t, e.PutCode(t.Context(), d, g, instant()))
	by := owner(g)
	by.Challenge = "challenge"
	shown(t, e, d, by, instant(), hot.Unknown)
	by.Challenge, by.DPoPKey = "", "thumbprint"
	shown(t, e, d, by, instant(), hot.OK)
}

func replayForbidsFamily(t *testing.T, e hot.Engine) {
	d, g := code(1)
	must(t, e.PutCode(t.Context(), d, g, instant()))
	consume(t, e, d, g, instant(), hot.OK)
	consume(t, e, d, g, instant(), hot.Replayed)
	wantKind(t, "storing the family of a replayed code", e.PutFamily(t.Context(), family(g.Family)), fault.Stale)
	_, err := e.Family(t.Context(), g.Family, instant())
	wantKind(t, "the family", err, fault.NotFound)
}

func endBeforePut(t *testing.T, e hot.Engine) {
	d, g := code(1)
	must(t, e.PutCode(t.Context(), d, g, instant()))
	consume(t, e, d, g, instant(), hot.OK)
	must(t, e.EndFamily(t.Context(), g.Family))
	wantKind(t, "storing a family that was ended", e.PutFamily(t.Context(), family(g.Family)), fault.Stale)
}

func codeRaced(t *testing.T, e hot.Engine) {
	for i := range 50 {
		d, g := code(i)
		must(t, e.PutCode(t.Context(), d, g, instant()))
		var ok, replayed atomic.Int64
		race(func() {
			switch _, outcome, err := e.ConsumeCode(t.Context(), d, owner(g), instant()); {
			case err != nil:
				t.Error(err)
			case outcome == hot.OK:
				ok.Add(1)
			case outcome == hot.Replayed:
				replayed.Add(1)
			}
		})
		if ok.Load() != 1 || replayed.Load() != racers-1 {
			t.Fatalf("code %d: %d OK, %d replayed", i, ok.Load(), replayed.Load())
		}
	}
}
