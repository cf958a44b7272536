package sqlitedb

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
)

// A commit takes what is waiting, up to these bounds: more would make the first in
// line wait for the last. Several lanes share one for a shorter time: who sends
// little does not wait until a storm's commit is full.
const (
	maxBatch        = 256
	maxBatchTime    = 20 * time.Millisecond
	sharedBatchTime = 5 * time.Millisecond
)

// yields is how often the writer lets those who are ready to run go first when
// nobody is waiting: a commit costs the same for ten requests as for one, and
// whoever is about to ask should be in it. It costs next to nothing where nobody is.
const yields = 8

// request is one caller's fn. state settles the race between a caller that gives
// up and the writer that begins: whoever moves it from waiting decides.
type request struct {
	fn        func(Querier) error
	committed func()
	lane      *lane // set when it joins a line
	state     atomic.Int32
	refused   bool // err is fn's own: what it wrote is undone
	err       error
	done      chan struct{}
}

const (
	waiting int32 = iota
	begun
	abandoned
)

// writer is the one goroutine that writes.
type writer struct {
	s        *session
	lines    *lines
	stopping chan struct{}
	stopped  chan struct{}
	once     sync.Once
}

func startWriter(s *session) *writer {
	w := &writer{s: s, lines: newLines(), stopping: make(chan struct{}), stopped: make(chan struct{})}
	go w.loop()
	return w
}

func (w *writer) stop() {
	w.once.Do(func() { close(w.stopping) })
	<-w.stopped
}

func (w *writer) do(ctx context.Context, lane string, fn func(Querier) error, committed func()) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, op+".Update", err)
	}
	select {
	case <-w.stopping:
		return closedErr(op + ".Update")
	default:
	}
	r := &request{fn: fn, committed: committed, done: make(chan struct{})}
	w.lines.join(lane, r)
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, abandoned) {
			w.lines.drop(r)
			return fault.Wrap(fault.Unavailable, op+".Update", ctx.Err())
		}
	case <-w.stopped:
		if r.state.CompareAndSwap(waiting, abandoned) {
			return closedErr(op + ".Update")
		}
	}
	<-r.done
	return r.err
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		select {
		case <-w.stopping:
			return
		case <-w.lines.ready:
		}
		for r := w.lines.next(); r != nil && !w.isStopping(); r = w.lines.next() {
			w.commit(r)
		}
	}
}

func (w *writer) isStopping() bool {
	select {
	case <-w.stopping:
		return true
	default:
		return false
	}
}

// commit runs first and whatever else is waiting in one transaction, then tells.
func (w *writer) commit(first *request) {
	batch := make([]*request, 0, 16)
	_, err := w.s.Exec("BEGIN IMMEDIATE")
	most := maxBatchTime
	for r, start := first, time.Now(); r != nil; r = w.next(len(batch), start, most) {
		if r.lane != first.lane {
			most = sharedBatchTime
		}
		if !r.state.CompareAndSwap(waiting, begun) {
			continue
		}
		if err != nil {
			r.err = err
			close(r.done)
			continue
		}
		var broken bool
		began := time.Now()
		r.err, broken = w.run(r, len(batch) == 0)
		w.lines.charge(r.lane, time.Since(began))
		switch {
		case broken:
			w.fail(append(batch, r), r.err)
			return
		case r.err != nil && len(batch) == 0:
			close(r.done)
		case r.err != nil: // perhaps by what others before it have changed: that must be so first
			r.refused = true
			batch = append(batch, r)
		default:
			batch = append(batch, r)
		}
		if planted.Bug(planted.AnswerBeforeCommit) && r.err == nil && len(batch) > 1 {
			close(r.done)
			r.done = make(chan struct{})
		}
	}
	if err == nil {
		w.finish(batch)
	}
}

func (w *writer) next(n int, start time.Time, most time.Duration) *request {
	for i := 0; n < maxBatch && time.Since(start) <= most; i++ {
		if r := w.lines.next(); r != nil {
			return r
		}
		if i == yields {
			return nil
		}
		runtime.Gosched()
	}
	return nil
}

// run runs one request. alone says that nothing before it in the transaction is
// worth keeping, so that it needs no savepoint. broken says that the transaction
// is lost: SQLite ends it by itself when the disk is full or fails.
func (w *writer) run(r *request, alone bool) (err error, broken bool) { //nolint:revive // broken qualifies err
	if alone {
		if err = guard(r.fn, w.s); err == nil {
			return nil, false
		}
		return err, w.restart() != nil
	}
	if _, err = w.s.Exec("SAVEPOINT one"); err != nil {
		return err, true
	}
	if err = guard(r.fn, w.s); err == nil {
		_, release := w.s.Exec("RELEASE one")
		return release, release != nil
	}
	if _, back := w.s.Exec("ROLLBACK TO one"); back != nil {
		return errors.Join(err, back), true
	}
	_, release := w.s.Exec("RELEASE one")
	return err, release != nil
}

func (w *writer) restart() error {
	_, rolled := w.s.Exec("ROLLBACK")
	_, began := w.s.Exec("BEGIN IMMEDIATE")
	if began != nil {
		return errors.Join(rolled, began)
	}
	return nil
}

func (w *writer) finish(batch []*request) {
	if len(batch) == 0 {
		_, _ = w.s.Exec("ROLLBACK") // nothing was written: there is nobody to tell
		return
	}
	if err := failpoint.Hit(context.Background(), failpoint.BeforeCommit); err != nil {
		w.fail(batch, err)
		return
	}
	if _, err := w.s.Exec("COMMIT"); err != nil {
		w.fail(batch, err)
		return
	}
	for _, r := range batch {
		if r.committed != nil && !r.refused {
			r.committed()
		}
	}
	for _, r := range batch {
		close(r.done)
	}
}

// fail undoes the transaction and tells everyone in it.
func (w *writer) fail(batch []*request, cause error) {
	_, _ = w.s.Exec("ROLLBACK") // fails where SQLite has rolled back by itself
	for _, r := range batch {
		r.err = &fault.Error{Kind: fault.Unavailable, Op: op + ".Update", Err: cause}
		close(r.done)
	}
}
