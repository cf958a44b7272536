package cluster_test

import (
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

// nothing is a request that finds that there is nothing to do.
func nothing(tx *store.Tx) error {
	_, err := tx.In(storetest.Touched.Connection)
	return err
}

// none is one that is refused since what it names is there no more.
func none(*store.Tx) error { return fault.New(fault.NotFound, "test", "there is no such person") }

// TestI1_ARetryThatChangesNothingIsAnsweredNoSooner: whoever sent a request hangs up after its commit,
// and repeats it on whichever node while the first is still waited for. When the second is answered,
// no node accepts what the first has ended.
func TestI1_ARetryThatChangesNothingIsAnsweredNoSooner(t *testing.T) {
	t.Parallel()
	for name, fed := range map[string]bool{"the feed tells": true, "there is no feed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all sync.WaitGroup // they mostly wait
			for i, touch := range storetest.Touches() {
				w := newWorld(t)
				a, b, c := w.join("a", fed), w.join("b", fed), w.join("c", fed)
				on, again := []*node{a, c, b}[i%3], nothing
				if i%2 == 1 {
					again = none
				}
				all.Go(func() {
					time.Sleep(lease.Longest + 2*lease.Every) // nobody is new
					if w.remembers(b, touch) {
						w.repeated(a, b, on, touch, again)
					}
				})
			}
			all.Wait()
		})
	}
}

// repeated commits on a, and before that is answered says it again on another node.
func (w *world) repeated(a, b, on *node, touch storetest.Touch, again func(*store.Tx) error) {
	before := w.newest()
	if on != b {
		b.engine.deaf.Store(true)
	}
	first := make(chan error, 1)
	go func() { first <- a.store.Update(w.t.Context(), touch.Do) }()
	for w.newest() == before {
		time.Sleep(time.Millisecond)
	}
	if err := on.store.UpdateFor(w.t.Context(), storetest.Touched.Connection, again); err != nil && !fault.Is(err, fault.NotFound) {
		w.t.Errorf("%s: %v", touch.Name, err)
	}
	w.knows(b, touch)
	w.knows(on, touch)
	if err := <-first; err != nil {
		w.t.Errorf("%s: %v", touch.Name, err)
	}
}

// newest is the id of the latest piece of news that has been committed.
func (w *world) newest() (id int64) {
	w.t.Helper()
	if err := w.raw.View(w.t.Context(), func(q store.Querier) error { return q.QueryRow(`select coalesce(max(id), 0) from news`).Scan(&id) }); err != nil {
		w.t.Error(err)
	}
	return id
}

// told keeps what a store has its peers told, and waits for nobody.
type told struct{ news, outwaited int }

func (*told) Fresh() bool                          { return true }
func (p *told) Await(_ time.Time, n ...store.News) { p.news += len(n) }
func (p *told) Outwait(time.Time)                  { p.outwaited++ }
func (*told) Lapse()                               {}

// TestWhoeverChangesNothingPaysOneQuestion: a request that changes nothing asks once what there is that not
// everybody knows, and waits for what concerns it and has not been waited for; one that changes something
// asks nothing.
func TestWhoeverChangesNothingPaysOneQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := &engine{Engine: w.raw}
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	other, err := store.New(t.Context(), &engine{Engine: w.raw})
	if err != nil {
		t.Fatal(err)
	}
	peers := &told{}
	s.JoinPeers(peers)
	ask := func(what string, fn func(*store.Tx) error, questions int64, want told) {
		t.Helper()
		*peers = told{}
		before := e.beside.Load()
		if err := s.UpdateFor(t.Context(), storetest.Touched.Connection, fn); err != nil && !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
		if asked := e.beside.Load() - before; asked != questions || *peers != want {
			t.Errorf("%s: it asked %d times, and %+v; want %d, and %+v", what, asked, *peers, questions, want)
		}
	}
	do := func(fn func(*store.Tx) error) {
		t.Helper()
		if err := other.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	about := func(person access.PersonID) func(*store.Tx) error {
		return func(tx *store.Tx) error { tx.About(person); return nil }
	}
	ask("a node that has just come", nothing, 1, told{outwaited: 1}) // what everything is, is read again
	if _, err := s.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lease.Longest + lease.Every)
	ask("nothing has happened", nothing, 1, told{})
	ask("nothing has happened, and it is refused", none, 1, told{})
	ask("it writes what nobody remembers", func(tx *store.Tx) error {
		d, err := tx.In(storetest.Touched.Connection)
		if err != nil {
			return err
		}
		p, err := d.Person(storetest.Touched.Person)
		if err != nil {
			return err
		}
		return d.MustBeFresh(p, time.Now())
	}, 0, told{})
	do(storetest.Touches()[0].Do)
	ask("somebody else was touched", about("per_2"), 1, told{})
	ask("it answers for the person", about(storetest.Touched.Person), 1, told{news: 1})
	ask("it has been waited for", nothing, 1, told{})
	do(func(tx *store.Tx) error { return tx.BumpHost(time.Now()) })
	ask("something wide, and whoever is asked for", about("per_2"), 2, told{news: 1}) // and it is read again
	for range 65 {
		do(storetest.Touches()[0].Do)
	}
	ask("too much to tell", none, 1, told{outwaited: 1})
	ask("it has been waited out", nothing, 1, told{})
}
