package sqlitedb

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// lines are those who wait for the writer, each lane in a line of its own. The lane
// that has had least of the writer's time is served next, so whoever sends much
// waits behind themselves, and whoever sends little hardly waits.
//
// A lane that comes back is treated as one that has had as much as the one served
// last: nobody saves up time by sending nothing.
type lines struct {
	ready chan struct{} // buffered 1: somebody may be waiting

	mu      sync.Mutex // guards what follows
	lanes   map[string]*lane
	waiting []*lane       // those with somebody in line; who came first, first
	served  time.Duration // what the lane served last had had by then
}

type lane struct {
	line []*request
	had  time.Duration
}

func newLines() *lines { return &lines{ready: make(chan struct{}, 1), lanes: map[string]*lane{}} }

// join puts a request at the end of its lane's line.
func (l *lines) join(name string, r *request) {
	l.mu.Lock()
	at := l.lanes[name]
	if at == nil {
		at = &lane{}
		l.lanes[name] = at
	}
	if len(at.line) == 0 {
		at.had = max(at.had, l.served)
		l.waiting = append(l.waiting, at)
	}
	r.lane, at.line = at, append(at.line, r)
	l.mu.Unlock()
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// next takes the request that is to be served now; nil: nobody waits.
func (l *lines) next() *request {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		clear(l.lanes) // what lanes have had matters only while they wait for each other
		l.served = 0
		return nil
	}
	at := slices.MinFunc(l.waiting, func(a, b *lane) int { return cmp.Compare(a.had, b.had) })
	r := at.line[0]
	at.line[0], at.line = nil, at.line[1:]
	l.served = at.had
	l.leaveIfEmpty(at)
	return r
}

// charge counts time that the writer spent on a lane.
func (l *lines) charge(at *lane, spent time.Duration) {
	l.mu.Lock()
	at.had += spent
	l.mu.Unlock()
}

// drop takes out a request that nobody waits for any more.
func (l *lines) drop(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := r.lane
	if i := slices.Index(at.line, r); i >= 0 {
		at.line = slices.Delete(at.line, i, i+1)
		l.leaveIfEmpty(at)
	}
}

func (l *lines) leaveIfEmpty(at *lane) {
	if len(at.line) > 0 {
		return
	}
	at.line = nil
	if i := slices.Index(l.waiting, at); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
}
