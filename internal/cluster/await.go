package cluster

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// waiter is somebody who waits until other nodes know of a commit.
type waiter struct {
	name    string         // by which others acknowledge; of this wait alone
	barrier *lease.Barrier // guarded by the node's mu
	changed chan struct{}  // buffered 1
}

func (w *waiter) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Await implements store.Peers.
func (n *Node) Await(committed time.Time, news ...store.News) {
	since := n.mono(committed)
	waiters := make([]*waiter, len(news))
	for i, x := range news {
		waiters[i] = n.expect(since)
		defer n.forget(waiters[i])
		n.announce(x, waiters[i].name)
	}
	if planted.Bug(planted.BarrierSkipped) {
		return
	}
	n.waitAll(committed, since, waiters...)
}

// Outwait implements store.Peers: nobody acknowledges what nobody was told.
func (n *Node) Outwait(committed time.Time) {
	since := n.mono(committed)
	n.waitAll(committed, since, newWaiter(since))
}

// mono is an instant of the process by the node's clock.
func (n *Node) mono(at time.Time) time.Duration { return n.now().Mono - time.Since(at) }

// waitAll asks who is there, and waits for them. Whatever does not answer, it ends lease.Longest after
// the commit.
func (n *Node) waitAll(committed time.Time, since time.Duration, waiters ...*waiter) {
	ctx, cancel := context.WithDeadline(context.Background(), committed.Add(lease.Longest))
	defer cancel()
	live, err := n.peers(ctx)
	if err == nil {
		n.mu.Lock()
		for _, w := range waiters {
			w.barrier.Registry(live)
		}
		n.mu.Unlock()
	}
	outcome := Acknowledged
	for _, w := range waiters {
		if !n.wait(w) {
			outcome = Lapsed
		}
	}
	if err == nil && len(live) == 0 {
		outcome = Nobody
	}
	if n.cfg.Waited != nil {
		n.cfg.Waited(n.now().Mono-since, outcome)
	}
}

// wait is true if all have said that they know, before it would not matter any more.
func (n *Node) wait(w *waiter) bool {
	for {
		now := n.now().Mono
		n.mu.Lock()
		done, until, known := w.barrier.Done(now), w.barrier.Until(), w.barrier.Known()
		n.mu.Unlock()
		if done {
			return known
		}
		left := time.NewTimer(until - now)
		select {
		case <-w.changed:
		case <-left.C:
		}
		left.Stop()
	}
}

func newWaiter(committed time.Duration) *waiter {
	return &waiter{name: credential.NewID("wait"), barrier: lease.Await(committed), changed: make(chan struct{}, 1)}
}

func (n *Node) expect(committed time.Duration) *waiter {
	w := newWaiter(committed)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting[w.name] = w
	return w
}

func (n *Node) forget(w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.waiting, w.name)
}

// acknowledged passes on that a node has applied what somebody here waits for.
func (n *Node) acknowledged(m message) {
	if len(m.Know) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range m.Know {
		if w := n.waiting[name]; w != nil {
			w.barrier.Acknowledged(m.From)
			w.wake()
		}
	}
}
