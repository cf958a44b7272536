package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// maxStatements bounds the prepared statements of one connection.
const maxStatements = 512

// session is one connection with its prepared statements. One goroutine at a time.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	bg    context.Context // never ends: a statement of known cost is not worth a watcher
}

func newSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, Classify(err)
	}
	return &session{conn: conn, stmts: map[string]*sql.Stmt{}, bg: context.Background()}, nil
}

func (s *session) close() error {
	var errs []error
	for _, st := range s.stmts {
		errs = append(errs, st.Close())
	}
	s.stmts = nil
	return errors.Join(append(errs, s.conn.Close())...)
}

func (s *session) prepare(query string) (*sql.Stmt, error) {
	if st := s.stmts[query]; st != nil {
		return st, nil
	}
	st, err := s.conn.PrepareContext(s.bg, query)
	if err != nil {
		return nil, Classify(err)
	}
	if len(s.stmts) >= maxStatements {
		s.forgetOne()
	}
	s.stmts[query] = st
	return st, nil
}

func (s *session) forgetOne() {
	for q, st := range s.stmts {
		_ = st.Close() // a statement that cannot be closed goes with its connection
		delete(s.stmts, q)
		return
	}
}

func (s *session) exec(query string, args ...any) (sql.Result, error) {
	st, err := s.prepare(query)
	if err != nil {
		return nil, err
	}
	res, err := st.ExecContext(s.bg, args...)
	return res, Classify(err)
}

// Exec implements Querier.
func (s *session) Exec(query string, args ...any) (int64, error) {
	res, err := s.exec(query, args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return n, Classify(err)
}

// Insert implements Querier. RETURNING would build a table of its own for one number.
func (s *session) Insert(query string, args ...any) (int64, error) {
	res, err := s.exec(query, args...)
	if err != nil {
		return 0, err
	}
	key, err := res.LastInsertId()
	return key, Classify(err)
}

// Query implements Querier.
func (s *session) Query(query string, args ...any) (*sql.Rows, error) {
	st, err := s.prepare(query)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(s.bg, args...)
	return rows, Classify(err)
}

// QueryRow implements Querier. A statement that cannot be prepared is run as it
// is, so that the Row carries the error.
func (s *session) QueryRow(query string, args ...any) *sql.Row {
	st, err := s.prepare(query)
	if err != nil {
		return s.conn.QueryRowContext(s.bg, query, args...)
	}
	return st.QueryRowContext(s.bg, args...)
}

// Scan implements Querier.
func (s *session) Scan(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := s.conn.QueryContext(ctx, query, args...)
	return rows, Classify(err)
}

// view runs fn between BEGIN and ROLLBACK.
func (s *session) view(fn func(Querier) error) (err error) {
	if _, err := s.exec("BEGIN"); err != nil {
		return err
	}
	defer func() {
		if _, end := s.exec("ROLLBACK"); end != nil && err == nil {
			err = end
		}
	}()
	return Classify(guard(fn, s))
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
