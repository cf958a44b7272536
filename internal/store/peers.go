package store

import (
	"context"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/lease"
)

// Peers are the other nodes over the same directory, as one node sees them.
type Peers interface {
	// Fresh reports whether what this node remembers may be believed now.
	Fresh() bool
	// Await returns when no node accepts any more what these news have ended, whichever node has
	// committed them: they are told again. All of them had been committed at that instant. It cannot fail:
	// it may take until lease.Longest after it, and no longer.
	Await(committed time.Time, news ...News)
	// Outwait returns when no node accepts any more what had been ended at that instant, and tells
	// nobody: it takes until lease.Longest after it if another node is there.
	Outwait(committed time.Time)
	// Lapse says that this node could not read again what a commit of its own has changed: Fresh
	// is false until everything is known again.
	Lapse()
}

// JoinPeers makes every commit wait for them. Until then a Store over a directory that others
// share believes nothing that it remembers, and commits wait for whoever is registered.
func (s *Store) JoinPeers(p Peers) { s.peers.Store(&p) }

func (s *Store) fresh() bool {
	if !s.shared {
		return true
	}
	p := s.peers.Load()
	return p != nil && (*p).Fresh()
}

// await makes what a commit has changed known, here and elsewhere, before it returns: at the latest
// lease.Longest after the commit, whoever does not answer. History is that of its news.
func (s *Store) await(ctx context.Context, tx *Tx, committed time.Time, history string) {
	if tx.news.ID == 0 {
		return
	}
	ctx, cancel := untilLongest(ctx, committed)
	defer cancel()
	known := s.peers.Load()
	var here sync.WaitGroup
	defer here.Wait()
	if tx.wideTouched() {
		here.Go(func() { s.rereadHere(ctx) })
	}
	if known == nil {
		s.outwait(ctx, committed)
		return
	}
	(*known).Await(committed, tx.news)
	here.Wait()
	s.known.tell(history, tx.news)
}

// rereadHere makes this node know what is wide, or believe nothing.
func (s *Store) rereadHere(ctx context.Context) {
	_, err := s.rereading.do(ctx)
	if known := s.peers.Load(); err != nil && known != nil {
		(*known).Lapse()
	}
}

// untilLongest is a context for what is done after a commit, or an answer: it has happened, whoever
// waits for it, and from lease.Longest afterwards no node believes what it remembered before.
func untilLongest(ctx context.Context, committed time.Time) (context.Context, context.CancelFunc) {
	return context.WithDeadline(context.WithoutCancel(ctx), committed.Add(lease.Longest))
}

// outwait is Await of a Store that is no node: it waits for those who are.
func (s *Store) outwait(ctx context.Context, committed time.Time) {
	began := time.Now()
	nodes, err := s.Nodes(ctx)
	if err == nil && !s.sighted.anyLive(nodes, began, time.Now()) {
		return
	}
	time.Sleep(time.Until(committed.Add(lease.Longest)))
}

// sighted is what a Store that is no node has seen of those who are: whoever is in the registry is
// waited for until they have been seen to poll no more, also by this machine's clock.
type sighted struct {
	mu    sync.Mutex // guards what follows
	first time.Time  // by which the monotonic clock is read
	seen  lease.Sightings
}

// anyLive reports whether somebody may hold a lease of a registry that was read between began
// and ended.
func (g *sighted) anyLive(registry []Node, began, ended time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first.IsZero() {
		g.first = began
	}
	peers := make([]lease.Peer, len(registry))
	for i, n := range registry {
		peers[i] = lease.Peer{Node: n.ID, Beat: n.Beat, Age: n.BeatAge}
	}
	return len(g.seen.Live(peers, began.Sub(g.first), ended.Sub(g.first))) > 0
}

// Received says in a context when the request came that it belongs to.
func Received(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, receivedKey{}, at)
}

type receivedKey struct{}

// Measure makes fn be told how long each end of somebody's access took: from the request, or else
// the transaction, to the instant from which no node accepts them.
func (s *Store) Measure(fn func(took time.Duration)) { s.measure.Store(&fn) }

func (s *Store) measured(ctx context.Context, tx *Tx, began time.Time) {
	fn := s.measure.Load()
	if !tx.ends || fn == nil {
		return
	}
	if at, said := ctx.Value(receivedKey{}).(time.Time); said {
		began = at
	}
	(*fn)(time.Since(began))
}

func (tx *Tx) wideTouched() bool {
	for _, t := range tx.touched {
		if t.ref.wide() {
			return true
		}
	}
	return false
}

// aside runs fn beside what the store is used for: it waits for no lane, and for no other
// reader, where the engine can do that.
func (s *Store) aside(ctx context.Context, write bool, fn func(Querier) error) error {
	if e, can := s.engine.(Aside); can {
		return e.Aside(ctx, write, fn)
	}
	if write {
		return s.engine.Update(ctx, "", fn, func() {})
	}
	return s.engine.View(ctx, fn)
}

// Aside is what an Engine of several nodes offers beside Engine: a transaction on a connection
// that nothing else uses, ended with ctx. It takes no locks of lanes; one that writes sees
// what others commit meanwhile.
type Aside interface {
	Aside(ctx context.Context, write bool, fn func(Querier) error) error
}

// coalesced runs something for all who ask: whoever asks gets the answer of a run that began
// after they asked, and those who ask while one is under way share the next.
type coalesced[T any] struct {
	run  func(ctx context.Context) (T, error)
	life time.Duration // how long a run may take

	mu      sync.Mutex // guards what follows
	running bool
	next    *flight[T] // of those who wait for the run after the one under way
}

type flight[T any] struct {
	done   chan struct{}
	answer T
	err    error
}

func (c *coalesced[T]) do(ctx context.Context) (T, error) {
	c.mu.Lock()
	f := c.next
	if f == nil {
		f = &flight[T]{done: make(chan struct{})}
		c.next = f
	}
	if !c.running {
		c.running = true
		go c.loop()
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		var none T
		return none, fault.Wrap(fault.Unavailable, "store.coalesced", ctx.Err())
	}
}

// loop runs until nobody waits.
func (c *coalesced[T]) loop() {
	for {
		c.mu.Lock()
		f := c.next
		c.next = nil
		if f == nil {
			c.running = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), c.life)
		f.answer, f.err = c.run(ctx)
		cancel()
		close(f.done)
	}
}
