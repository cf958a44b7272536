// Package protocol is what nodes do so that no node accepts what another has ended, written
// down a second time, and run through histories of several nodes in no time: one virtual
// clock, a directory, a feed and nodes that are as slow, as deaf and as dead as a seed says.
// It shows the protocol right, not its implementation: the decisions are those of
// internal/lease and internal/credential, but the loops of internal/cluster and what
// internal/store remembers are this package's own. testdata/code.txt names for each Fault what
// shows that the code does not have it. It is for tests: what clients saw is judged by
// internal/history.
//
// A seed is a history: the same one each time, on every machine.
package protocol

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/history"
)

// event is something that happens at an instant of the time that nobody in the world can see.
type event struct {
	at  time.Duration
	seq int
	do  func()
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// world is everything there is in one history.
type world struct {
	fault   Fault
	weather Weather
	now     time.Duration
	seq     int
	queue   []event // a heap
	steps   int
	random  *rand.Rand // of the clients and the feed

	dir   directory
	feed  feed
	nodes []*node
	creds []*cred

	record  history.Record
	right   []bool       // by use: the node's wall clock was right, but for Bound
	decides []decided    // changes of decisions, answered or not
	waits   []waited     // how long commits waited
	unsafe  []string     // what was accepted though it had ended
	wrong   []string     // what else is wrong
	say     func(string) // nil: nobody listens
}

type span = history.Span

type decided struct {
	wish
	at span
}

type waited struct {
	took    time.Duration
	waited  bool // somebody else was there
	acked   bool
	excused bool // the node did not run meanwhile
}

func newWorld(p Plan, f Fault) *world {
	w := &world{fault: f, weather: p.Weather, random: rand.New(rand.NewPCG(p.Seed, 0))}
	w.dir.begin()
	for range p.Nodes {
		w.join(p.Seed)
	}
	return w
}

// after makes something happen later.
func (w *world) after(d time.Duration, do func()) {
	w.seq++
	w.queue = append(w.queue, event{w.now + d, w.seq, do})
	for i := len(w.queue) - 1; i > 0; {
		up := (i - 1) / 2
		if !w.queue[i].before(w.queue[up]) {
			return
		}
		w.queue[i], w.queue[up] = w.queue[up], w.queue[i]
		i = up
	}
}

func (w *world) next() event {
	first, last := w.queue[0], len(w.queue)-1
	w.queue[0], w.queue[last] = w.queue[last], event{}
	w.queue = w.queue[:last]
	for i := 0; ; {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < last && w.queue[child].before(w.queue[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		w.queue[i], w.queue[least] = w.queue[least], w.queue[i]
		i = least
	}
}

// runUntil lets everything happen that happens before an instant.
func (w *world) runUntil(end time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at < end {
		e := w.next()
		w.now, w.dir.now = e.at, e.at
		w.steps++
		e.do()
	}
	w.now, w.dir.now = end, end
}

// tell is a line of the history for people.
func (w *world) tell(format string, args ...any) {
	if w.say != nil {
		w.say(fmt.Sprintf("%9.3f ms  ", float64(w.now)/1e6) + fmt.Sprintf(format, args...))
	}
}

func (w *world) fail(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// Weather is how bad the ways are: how many of a thousand messages are slow, very slow, lost and
// doubled.
type Weather struct{ Slow, VerySlow, Lost, Doubled int }

const lost = time.Duration(-1)

// way is how long a message takes.
func (w *world) way(r *rand.Rand) time.Duration {
	usual := time.Duration(50+r.IntN(1500)) * time.Microsecond
	chance := r.IntN(1000)
	for _, c := range []struct {
		of int
		d  time.Duration
	}{{w.weather.Lost, lost}, {w.weather.VerySlow, 200*ms + time.Duration(r.IntN(1500))*ms}, {w.weather.Slow, time.Duration(r.IntN(200)) * ms}} {
		if chance < c.of {
			return c.d
		}
		chance -= c.of
	}
	return usual
}

const ms = time.Millisecond
