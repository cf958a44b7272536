package cluster_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/cluster"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

// memory is a feed in this process.
type memory struct {
	mu      sync.Mutex // guards what follows
	entries []hot.Entry
	more    chan struct{}
	cut     bool                          // nothing is taken or given
	run     string                        // its incarnation
	hang    atomic.Pointer[chan struct{}] // nothing is taken until it is closed, whoever hangs up
}

func newFeed() *memory { return &memory{more: make(chan struct{}), run: "one"} }

func (m *memory) Publish(_ context.Context, entries ...hot.Entry) error {
	if hang := m.hang.Load(); hang != nil {
		<-*hang
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut {
		return fault.New(fault.Unavailable, "feed", "cut")
	}
	m.entries = append(m.entries, entries...)
	close(m.more)
	m.more = make(chan struct{})
	return nil
}

func (m *memory) end() hot.Offset {
	return hot.Offset{Incarnation: m.run, Number: int64(len(m.entries))}
}

func (m *memory) End(context.Context) (hot.Offset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.end(), nil
}

func (m *memory) Next(ctx context.Context, after hot.Offset, wait time.Duration) ([]hot.Entry, hot.Offset, error) {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		m.mu.Lock()
		if after.Incarnation != m.run {
			m.mu.Unlock()
			return nil, after, fault.New(fault.Stale, "feed", "it has begun anew")
		}
		more, cut, got := m.more, m.cut, m.entries[after.Number:]
		m.mu.Unlock()
		if cut {
			return nil, after, fault.New(fault.Unavailable, "feed", "cut")
		}
		if len(got) > 0 {
			return got, hot.Offset{Incarnation: after.Incarnation, Number: after.Number + int64(len(got))}, nil
		}
		select {
		case <-more:
		case <-t.C:
			return nil, after, nil
		case <-ctx.Done():
			return nil, after, fault.Wrap(fault.Unavailable, "feed", ctx.Err())
		}
	}
}

func (m *memory) sever() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = true
	close(m.more)
	m.more = make(chan struct{})
}

// restart empties it.
func (m *memory) restart(run string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run, m.entries = run, nil
}

// engine is one node's way to a database that others share. What goes beside is what polls go by.
type engine struct {
	store.Engine
	deaf   atomic.Bool // polls fail
	gone   atomic.Bool // so does everything else
	stall  atomic.Pointer[chan struct{}]
	gate   atomic.Pointer[gate]
	hang   atomic.Pointer[chan struct{}] // nothing but commits is answered until it is closed, whoever hangs up
	reads  atomic.Int64                  // views that did not go beside
	beside atomic.Int64                  // those that did
}

// gate holds up a reading when it has been done.
type gate struct {
	once sync.Once
	read chan struct{} // closed then
	open chan struct{}
}

func (e *engine) hangs() {
	if hang := e.hang.Load(); hang != nil {
		<-*hang
	}
}

func (e *engine) Aside(ctx context.Context, write bool, fn func(store.Querier) error) error {
	e.hangs()
	if stall := e.stall.Load(); stall != nil && !write {
		select {
		case <-*stall:
		case <-ctx.Done():
		}
	}
	if e.deaf.Load() || ctx.Err() != nil {
		return fault.New(fault.Unavailable, "test", "the database does not answer")
	}
	if write {
		return e.Engine.Update(ctx, "", fn, func() {})
	}
	e.beside.Add(1)
	err := e.Engine.View(ctx, fn)
	if g := e.gate.Load(); g != nil {
		g.once.Do(func() { close(g.read) })
		<-g.open
	}
	return err
}

func (e *engine) View(ctx context.Context, fn func(store.Querier) error) error {
	e.hangs()
	if e.gone.Load() {
		return fault.New(fault.Unavailable, "test", "the database is gone")
	}
	e.reads.Add(1)
	return e.Engine.View(ctx, fn)
}

// clocks are this machine's, which tests may stop and set.
type clocks struct {
	mu     sync.Mutex // guards what follows
	began  time.Time
	frozen *time.Duration
	ahead  time.Duration // of the wall clock
}

func (c *clocks) look() lease.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	mono := time.Since(c.began)
	if c.frozen != nil {
		mono = *c.frozen
	}
	return lease.Instant{Mono: mono, Wall: time.Now().Add(c.ahead)}
}

// freeze stops the monotonic clock.
func (c *clocks) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Since(c.began)
	c.frozen = &now
}

func (c *clocks) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// node is one of a world.
type node struct {
	*cluster.Node
	store  *store.Store
	engine *engine
	clocks *clocks
	mu     sync.Mutex
	how    []string        // outcomes of its commits
	took   []time.Duration // of the same
}

func (n *node) outcome() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.how) == 0 {
		return ""
	}
	return n.how[len(n.how)-1]
}

type world struct {
	t    testing.TB
	raw  store.Engine
	feed *memory
}

// newWorld is a database with somebody in it who is signed in.
func newWorld(t testing.TB) *world {
	t.Helper()
	e, err := sqlite.OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	w := &world{t: t, raw: storetest.Share(e), feed: newFeed()}
	s, err := store.New(t.Context(), w.raw)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Prepare(t, s)
	return w
}

// join starts a node; without a feed if fed is false.
func (w *world) join(name string, fed bool) *node {
	w.t.Helper()
	n := &node{engine: &engine{Engine: w.raw}, clocks: &clocks{began: time.Now()}}
	var err error
	if n.store, err = store.New(w.t.Context(), n.engine); err != nil {
		w.t.Fatal(err)
	}
	c := cluster.Config{Store: n.store, Name: name, Version: "test", Clocks: n.clocks.look, Waited: func(took time.Duration, how string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.how, n.took = append(n.how, how), append(n.took, took)
	}}
	if fed {
		c.Feed = w.feed
	}
	if n.Node, err = cluster.Join(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = n.Leave(context.WithoutCancel(w.t.Context())) })
	return n
}

// remembers makes a node believe that a touch has not happened, from its memory.
func (w *world) remembers(n *node, touch storetest.Touch) bool {
	w.t.Helper()
	for range 40 {
		before := n.engine.reads.Load()
		known, err := touch.Known(w.t.Context(), n.store)
		if known || err != nil {
			w.t.Errorf("%s: it is known before it happens (%v)", touch.Name, err)
			return false
		}
		if n.Fresh() && n.engine.reads.Load() == before {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Errorf("%s: the node asks the directory each time", touch.Name)
	return false
}

func (w *world) knows(n *node, touch storetest.Touch) {
	w.t.Helper()
	if known, err := touch.Known(w.t.Context(), n.store); !known || err != nil {
		w.t.Errorf("%s: a node accepts what another has ended (%v)", touch.Name, err)
	}
}
