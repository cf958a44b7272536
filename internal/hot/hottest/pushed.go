package hottest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

func pushed() hot.Pushed {
	return hot.Pushed{Client: "fleet-web", From: "203.0.113.7", Params: "client_id=fleet-web&scope=openid", Created: instant(), Expires: instant().Add(time.Minute)}
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

// pushedAreAccounted: whoever pushes without end, as a client that anybody can be, loses
// their own, the oldest first. Another client of the same network, and the same client of
// another, lose nothing.
func pushedAreAccounted(t *testing.T, e hot.Engine) {
	others := map[string]hot.Pushed{"par_client": pushed(), "par_network": pushed()}
	flood := pushed()
	flood.Client = "field-app"
	network := others["par_network"]
	network.Client, network.From = flood.Client, "2001:db8::"
	others["par_network"] = network
	for name, p := range others {
		must(t, e.PutPushed(t.Context(), name, p))
	}
	flood.Params = strings.Repeat("x", 15<<10)
	for n := range floodOf {
		must(t, e.PutPushed(t.Context(), fmt.Sprint("par_", n), flood))
	}
	for name, p := range others {
		if _, err := e.TakePushed(t.Context(), name, p.Client, instant()); err != nil {
			t.Errorf("%s was pushed out by another's flood: %v", name, err)
		}
	}
	_, err := e.TakePushed(t.Context(), fmt.Sprint("par_", floodOf-1), flood.Client, instant())
	must(t, err)
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
