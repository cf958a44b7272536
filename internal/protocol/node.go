package protocol

import (
	"math/rand/v2"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lease"
)

// node is one of the world, as internal/cluster and the window of internal/store make it.
type node struct {
	w      *world
	index  int
	random *rand.Rand
	clocks clocks

	dead, left  bool
	serving     bool
	dying       bool // at its next commit, before it can tell anybody
	cut         bool // from the directory
	deaf        bool // cut from the feed
	paused      int
	missed      []func() // what happened to it while it was paused
	interrupted time.Duration

	lease   lease.Lease
	seen    lease.Sightings
	heard   []string // for NobodyUnheard: who has acknowledged anything
	memory  memory
	place   position
	placed  bool
	past    []mark // positions of late, the oldest first
	waiting []*waiter
	polling bool
	again   bool

	rereads, nextRereads []func(ok bool) // who waits for the reading under way, and for the next
}

// mark is a position, and when the node knew it, by its monotonic clock.
type mark struct {
	at  time.Duration
	pos position
}

// memory is the window.
type memory struct {
	wide     wide
	people   [people]remembered[person]
	sessions []remembered[session]
}

type remembered[T any] struct {
	value T
	known bool
	turn  int // rises with every drop
}

func (m *memory) drop(r ref) {
	switch {
	case r.isPerson():
		m.people[r] = remembered[person]{turn: m.people[r].turn + 1}
	case r != everything:
		s := m.session(r.session())
		*s = remembered[session]{turn: s.turn + 1}
	}
}

func (m *memory) session(id int) *remembered[session] {
	for len(m.sessions) <= id {
		m.sessions = append(m.sessions, remembered[session]{})
	}
	return &m.sessions[id]
}

func (m *memory) clear() {
	for who := range m.people {
		m.drop(personRef(who))
	}
	for id := range m.sessions {
		m.drop(sessionRef(id))
	}
}

func (n *node) look() lease.Instant { return n.clocks.look(n.w.now, n.w.fault) }

func (n *node) fresh() bool { return n.lease.Valid(n.look()) }

// later makes something happen at the node, if it still lives, and when it runs.
func (n *node) later(d time.Duration, do func()) {
	n.w.after(d, func() { n.run(do) })
}

func (n *node) run(do func()) {
	switch {
	case n.dead:
	case n.paused > 0:
		n.missed = append(n.missed, do)
	default:
		do()
	}
}

// pause stops the process.
func (n *node) pause() { n.paused++ }

func (n *node) resume() {
	if n.paused--; n.paused > 0 {
		return
	}
	missed := n.missed
	n.missed, n.interrupted = nil, n.w.now
	for _, do := range missed {
		n.run(do)
	}
}

// patience is how long a node waits for the directory.
const patience = 2 * time.Second

// ask has something done by the directory at one instant, and says whether the answer came.
// What has no answer may have happened, or happen later.
func (n *node) ask(do func(), then func(ok bool)) {
	out, back := n.w.way(n.random), n.w.way(n.random)
	fails := patience
	if n.random.IntN(2) == 0 { // it is refused, and not left without an answer
		fails = 2 * ms
	}
	if n.cut || out == lost {
		n.later(fails, func() { then(false) })
		return
	}
	if back == lost || out+back > patience {
		back = max(fails, out) - out
		n.w.after(out, func() {
			if !n.w.dir.gone {
				do()
			}
			n.later(back, func() { then(false) })
		})
		return
	}
	n.w.after(out, func() {
		if n.w.dir.gone {
			n.later(fails, func() { then(false) })
			return
		}
		do()
		n.later(back, func() { then(true) })
	})
}

// join starts another node.
func (w *world) join(seed uint64) {
	n := &node{w: w, index: len(w.nodes), random: rand.New(rand.NewPCG(seed, uint64(len(w.nodes)+1)))}
	n.clocks = clocks{rate: int64(n.random.IntN(100) - 50), ahead: time.Duration(n.random.Int64N(int64(2*Bound))) - Bound, since: -1, stood: -time.Duration(n.random.IntN(5000)) * ms}
	w.nodes, w.dir.nodes = append(w.nodes, n), append(w.dir.nodes, row{})
	if w.fault == PrimeBeforeJoin {
		n.ask(func() { n.placed, n.place = true, w.dir.snapshot(); n.memory.wide = w.dir.wide }, func(bool) {
			n.lease = n.lease.Renewed(n.look())
			n.serving = true
			n.later(lease.Every, n.register)
		})
		return
	}
	n.later(lease.Life, n.tidies)
	if w.fault == BeatAfterRead {
		n.poll()
		return
	}
	n.register()
}

func (n *node) register() {
	n.ask(n.beats(true), func(ok bool) {
		if !ok {
			n.later(lease.Every, n.register)
			return
		}
		n.poll()
	})
}

// beats is the poll's statement in the registry.
func (n *node) beats(register bool) func() {
	d := &n.w.dir
	return func() {
		r := &d.nodes[n.index]
		if n.left || !register && !r.there {
			return
		}
		r.there, r.beat, r.at = true, r.beat+1, n.w.now+d.ahead
	}
}

func (n *node) pollNow() {
	if n.again = true; !n.polling {
		n.poll()
	}
}

// poll says that the node is there, then reads what is new, and then believes itself again.
func (n *node) poll() {
	if n.polling || n.left {
		return
	}
	n.polling, n.again = true, false
	sent := n.look()
	polled := func(ok bool) {
		n.polling = false
		if n.w.fault == LeaseFromAnswer {
			sent = n.look()
		}
		if ok && !n.left {
			n.lease = n.lease.Renewed(sent)
			n.serving = true
		}
		if n.again {
			n.poll()
			return
		}
		n.later(lease.Every, n.poll)
	}
	if n.w.fault == BeatAfterRead {
		n.follow(func(ok bool) {
			if !ok {
				polled(false)
				return
			}
			n.later(time.Duration(n.random.IntN(800))*ms, func() { n.ask(n.beats(true), polled) })
		})
		return
	}
	n.ask(n.beats(true), func(ok bool) {
		if !ok {
			polled(false)
			return
		}
		n.follow(polled)
	})
}

// follow applies the news that were not there the last time.
func (n *node) follow(then func(ok bool)) {
	var all []news
	var now position
	whole := false
	n.ask(func() {
		if !n.placed {
			now = n.w.dir.snapshot()
			return
		}
		all, now, whole = n.w.dir.since(n.place, n.w.fault)
	}, func(ok bool) {
		if !ok {
			then(false)
			return
		}
		done := func(ok bool) {
			ok = ok || n.w.fault == RenewThoughFailed
			if ok {
				n.placed, n.place = true, now
				n.pass(now)
			}
			then(ok)
		}
		if !whole {
			n.memory.clear()
			n.reread(done)
			return
		}
		n.hear(all, done)
	})
}

// pass remembers positions until they are so old that whatever they have seen everybody knows.
func (n *node) pass(p position) {
	now := n.look().Mono
	n.past = append(n.past, mark{now, p})
	for len(n.past) > 1 && now-n.past[1].at >= lease.Longest {
		n.past = n.past[1:]
	}
}

// hear drops what news name, and reads again what is wide.
func (n *node) hear(all []news, then func(ok bool)) {
	wide := false
	for _, x := range all {
		for _, r := range x.refs {
			n.memory.drop(r)
			wide = wide || r == everything
		}
	}
	if !wide {
		then(true)
		return
	}
	n.reread(then)
}

// reread reads what is wide in a view that begins after it was asked for. Those who ask
// while one is under way share the next.
func (n *node) reread(then func(ok bool)) {
	if n.w.fault == SharedReading && n.rereads != nil {
		n.rereads = append(n.rereads, then)
		return
	}
	n.nextRereads = append(n.nextRereads, then)
	if n.rereads == nil {
		n.readWide()
	}
}

func (n *node) readWide() {
	n.rereads, n.nextRereads = n.nextRereads, nil
	var read wide
	n.ask(func() { read = n.w.dir.wide }, func(ok bool) {
		if ok {
			n.memory.wide = read
		}
		waiting := n.rereads
		n.rereads = nil
		for _, then := range waiting {
			then(ok)
		}
		if n.rereads == nil && n.nextRereads != nil {
			n.readWide()
		}
	})
}

// lapse ends the lease: something is not known here.
func (n *node) lapse() {
	n.lease = n.lease.Lapsed(n.look())
	n.pollNow()
}

// leave believes nothing any more, and then takes the node out of the registry.
func (n *node) leave() {
	if n.left || n.dead {
		return
	}
	n.left, n.serving = true, n.w.fault == LeaveBelieving
	if n.w.fault != LeaveBelieving {
		n.lease = lease.Lease{}
	}
	n.ask(func() { n.w.dir.nodes[n.index].there = false }, func(bool) {})
}
