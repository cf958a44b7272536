//go:build lanes

package redis

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

func at(d time.Duration) time.Time {
	return time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC).Add(d)
}

func familyOf(id, ses string) hot.Family {
	b := credential.Bound{Subject: credential.Subject{Connection: "ironbark-entra", Client: "fleet-web", Person: "per_mara", Family: id}, Expires: at(8 * time.Hour)}
	b.Subject.Session = session.ID(ses)
	return hot.Family{ID: id, Bound: b, Active: "asg_1", OAuthScopes: []string{"openid"}, N: 1, Rotated: at(0), Expires: at(8 * time.Hour), Salt: "salt of " + id}
}

func codeOf(n int) (credential.Digest, hot.CodeGrant) {
	f := familyOf(fmt.Sprint("fam_", n), fmt.Sprint("ses_", n))
	return credential.DigestOf(fmt.Sprint("code ", n)), hot.CodeGrant{Request: hot.AuthRequest{Client: "fleet-web", RedirectURI: "https://fleet.example/cb"},
		Session: f.Bound.Subject.Session, Active: "asg_1", Bound: f.Bound, Expires: at(time.Minute), Family: f.ID}
}

var owner = hot.Showing{Client: "fleet-web", RedirectURI: "https://fleet.example/cb"}

func rotationOf(id string, n int64) hot.Rotation {
	return hot.Rotation{Family: id, Client: "fleet-web", N: n, Now: at(time.Second), Verified: true}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is an engine with a code that was redeemed, one that was not, a family that was rotated,
// and one that has ended.
func world(t *testing.T, e *Engine) {
	t.Helper()
	for n := range 3 {
		d, g := codeOf(n)
		ok(t, e.PutCode(t.Context(), d, g, at(0)))
	}
	for _, id := range []string{"rotated", "still", "over"} {
		ok(t, e.PutFamily(t.Context(), familyOf(id, "ses")))
	}
}

func change(t *testing.T, e *Engine) {
	t.Helper()
	used, _ := codeOf(0)
	if _, outcome, err := e.ConsumeCode(t.Context(), used, owner, at(time.Second)); outcome != hot.OK || err != nil {
		t.Fatalf("the code: %d, %v", outcome, err)
	}
	if _, outcome, err := e.Rotate(t.Context(), rotationOf("rotated", 1)); outcome != hot.OK || err != nil {
		t.Fatalf("the family: %d, %v", outcome, err)
	}
	ok(t, e.EndFamily(t.Context(), "over"))
}

// nothingTwice is the promise: what was accepted once is not accepted again, whatever Redis has
// come back with. It may be unknown, or known as used; Redis may not answer.
func nothingTwice(t *testing.T, e *Engine) {
	t.Helper()
	used, _ := codeOf(0)
	if _, outcome, err := e.ConsumeCode(t.Context(), used, owner, at(2*time.Second)); outcome == hot.OK {
		t.Errorf("a code was redeemed twice (%v)", err)
	}
	for _, id := range []string{"rotated", "over"} {
		if f, outcome, err := e.Rotate(t.Context(), rotationOf(id, 1)); outcome == hot.OK {
			t.Errorf("family %s was rotated twice from one token, to #%d (%v)", id, f.N, err)
		}
	}
	if _, err := e.Family(t.Context(), "over", at(2*time.Second)); err == nil {
		t.Error("a family that has ended is back")
	}
}

// answers: after the fault, what is new works, as soon as the client has noticed that there is
// somebody to call.
func answers(t *testing.T, e *Engine) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); e.Answers(t.Context()) != nil && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	d, g := codeOf(99)
	ok(t, e.PutCode(t.Context(), d, g, at(0)))
	if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(time.Second)); outcome != hot.OK || err != nil {
		t.Errorf("a new code: %d, %v", outcome, err)
	}
	ok(t, e.PutFamily(t.Context(), familyOf("new", "ses")))
	if _, outcome, err := e.Rotate(t.Context(), rotationOf("new", 1)); outcome != hot.OK || err != nil {
		t.Errorf("a new family: %d, %v", outcome, err)
	}
}

// M-3: a server that comes back with an old snapshot has the code unused and the family where it
// was. Both nodes notice, the one that was there and the one that starts.
func TestAnOldSnapshotRevivesNothing(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	world(t, e)
	s.keep()
	change(t, e)
	s.restore()
	nothingTwice(t, e)
	unused, _ := codeOf(1)
	if _, outcome, err := e.ConsumeCode(t.Context(), unused, owner, at(time.Second)); outcome != hot.Unknown || err != nil {
		t.Errorf("a code from before: %d, %v", outcome, err)
	}
	nothingTwice(t, engine(t, s.where(), Limits{}))
	answers(t, e)
}

// A node that starts on a restored server, before any other has asked it anything, begins a new
// incarnation, and the others follow.
func TestWhoComesFirstAfterASnapshotBeginsAnew(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	world(t, e)
	s.keep()
	change(t, e)
	s.restore()
	young := engine(t, s.where(), Limits{})
	nothingTwice(t, young)
	nothingTwice(t, e)
	ok(t, young.PutFamily(t.Context(), familyOf("shared", "ses")))
	if _, outcome, err := e.Rotate(t.Context(), rotationOf("shared", 1)); outcome != hot.OK || err != nil {
		t.Errorf("two nodes are in two incarnations: %d, %v", outcome, err)
	}
}

func TestKilledAndEmptyIsUnknown(t *testing.T) {
	s := start(t)
	where := s.where()
	where.Timeout = 300 * time.Millisecond
	e := engine(t, where, Limits{})
	world(t, e)
	change(t, e)
	s.Kill()
	d, _ := codeOf(1)
	if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(time.Second)); outcome != hot.Unknown || !fault.Is(err, fault.Unavailable) {
		t.Errorf("without Redis: %d, %v", outcome, err)
	}
	if _, err := e.Family(t.Context(), "still", at(0)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without Redis, a family is %v", err)
	}
	if err := e.Answers(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without Redis, its health is %v", err)
	}
	nothingTwice(t, e)
	s.launch()
	nothingTwice(t, e)
	answers(t, e)
}

// An append-only file is no snapshot, but the last second of it may be missing: the same holds.
func TestARestartFromAnAppendOnlyFileIsUnknown(t *testing.T) {
	s := start(t, "--appendonly", "yes", "--appendfsync", "everysec")
	e := engine(t, s.where(), Limits{})
	world(t, e)
	change(t, e)
	s.Kill()
	s.launch()
	nothingTwice(t, e)
	answers(t, e)
}

func TestFlushedIsUnknown(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	world(t, e)
	change(t, e)
	s.do("FLUSHALL")
	nothingTwice(t, e)
	answers(t, e)
}

// The one place where Redis's having nothing says yes: between the redemption of a code, its replay,
// and the family, the memory of the replay is lost.
func TestAReplayThatWasForgottenStillForbidsTheFamily(t *testing.T) {
	s := start(t)
	for name, forget := range map[string]func(){"flushed": func() { s.do("FLUSHALL") }, "restarted": func() { s.Kill(); s.launch() }} {
		t.Run(name, func(t *testing.T) {
			e, other := engine(t, s.where(), Limits{}), engine(t, s.where(), Limits{})
			d, g := codeOf(7)
			ok(t, e.PutCode(t.Context(), d, g, at(0)))
			if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(1)); outcome != hot.OK || err != nil {
				t.Fatalf("%d, %v", outcome, err)
			}
			if _, outcome, err := other.ConsumeCode(t.Context(), d, owner, at(2)); outcome != hot.Replayed || err != nil {
				t.Fatalf("%d, %v", outcome, err)
			}
			forget()
			for n := range 3 {
				if err := e.PutFamily(t.Context(), familyOf(g.Family, "ses_7")); !fault.Is(err, fault.Stale) {
					t.Errorf("attempt %d to store the family of a replayed code: %v", n, err)
				}
			}
		})
	}
}

// What a node remembers of the run before does not harm what begins after it: whoever signs in
// anew once the server is back is signed in, in whichever parts the records lie.
func TestWhoBeginsAfterARestartIsSignedIn(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	for p := range partitions {
		_, err := e.markOf(t.Context(), "test", p)
		ok(t, err)
	}
	s.Kill()
	s.launch()
	eventually(t, "the server is asked again", func() bool { _, err := e.renew(t.Context(), "test", feedPartition); return err == nil })
	for n := range partitions {
		d, g := codeOf(n)
		ok(t, e.PutCode(t.Context(), d, g, at(0)))
		if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(1)); outcome != hot.OK || err != nil {
			t.Fatalf("code %d: %d, %v", n, outcome, err)
		}
		ok(t, e.PutFamily(t.Context(), familyOf(g.Family, fmt.Sprint("ses_", n))))
	}
}

// A server that throws keys away is refused. One that does so all the same, since it was told to
// later, can only make people sign in again.
func TestEvictionRefusesAndNeverAcceptsTwice(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	world(t, e)
	change(t, e)
	s.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	s.do("CONFIG", "SET", "maxmemory", "3mb")
	for n := range 3000 {
		err := e.PutAuthRequest(t.Context(), hot.AuthRequest{ID: fmt.Sprint("r", n), State: strings.Repeat("s", 4<<10), Created: at(0), Expires: at(time.Minute)})
		if err != nil && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	if info := fmt.Sprint(s.do("INFO", "stats")); strings.Contains(info, "evicted_keys:0\r") {
		t.Fatal("nothing was evicted")
	}
	nothingTwice(t, e)
	d, g := codeOf(5)
	if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(time.Second)); outcome != hot.Unknown {
		t.Errorf("a code that never was: %d, %v", outcome, err)
	}
	// Had its code been replayed, the memory of that may be what was thrown away.
	if err := e.PutFamily(t.Context(), familyOf(g.Family, "ses_5")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a family is stored by a server that throws keys away: %v", err)
	}
	key, err := laneKey.HotKey()
	ok(t, err)
	young, err := Open(t.Context(), Config{Server: s.where(), Prefix: "young", Key: key})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("a server that evicts is opened: %v, %v", young, err)
	}
}

// A full server that keeps what it has refuses what is new, and says so.
func TestAFullServerSaysSo(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	world(t, e)
	change(t, e)
	s.do("CONFIG", "SET", "maxmemory", "1mb")
	d, _ := codeOf(1)
	if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(time.Second)); outcome != hot.Unknown || !fault.Is(err, fault.Unavailable) {
		t.Errorf("a full server: %d, %v", outcome, err)
	}
	nothingTwice(t, e)
	s.do("CONFIG", "SET", "maxmemory", "0")
	if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(time.Second)); outcome != hot.OK || err != nil {
		t.Errorf("after that: %d, %v", outcome, err)
	}
	nothingTwice(t, e)
}

// Of 64 callers at two nodes, one gets the successor of a token, and the code.
func TestOneOf64AtTwoNodes(t *testing.T) {
	s := start(t)
	nodes := []*Engine{engine(t, s.where(), Limits{}), engine(t, s.where(), Limits{})}
	for round := range 20 {
		id := fmt.Sprint("fam_", round)
		ok(t, nodes[0].PutFamily(t.Context(), familyOf(id, "ses")))
		d, g := codeOf(1000 + round)
		ok(t, nodes[1].PutCode(t.Context(), d, g, at(0)))
		var rotated, ended, redeemed, replayed atomic.Int64
		var all sync.WaitGroup
		for n := range 64 {
			all.Go(func() {
				e := nodes[n%2]
				count[hot.Family](t, &rotated, &ended)(e.Rotate(t.Context(), rotationOf(id, 1)))
				count[hot.CodeGrant](t, &redeemed, &replayed)(e.ConsumeCode(t.Context(), d, owner, at(time.Second)))
			})
		}
		all.Wait()
		if rotated.Load() != 1 || ended.Load() != 1 || redeemed.Load() != 1 || replayed.Load() != 63 {
			t.Fatalf("round %d: %d rotated, %d ended; %d redeemed, %d replayed", round, rotated.Load(), ended.Load(), redeemed.Load(), replayed.Load())
		}
	}
}

func count[T any](t *testing.T, first, replayed *atomic.Int64) func(T, hot.Outcome, error) {
	return func(_ T, outcome hot.Outcome, err error) {
		switch {
		case err != nil:
			t.Error(err)
		case outcome == hot.OK:
			first.Add(1)
		case outcome == hot.Replayed:
			replayed.Add(1)
		}
	}
}

// While the server is killed and started again and again, no token has two successors and no
// code works twice.
func TestNothingTwiceWhileTheServerDies(t *testing.T) {
	s := start(t, "--appendonly", "yes", "--appendfsync", "everysec")
	where := s.where()
	where.Timeout = 250 * time.Millisecond
	nodes := []*Engine{engine(t, where, Limits{}), engine(t, where, Limits{})}
	stop := make(chan struct{})
	var accepted sync.Map // what was accepted → by whom
	var all sync.WaitGroup
	var good atomic.Int64
	for worker := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				twice(t, nodes, fmt.Sprintf("%d-%d", worker, n), &accepted, &good)
			}
		})
	}
	for range 4 {
		time.Sleep(700 * time.Millisecond)
		s.Kill()
		s.launch()
	}
	time.Sleep(500 * time.Millisecond)
	close(stop)
	all.Wait()
	t.Logf("%d acceptances", good.Load())
	if good.Load() < 100 {
		t.Errorf("only %d were accepted", good.Load())
	}
}

// twice tries to have one code and each of some tokens accepted at both nodes.
func twice(t *testing.T, nodes []*Engine, name string, accepted *sync.Map, good *atomic.Int64) {
	note := func(what string) {
		if _, before := accepted.LoadOrStore(what, true); before {
			t.Errorf("%s was accepted twice", what)
		}
		good.Add(1)
	}
	d := credential.DigestOf("code " + name)
	_, g := codeOf(0)
	f := familyOf("fam_"+name, "ses_"+name)
	g.Family, g.Session, g.Bound = f.ID, f.Bound.Subject.Session, f.Bound
	if nodes[0].PutCode(t.Context(), d, g, at(0)) != nil {
		return
	}
	for n := range 3 {
		if _, outcome, err := nodes[n%2].ConsumeCode(t.Context(), d, owner, at(time.Second)); err == nil && outcome == hot.OK {
			note("code " + name)
		}
	}
	f.ID = "other_" + name
	f.Bound.Family = f.ID
	if nodes[1].PutFamily(t.Context(), f) != nil {
		return
	}
	for n := int64(1); n <= 3; n++ {
		for node := range nodes {
			if _, outcome, err := nodes[node].Rotate(t.Context(), rotationOf(f.ID, n)); err == nil && outcome == hot.OK {
				note(fmt.Sprint(f.ID, " #", n))
				break
			}
		}
	}
	for node := range nodes {
		if _, outcome, err := nodes[node].Rotate(t.Context(), rotationOf(f.ID, 1)); err == nil && outcome == hot.OK {
			note(f.ID + " #1")
		}
	}
}
