package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// waiter is somebody who waits until other nodes know of a commit.
type waiter struct {
	barrier *lease.Barrier // guarded by the node's mu
	changed chan struct{}  // buffered 1
}

func (w *waiter) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Settle implements store.Peers.
func (n *Node) Settle(news ...store.News) {
	began := n.now().Mono
	waiters := make([]*waiter, len(news))
	for i, x := range news {
		waiters[i] = n.await(x.ID, began)
		defer n.forget(x.ID, waiters[i])
		n.announce(x)
	}
	if planted.Bug(planted.BarrierSkipped) {
		return
	}
	n.settle(began, waiters...)
}

// Outwait implements store.Peers: nobody acknowledges what nobody was told.
func (n *Node) Outwait() {
	began := n.now().Mono
	n.settle(began, newWaiter(began))
}

// settle asks who is there, and waits for them.
func (n *Node) settle(began time.Duration, waiters ...*waiter) {
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
	if n.cfg.Settled != nil {
		n.cfg.Settled(n.now().Mono-began, outcome)
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
	return &waiter{barrier: lease.Await(committed), changed: make(chan struct{}, 1)}
}

func (n *Node) await(id int64, committed time.Duration) *waiter {
	w := newWaiter(committed)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting[id] = append(n.waiting[id], w)
	return w
}

func (n *Node) forget(id int64, w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting[id] = slices.DeleteFunc(n.waiting[id], func(o *waiter) bool { return o == w }); len(n.waiting[id]) == 0 {
		delete(n.waiting, id)
	}
}

// acknowledged passes on that a node has applied news of ours.
func (n *Node) acknowledged(m message) {
	if len(m.Know) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range m.Know {
		for _, w := range n.waiting[id] {
			w.barrier.Acknowledged(m.From)
			w.wake()
		}
	}
}
