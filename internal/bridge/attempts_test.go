package bridge

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestGuessesAreBoundedWhereTheyComeFrom(t *testing.T) {
	var a attempts
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	here, elsewhere := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("198.51.100.1")
	for range pacePerClient().Burst {
		if !a.fail("client", here, now) {
			t.Fatal("an attempt within the burst is refused")
		}
	}
	switch {
	case a.fail("client", here, now):
		t.Error("guessing goes on")
	case !a.fail("client", elsewhere, now):
		t.Error("a stranger's guesses count where the client is")
	case !a.fail("other", here, now):
		t.Error("one client's guesses count as another's")
	case a.fail("client", here, now.Add(pacePerClient().Every-1)) || !a.fail("client", here, now.Add(pacePerClient().Every)):
		t.Error("the bucket does not gain one by one")
	}
	for i := range pacePerNetwork().Burst {
		a.fail(fmt.Sprint("guess", i), elsewhere, now)
	}
	if a.fail("new", elsewhere, now) {
		t.Error("whoever guesses the client's id, too, is not bounded")
	}
}

func TestANetworkOfIPv6IsOneGuesser(t *testing.T) {
	var a attempts
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	for i := range pacePerClient().Burst {
		a.fail("client", netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)), now)
	}
	if a.fail("client", netip.MustParseAddr("2001:db8::ffff"), now) || !a.fail("client", netip.MustParseAddr("2001:db8:0:1::1"), now) {
		t.Error("a /64 is not one guesser")
	}
}
