package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Whose rows there are for a statement, but for a connection's key, which is positive.
const (
	everybody int64 = 0  // the host: those of all connections, which it has to say
	nobody    int64 = -1 // as a transaction begins
)

// querier runs statements for whom conn says.
type querier struct {
	s    *session
	conn int64
}

var _ store.Querier = querier{}

// Of implements store.Querier.
func (q querier) Of(conn int64) store.Querier { return querier{q.s, conn} }

// act says whose rows there are for the statements that follow, ahead of the next: until the
// transaction ends, or goes back behind it.
func (s *session) act(conn int64) {
	if s.acting == conn {
		return
	}
	s.acting = conn
	as := "host"
	if conn != everybody {
		as = strconv.FormatInt(conn, 10)
	}
	s.first("set local " + connectionSetting + " = '" + as + "'")
}

func (q querier) run(query string, args []any) (*pgconn.Result, error) {
	q.s.act(q.conn)
	return q.s.run(query, args)
}

// Written implements store.Querier.
func (q querier) Written() int64 { return q.s.written }

// Exec implements store.Querier.
func (q querier) Exec(query string, args ...any) (int64, error) {
	if len(args) == 0 {
		if done, err := q.s.savepoint(query); done {
			return 0, err
		}
	}
	result, err := q.run(query, args)
	if err != nil {
		return 0, err
	}
	return result.CommandTag.RowsAffected(), nil
}

// Expect implements store.Querier.
func (q querier) Expect(rows int64, query string, args ...any) (int64, error) {
	if !q.s.lazy {
		return q.Exec(query, args...)
	}
	q.s.act(q.conn)
	return q.s.later(rows, query, args)
}

// Tally implements store.Querier.
func (q querier) Tally(by int64, query string, args ...any) error {
	if !q.s.lazy {
		_, err := q.Exec(query, append([]any{by}, args...)...)
		return err
	}
	q.s.act(q.conn)
	return q.s.count(q.conn, by, query, args)
}

// Insert implements store.Querier.
func (q querier) Insert(query string, args ...any) (key int64, err error) {
	if text, table := q.s.names.withKey(query, len(args)); q.s.lazy && text != "" {
		key, err := q.s.nextKey(table)
		if err != nil {
			return 0, err
		}
		if key != 0 {
			q.s.act(q.conn)
			return key, q.s.put(1, text, append(slices.Clone(args), key))
		}
	}
	returning, err := q.s.names.returning(query)
	if err != nil {
		return 0, err
	}
	err = q.QueryRow(returning, args...).Scan(&key)
	return key, err
}

// QueryRow implements store.Querier.
func (q querier) QueryRow(query string, args ...any) store.Row { return first{q, query, args} }

// Steady implements store.Querier.
func (q querier) Steady(query string, args ...any) store.Row { return steady{first{q, query, args}} }

// Unsteady implements store.Querier.
func (q querier) Unsteady() { clear(q.s.steady) }

// steady is the first row of an answer that is asked for once in a transaction.
type steady struct{ first }

// Scan implements store.Row.
func (r steady) Scan(dest ...any) error {
	s := r.q.s
	if s.lost != nil {
		return s.lost
	}
	asked := fmt.Sprint(r.q.conn, r.query, r.args)
	result := s.steady[asked]
	if result == nil {
		var err error
		if result, err = r.q.run(r.query, r.args); err != nil {
			return err
		}
		s.steady[asked] = result
	}
	return firstOf(result, dest)
}

// first is the first row of an answer, asked for when it is scanned.
type first struct {
	q     querier
	query string
	args  []any
}

// Scan implements store.Row.
func (f first) Scan(dest ...any) error {
	result, err := f.q.run(f.query, f.args)
	if err != nil {
		return err
	}
	return firstOf(result, dest)
}

func firstOf(result *pgconn.Result, dest []any) error {
	if len(result.Rows) == 0 {
		return sql.ErrNoRows
	}
	return row{result.FieldDescriptions, result.Rows[0]}.Scan(dest...)
}

// Each implements store.Querier. All rows are read before the first is scanned: scan may
// run other statements.
func (q querier) Each(scan func(store.Row) error, query string, args ...any) error {
	result, err := q.run(query, args)
	if err != nil {
		return err
	}
	return scanAll(result, scan)
}

// Last implements store.Querier: in one round trip, which ends a view. What is asked in it afterwards
// is an error.
func (q querier) Last(questions ...store.Question) error {
	s := q.s
	if s.lost != nil {
		return s.lost
	}
	pieces := make([]piece, len(questions))
	for i, a := range questions {
		var err error
		if pieces[i].st, err = s.prepare(a.Query); err == nil {
			pieces[i].values, pieces[i].formats, err = s.bound(pieces[i].st, a.Args)
		}
		if err != nil {
			return err
		}
	}
	s.act(q.conn)
	results, err := s.exchange(func(b *pgconn.Batch) {
		for _, p := range pieces {
			b.ExecStatement(p.st.StatementDescription, p.values, p.formats, p.st.formats)
		}
		if !s.writer {
			b.ExecParams("rollback", nil, nil, nil, nil)
		}
	})
	if err != nil {
		return s.lose(err)
	}
	if !s.writer {
		s.lost = fault.New(fault.Internal, op, "something is asked after what was said to be the last")
	}
	for i, a := range questions {
		if err := scanAll(results[i], a.Scan); err != nil {
			return err
		}
	}
	return nil
}

func scanAll(result *pgconn.Result, scan func(store.Row) error) error {
	for _, values := range result.Rows {
		if err := scan(row{result.FieldDescriptions, values}); err != nil {
			return err
		}
	}
	return nil
}

// Search implements store.Querier. The server is asked to stop when ctx ends; the
// transaction is lost then.
func (q querier) Search(ctx context.Context, scan func(store.Row) error, query string, args ...any) error {
	s := q.s
	if s.lost != nil {
		return s.lost
	}
	values, formats, err := bindAll(args)
	if err != nil {
		return err
	}
	s.act(q.conn)
	if err := s.flush(); err != nil {
		return classify(err, s.names.lastColumn)
	}
	result := s.pg.ExecParams(ctx, query, values, nil, formats, nil).Read()
	if result.Err != nil {
		return s.lose(result.Err)
	}
	return scanAll(result, scan)
}

// Enter implements store.Querier.
func (q querier) Enter(conn access.ConnectionID) error {
	s := q.s
	if s.lost != nil {
		return s.lost
	}
	if !s.writer {
		return fault.New(fault.Internal, op, "a view writes nothing")
	}
	if s.locks.entered[conn] {
		return nil
	}
	if !s.others {
		s.enter(conn)
		return nil
	}
	free, err := s.tryEnter(conn)
	if err == nil && !free {
		s.taken, err = true, fault.New(fault.Unavailable, op, "somebody else writes in connection %s", conn)
	}
	return err
}

// Alone implements store.Querier.
func (q querier) Alone() error {
	s := q.s
	if s.lost != nil || s.locks.alone {
		return s.lost
	}
	s.locks.alone = true
	s.first("select pg_advisory_xact_lock(" + writeLock + ")")
	return nil
}

// Record implements store.Querier: the rows are written at the commit.
func (q querier) Record(r store.Recorded) error {
	q.s.recorded = append(q.s.recorded, r)
	return q.s.lost
}

// guard turns a panic of fn into an error: the lane is everybody's.
func guard(fn func(store.Querier) error, s *session) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Wrap(fault.Internal, op, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return fn(querier{s, everybody})
}
