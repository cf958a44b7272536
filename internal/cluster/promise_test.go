package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/cluster"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

// TestI1_NoNodeAcceptsWhatAnotherHasEnded: for each kind of thing that can be ended, and however
// the nodes hear of each other, when the change has returned on one node, the other refuses.
func TestI1_NoNodeAcceptsWhatAnotherHasEnded(t *testing.T) {
	t.Parallel()
	for _, how := range []struct {
		name    string
		fed     bool
		before  func(w *world, a, b *node)
		outcome string
	}{
		{"the feed tells", true, func(*world, *node, *node) {}, cluster.Acknowledged},
		{"there is no feed", false, func(*world, *node, *node) {}, cluster.Lapsed},
		{"the feed is cut", true, func(w *world, _, _ *node) { w.feed.sever() }, cluster.Lapsed},
		{"the other no longer polls", false, func(_ *world, _, b *node) { b.engine.deaf.Store(true) }, cluster.Lapsed},
		{"the other no longer polls, and its monotonic clock stands still", false, func(_ *world, _, b *node) { b.clocks.freeze(); b.engine.deaf.Store(true) }, cluster.Lapsed},
		{"the registry cannot be read", false, func(_ *world, a, _ *node) { a.engine.deaf.Store(true) }, cluster.Lapsed},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			var all sync.WaitGroup // they mostly wait
			for _, touch := range storetest.Touches() {
				w := newWorld(t)
				a, b := w.join("a", how.fed), w.join("b", how.fed)
				all.Go(func() {
					if !w.remembers(b, touch) {
						return
					}
					how.before(w, a, b)
					if err := a.store.Update(t.Context(), touch.Do); err != nil {
						t.Error(err)
						return
					}
					w.knows(b, touch)
					w.knows(a, touch)
					if got := a.outcome(); got != how.outcome {
						t.Errorf("%s: the commit was %q, want %q", touch.Name, got, how.outcome)
					}
				})
			}
			all.Wait()
		})
	}
}

// TestACommitWaitsForNobodyWhoIsNotThere: a node alone, or beside one that has left, waits for
// nothing; beside one that was killed, only until its lease must have run out.
func TestACommitWaitsForNobodyWhoIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	touches := storetest.Touches()
	a := w.join("a", true)
	do := func(i int, want string) {
		t.Helper()
		if err := a.store.Update(t.Context(), touches[i].Do); err != nil {
			t.Fatal(err)
		}
		if got := a.outcome(); got != want {
			t.Errorf("%s: the commit was %q, want %q", touches[i].Name, got, want)
		}
	}
	do(2, cluster.Nobody)
	b := w.join("b", true)
	do(3, cluster.Acknowledged)
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(4, cluster.Nobody)
	c := w.join("c", true)
	if err := w.raw.Update(t.Context(), "", func(q store.Querier) error { // it was killed: its row is there, and says nothing more
		_, err := q.Exec(`insert into nodes (id, name, version, alone, started_at, draining, beat, beat_at, applied, lag, lease) select 'node_dead', 'dead', '', false, 0, false, 1, beat_at, 0, 0, 0 from nodes where id = $1`, c.ID())
		return err
	}, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := c.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(5, cluster.Lapsed)
	time.Sleep(lease.Longest + lease.Life)
	do(6, cluster.Nobody)
}

// TestANodeWithoutALeaseAsks: it never believes its memory, and without the directory it knows
// nothing.
func TestANodeWithoutALeaseAsks(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(b *node){
		"it no longer polls":             func(b *node) { b.engine.deaf.Store(true); time.Sleep(lease.Life) },
		"it was frozen":                  func(b *node) { b.clocks.freeze(); b.engine.deaf.Store(true); b.clocks.jump(time.Minute) },
		"its wall clock was set back":    func(b *node) { b.engine.deaf.Store(true); b.clocks.jump(-time.Minute) },
		"its poll takes for ever":        func(b *node) { never := make(chan struct{}); b.engine.stall.Store(&never); time.Sleep(lease.Life) },
		"it could not read what is wide": func(b *node) { b.engine.deaf.Store(true); b.Lapse() },
		"it has left":                    func(b *node) { _ = b.Leave(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.join("b", true)
			w.remembers(b, storetest.Touches()[0])
			time.Sleep(lease.Every) // no poll is under way that has begun before
			lose(b)
			reads := b.engine.reads.Load()
			c, err := b.store.Current(t.Context(), storetest.Touched)
			if err != nil || !c.Alive || b.engine.reads.Load() == reads {
				t.Errorf("it did not ask, or was told something else: %+v (%v)", c, err)
			}
			if err := b.Ready(t.Context()); !fault.Is(err, fault.Unavailable) {
				t.Errorf("it is ready: %v", err)
			}
			b.engine.gone.Store(true)
			if c, err := b.store.Current(t.Context(), storetest.Touched); !fault.Is(err, fault.Unavailable) || c.Alive {
				t.Errorf("without the directory: %+v (%v)", c, err)
			}
			if _, _, _, err := b.store.Door(t.Context(), "tok_1"); !fault.Is(err, fault.Unavailable) && b.engine.deaf.Load() {
				t.Errorf("without the directory, a token is known: %v", err)
			}
		})
	}
}

// TestANodeThatComesBackIsWaitedFor: a node that was cut off says that it is there and then reads. A
// commit that comes between its reading and its renewed lease finds it in the registry, and waits.
func TestANodeThatComesBackIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	touch := storetest.Touches()[0]
	a, b := w.join("a", false), w.join("b", false)
	w.remembers(b, touch)
	b.engine.deaf.Store(true)
	time.Sleep(2 * (lease.Longest + lease.Life)) // nobody reckons with it any more
	g := &gate{read: make(chan struct{}), open: make(chan struct{})}
	b.engine.gate.Store(g)
	b.engine.deaf.Store(false)
	<-g.read // it has read that nothing has changed, and does not know yet that it has
	done := make(chan error, 1)
	go func() { done <- a.store.Update(t.Context(), touch.Do) }()
	time.Sleep(lease.Every)
	b.engine.gate.Store(nil)
	close(g.open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.knows(b, touch)
	if got := a.outcome(); got != cluster.Lapsed {
		t.Errorf("the commit was %q, and nobody had said that they know", got)
	}
}

// TestALeaseCountsFromBeforeItsPoll: a poll that takes long gives what is left of a second from when it
// was sent, and not a second from its answer.
func TestALeaseCountsFromBeforeItsPoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	touch := storetest.Touches()[0]
	a, b := w.join("a", false), w.join("b", false)
	w.remembers(b, touch)
	g := &gate{read: make(chan struct{}), open: make(chan struct{})}
	b.engine.gate.Store(g)
	<-g.read
	done := make(chan error, 1)
	go func() { done <- a.store.Update(t.Context(), touch.Do) }()
	time.Sleep(lease.Life)
	b.engine.deaf.Store(true) // no other poll comes
	b.engine.gate.Store(nil)
	close(g.open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.knows(b, touch)
}

// TestManyNodesAndCommitsAtOnce: whoever has been told that a session has ended finds it ended on
// every node, whoever polls, joins and leaves meanwhile.
func TestManyNodesAndCommitsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := []*node{w.join("a", true), w.join("b", true), w.join("c", true)}
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() {
		for ctx.Err() == nil {
			n := w.join("guest", true)
			if _, err := n.store.Current(ctx, storetest.Touched); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			if err := n.Leave(context.WithoutCancel(ctx)); err != nil {
				t.Error(err)
			}
		}
	})
	var writers sync.WaitGroup
	for i, n := range nodes {
		writers.Go(func() {
			for range 8 {
				var least int64
				err := n.store.Update(t.Context(), func(tx *store.Tx) (err error) {
					if err = tx.BumpHost(time.Time{}); err == nil {
						least, err = tx.Host()
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				for _, other := range slices.Concat(nodes[i:], nodes[:i]) {
					if c, err := other.store.Current(t.Context(), storetest.Touched); err != nil || c.Epochs.Host < least {
						t.Errorf("one node has been told %d, another has %d (%v)", least, c.Epochs.Host, err)
					}
				}
			}
		})
	}
	writers.Wait()
	stop()
	others.Wait()
}

// TestWhoeverAsksAgainWaitsToo: a node commits and dies before it tells anybody. Whoever asks another
// one for the same finds it done; when that is answered, no node accepts any more what was ended, as if
// it had been done there.
func TestWhoeverAsksAgainWaitsToo(t *testing.T) {
	t.Parallel()
	for _, fed := range []bool{true, false} {
		for _, young := range []bool{true, false} {
			for _, touch := range storetest.Touches() {
				t.Run(fmt.Sprintf("fed %t/young %t/%s", fed, young, touch.Name), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					b, c := w.join("b", fed), w.join("c", fed)
					if !young {
						time.Sleep(lease.Longest + lease.Every)
					}
					dead, err := store.New(t.Context(), &engine{Engine: w.raw})
					if err != nil {
						t.Fatal(err)
					}
					dead.JoinPeers(nobody{})
					w.remembers(b, touch)
					w.remembers(c, touch)
					if err := dead.Update(t.Context(), touch.Do); err != nil {
						t.Fatal(err)
					}
					if err := b.store.Update(t.Context(), func(tx *store.Tx) error { tx.Confirm(); return nil }); err != nil {
						t.Fatal(err)
					}
					w.knows(b, touch)
					w.knows(c, touch)
				})
			}
		}
	}
}

// nobody is what a node that dies at once has of others.
type nobody struct{}

func (nobody) Fresh() bool                    { return true }
func (nobody) Await(time.Time, ...store.News) {}
func (nobody) Outwait(time.Time)              {}
func (nobody) Lapse()                         {}
