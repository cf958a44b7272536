package protocol

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lease"
)

// waiter is a commit that waits for other nodes.
type waiter struct {
	news    int64
	barrier *lease.Barrier
	began   time.Duration // by the node's monotonic clock
	from    time.Duration
	others  bool // somebody else was there
	done    bool
	then    func()
}

// committed is what came of a request to change something.
type committed struct {
	news  news // id 0: nothing changed
	wrote bool
}

// commit changes the directory in a transaction that takes as long as it takes. Whoever wants
// the same rows waits.
func (n *node) commit(c wish, then func(ok bool, c committed)) {
	out, back := n.w.way(n.random), n.w.way(n.random)
	hold := time.Duration(n.random.IntN(3000)) * time.Microsecond
	if n.random.IntN(5) == 0 {
		hold = time.Duration(n.random.IntN(700)) * ms
	}
	answered := false
	answer := func(ok bool, r committed) {
		if !answered {
			answered = true
			then(ok, r)
		}
	}
	n.later(patience, func() { answer(false, committed{}) })
	if out == lost || n.cut {
		return
	}
	n.w.after(out, func() {
		n.w.transact(c, hold, func(r committed) {
			if back != lost {
				n.later(back, func() { answer(true, r) })
			}
		})
	})
}

// transact is a transaction at the directory: it has its number, and that of its news, long
// before others see it.
func (w *world) transact(c wish, hold time.Duration, then func(r committed)) {
	d := &w.dir
	lock := c.locks()
	if d.gone {
		return
	}
	if d.locked[lock] {
		w.after(2*ms, func() { w.transact(c, hold, then) })
		return
	}
	d.locked[lock] = true
	if d.next++; w.random.IntN(4) == 0 {
		d.next += 100 // of requests that are refused
	}
	d.ids++
	txid, id, life := d.next-1, d.ids, d.life
	d.open = append(d.open, txid)
	w.after(hold, func() {
		if d.life != life {
			return
		}
		d.locked[lock] = false
		d.open = slices.DeleteFunc(d.open, func(x int64) bool { return x == txid })
		if d.gone {
			return
		}
		refs := d.apply(c, w.fault)
		if len(refs) == 0 {
			then(committed{})
			return
		}
		w.tell("committed: %s, news %d of transaction %d", c, id, txid)
		n := news{id, txid, refs, w.now}
		d.news, d.written = append(d.news, n), max(d.written, txid+1)
		then(committed{n, true})
	})
}

// change does what a request wants, and answers when no node accepts any more what that has ended.
func (n *node) change(c wish, answer func(ok bool)) {
	if !n.serving {
		answer(false)
		return
	}
	stale := n.stale()
	n.commit(c, func(ok bool, r committed) {
		switch {
		case !ok:
			answer(false)
		case r.wrote && n.dying:
			n.w.tell("node %d dies after its commit", n.index)
			n.dead = true
		case r.wrote:
			n.await([]news{r.news}, stale, func() { answer(true) })
		case n.w.fault == RetryDoesNotWait:
			answer(true)
		default:
			n.confirm(func() { answer(true) })
		}
	})
}

// stale is the registry as it was known before the commit, for faults.
func (n *node) stale() []string {
	if n.w.fault != RegistryBeforeCommit {
		return nil
	}
	return n.seen.Live(n.w.dir.registry(n.index), n.look().Mono, n.look().Mono)
}

// confirm is for whom nothing was left to change: somebody else's commit did it, and may not be
// known everywhere. Its news are those that were not there lease.Longest ago.
func (n *node) confirm(then func()) {
	from := position{}
	if now := n.look().Mono; len(n.past) > 0 && now-n.past[0].at >= lease.Longest {
		from = n.past[0].pos
	}
	var late []news
	whole := false
	n.ask(func() { late, _, whole = n.w.dir.since(from, n.w.fault) }, func(ok bool) {
		if ok && whole && len(late) == 0 {
			then()
			return
		}
		if !ok || !whole {
			late = []news{{}} // nobody will say that they know it
			n.lapse()
		}
		n.await(late, nil, then)
	})
}

// await waits until no node accepts what these news have ended.
func (n *node) await(all []news, stale []string, then func()) {
	waits := len(all) + 1
	part := func() {
		if waits--; waits == 0 {
			then()
		}
	}
	n.hear(all, func(ok bool) {
		if !ok && n.w.fault != NoLapse {
			n.lapse()
		}
		part()
	})
	waiters := make([]*waiter, len(all))
	for i, x := range all {
		waiters[i] = n.expect(x, part)
	}
	n.live(stale, func(live []string, ok bool) {
		for _, w := range waiters {
			if ok && !w.done {
				w.others = len(live) > 0
				w.barrier.Registry(live)
			}
			n.wake(w)
		}
	})
}

func (n *node) expect(x news, then func()) *waiter {
	now := n.look().Mono
	w := &waiter{news: x.id, barrier: lease.Await(now), began: now, from: n.w.now, then: then}
	n.waiting = append(n.waiting, w)
	if x.id > 0 {
		n.publish(entry{from: n.index, news: &x})
	}
	n.until(w)
	return w
}

// wake lets a waiter go that has nothing to wait for.
func (n *node) wake(w *waiter) {
	now := n.look().Mono
	if w.done || !w.barrier.Done(now) && n.w.fault != NoBarrier {
		return
	}
	w.done = true
	n.waiting = slices.DeleteFunc(n.waiting, func(x *waiter) bool { return x == w })
	excused := n.interrupted >= w.from || n.clocks.unset > w.from || n.clocks.since >= 0
	n.w.waits = append(n.w.waits, waited{now - w.began, w.others, now < w.barrier.Until(), excused})
	w.then()
}

// until wakes when nothing is to be waited for, by the monotonic clock.
func (n *node) until(w *waiter) {
	left := w.barrier.Until() - n.look().Mono
	if n.w.fault == ShortBarrier {
		left -= lease.Longest / 2
	}
	n.later(n.clocks.takes(max(0, left))+10*time.Microsecond, func() {
		if n.w.fault == ShortBarrier {
			w.barrier.Registry(nil)
		}
		if n.wake(w); !w.done {
			n.until(w)
		}
	})
}

func (n *node) acknowledged(from int, id int64) {
	if name := names[from]; !slices.Contains(n.heard, name) {
		n.heard = append(n.heard, name)
	}
	for _, w := range slices.Clone(n.waiting) {
		if w.news == id {
			w.barrier.Acknowledged(names[from])
			n.wake(w)
		}
	}
}

// names of nodes in the registry.
var names = [...]string{"a", "b", "c", "d", "e", "f", "g", "h"}

// live reads the registry, after the commit, and says whom to wait for.
func (n *node) live(stale []string, then func(live []string, ok bool)) {
	switch n.w.fault {
	case RegistryBeforeCommit:
		then(stale, true)
		return
	case NobodyUnheard:
		then(n.heard, true)
		return
	}
	var rows []lease.Peer
	began := n.look().Mono
	n.ask(func() { rows = n.w.dir.registry(n.index) }, func(ok bool) {
		if !ok {
			then(nil, false)
			return
		}
		then(n.alive(rows, began), true)
	})
}

// registry is what it says of the others.
func (d *directory) registry(but int) (all []lease.Peer) {
	for i, r := range d.nodes {
		if r.there && i != but {
			all = append(all, lease.Peer{Node: names[i], Beat: r.beat, Age: d.now + d.ahead - r.at})
		}
	}
	return all
}

func (n *node) alive(all []lease.Peer, began time.Duration) []string {
	if n.w.fault != DatabaseClockOnly {
		return n.seen.Live(all, began, n.look().Mono)
	}
	var live []string
	for _, p := range all {
		if p.Age < lease.Longest {
			live = append(live, p.Node)
		}
	}
	return live
}

// tidies looks at the registry now and then, so that it is known who has gone.
func (n *node) tidies() {
	if n.left {
		return
	}
	n.live(nil, func([]string, bool) { n.later(lease.Life, n.tidies) })
}
