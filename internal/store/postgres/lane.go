package postgres

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// A commit takes what is waiting, up to these bounds. PostgreSQL keeps 64 subtransactions
// of a transaction at hand; with more, everybody's reading slows down. One connection has
// so many in a row before the next has its turn.
const (
	maxBatch     = 60
	maxBatchTime = 20 * time.Millisecond
	inARow       = 16
)

// attempts is how often a transaction runs that another one hinders.
const attempts = 8

// lane is one goroutine that writes.
type lane struct {
	e     *engine
	conn  *pgxpool.Conn // of the transaction that is under way
	s     *session
	lines []*line // that it serves
	batch []*request
}

func (l *lane) loop() {
	defer l.e.lanes.Done()
	for first := l.e.queue.take(); first != nil; first = l.e.queue.take() {
		l.serve(first)
	}
}

// serve runs what is waiting in one transaction, first's first, then tells.
func (l *lane) serve(first *line) {
	l.lines, l.batch = []*line{first}, l.batch[:0]
	r := l.e.queue.next(first)
	if r == nil {
		l.e.queue.giveBack(first)
		return
	}
	if err := l.connect(); err != nil {
		r.finish(err)
	} else {
		l.transaction(r)
		l.leave()
	}
	l.e.queue.giveBack(l.lines...)
}

// connect takes a connection from the pool.
func (l *lane) connect() error {
	ctx, cancel := context.WithTimeout(context.Background(), acquireTime)
	defer cancel()
	conn, err := l.e.writers.Acquire(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op+".Update", err)
	}
	l.conn, l.s = conn, l.e.sessionOf(conn.Conn().PgConn(), true)
	return nil
}

// leave gives the connection back, without a transaction.
func (l *lane) leave() {
	if l.conn != nil {
		l.s.leave()
		l.conn.Release()
	}
	l.conn, l.s = nil, nil
}

// transaction runs r and what else waits, optimistically: without savepoints. As soon as
// something is to be undone, what has run so far runs again, with them.
func (l *lane) transaction(r *request) {
	l.open(r.conn)
	start := time.Now()
	for ; r != nil; r = l.another(start) {
		before := l.s.written
		l.s.others = len(l.batch) > 0
		err := l.run(r)
		switch {
		case l.s.taken:
			l.apart(r, l.s.lost == nil && l.s.written == before)
			return
		case l.s.lost == nil && err == nil:
			l.batch = append(l.batch, r)
		case l.s.lost == nil && l.s.written == before: // there is nothing to undo
			l.s.recorded = l.s.recorded[:r.recorded]
			l.batch = r.refusedAfter(l.batch, err)
		case overdue(l.s.cause):
			l.finish(append(l.batch, r), l.s.lost)
			return
		case l.s.lost != nil && (l.s.late || refused(l.s.cause) || retried(l.s.cause) || !answered(l.s.cause)):
			r.careful = refused(l.s.cause) && !l.s.late
			l.again(append(l.batch, r))
			return
		default: // it alone has failed; what ran before it runs again, and stays
			err = cmp.Or(err, l.s.lost)
			l.again(l.batch)
			if len(l.batch) > 0 && l.batch[0].err != nil {
				err = l.batch[0].err // what it may have seen is not so
			}
			r.finish(err)
			return
		}
	}
	if err := l.commit(l.batch); err != nil {
		l.again(l.batch)
	}
}

// apart commits those who ran before r, then runs r by itself: it wants the lock of a connection in
// which somebody else writes, who may wait for a row that those before r have written. clean: r has
// written nothing yet.
func (l *lane) apart(r *request, clean bool) {
	if clean {
		l.s.recorded = l.s.recorded[:r.recorded]
		clean = l.commit(l.batch) == nil
	}
	if !clean {
		l.again(l.batch)
	}
	l.again([]*request{r})
}

// run runs one request in the transaction that is open.
func (l *lane) run(r *request) error {
	r.recorded, r.refusal = len(l.s.recorded), nil
	before := l.s.written
	err := guard(r.fn, l.s)
	if err != nil && l.s.lost == nil && l.s.written != before && l.s.delayed() {
		_ = l.s.flush() // it may have believed what does not hold: the transaction is lost then
	}
	r.alone = r.alone || l.s.locks.alone
	return err
}

// open begins the transaction of those who write in a connection ("" is the host).
func (l *lane) open(conn access.ConnectionID) {
	l.s.beginWrite()
	l.s.lazy, l.s.following = true, l.following
	l.s.enter(conn)
}

// another is the next request for the same transaction: of the lines that it serves, else of
// one whose connection nobody else is writing in.
func (l *lane) another(start time.Time) *request {
	if len(l.batch) >= maxBatch || time.Since(start) > l.e.batchTime {
		return nil
	}
	at := l.lines[len(l.lines)-1]
	if len(l.lines) == 1 || l.inARow(at) < inARow {
		if r := l.e.queue.next(at); r != nil {
			return r
		}
	}
	if l.lines[0].conn == "" || l.s.lost != nil {
		return nil
	}
	next := l.e.queue.more()
	if next == nil {
		return nil
	}
	if free, err := l.s.tryEnter(next.conn); err != nil || !free {
		l.e.queue.giveBack(next)
		return nil
	}
	l.lines = append(l.lines, next)
	return l.e.queue.next(next)
}

// following is how many wait for the same transaction, in the line that is served.
func (l *lane) following() int {
	return min(l.e.queue.length(l.lines[len(l.lines)-1]), maxBatch-len(l.batch))
}

func (l *lane) inARow(at *line) (n int) {
	for i := len(l.batch) - 1; i >= 0 && l.batch[i].conn == at.conn; i-- {
		n++
	}
	return n
}

// again runs requests in a new transaction, each with a savepoint, until nothing hinders it.
func (l *lane) again(left []*request) {
	var cause, err error
	for try := 1; len(left) > 0; try++ {
		if err = l.renew(); err != nil {
			break
		}
		if left, err = l.saved(left); err == nil {
			err = l.commit(left)
		}
		if err == nil {
			return
		}
		if cause = l.s.cause; try == attempts || overdue(cause) || !retried(cause) && answered(cause) {
			break
		}
		time.Sleep(time.Duration(rand.IntN(1<<min(try, 6))) * time.Millisecond) //nolint:gosec // a jitter
	}
	l.finish(left, err)
}

// finish tells requests that nothing came of them, or that it is not known what.
func (l *lane) finish(left []*request, err error) {
	for _, r := range left {
		r.finish(&fault.Error{Kind: fault.Unavailable, Op: op + ".Update", Err: err})
	}
}

// renew undoes the transaction. A connection that is gone took it along.
func (l *lane) renew() error {
	if !l.s.pg.IsClosed() && l.s.end(context.Background(), "rollback") == nil {
		return nil
	}
	l.leave()
	return l.connect()
}

// saved runs requests with savepoints. Whoever fails before anybody has succeeded is told at
// once; left are the others.
func (l *lane) saved(all []*request) (left []*request, err error) {
	if l.s.beginWrite(); slices.ContainsFunc(all, func(r *request) bool { return r.alone }) {
		l.s.beginAlone()
	}
	for _, conn := range connectionsOf(all) { // in one order, whoever does so
		l.s.enter(conn)
	}
	for i, r := range all {
		err := l.runSaved(r)
		if l.s.lost != nil {
			return append(left, all[i:]...), l.s.lost
		}
		if err != nil {
			left = r.refusedAfter(left, err)
			continue
		}
		left = append(left, r)
	}
	return left, nil
}

// runSaved runs a request so that its error undoes it alone. What a constraint refuses is
// run once more, each of its statements with a savepoint.
func (l *lane) runSaved(r *request) error {
	for {
		l.s.first("savepoint one")
		held := l.s.locks.clone()
		l.s.careful = r.careful
		err := l.run(r)
		l.s.careful = false
		if l.s.lost == nil && err == nil {
			l.s.first("release savepoint one")
			return nil
		}
		cause := l.s.cause
		if l.s.lost != nil {
			err = cmp.Or(err, l.s.lost) // whatever fn made of it
			if retried(cause) || !answered(cause) {
				return err
			}
		}
		careful := l.s.lost != nil && refused(cause) && !r.careful
		if back := l.undo(r, held); back != nil {
			return back
		}
		if !careful {
			return err
		}
		r.careful = true
	}
}

func (l *lane) undo(r *request, held locks) error {
	lost := l.s.lost != nil
	l.s.lost, l.s.cause = nil, nil
	l.s.recorded, l.s.saved, l.s.locks = l.s.recorded[:r.recorded], nil, held
	l.s.acting = nobody // whoever it was then
	clear(l.s.steady)
	if lost {
		l.s.ahead = l.s.ahead[:0]
	} else if len(l.s.ahead) > 0 { // its savepoint, if it has sent nothing
		if err := l.s.flush(); err != nil {
			return err
		}
	}
	if err := l.s.command(context.Background(), "rollback to savepoint one; release savepoint one"); err != nil {
		return l.s.lose(err)
	}
	return nil
}

// commit writes what is recorded and commits. An error: nothing has been committed, and
// the requests may run again; whoever cannot is told. Where it is not known what has become of
// them they are told so, and what they changed is remembered by nobody, as if it were there.
func (l *lane) commit(batch []*request) error {
	if len(batch) == 0 {
		return l.s.end(context.Background(), "rollback")
	}
	if l.s.lost != nil {
		return l.s.lost
	}
	if err := failpoint.Hit(context.Background(), failpoint.AfterAudit); err != nil {
		return l.s.lose(err)
	}
	token, err := l.s.record()
	if err != nil {
		return err
	}
	if err := failpoint.Hit(context.Background(), failpoint.BeforeCommit); err != nil {
		return l.s.lose(err)
	}
	place := l.e.order.take()
	was := kept
	if err = l.s.commit(token); err != nil {
		was, err = l.fateOf(token, err)
	}
	l.e.order.wait(place)
	if was != lost {
		for _, r := range batch {
			if r.committed != nil && r.refusal == nil {
				r.committed()
			}
		}
	}
	l.e.order.done()
	switch was {
	case lost:
		return err
	case unknown:
		l.finish(batch, err)
		return nil
	}
	for _, r := range batch {
		r.finish(r.refusal)
	}
	return nil
}

func connectionsOf(all []*request) []access.ConnectionID {
	seen := map[access.ConnectionID]bool{}
	for _, r := range all {
		seen[r.conn] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// refusedAfter tells a request that it is refused: with the commit of those before it, if there are
// any, since it may be by what they have changed.
func (r *request) refusedAfter(batch []*request, err error) []*request {
	if len(batch) == 0 {
		r.finish(err)
		return batch
	}
	r.refusal = err
	return append(batch, r)
}

func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

// leave makes sure that no transaction is left open on the connection.
func (s *session) leave() {
	s.ahead, s.watch = s.ahead[:0], &watch{} // whoever hung up has nothing to do with what follows
	if s.pg.IsClosed() || s.pg.TxStatus() == 'I' {
		return
	}
	if err := s.command(context.Background(), "rollback"); err != nil {
		_ = s.pg.Close(context.Background()) // the pool opens another
	}
}

// tryEnter takes a connection's lock if nobody has it: whoever holds others does not wait.
func (s *session) tryEnter(conn access.ConnectionID) (free bool, err error) {
	if s.locks.entered[conn] {
		return true, nil
	}
	err = querier{s, s.acting}.QueryRow("select pg_try_advisory_xact_lock(" + lockOf(conn) + ")").Scan(&free)
	if free {
		clear(s.blocks)
		s.locks.entered[conn] = true
	}
	return free, err
}
