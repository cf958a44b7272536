package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

// TestWhatIsKeptOfWhatIsWideIsWhatIsStored: after any history, what is kept change by change is what
// a reading of everything gives: where one process writes, after each commit.
func TestWhatIsKeptOfWhatIsWideIsWhatIsStored(t *testing.T) {
	s := open(t, engine(t))
	storetest.Prepare(t, s)
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 5).Draw(rt, "transactions") {
			if err := s.Update(t.Context(), storetest.WideChanges(rt)); err != nil {
				rt.Fatal(err)
			}
			compare(rt, s)
		}
	})
}

// TestEachNodeKeepsWhatIsStored: on two nodes that follow the news or hear them early, late and again,
// and whose readings fail now and then, as soon as one that works has followed them.
func TestEachNodeKeepsWhatIsStored(t *testing.T) {
	e := storetest.Share(engine(t))
	nodes := []*node{join(t, e), join(t, e)}
	storetest.Prepare(t, nodes[0].Store)
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			n := rapid.SampledFrom(nodes).Draw(rt, "node")
			n.deaf.Store(rapid.IntRange(0, 2).Draw(rt, "deaf") == 0)
			told := nodes[rapid.IntRange(0, 1).Draw(rt, "from")].told()
			var err error
			switch step := rapid.IntRange(0, 4).Draw(rt, "step"); {
			case step == 0:
				_, err = n.Follow(t.Context())
			case step == 1 && len(told) > 0:
				err = n.Hear(t.Context(), rapid.SampledFrom(told).Draw(rt, "news"))
			default:
				if err := n.Update(t.Context(), storetest.WideChanges(rt)); err != nil {
					rt.Fatal(err)
				}
			}
			if err != nil && !n.deaf.Load() {
				rt.Fatal(err)
			}
		}
		for _, n := range nodes {
			n.deaf.Store(false)
			if _, err := n.Follow(t.Context()); err != nil {
				rt.Fatal(err)
			}
			compare(rt, n.Store)
		}
	})
}

// TestNodesThatChangeWhatIsWideAtOnce: whatever meets, nothing older comes over what is newer, and what
// one reading could not read is not lost to who waits for the next.
func TestNodesThatChangeWhatIsWideAtOnce(t *testing.T) {
	e := storetest.Share(engine(t))
	nodes := []*node{join(t, e), join(t, e)}
	storetest.Prepare(t, nodes[0].Store)
	var work sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for i, n := range nodes {
		work.Go(func() {
			for ctx.Err() == nil {
				if _, err := n.Follow(ctx); err != nil && !fault.Is(err, fault.Unavailable) {
					t.Error(err)
				}
				n.deaf.Store(!n.deaf.Load())
			}
		})
		work.Go(func() {
			for ctx.Err() == nil {
				if err := n.Hear(ctx, nodes[1-i].told()...); err != nil && !fault.Is(err, fault.Unavailable) {
					t.Error(err)
				}
			}
		})
	}
	var writers sync.WaitGroup
	for i, n := range nodes {
		writers.Go(func() {
			for k := range 40 {
				do := rapid.Custom(storetest.WideChanges).Example(100*i + k)
				if err := n.Update(t.Context(), do); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	stop()
	work.Wait()
	for _, n := range nodes {
		n.deaf.Store(false)
		if _, err := n.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		compare(t, n.Store)
	}
}

// TestWhatIsHeardIsReadFromALaterView: what is heard while a reading is under way is read by the next,
// which begins when that has ended; and what a reading that failed was to read, the next one reads.
func TestWhatIsHeardIsReadFromALaterView(t *testing.T) {
	e := storetest.Share(engine(t))
	a, b := join(t, e), join(t, e)
	storetest.Prepare(t, a.Store)
	if _, err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	change := func() store.News {
		t.Helper()
		if err := a.Update(t.Context(), func(tx *store.Tx) error { return tx.BumpClient("app") }); err != nil {
			t.Fatal(err)
		}
		told := a.told()
		return told[len(told)-1]
	}
	g := &gate{read: make(chan struct{}), open: make(chan struct{})}
	b.gate.Store(g)
	var hearing sync.WaitGroup
	hear := func(news store.News) {
		hearing.Go(func() {
			if err := b.Hear(t.Context(), news); err != nil {
				t.Error(err)
			}
		})
	}
	before := b.readings.Load()
	hear(change())
	<-g.read // its view has begun
	b.gate.Store(nil)
	hear(change())
	time.Sleep(50 * time.Millisecond)
	if n := b.readings.Load() - before; n != 1 {
		t.Errorf("%d readings at once", n)
	}
	close(g.open)
	hearing.Wait()
	compare(t, b.Store)

	b.deaf.Store(true)
	if err := errors.Join(b.Heard(change()), b.ReadHeard(t.Context())); !fault.Is(err, fault.Unavailable) {
		t.Errorf("what cannot be read is read: %v", err)
	}
	b.deaf.Store(false)
	if err := b.ReadHeard(t.Context()); err != nil {
		t.Fatal(err)
	}
	compare(t, b.Store)
}

// compare fails unless what s keeps is what is stored.
func compare(t rapid.TB, s *store.Store) {
	t.Helper()
	want, err := s.StoredWide(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.RememberedWide(); !reflect.DeepEqual(got, want) {
		t.Fatalf("remembered is\n%+v\nstored is\n%+v", got, want)
	}
}

func engine(t testing.TB) store.Engine {
	t.Helper()
	e, err := sqlite.OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func open(t testing.TB, e store.Engine) *store.Store {
	t.Helper()
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// node is a store that believes what it remembers, and its own peers.
type node struct {
	*store.Store
	deaf     atomic.Bool // what it reads fails
	readings atomic.Int64
	gate     atomic.Pointer[gate]
	mu       sync.Mutex // guards news
	news     []store.News
}

func join(t testing.TB, e store.Engine) *node {
	t.Helper()
	n := &node{}
	n.Store = open(t, reader{e, n})
	n.JoinPeers(n)
	if _, err := n.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// reader is a node's engine.
type reader struct {
	store.Engine
	n *node
}

// View implements store.Engine.
func (r reader) View(ctx context.Context, fn func(store.Querier) error) error {
	if r.n.deaf.Load() {
		return fault.New(fault.Unavailable, "test", "the database does not answer")
	}
	r.n.readings.Add(1)
	return r.Engine.View(ctx, func(q store.Querier) error {
		var epoch int64 // SQLite's view begins with the first table that is read
		if err := q.QueryRow(`select epoch from host`).Scan(&epoch); err != nil {
			return err
		}
		return fn(held{q, r.n.gate.Load()})
	})
}

// gate holds a reading whose view has begun.
type gate struct {
	once       sync.Once
	read, open chan struct{}
}

type held struct {
	store.Querier
	gate *gate
}

// QueryRow implements store.Querier.
func (h held) QueryRow(query string, args ...any) store.Row {
	return heldRow{h.Querier.QueryRow(query, args...), h.gate}
}

type heldRow struct {
	store.Row
	gate *gate
}

// Scan implements store.Row.
func (h heldRow) Scan(dest ...any) error {
	err := h.Row.Scan(dest...)
	if h.gate != nil {
		h.gate.once.Do(func() { close(h.gate.read) })
		<-h.gate.open
	}
	return err
}

// Fresh implements store.Peers.
func (n *node) Fresh() bool { return true }

// Await implements store.Peers.
func (n *node) Await(_ time.Time, news ...store.News) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.news = append(n.news, news...)
}

// Outwait implements store.Peers.
func (n *node) Outwait(time.Time) {}

// Lapse implements store.Peers.
func (n *node) Lapse() {}

func (n *node) told() []store.News {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]store.News(nil), n.news...)
}

// What a node reads again for one token that has changed, and for everything, as at its start
// (docs/scaling.md): with 10,000 connections, each with a token.
func BenchmarkWideRead(b *testing.B) {
	const connections = 10_000
	n := join(b, storetest.Share(engine(b)))
	err := n.Update(b.Context(), func(tx *store.Tx) error {
		for i := range connections {
			id := access.ConnectionID(fmt.Sprint("connection-", i))
			if _, err := tx.PutConnection(access.Connection{ID: id, Name: "Customer", IdP: "other"}, time.Unix(1, 0)); err != nil {
				return err
			}
			if err := tx.PutSCIMToken(store.SCIMToken{PublicID: string(id), Connection: id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, refs := range map[string]string{"one": `[{"k":"token","i":"connection-7"}]`, "all": `[{"k":"all"}]`} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := n.Hear(b.Context(), store.News{Refs: []byte(refs)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
