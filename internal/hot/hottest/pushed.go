package hottest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

func pushed() hot.Pushed {
	return hot.Pushed{Client: "fleet-web", Params: "client_id=fleet-web&scope=openid", Created: instant(), Expires: instant().Add(time.Minute)}
}

func pushedOnce(t *testing.T, e hot.Engine) {
	must(t, e.PutPushed(t.Context(), "par_1", pushed()))
	wantKind(t, "the same name again", e.PutPushed(t.Context(), "par_1", pushed()), fault.Conflict)
	_, err := e.TakePushed(t.Context(), "par_1", "other-web", instant())
	wantKind(t, "another client", err, fault.NotFound)
	got, err := e.TakePushed(t.Context(), "par_1", "fleet-web", pushed().Expires.Add(-time.Nanosecond))
	must(t, err)
	if got != pushed() {
		t.Errorf("it came back as %+v", got)
	}
	_, err = e.TakePushed(t.Context(), "par_1", "fleet-web", instant())
	wantKind(t, "a second time", err, fault.NotFound)
}

func pushedEnds(t *testing.T, e hot.Engine) {
	must(t, e.PutPushed(t.Context(), "par_1", pushed()))
	_, err := e.TakePushed(t.Context(), "par_1", "fleet-web", pushed().Expires)
	wantKind(t, "at its end", err, fault.NotFound)
	_, err = e.TakePushed(t.Context(), "par_2", "fleet-web", instant())
	wantKind(t, "a name that nobody gave", err, fault.NotFound)
}

func pushedRaced(t *testing.T, e hot.Engine) {
	must(t, e.PutPushed(t.Context(), "par_1", pushed()))
	var won atomic.Int64
	race(func() {
		if _, err := e.TakePushed(t.Context(), "par_1", "fleet-web", instant()); err == nil {
			won.Add(1)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d browsers took one request", won.Load())
	}
}
