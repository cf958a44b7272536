package httpserver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

func arriving(peer, forwarded string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/sign-in", nil)
	r.RemoteAddr = peer + ":4711"
	if forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	return r
}

// A flood from one network is told when to come again, and costs nobody else anything.
func TestAFloodOfSignInsIsItsOwnNetworks(t *testing.T) {
	now, refused := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), map[string]int{}
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	d := NewDoors(DoorConfig{SignIns: access.Rate{PerSecond: 10, Burst: 40}, From: proxies.Client, Now: func() time.Time { return now },
		Refused: func(door string) { refused[door]++ }})
	storm := func() *http.Request { return arriving("10.0.0.1", "203.0.113.7") }
	let := 0
	for range 100 {
		if d.SignIn(storm()) == 0 {
			let++
		}
	}
	if let != 40 || refused[DoorSignIn] != 60 || len(refused) != 1 {
		t.Errorf("%d were let in, told %v", let, refused)
	}
	if wait := d.SignIn(storm()); wait != 100*time.Millisecond {
		t.Errorf("the next waits %s", wait)
	}
	for name, r := range map[string]*http.Request{
		"another client of the proxy": arriving("10.0.0.1", "203.0.113.8"), "the same without the proxy's word": arriving("198.51.100.1", "203.0.113.7"),
		"IPv6": arriving("[2001:db8::1]", ""),
	} {
		if d.SignIn(r) != 0 {
			t.Errorf("%s has to wait", name)
		}
	}
	if d.SignIn(arriving("10.0.0.1", "9.9.9.9, 203.0.113.7")) == 0 {
		t.Error("what the client itself wrote makes it another")
	}
	now = now.Add(100 * time.Millisecond)
	if d.SignIn(storm()) != 0 || d.SignIn(storm()) == 0 {
		t.Error("one, and only one, may come after a tenth of a second")
	}
}

// By default nobody of fifty thousand people behind one address waits.
func TestACompanyBehindOneAddressSignsInAtOnce(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	d := NewDoors(DoorConfig{From: Proxies{}.Client, Now: func() time.Time { return now }})
	r := arriving("203.0.113.7", "")
	for range 300 { // seconds
		for range 50_000 * 4 / 300 {
			if d.SignIn(r) != 0 {
				t.Fatal("somebody has to wait")
			}
		}
		now = now.Add(time.Second)
	}
}

func TestFailuresCountByClientAndByNetwork(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	d := NewDoors(DoorConfig{Failures: access.Rate{PerSecond: 1, Burst: 3}, From: Proxies{}.Client, Now: func() time.Time { return now }})
	here, there := arriving("203.0.113.7", ""), arriving("203.0.113.8", "")
	for range 3 {
		if d.FailedClient(here, "fleet-web") != 0 {
			t.Fatal("an expected failure has to wait")
		}
	}
	if wait := d.FailedClient(here, "fleet-web"); wait != time.Second {
		t.Errorf("it waits %s", wait)
	}
	if d.FailedClient(here, "other") != 0 || d.FailedClient(there, "fleet-web") != 0 {
		t.Error("another client, or network, waits as well")
	}
	for i := range 11 {
		d.FailedClient(here, access.ClientID(fmt.Sprint("guess", i)))
	}
	if d.FailedClient(here, "new") == 0 {
		t.Error("whoever guesses the client's id, too, is not bounded")
	}
	if d.SignIn(here) != 0 {
		t.Error("failures of clients keep people out")
	}
}
