package hottest

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}

func requestLives(t *testing.T, e hot.Engine) {
	want := request("req_1")
	must(t, e.PutAuthRequest(t.Context(), want))
	got, err := e.AuthRequest(t.Context(), "req_1", want.Expires.Add(-time.Nanosecond))
	must(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	_, err = e.AuthRequest(t.Context(), "req_1", want.Expires)
	wantKind(t, "at its end", err, fault.NotFound)
	_, err = e.AuthRequest(t.Context(), "req_2", instant())
	wantKind(t, "another id", err, fault.NotFound)
	wantKind(t, "binding it at its end",
		e.BindUpstream(t.Context(), "req_1", hot.Upstream{Connection: "c", State: "s"}, want.Expires), fault.NotFound)
}

func requestIDTaken(t *testing.T, e hot.Engine) {
	must(t, e.PutAuthRequest(t.Context(), request("req_1")))
	wantKind(t, "the same id again", e.PutAuthRequest(t.Context(), request("req_1")), fault.Conflict)
}

func requestIsACopy(t *testing.T, e hot.Engine) {
	r := request("req_1")
	must(t, e.PutAuthRequest(t.Context(), r))
	r.OAuthScopes[0] = "users.manage"
	got, err := e.AuthRequest(t.Context(), "req_1", instant())
	must(t, err)
	got.Prompt[0] = "none"
	again, err := e.AuthRequest(t.Context(), "req_1", instant())
	must(t, err)
	if !reflect.DeepEqual(again, request("req_1")) {
		t.Errorf("a stored request was changed from outside: %+v", again)
	}
}

func leg(c access.ConnectionID, state string) hot.Upstream {
	return hot.Upstream{Connection: c, State: state, Nonce: "nonce of " + state, CodeVerifier: "verifier", Started: instant(), Login: true, Grant: "asg_up", ACRValues: "phrh phr"}
}

func stateWorksOnce(t *testing.T, e hot.Engine) {
	must(t, e.PutAuthRequest(t.Context(), request("req_1")))
	must(t, e.BindUpstream(t.Context(), "req_1", leg("ironbark-entra", "s1"), instant()))
	got, err := e.TakeUpstream(t.Context(), "ironbark-entra", "s1", instant())
	must(t, err)
	if got.Upstream != leg("ironbark-entra", "s1") || got.ID != "req_1" {
		t.Errorf("the leg came back as %+v of %s", got.Upstream, got.ID)
	}
	_, err = e.TakeUpstream(t.Context(), "ironbark-entra", "s1", instant())
	wantKind(t, "a second time", err, fault.NotFound)
	after, err := e.AuthRequest(t.Context(), "req_1", instant())
	must(t, err)
	if after.Upstream != (hot.Upstream{}) {
		t.Errorf("the leg was not cleared: %+v", after.Upstream)
	}
}

func stateBelongsToConnection(t *testing.T, e hot.Engine) {
	must(t, e.PutAuthRequest(t.Context(), request("req_1")))
	must(t, e.BindUpstream(t.Context(), "req_1", leg("ironbark-entra", "s1"), instant()))
	_, err := e.TakeUpstream(t.Context(), "pacific-okta", "s1", instant())
	wantKind(t, "another connection's callback", err, fault.NotFound)
	_, err = e.TakeUpstream(t.Context(), "ironbark-entra", "", instant())
	wantKind(t, "an empty state", err, fault.NotFound)
	_, err = e.TakeUpstream(t.Context(), "ironbark-entra", "s1", request("req_1").Expires)
	wantKind(t, "after the request's end", err, fault.NotFound)
	_, err = e.TakeUpstream(t.Context(), "ironbark-entra", "s1", instant())
	must(t, err)
}

func legIsReplaced(t *testing.T, e hot.Engine) {
	must(t, e.PutAuthRequest(t.Context(), request("req_1")))
	must(t, e.BindUpstream(t.Context(), "req_1", leg("ironbark-entra", "s1"), instant()))
	must(t, e.BindUpstream(t.Context(), "req_1", leg("pacific-okta", "s2"), instant()))
	_, err := e.TakeUpstream(t.Context(), "ironbark-entra", "s1", instant())
	wantKind(t, "the replaced leg", err, fault.NotFound)
	_, err = e.TakeUpstream(t.Context(), "pacific-okta", "s2", instant())
	must(t, err)
}

// legsAreCounted: a leg that was taken counts as one that was begun.
func legsAreCounted(t *testing.T, e hot.Engine) {
	forged := request("req_1")
	forged.Legs = -100
	must(t, e.PutAuthRequest(t.Context(), forged))
	for n := range hot.MaxLegs {
		state := fmt.Sprint("s", n)
		must(t, e.BindUpstream(t.Context(), "req_1", leg("ironbark-entra", state), instant()))
		if n == hot.MaxLegs-1 {
			break // the last one stays open
		}
		got, err := e.TakeUpstream(t.Context(), "ironbark-entra", state, instant())
		must(t, err)
		if got.Legs != n+1 {
			t.Errorf("leg %d is counted as %d", n+1, got.Legs)
		}
	}
	err := e.BindUpstream(t.Context(), "req_1", leg("ironbark-entra", "more"), instant())
	wantKind(t, "one leg more", err, fault.Limited)
	if got := fault.ReasonOf(err); got != hot.ReasonLegs {
		t.Errorf("its reason is %q", got)
	}
	_, err = e.TakeUpstream(t.Context(), "ironbark-entra", fmt.Sprint("s", hot.MaxLegs-1), instant())
	must(t, err)
	must(t, e.PutAuthRequest(t.Context(), request("req_2")))
	must(t, e.BindUpstream(t.Context(), "req_2", leg("ironbark-entra", "s"), instant()))
}

func stateIsUnique(t *testing.T, e hot.Engine) {
	must(t, e.PutAuthRequest(t.Context(), request("req_1")))
	must(t, e.PutAuthRequest(t.Context(), request("req_2")))
	must(t, e.BindUpstream(t.Context(), "req_1", leg("ironbark-entra", "s1"), instant()))
	wantKind(t, "the same state for another request",
		e.BindUpstream(t.Context(), "req_2", leg("ironbark-entra", "s1"), instant()), fault.Conflict)
	got, err := e.TakeUpstream(t.Context(), "ironbark-entra", "s1", instant())
	must(t, err)
	if got.ID != "req_1" {
		t.Errorf("the state led to %s", got.ID)
	}
}

// floodOf is how many requests of some 16 KiB a flood is made of: 80 MiB.
const floodOf = 5_000

// requestsAreAccounted: of whoever fills an engine, the oldest requests make room, those
// at the provider after the others. Nobody of another network loses a sign-in, wherever it
// stands.
func requestsAreAccounted(t *testing.T, e hot.Engine) {
	there, begun := request("there"), request("begun")
	there.From, begun.From = "198.51.100.9", "2001:db8::"
	for _, r := range []hot.AuthRequest{there, begun} {
		must(t, e.PutAuthRequest(t.Context(), r))
	}
	must(t, e.BindUpstream(t.Context(), there.ID, leg("ironbark-entra", "s"), instant()))
	for n := range floodOf {
		r := request(fmt.Sprint("flood_", n))
		r.State = strings.Repeat("s", 16<<10)
		must(t, e.PutAuthRequest(t.Context(), r))
		must(t, e.BindUpstream(t.Context(), r.ID, leg("ironbark-entra", r.ID), instant()))
	}
	if _, err := e.AuthRequest(t.Context(), begun.ID, instant()); err != nil {
		t.Errorf("a sign-in that has just begun was pushed out by another network: %v", err)
	}
	if _, err := e.TakeUpstream(t.Context(), "ironbark-entra", "s", instant()); err != nil {
		t.Errorf("a sign-in at the provider was pushed out by another network: %v", err)
	}
	_, err := e.TakeUpstream(t.Context(), "ironbark-entra", fmt.Sprint("flood_", floodOf-1), instant())
	must(t, err)
}

// race runs fn in 64 goroutines that start together.
func race(fn func()) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for range racers {
		all.Go(func() {
			<-start
			fn()
		})
	}
	close(start)
	all.Wait()
}

func stateRaced(t *testing.T, e hot.Engine) {
	must(t, e.PutAuthRequest(t.Context(), request("req_1")))
	must(t, e.BindUpstream(t.Context(), "req_1", leg("ironbark-entra", "s1"), instant()))
	var won atomic.Int64
	race(func() {
		if _, err := e.TakeUpstream(t.Context(), "ironbark-entra", "s1", instant()); err == nil {
			won.Add(1)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d callbacks took one state", won.Load())
	}
}
