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

func consume(t *testing.T, e hot.Engine, d credential.Digest, now time.Time, want hot.Outcome) hot.CodeGrant {
	t.Helper()
	g, got, err := e.ConsumeCode(t.Context(), d, now)
	must(t, err)
	if got != want {
		t.Errorf("ConsumeCode: outcome %d, want %d", got, want)
	}
	return g
}

func codeOnce(t *testing.T, e hot.Engine) {
	d, g := code(1)
	must(t, e.PutCode(t.Context(), d, g))
	wantKind(t, "the same code again", e.PutCode(t.Context(), d, g), fault.Conflict)
	if got := consume(t, e, d, instant(), hot.OK); !reflect.DeepEqual(got, g) {
		t.Errorf("got  %+v\nwant %+v", got, g)
	}
	again := consume(t, e, d, instant(), hot.Replayed)
	if again.Family != g.Family || again.Session != g.Session || again.Active != g.Active ||
		again.Bound != g.Bound || again.Request.Client != g.Request.Client {
		t.Errorf("a replay must name what to end: %+v", again)
	}
	consume(t, e, credential.DigestOf("never was"), instant(), hot.Unknown)
}

func codeEnds(t *testing.T, e hot.Engine) {
	late, g := code(1)
	must(t, e.PutCode(t.Context(), late, g))
	if got := consume(t, e, late, g.Expires, hot.Unknown); got.Session != "" {
		t.Errorf("an unknown code says %+v", got)
	}
	used, g := code(2)
	must(t, e.PutCode(t.Context(), used, g))
	consume(t, e, used, g.Expires.Add(-time.Nanosecond), hot.OK)
	consume(t, e, used, g.Expires.Add(hot.CodeMemory-time.Nanosecond), hot.Replayed)
	consume(t, e, used, g.Expires.Add(hot.CodeMemory), hot.Unknown)
}

func replayForbidsFamily(t *testing.T, e hot.Engine) {
	d, g := code(1)
	must(t, e.PutCode(t.Context(), d, g))
	consume(t, e, d, instant(), hot.OK)
	consume(t, e, d, instant(), hot.Replayed)
	wantKind(t, "storing the family of a replayed code", e.PutFamily(t.Context(), family(g.Family)), fault.Stale)
	_, err := e.Family(t.Context(), g.Family, instant())
	wantKind(t, "the family", err, fault.NotFound)
}

func endBeforePut(t *testing.T, e hot.Engine) {
	d, g := code(1)
	must(t, e.PutCode(t.Context(), d, g))
	consume(t, e, d, instant(), hot.OK)
	must(t, e.EndFamily(t.Context(), g.Family))
	wantKind(t, "storing a family that was ended", e.PutFamily(t.Context(), family(g.Family)), fault.Stale)
}

func codeRaced(t *testing.T, e hot.Engine) {
	for i := range 50 {
		d, g := code(i)
		must(t, e.PutCode(t.Context(), d, g))
		var ok, replayed atomic.Int64
		race(func() {
			switch _, outcome, err := e.ConsumeCode(t.Context(), d, instant()); {
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
