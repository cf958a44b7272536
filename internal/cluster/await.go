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
func (n *Node) Await(news ...store.News) {
	began := n.now().Mono
	waiters := make([]*waiter, len(news))
	for i, x := range news {
		waiters[i] = n.expect(began)
		defer n.forget(waiters[i])
		n.announce(x, waiters[i].name)
	}
	if planted.Bug(planted.BarrierSkipped) {
		return
	}
	n.waitAll(began, waiters...)
}

// Outwait implements store.Peers: nobody acknowledges what nobody was told.
func (n *Node) Outwait() {
	began := n.now().Mono
	n.waitAll(began, newWaiter(began))
}

// waitAll asks who is there, and waits for them.
func (n *Node) waitAll(began time.Duration, waiters ...*waiter) {
	ctx, cancel := context.WithTimeout(context.Background(), lease.Longest)
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
		n.cfg.Waited(n.now().Mono-began, outcome)
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
