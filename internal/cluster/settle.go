package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// waiter is a commit that waits for other nodes.
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
func (n *Node) Settle(news store.News) {
	began := n.now().Mono
	w := n.await(news.ID, began)
	defer n.forget(news.ID, w)
	n.announce(news)
	if planted.Bug(planted.BarrierSkipped) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lease.Longest)
	defer cancel()
	outcome := Lapsed
	live, err := n.peers(ctx)
	if err == nil {
		n.mu.Lock()
		w.barrier.Registry(live)
		n.mu.Unlock()
	}
	if n.wait(w) {
		outcome = Acknowledged
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

func (n *Node) await(id int64, committed time.Duration) *waiter {
	w := &waiter{barrier: lease.Await(committed), changed: make(chan struct{}, 1)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting[id] = append(n.waiting[id], w)
	return w
}

func (n *Node) forget(id int64, w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := slices.DeleteFunc(n.waiting[id], func(x *waiter) bool { return x == w })
	if n.waiting[id] = left; len(left) == 0 {
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
