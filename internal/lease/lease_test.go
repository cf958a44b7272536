package lease_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/lease"
)

const ms = time.Millisecond

var day = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

// at is an instant at which both clocks have gone on equally.
func at(d time.Duration) lease.Instant { return clocks(d, d) }

func clocks(mono, wall time.Duration) lease.Instant {
	return lease.Instant{Mono: mono, Wall: day.Add(wall)}
}

func TestALeaseNeedsBothClocks(t *testing.T) {
	renewed := lease.Lease{}.Renewed(at(10 * ms))
	for _, c := range []struct {
		what  string
		lease lease.Lease
		now   lease.Instant
		valid bool
	}{
		{"nobody has polled", lease.Lease{}, at(0), false},
		{"just renewed", renewed, at(10 * ms), true},
		{"a little before its end", renewed, at(1009 * ms), true},
		{"at its end", renewed, at(1010 * ms), false},
		{"the machine was frozen: only the wall clock went on", renewed, clocks(20*ms, 30*time.Second), false},
		{"the wall clock was set forward", renewed, clocks(20*ms, time.Hour), false},
		{"the wall clock was set back", renewed, clocks(20*ms, -time.Hour), false},
		{"the wall clock was set back while much time passed", renewed, clocks(5*time.Second, 500*ms), false},
		{"the wall clock goes slowly", renewed, clocks(900*ms, 100*ms), true},
		{"it lapsed", renewed.Lapsed(at(20 * ms)), at(20 * ms), false},
		{"it lapsed, and a poll from before came back", renewed.Lapsed(at(20 * ms)).Renewed(at(19 * ms)), at(21 * ms), false},
		{"it lapsed, and a poll from that instant came back", renewed.Lapsed(at(20 * ms)).Renewed(at(20 * ms)), at(21 * ms), false},
		{"it lapsed, and a later poll came back", renewed.Lapsed(at(20 * ms)).Renewed(at(21 * ms)), at(22 * ms), true},
		{"an older poll comes back later", renewed.Renewed(at(500 * ms)).Renewed(at(100 * ms)), at(1400 * ms), true},
	} {
		if got := c.lease.Valid(c.now); got != c.valid {
			t.Errorf("%s: %t", c.what, got)
		}
	}
}

func TestWhoMayHoldALease(t *testing.T) {
	old := 10 * time.Second
	for _, c := range []struct {
		what  string
		first []lease.Peer
		then  lease.Peer
		live  bool
	}{
		{"its beat is young", nil, lease.Peer{Node: "b", Beat: 1}, true},
		{"its beat is old, and never seen before", nil, lease.Peer{Node: "b", Beat: 1, Age: old}, true},
		{"its beat is old, and has not changed", []lease.Peer{{Node: "b", Beat: 1, Age: old}}, lease.Peer{Node: "b", Beat: 1, Age: old}, false},
		{"its beat looks old, and has changed: the database's clock was set", []lease.Peer{{Node: "b", Beat: 1}}, lease.Peer{Node: "b", Beat: 2, Age: old}, true},
		{"its beat has not changed, and looks young: the database's clock was set back", []lease.Peer{{Node: "b", Beat: 1, Age: old}}, lease.Peer{Node: "b", Beat: 1}, true},
	} {
		var s lease.Sightings
		s.Live(c.first, 0, 0)
		if live := s.Live([]lease.Peer{c.then}, 2*time.Second, 2*time.Second); slices.Contains(live, "b") != c.live {
			t.Errorf("%s: %v", c.what, live)
		}
	}
}

// Whoever polls is not gone, whatever the database's clock says of them.
func TestWhoIsGone(t *testing.T) {
	const long = time.Hour
	var s lease.Sightings
	for now, beat := time.Duration(0), int64(1); now <= 2*time.Hour; now, beat = now+10*time.Minute, beat+1 {
		s.Live([]lease.Peer{{Node: "dead", Beat: 7}, {Node: "polls", Beat: beat, Age: 24 * time.Hour}}, now, now)
		gone := s.Gone(now, long)
		if want := now >= long; want != slices.Contains(gone, lease.Peer{Node: "dead", Beat: 7}) || len(gone) > 1 {
			t.Errorf("after %s: %+v", now, gone)
		}
	}
}

func TestWhatACommitWaitsFor(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(b *lease.Barrier)
		at   time.Duration
		done bool
	}{
		{"nobody has looked who is there", func(*lease.Barrier) {}, 100 * ms, false},
		{"nobody has looked, and nobody can believe their memory any more", func(*lease.Barrier) {}, 1250 * ms, true},
		{"nobody is there", func(b *lease.Barrier) { b.Registry(nil) }, 0, true},
		{"somebody is there", func(b *lease.Barrier) { b.Registry([]string{"b"}) }, 1249 * ms, false},
		{"somebody is there who says nothing", func(b *lease.Barrier) { b.Registry([]string{"b"}) }, 1250 * ms, true},
		{"who is there knows", func(b *lease.Barrier) { b.Registry([]string{"b"}); b.Acknowledged("b") }, 0, true},
		{"who is there knew before it was looked who is there", func(b *lease.Barrier) { b.Acknowledged("b"); b.Registry([]string{"b"}) }, 0, true},
		{"one of two knows", func(b *lease.Barrier) { b.Registry([]string{"b", "c"}); b.Acknowledged("c") }, 0, false},
		{"somebody knows of whom nobody has heard", func(b *lease.Barrier) { b.Registry([]string{"b"}); b.Acknowledged("x") }, 0, false},
	} {
		b := lease.Await(0)
		c.do(b)
		if got := b.Done(c.at); got != c.done {
			t.Errorf("%s: done %t, known %t", c.what, got, b.Known())
		}
	}
}

// TestNobodyBelievesThemselvesAfterTheBarrier draws a peer that polls, is frozen and has its
// wall clock set as it likes, beside a commit that nobody tells it of: when the barrier is
// done, it believes its memory only if it has polled after the commit.
func TestNobodyBelievesThemselvesAfterTheBarrier(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		true0 := time.Duration(0) // the time that nobody can see
		mono, wall := time.Duration(0), time.Duration(0)
		var l lease.Lease
		var s lease.Sightings
		var polled time.Duration = -1 // when the poll that holds was sent
		beat := int64(0)
		commit := time.Duration(rapid.IntRange(0, 3000).Draw(t, "commit")) * ms
		barrier := lease.Await(commit)
		asked := false
		for true0 < commit+2*time.Second {
			step := time.Duration(rapid.IntRange(1, 400).Draw(t, "step")) * ms
			true0, wall = true0+step, wall+step
			if !rapid.Bool().Draw(t, "frozen") {
				mono += step
			}
			if rapid.IntRange(0, 9).Draw(t, "set") == 0 && true0 > polled { // in either direction, but not so that it hides a freeze
				wall += time.Duration(rapid.IntRange(0, 5000).Draw(t, "by")) * ms
			}
			if rapid.IntRange(0, 3).Draw(t, "poll") == 0 {
				beat++
				polled = true0
				l = l.Renewed(clocks(mono, wall))
			}
			if age := time.Duration(rapid.IntRange(0, 4000).Draw(t, "age")) * ms; true0 >= commit && !asked && rapid.Bool().Draw(t, "ask") {
				barrier.Registry(s.Live([]lease.Peer{{Node: "b", Beat: beat, Age: age}}, true0, true0))
				asked = true
			} else if true0 < commit {
				s.Live([]lease.Peer{{Node: "b", Beat: beat, Age: age}}, true0, true0)
			}
			if barrier.Done(true0) && polled < commit && l.Valid(clocks(mono, wall)) {
				t.Fatalf("at %v, after a commit at %v, it believes what it read at %v", true0, commit, polled)
			}
		}
	})
}
