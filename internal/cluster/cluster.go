// Package cluster is one node among others over the same directory: it keeps what the node
// remembers no older than a lease, and makes every commit wait until no other node accepts what
// the commit has ended.
//
// The directory alone gives the lease: by a poll every lease.Every that reads what others have changed.
// The feed only makes it fast. Nothing fails when the feed, the registry or another node does:
// a commit then takes at most lease.Longest to be answered.
//
// Beside that, nodes share out the work that one does at a time (Works).
package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Config is what a node needs.
type Config struct {
	Store   *store.Store
	Feed    hot.Feed // nil: there is none, and every commit waits for the leases of others
	Name    string   // for people
	Version string
	Alone   bool                 // it must be the only node
	Clocks  func() lease.Instant // looks at both clocks of this machine
	// Observe is told of what nobody waits for; nil: nobody.
	Observe func(op string, err error)
	// Waited is told how long each commit waited for others, and why no longer: one of the
	// outcomes below. nil: nobody.
	Waited func(took time.Duration, outcome string)
	// Polled is told of every poll. nil: nobody.
	Polled func(took time.Duration, found store.Followed, err error)
}

// How the wait of a commit ended.
const (
	Nobody       = "nobody"       // no other node was there
	Acknowledged = "acknowledged" // all others said that they know
	Lapsed       = "lapsed"       // somebody said nothing for so long that they believe nothing any more
)

// Node is a registered node. Make it with Join, end it with Leave.
type Node struct {
	cfg     Config
	id      string
	started time.Time
	now     func() lease.Instant
	out     chan hot.Entry // what is to be published
	again   chan struct{}  // buffered 1: poll now
	stop    context.CancelFunc
	loops   sync.WaitGroup

	lease    atomic.Pointer[lease.Lease] // changed under mu
	draining atomic.Bool
	hears    atomic.Pointer[string] // the incarnation of the feed, as far as it is known
	mu       sync.Mutex             // guards what follows
	left     bool
	seen     lease.Sightings
	waiting  map[string]*waiter // whoever waits for nodes to know, by name
	owed     []string           // waits for news too large for the feed: acknowledged after a poll that begins now
	last     store.Followed     // of the latest poll that found something
}

const (
	// queued is how much may wait to be published; beyond it, commits wait for leases.
	queued = 4096
	// pollTime bounds one poll.
	pollTime = 2 * time.Second
	// tidyEvery is how often what nobody needs any more is removed.
	tidyEvery = time.Minute
)

// Join registers a node, reads the directory and begins to follow it. From then on the store believes
// what it remembers while the node's lease lasts, and its commits wait for other nodes.
// fault.Conflict with store.ReasonNodeAlone if another node is there and may not be, and with
// store.ReasonNodeApart if one is there whose feed is another.
func Join(ctx context.Context, c Config) (*Node, error) {
	n := &Node{cfg: c, id: credential.NewID("node"), started: c.Clocks().Wall, now: c.Clocks, out: make(chan hot.Entry, queued), again: make(chan struct{}, 1),
		waiting: map[string]*waiter{}}
	n.lease.Store(&lease.Lease{})
	if n.cfg.Observe == nil {
		n.cfg.Observe = func(string, error) {}
	}
	n.hearing("")
	if err := n.register(ctx); err != nil {
		return nil, err
	}
	if err := n.poll(ctx); err != nil {
		return nil, err
	}
	c.Store.JoinPeers(n)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	n.loops.Go(func() { n.polls(running) })
	n.loops.Go(func() { n.tidies(running) })
	if c.Feed != nil {
		n.loops.Go(func() { n.publishes(running) })
		n.loops.Go(func() { n.listens(running) })
	}
	return n, nil
}

// register waits a little for a node that was here before and may not be beside this one: it may
// just have been stopped, or not have found out yet that the feed has begun anew.
func (n *Node) register(ctx context.Context) error {
	for began := n.now().Mono; ; {
		n.look(ctx)
		err := n.cfg.Store.Register(ctx, n.row())
		reason := fault.ReasonOf(err)
		waits := reason == store.ReasonNodeAlone || reason == store.ReasonNodeApart
		if !waits || n.now().Mono-began >= store.GoneAfter+time.Second || !pause(ctx, lease.Every) {
			return err
		}
	}
}

// look finds out which feed it is that this node hears. If that is not to be known now, nobody is
// asked whether theirs is another.
func (n *Node) look(ctx context.Context) {
	if n.cfg.Feed == nil {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, listenTime)
	defer cancel()
	at, err := n.cfg.Feed.End(bounded)
	if err != nil {
		n.cfg.Observe("cluster.listen", err)
	}
	n.hearing(at.Incarnation)
}

func (n *Node) hearing(incarnation string) { n.hears.Store(&incarnation) }

// row is how the node stands now.
func (n *Node) row() store.Node {
	n.mu.Lock()
	last := n.last
	n.mu.Unlock()
	return store.Node{ID: n.id, Name: n.cfg.Name, Version: n.cfg.Version, Alone: n.cfg.Alone, Started: n.started, Draining: n.draining.Load(), Hot: *n.hears.Load(),
		Applied: last.Last, Lag: last.Lag, Lease: n.lease.Load().Left(n.now())}
}

// ID is the node's in the registry; each run of a process has another.
func (n *Node) ID() string { return n.id }

// Fresh implements store.Peers.
func (n *Node) Fresh() bool { return n.lease.Load().Valid(n.now()) }

// Lapse implements store.Peers.
func (n *Node) Lapse() {
	n.lapse()
	n.pollNow()
}

func (n *Node) lapse() {
	n.mu.Lock()
	defer n.mu.Unlock()
	lapsed := n.lease.Load().Lapsed(n.now())
	n.lease.Store(&lapsed)
}

func (n *Node) renew(sent lease.Instant) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left {
		return
	}
	renewed := n.lease.Load().Renewed(sent)
	n.lease.Store(&renewed)
}

// Ready is fault.Unavailable when the node has no lease: it does what it is asked, and slowly.
func (n *Node) Ready(context.Context) error {
	if !n.Fresh() {
		return fault.New(fault.Unavailable, "cluster.Ready", "this node has not heard from the database for longer than a second: it asks it for everything")
	}
	return nil
}

// Drain writes into the registry, with the next beat, that this node takes nothing new. What is under way goes on.
func (n *Node) Drain() { n.draining.Store(true) }

// Leave believes nothing any more, ends the node's work, and takes it out of the registry, so that
// nobody waits for it. fault.Unavailable if the registry cannot be reached: others then wait until the
// lease has run out.
func (n *Node) Leave(ctx context.Context) error {
	n.draining.Store(true)
	n.mu.Lock()
	n.left = true
	n.lease.Store(&lease.Lease{})
	n.mu.Unlock()
	n.stop()
	n.loops.Wait()
	bounded, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	return n.cfg.Store.Leave(bounded, n.id)
}

// pause is false if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
