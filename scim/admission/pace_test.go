package admission

import (
	"net/netip"
	"testing"
	"time"
)

func TestAPaceLetsABurstThroughAndThenOneByOne(t *testing.T) {
	var p Paces[string]
	at, now := Pace{Every: 3 * time.Second, Burst: 20}, start
	for range at.Burst {
		if p.Take("a", at, now) != 0 {
			t.Fatal("one of the burst has to wait")
		}
	}
	if wait := p.Take("a", at, now); wait != 3*time.Second {
		t.Errorf("the next one waits %s, want 3 s", wait)
	}
	if p.Take("b", at, now) != 0 {
		t.Error("another has to wait for the first")
	}
	if p.Take("a", at, now.Add(at.Every-1)) == 0 || p.Take("a", at, now.Add(at.Every)) != 0 || p.Take("a", at, now.Add(at.Every)) == 0 {
		t.Error("it does not gain one by one")
	}
	later := now.Add(time.Hour)
	for range at.Burst {
		if p.Take("a", at, later) != 0 {
			t.Error("an hour of silence gives no burst")
		}
	}
	if p.Take("a", at, now.Add(-time.Hour)) == 0 {
		t.Error("a clock that goes back lets one through")
	}
	for range 1000 {
		if p.Take("a", Pace{}, now) != 0 {
			t.Fatal("no pace is a pace")
		}
	}
}

func TestTheMemoryOfPacesIsBounded(t *testing.T) {
	var p Paces[int]
	at := Pace{Every: time.Second, Burst: 1}
	for i := range 5 * maxKept {
		p.Take(i, at, start)
	}
	if held := len(p.young) + len(p.old); held > 2*maxKept {
		t.Errorf("%d are remembered", held)
	}
	last := 5*maxKept - 1
	if p.Take(last, at, start) == 0 {
		t.Error("who came last is forgotten")
	}
}

func TestANetworkOfIPv6IsOneStranger(t *testing.T) {
	for a, want := range map[string]string{"203.0.113.7": "203.0.113.7", "2001:db8::7": "2001:db8::", "2001:db8:0:1::7": "2001:db8:0:1::"} {
		if got := Network(netip.MustParseAddr(a)); got != netip.MustParseAddr(want) {
			t.Errorf("%s is of %s, want %s", a, got, want)
		}
	}
	if got := Network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address is of %s", got)
	}
}
