package postgres

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// request is one caller's fn. state settles the race between a caller that gives up and
// the lane that begins: whoever moves it from waiting decides.
type request struct {
	fn        func(store.Querier) error
	committed func()
	conn      access.ConnectionID
	state     atomic.Int32
	careful   bool  // a constraint refused something of it
	alone     bool  // it changes what all decide by
	refusal   error // fn's own, told with the commit of those before it
	err       error
	recorded  int // rows of the audit trail, in the transaction that is under way
	done      chan struct{}
}

const (
	waiting int32 = iota
	begun
	abandoned
)

// queue are those who wait for a lane, each connection in a line of its own. A line is
// served by one lane at a time, and lines take turns: whoever sends much waits behind
// themselves.
type queue struct {
	mu     sync.Mutex // guards what follows
	come   *sync.Cond // somebody waits, or it is over
	lines  map[access.ConnectionID]*line
	free   []*line // those with somebody in line whom no lane serves; who waits longest, first
	closed bool
}

type line struct {
	conn     access.ConnectionID
	requests []*request
	taken    bool // by a lane
	listed   bool // in free
}

func newQueue() *queue {
	q := &queue{lines: map[access.ConnectionID]*line{}}
	q.come = sync.NewCond(&q.mu)
	return q
}

// join puts a request at the end of its line; false: it is over.
func (q *queue) join(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	l := q.lines[r.conn]
	if l == nil {
		l = &line{conn: r.conn}
		q.lines[r.conn] = l
	}
	l.requests = append(l.requests, r)
	q.list(l)
	return true
}

func (q *queue) list(l *line) {
	if l.taken || l.listed {
		return
	}
	l.listed = true
	q.free = append(q.free, l)
	q.come.Signal()
}

// drop takes out a request that nobody waits for any more.
func (q *queue) drop(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[r.conn]
	if l == nil {
		return
	}
	if i := slices.Index(l.requests, r); i >= 0 {
		l.requests = slices.Delete(l.requests, i, i+1)
	}
}

// take waits for a line to serve; nil: it is over.
func (q *queue) take() *line {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.free) == 0 && !q.closed {
		q.come.Wait()
	}
	return q.takeFree(func(*line) bool { return true })
}

// more is another line that a lane may serve in the same commit, if there is one: not the
// host's, which holds up others.
func (q *queue) more() *line {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.takeFree(func(l *line) bool { return l.conn != "" })
}

func (q *queue) takeFree(may func(*line) bool) *line {
	i := slices.IndexFunc(q.free, may)
	if i < 0 || q.closed {
		return nil
	}
	l := q.free[i]
	q.free = slices.Delete(q.free, i, i+1)
	l.taken, l.listed = true, false
	return l
}

// next is the next request of a line that has been taken; nil: there is none.
func (q *queue) next(l *line) *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(l.requests) > 0 {
		r := l.requests[0]
		l.requests[0], l.requests = nil, l.requests[1:]
		if r.state.CompareAndSwap(waiting, begun) {
			return r
		}
	}
	return nil
}

// length is how many are in a line.
func (q *queue) length(l *line) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(l.requests)
}

// giveBack lets others serve lines.
func (q *queue) giveBack(lines ...*line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range lines {
		l.taken = false
		if len(l.requests) == 0 {
			delete(q.lines, l.conn)
			continue
		}
		q.list(l)
	}
}

// close lets nobody in any more and gives back who is still in line.
func (q *queue) close() (left []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, l := range q.lines {
		left = append(left, l.requests...)
		l.requests = nil
	}
	q.free = nil
	q.come.Broadcast()
	return left
}
