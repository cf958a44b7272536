package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

func (f *fixture) take(work, node string, length time.Duration) (t store.Turn, taken bool) {
	f.t.Helper()
	f.update(func(tx *store.Tx) (err error) { t, taken, err = tx.TakeTurn(work, node, length); return err })
	return t, taken
}

func (f *fixture) renew(t store.Turn, length time.Duration) (renewed bool) {
	f.t.Helper()
	f.update(func(tx *store.Tx) (err error) { renewed, err = tx.RenewTurn(t, length); return err })
	return renewed
}

// Work that somebody has is nobody else's, until its time is over or it is given back; its
// term says who came later.
func testTurns(t *testing.T, f *fixture) {
	one, held := f.take("tidy", "a", time.Hour)
	if !held || one.Term != 1 {
		t.Fatalf("taken: %+v %v", one, held)
	}
	for _, node := range []string{"a", "b"} {
		if l, held := f.take("tidy", node, time.Hour); held {
			t.Errorf("%s took what a has: %+v", node, l)
		}
	}
	if !f.renew(one, time.Hour) {
		t.Error("a could not renew what it has")
	}
	stranger := one
	stranger.Node = "b"
	if f.renew(stranger, time.Hour) {
		t.Error("b renewed what a has")
	}
	f.update(func(tx *store.Tx) error { return tx.EndTurn(stranger) })
	f.view(func(v *store.View) error {
		all, err := v.Turns()
		if err != nil || len(all) != 1 || all[0].Node != "a" || all[0].Left <= 59*time.Minute || all[0].Left > time.Hour {
			t.Errorf("listed: %+v (%v)", all, err)
		}
		return err
	})
	f.update(func(tx *store.Tx) error { return tx.EndTurn(one) })
	two, held := f.take("tidy", "b", -time.Second)
	if !held || two.Term != 2 {
		t.Fatalf("given back, and taken by b: %+v %v", two, held)
	}
	if f.renew(two, time.Hour) {
		t.Error("what is over was renewed")
	}
	three, held := f.take("tidy", "b", time.Hour)
	if !held || three.Term != 3 {
		t.Errorf("what was over, taken again: %+v %v", three, held)
	}
	if f.renew(one, time.Hour) {
		t.Error("a renewed what b has")
	}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, held := f.take("seal", "c", time.Hour); held {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Errorf("one turn was taken %d times", taken.Load())
	}
}

func (f *fixture) claim(node string, life time.Duration, of ...string) (got []string) {
	f.t.Helper()
	f.update(func(tx *store.Tx) error {
		all, err := tx.ClaimReceivers(node, of, day.Add(time.Hour), life)
		got = nil
		for _, r := range all {
			got = append(got, r.Name)
		}
		return err
	})
	return got
}

// A receiver that a node has claimed is nobody else's until the claim is over or given back.
func testClaims(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		return tx.PutDeliveries(append(deliveriesTo("logout:app", 2), deliveriesTo("webhook:w", 1)...))
	})
	claim := func(node string, life time.Duration, of ...string) []string {
		t.Helper()
		return f.claim(node, life, of...)
	}
	if got := claim("a", time.Hour, "logout:app", "nobody"); len(got) != 1 || got[0] != "logout:app" {
		t.Fatalf("claimed %v", got)
	}
	if got := claim("b", time.Hour, "logout:app", "webhook:w"); len(got) != 1 || got[0] != "webhook:w" {
		t.Errorf("b claimed %v", got)
	}
	f.view(func(v *store.View) error {
		ready, err := v.ReadyReceivers(day.Add(time.Hour), 10)
		if len(ready) != 0 {
			t.Errorf("what is claimed is ready: %+v", ready)
		}
		return err
	})
	held := func(node, receiver string) (still bool) {
		t.Helper()
		f.update(func(tx *store.Tx) (err error) { still, err = tx.ReleaseReceiver(node, receiver); return err })
		return still
	}
	if held("b", "logout:app") || !held("a", "logout:app") || held("a", "logout:app") {
		t.Error("a claim is given back once, by whose it is")
	}
	if got := claim("b", -time.Second, "logout:app"); len(got) != 1 {
		t.Errorf("given back, and claimed: %v", got)
	}
	if got := claim("c", time.Hour, "logout:app"); len(got) != 1 {
		t.Errorf("what is over, claimed: %v", got)
	}
	if held("b", "logout:app") {
		t.Error("b does not know that it lost its claim")
	}
	f.update(func(tx *store.Tx) error {
		return errors.Join(tx.DeliveryFailed("webhook:w", "j0", "503", day.Add(2*time.Hour), day), tx.PauseReceiver("logout:app", "logout", true))
	})
	held("b", "webhook:w")
	held("c", "logout:app")
	if got := claim("a", time.Hour, "logout:app", "webhook:w"); len(got) != 0 {
		t.Errorf("claimed although nothing may be sent: %v", got)
	}
}

// testClaimedOnce: of two nodes that claim the same receivers and take the same work at the
// same moment, one gets each.
func testClaimedOnce(t *testing.T, n *nodes) {
	var names []string
	n.a.update(func(tx *store.Tx) error {
		var all []store.Delivery
		names = nil
		for i := range 40 {
			all = append(all, deliveriesTo(fmt.Sprintf("logout:%02d", i), 1)...)
			names = append(names, fmt.Sprintf("logout:%02d", i))
		}
		return tx.PutDeliveries(all)
	})
	var mu sync.Mutex
	var got []string
	var works int
	var wg sync.WaitGroup
	for i, f := range []*fixture{n.a, n.b, n.a, n.b} {
		wg.Go(func() {
			for part := range slices.Chunk(names, 5) {
				claimed := f.claim(fmt.Sprint("node", i), time.Hour, part...)
				mu.Lock()
				got = append(got, claimed...)
				mu.Unlock()
			}
			if _, held := f.take("tidy", fmt.Sprint("node", i), time.Hour); held {
				mu.Lock()
				works++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	if !slices.Equal(got, names) || works != 1 {
		t.Errorf("the work was taken %d times, and claimed were %v", works, got)
	}
}

// Everybody is met once, in the order in which they came, whatever connection they are of;
// how far somebody has come is moved on from there alone.
func testReconciled(t *testing.T, f *fixture) {
	a, b := f.person(north, "per_1", "one@north.example"), f.person(south, "per_2", "two@south.example")
	f.view(func(v *store.View) error {
		all, err := v.PeopleBehind(0, 10)
		if err != nil || len(all) != 2 || all[0] != (store.PersonPlace{Key: a.Key, Connection: north}) || all[1] != (store.PersonPlace{Key: b.Key, Connection: south}) {
			t.Errorf("everybody: %+v (%v)", all, err)
		}
		if all, err = v.PeopleBehind(a.Key, 1); err != nil || len(all) != 1 || all[0].Key != b.Key {
			t.Errorf("behind the first: %+v (%v)", all, err)
		}
		return err
	})
	now := store.Reconciled{Person: a.Key, Began: day, People: 1, Ended: day.Add(-time.Hour), LastPeople: 7, Differences: 2}
	f.update(func(tx *store.Tx) error { return tx.MoveReconciled(store.Reconciled{}, now) })
	err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.MoveReconciled(store.Reconciled{}, now) })
	if !fault.Is(err, fault.Stale) {
		t.Errorf("moved twice from the same place: %v", err)
	}
	f.view(func(v *store.View) error {
		got, err := v.Reconciled()
		if err != nil || got != now {
			t.Errorf("%+v (%v)", got, err)
		}
		return err
	})
}

// What people decided is counted anew, and the person is due.
func testRecountDecided(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	f.update(func(tx *store.Tx) error {
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		return errors.Join(d.PutPermit(p, access.Permit{ID: "prm_1", Grant: access.Standard, Scope: "scp_fleet", Standing: access.Guest, Kind: access.SourceRequest, Given: day}),
			d.SetDecided(p.Key, 1, time.Time{}), d.RecountDecided(p), d.RecountDecided(p))
	})
	f.read(north, func(d *store.Directory) error {
		now, err := d.Person(p.ID)
		if err != nil || now.Decided != 1 || now.ValidUntil.IsZero() || now.ValidUntil.After(day) {
			t.Errorf("%+v (%v)", now, err)
		}
		return err
	})
}

// A proof is used once, until it is no good any more, unless it did nothing.
func testProofs(t *testing.T, f *fixture) {
	use := func(proof byte, life time.Duration) (first bool) {
		t.Helper()
		f.update(func(tx *store.Tx) (err error) {
			first, err = tx.UseProof([16]byte{proof}, life)
			return err
		})
		return first
	}
	if !use(1, time.Minute) || use(1, time.Minute) {
		t.Error("a proof is used once")
	}
	f.update(func(tx *store.Tx) error { return tx.ForgetProof([16]byte{1}) })
	if !use(1, time.Minute) {
		t.Error("it was to be forgotten")
	}
	if !use(2, -time.Minute) || use(2, time.Minute) {
		t.Error("what was good a minute ago is forgotten, and the database's clock may have been set")
	}
	if !use(3, -time.Hour) || !use(3, time.Minute) {
		t.Error("what is no good is not remembered")
	}
}

// Sessions that an identity provider is to be asked about are one node's for a while.
func testClaimedTokens(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	f.update(func(tx *store.Tx) error {
		s := newSession("ses_1", p)
		s.Expires = day.Add(time.Hour)
		return errors.Join(tx.InsertSession(s), tx.PutUpstreamToken(store.UpstreamToken{Session: "ses_1", Sealed: []byte("x"), Proved: day, Due: day}))
	})
	claim := func(now time.Time) (n int) {
		t.Helper()
		f.update(func(tx *store.Tx) error {
			all, err := tx.ClaimUpstreamTokens(now, now.Add(time.Minute), 10)
			n = len(all)
			return err
		})
		return n
	}
	if claim(day) != 1 || claim(day) != 0 || claim(day.Add(time.Minute)) != 1 {
		t.Error("a session was claimed twice, or never again")
	}
}
