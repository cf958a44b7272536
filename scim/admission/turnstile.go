package admission

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrFull says that too many of the same key wait already.
var ErrFull = errors.New("admission: too many are waiting")

// Turnstile lets some in at once, and of each key no more than its share. The others
// wait, each key in a line of its own; a place that becomes free goes to the key that
// has fewest inside, and among those to the one whose last turn is longest ago. It is safe for
// concurrent use, and holds nothing of who is neither inside nor waiting.
type Turnstile struct {
	most int // inside at once; 0: no bound
	each int // of one key
	line int // of one key, waiting

	mu     sync.Mutex // guards what follows
	inside int
	turns  uint64 // places that were given to who waited
	keys   map[string]*queue
	lines  []*queue // those with somebody waiting
}

type queue struct {
	inside int
	last   uint64 // its last turn, or the one before the last of all when it came
	line   []*ticket
}

type ticket struct {
	in chan struct{} // closed when it is let in
}

// NewTurnstile lets in most at once (0: no bound), each of one key; line of one key wait.
func NewTurnstile(most, each, line int) *Turnstile {
	return &Turnstile{most: most, each: each, line: line, keys: map[string]*queue{}}
}

// Enter returns nil once it is the caller's turn; the caller then calls Leave with
// the same key, once. ErrFull: the line is too long. Otherwise ctx ended first.
func (t *Turnstile) Enter(ctx context.Context, key string) error {
	mine, q, err := t.enter(key)
	if err != nil || mine == nil {
		return err
	}
	select {
	case <-mine.in:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(q.line, mine); i >= 0 {
		q.line = slices.Delete(q.line, i, i+1)
		t.tidy(key, q)
	} else {
		t.leave(key) // let in at the last moment
	}
	return ctx.Err()
}

// TryEnter is Enter for who does not wait: false if there is no place now.
func (t *Turnstile) TryEnter(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, in := t.step(key)
	return in
}

// step goes in if there is a place.
func (t *Turnstile) step(key string) (q *queue, in bool) {
	if q = t.keys[key]; q == nil {
		q = &queue{last: max(t.turns, 1) - 1} // it goes before the key that was served last, and before nobody else who waits
		t.keys[key] = q
	}
	if t.free() && q.inside < t.each { // then nobody waits who could go
		t.inside, q.inside = t.inside+1, q.inside+1
		return q, true
	}
	t.tidy(key, q)
	return q, false
}

// enter goes in, or gets in line.
func (t *Turnstile) enter(key string) (*ticket, *queue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, in := t.step(key)
	if in {
		return nil, q, nil
	}
	if len(q.line) >= t.line {
		return nil, nil, ErrFull
	}
	t.keys[key] = q
	if len(q.line) == 0 {
		t.lines = append(t.lines, q)
	}
	mine := &ticket{in: make(chan struct{})}
	q.line = append(q.line, mine)
	return mine, q, nil
}

func (t *Turnstile) free() bool { return t.most == 0 || t.inside < t.most }

// Leave gives the place to whoever is next.
func (t *Turnstile) Leave(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave(key)
}

func (t *Turnstile) leave(key string) {
	q := t.keys[key]
	t.inside, q.inside = t.inside-1, q.inside-1
	if next := t.next(); next != nil {
		t.turns++
		t.inside, next.inside, next.last = t.inside+1, next.inside+1, t.turns
		close(next.line[0].in)
		next.line = slices.Delete(next.line, 0, 1)
		t.tidy("", next) // it is inside, and stays known
	}
	t.tidy(key, q)
}

// next is whose first in line goes in now; nil: nobody's.
func (t *Turnstile) next() (best *queue) {
	for _, q := range t.lines {
		if q.inside >= t.each {
			continue
		}
		if best == nil || q.inside < best.inside || q.inside == best.inside && q.last < best.last {
			best = q
		}
	}
	return best
}

// tidy forgets a line that is empty, and a key of which nothing is left.
func (t *Turnstile) tidy(key string, q *queue) {
	if len(q.line) > 0 {
		return
	}
	if i := slices.Index(t.lines, q); i >= 0 {
		t.lines = slices.Delete(t.lines, i, i+1)
	}
	if q.inside == 0 && t.keys[key] == q {
		delete(t.keys, key)
	}
}
