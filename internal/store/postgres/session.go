package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// session is one connection with its prepared statements, and the transaction that it is
// in, of which a querier runs statements. One goroutine at a time.
//
// A statement that fails loses the whole transaction in PostgreSQL. Where careful is set,
// each that may write has a savepoint, so that what a constraint refuses is undone alone,
// as in SQLite; whoever runs a transaction begins without and runs it again with it.
type session struct {
	pg     *pgconn.PgConn
	names  *names
	stmts  map[string]*statement
	ahead  []piece // are sent with the next statement
	writer bool
	// patience is how long the server may take to answer; 0: whoever runs the session sees to that.
	patience time.Duration
	stale    bool // what is planned may be for a directory that has grown since

	// Of the transaction that is under way:
	lost      error // why nothing can be done in it any more
	cause     error // what the server said then
	careful   bool
	lazy      bool // what is expected may be sent later
	late      bool // what was sent later has failed, or others that were sent with it
	written   int64
	before    int64 // written, as it began
	locks     locks
	others    bool  // have run in it before who runs now: locks are not waited for
	taken     bool  // somebody else had one of those
	acting    int64 // whose rows there are: a connection's, everybody or nobody
	recorded  []store.Recorded
	saved     []savepoint
	watch     *watch
	blocks    map[string]*block         // of keys that are free, by table
	following func() int                // how many requests wait for their turn in this transaction
	steady    map[string]*pgconn.Result // what nobody else changes meanwhile, by what was asked
}

// locks are what a transaction holds until it ends, or goes back to a savepoint before.
type locks struct {
	entered map[access.ConnectionID]bool
	alone   bool
}

func (l locks) clone() locks { return locks{maps.Clone(l.entered), l.alone} }

// savepoint is what a transaction goes back to.
type savepoint struct {
	recorded int
	locks    locks
}

// statement is a prepared text.
type statement struct {
	*pgconn.StatementDescription
	formats []int16    // of its columns
	writes  bool       // it may
	ran     int        // so often, ever
	planned int        // how often it is to have run when the server plans anew
	wary    int        // so often it is not sent later: it has not done what was expected
	many    *many      // how many of it are sent as one; nil: one by one
	each    *statement // of one that does what others do one by one: those
}

// The server plans a statement by how large its tables are then, and knows only after a minute that they
// have grown: in a new directory it may look for one of some thousand people among all of them. So what
// is planned is forgotten when a statement has run so often, and again whenever it has run four times as often.
const plannedAnew = 64

// maxStatements bounds the prepared statements of one connection.
const maxStatements = 1024

// harmless are statements that write nothing.
var harmless = regexp.MustCompile(`(?i)^\s*(select|explain|show)\b`)

func newSession(pg *pgconn.PgConn, n *names, writer bool) *session {
	return &session{
		pg: pg, names: n, stmts: map[string]*statement{}, writer: writer, watch: &watch{},
		steady: map[string]*pgconn.Result{}, blocks: map[string]*block{},
	}
}

// begin forgets the last transaction; open is what begins the next, with its first statement.
func (s *session) begin(open string) {
	s.ahead = append(s.ahead[:0], piece{text: open})
	s.lost, s.cause, s.careful, s.lazy, s.late, s.others, s.taken = nil, nil, false, false, false, false, false
	s.locks, s.recorded, s.saved = locks{entered: map[access.ConnectionID]bool{}}, nil, nil
	s.acting = nobody
	s.watch, s.before = &watch{}, s.written
	clear(s.steady)
	clear(s.blocks)
	if s.stale {
		s.stale = false
		for _, st := range s.stmts {
			st.planned = max(plannedAnew, 4*st.ran)
		}
		s.first("discard plans")
	}
}

// used counts that a statement runs.
func (s *session) used(st *statement) {
	st.ran++
	s.stale = s.stale || st.ran >= st.planned
}

// beginWrite begins a transaction among others that write.
func (s *session) beginWrite() {
	s.begin("begin isolation level read committed")
	s.first("select pg_advisory_xact_lock_shared(" + writeLock + ")")
}

// beginAlone begins one while no other writes.
func (s *session) beginAlone() {
	s.begin("begin isolation level read committed")
	s.locks.alone = true
	s.first("select pg_advisory_xact_lock(" + writeLock + ")")
}

// end ends the transaction, whatever state it is in.
func (s *session) end(ctx context.Context, how string) error {
	if len(s.ahead) > 0 && strings.HasPrefix(s.ahead[0].text, "begin") { // nothing was ever sent
		s.ahead = s.ahead[:0]
		return nil
	}
	s.ahead = s.ahead[:0]
	return s.command(ctx, how)
}

// command runs statements without parameters or rows.
func (s *session) command(ctx context.Context, text string) error {
	return s.ask(func() error { return s.pg.Exec(ctx, text).Close() })
}

func (s *session) prepare(query string) (*statement, error) {
	if st := s.stmts[query]; st != nil {
		return st, nil
	}
	if err := s.flush(); err != nil { // what was begun comes first
		return nil, err
	}
	if len(s.stmts) >= maxStatements {
		if err := s.forget(); err != nil {
			return nil, err
		}
	}
	st, err := s.describe(query)
	if err != nil {
		return nil, s.lose(err)
	}
	if s.writer {
		st.many = s.names.manyOf(query, st.ParamOIDs)
	}
	return st, nil
}

// describe has the server prepare a statement.
func (s *session) describe(query string) (*statement, error) {
	var described *pgconn.StatementDescription
	err := s.ask(func() (err error) {
		described, err = s.pg.Prepare(context.Background(), fmt.Sprintf("s%d", len(s.stmts)), query, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	st := &statement{StatementDescription: described, writes: !harmless.MatchString(query), planned: plannedAnew}
	st.formats = make([]int16, len(described.Fields))
	for i, f := range described.Fields {
		if f.DataTypeOID == pgtype.ByteaOID {
			st.formats[i] = asBinary
		}
	}
	s.stmts[query] = st
	return st, nil
}

func (s *session) forget() error {
	clear(s.stmts)
	if err := s.command(context.Background(), "deallocate all"); err != nil {
		return s.lose(err)
	}
	return nil
}

// lose says what has become of the transaction in which a statement failed.
func (s *session) lose(err error) error {
	s.written++
	said := classify(err, s.names.lastColumn)
	if s.lost == nil {
		s.cause, s.lost = err, &fault.Error{Kind: fault.Unavailable, Op: op, Err: fmt.Errorf("the transaction has been lost: %w", err)}
	}
	return said
}

const oneSavepoint = "statement"

// run runs a prepared statement, with what stands ahead of it, in one round trip.
func (s *session) run(query string, args []any) (*pgconn.Result, error) {
	if s.lost != nil {
		return nil, s.lost
	}
	st, err := s.prepare(query)
	if err != nil {
		return nil, err
	}
	values, formats, err := s.bound(st, args)
	if err != nil {
		return nil, err
	}
	guarded := s.careful && st.writes
	if guarded {
		s.first("savepoint " + oneSavepoint)
	}
	result, err := s.send(st, values, formats)
	if err != nil {
		return nil, s.failed(err, guarded)
	}
	if st.writes {
		s.written++
	}
	if guarded {
		s.first("release savepoint " + oneSavepoint)
	}
	return result, nil
}

func (s *session) failed(err error, guarded bool) error {
	if !guarded || !refused(err) {
		return s.lose(err)
	}
	said := classify(err, s.names.lastColumn)
	if back := s.command(context.Background(), "rollback to savepoint "+oneSavepoint+"; release savepoint "+oneSavepoint); back != nil {
		return s.lose(errors.Join(err, back))
	}
	return said
}

func (s *session) send(st *statement, values [][]byte, formats []int16) (result *pgconn.Result, err error) {
	if len(s.ahead) == 0 {
		err := s.ask(func() error { // which bounds it
			result = s.pg.ExecStatement(context.Background(), st.StatementDescription, values, formats, st.formats).Read()
			return result.Err
		})
		return result, err
	}
	results, err := s.exchange(func(b *pgconn.Batch) { b.ExecStatement(st.StatementDescription, values, formats, st.formats) })
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// savepoint runs a statement about savepoints, and keeps what is recorded in step.
func (s *session) savepoint(query string) (done bool, err error) {
	last := len(s.saved) - 1
	switch {
	case strings.HasPrefix(query, "savepoint "):
		s.saved = append(s.saved, savepoint{len(s.recorded), s.locks.clone()})
		s.first(query)
	case strings.HasPrefix(query, "release savepoint "):
		s.saved = s.saved[:last]
		s.first(query)
	case strings.HasPrefix(query, "rollback to savepoint "):
		back := s.saved[last]
		s.recorded, s.locks = s.recorded[:back.recorded], back.locks.clone()
		s.acting = nobody // whoever it was then
		clear(s.steady)
		s.first(query)
		return true, errors.Join(s.lost, s.flush())
	default:
		return false, nil
	}
	return true, s.lost
}

// enter waits for a connection's lock, at the beginning of the next statement.
func (s *session) enter(conn access.ConnectionID) {
	clear(s.blocks) // keys rise within a connection: those are free since before nobody else wrote there
	s.locks.entered[conn] = true
	s.first("select pg_advisory_xact_lock(" + lockOf(conn) + ")")
}
