package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"

	"zombiezen.com/go/sqlite"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// maxStatements bounds the prepared statements of one connection.
const maxStatements = 512

// session is one connection with its prepared statements. One goroutine at a time.
type session struct {
	conn    *sqlite.Conn
	stmts   map[string]*statement
	running int // statements that are on a row now
	written int64
}

// statement is a prepared text. params[i] is the argument that SQLite's parameter
// i+1 takes: it counts them as they appear, and $2 may stand before $1.
type statement struct {
	*sqlite.Stmt
	params  []int
	args    int
	columns int
	writes  bool // it may
	running bool
}

func (s *session) close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close() // finalizes the statements
	s.conn, s.stmts = nil, nil
	return err
}

func (s *session) prepare(query string) (*statement, error) {
	if st := s.stmts[query]; st != nil {
		if st.running {
			return nil, fault.New(fault.Internal, op, "a statement runs inside itself: %s", query)
		}
		return st, nil
	}
	prepared, err := s.conn.Prepare(query)
	if err != nil {
		return nil, classify(err)
	}
	st, err := newStatement(prepared)
	if err != nil {
		return nil, errors.Join(err, prepared.Finalize())
	}
	st.writes = !harmless.MatchString(query)
	if len(s.stmts) >= maxStatements {
		if err := s.forgetOne(); err != nil {
			return nil, err
		}
	}
	s.stmts[query] = st
	return st, nil
}

func newStatement(prepared *sqlite.Stmt) (*statement, error) {
	st := &statement{Stmt: prepared, columns: prepared.ColumnCount(), params: make([]int, prepared.BindParamCount())}
	for i := range st.params {
		st.params[i] = i
		if name := prepared.BindParamName(i + 1); name != "" {
			n, err := strconv.Atoi(name[1:])
			if err != nil || n < 1 {
				return nil, fault.New(fault.Internal, op, "parameters are ? or $1, $2, …, not %s", name)
			}
			st.params[i] = n - 1
		}
		st.args = max(st.args, st.params[i]+1)
	}
	return st, nil
}

// harmless are statements that write nothing.
var harmless = regexp.MustCompile(`(?i)^\s*(select|savepoint|release|rollback|begin|commit|explain|pragma)\b`)

// forgetOne makes room for a statement: any that is not running.
func (s *session) forgetOne() error {
	for q, st := range s.stmts {
		if !st.running {
			delete(s.stmts, q)
			return classify(st.Finalize())
		}
	}
	return nil
}

// run binds args and calls row for every row; false from it ends the statement early.
func (s *session) run(st *statement, args []any, row func() (more bool, err error)) (err error) {
	if len(args) != st.args {
		return fault.New(fault.Internal, op, "a statement of %d arguments got %d", st.args, len(args))
	}
	for i, n := range st.params {
		if err := bind(st.Stmt, i+1, args[n]); err != nil {
			return err
		}
	}
	st.running = true
	s.running++
	defer func() {
		st.running = false
		s.running--
		if end := st.Reset(); end != nil && err == nil {
			err = classify(end)
		}
	}()
	for first := true; ; first = false {
		found, err := st.Step()
		refused := err != nil && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultConstraint // that alone is undone, and by SQLite itself
		if !refused && (err != nil || first && st.writes) {
			s.written++
		}
		if err != nil {
			return classify(err)
		}
		if !found {
			return nil
		}
		if more, err := row(); err != nil || !more {
			return err
		}
	}
}

// Written implements Querier.
func (s *session) Written() int64 { return s.written }

// Exec implements Querier.
func (s *session) Exec(query string, args ...any) (int64, error) {
	if err := s.Each(ignore, query, args...); err != nil {
		return 0, err
	}
	return int64(s.conn.Changes()), nil
}

func ignore(Row) error { return nil }

// Insert implements Querier. RETURNING would build a table of its own for one number.
func (s *session) Insert(query string, args ...any) (int64, error) {
	if err := s.Each(ignore, query, args...); err != nil {
		return 0, err
	}
	return s.conn.LastInsertRowID(), nil
}

// Each implements Querier.
func (s *session) Each(scan func(Row) error, query string, args ...any) error {
	st, err := s.prepare(query)
	if err != nil {
		return err
	}
	return s.run(st, args, func() (bool, error) { return true, scan(st) })
}

// QueryRow implements Querier.
func (s *session) QueryRow(query string, args ...any) Row { return first{s, query, args} }

// first is the first row of an answer, asked for when it is scanned.
type first struct {
	s     *session
	query string
	args  []any
}

// Scan implements Row.
func (f first) Scan(dest ...any) error {
	st, err := f.s.prepare(f.query)
	if err != nil {
		return err
	}
	none := true
	err = f.s.run(st, f.args, func() (bool, error) {
		none = false
		return false, st.Scan(dest...)
	})
	if err == nil && none {
		return sql.ErrNoRows
	}
	return err
}

// Search implements Querier.
func (s *session) Search(ctx context.Context, scan func(Row) error, query string, args ...any) (err error) {
	if s.running > 0 { // to make it interruptible would set the outer statement back to its first row
		return fault.New(fault.Internal, op, "a search inside a running statement: %s", query)
	}
	prepared, trailing, err := s.conn.PrepareTransient(query)
	if err != nil {
		return classify(err)
	}
	defer func() { err = errors.Join(err, classify(prepared.Finalize())) }()
	if trailing > 0 {
		return fault.New(fault.Internal, op, "more than one statement: %s", query)
	}
	st, err := newStatement(prepared)
	if err != nil {
		return err
	}
	s.conn.SetInterrupt(ctx.Done())
	defer s.conn.SetInterrupt(nil)
	return s.run(st, args, func() (bool, error) { return true, scan(st) })
}

// view runs fn between BEGIN and ROLLBACK.
func (s *session) view(fn func(Querier) error) (err error) {
	if _, err := s.Exec("BEGIN"); err != nil {
		return err
	}
	defer func() {
		if _, end := s.Exec("ROLLBACK"); end != nil && err == nil {
			err = end
		}
	}()
	return guard(fn, s)
}

// guard turns a panic of fn into an error: the writer is everybody's.
func guard(fn func(Querier) error, q Querier) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Wrap(fault.Internal, op, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return fn(q)
}
