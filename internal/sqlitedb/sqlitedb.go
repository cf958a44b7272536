// Package sqlitedb is one SQLite file in WAL mode: one writer goroutine that
// commits concurrent requests together, several read-only readers, one process
// per file, and embedded migrations.
//
// It knows nothing of what is stored. internal/store/sqlite and
// internal/hot/embedded put their own SQL on top.
package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Synchronous says when a commit reaches the disk.
type Synchronous uint8

// Full syncs before a commit is acknowledged, so it survives a power cut. Normal
// syncs at checkpoints: a commit survives kill -9, a power cut may take the last ones.
const (
	Full Synchronous = iota
	Normal
)

func (s Synchronous) String() string {
	if s == Normal {
		return "NORMAL"
	}
	return "FULL"
}

// Options say how a file is opened.
type Options struct {
	Path        string // of the database file; its directory is made (0700) if missing
	Synchronous Synchronous
	Migrations  fs.FS // goose SQL files at its root
	// LeaveSchema refuses a file whose schema is not up to date, instead of bringing it there.
	LeaveSchema bool
	Readers     int // read-only connections at most, opened when they are needed; 0: the number of processors, at least 4
	// TextFunctions are deterministic SQL functions of one text: NULL for NULL and
	// for what is not text.
	TextFunctions map[string]func(string) string
}

// Querier runs statements in one transaction. Statements are prepared once per
// connection and kept, so queries should come from a small set of texts. A statement
// may not run inside its own Each. Errors are classified: fault.Conflict with its
// Reason, fault.Unavailable, or fault.Internal for a mistake of the caller's.
type Querier interface {
	// Exec returns the number of rows changed.
	Exec(query string, args ...any) (rows int64, err error)
	// Insert runs an insert of one row and returns its integer primary key.
	Insert(query string, args ...any) (key int64, err error)
	// QueryRow is the first row of an answer; scanning it runs the statement, and is
	// sql.ErrNoRows if there is none.
	QueryRow(query string, args ...any) Row
	// Each runs scan for every row.
	Each(scan func(Row) error, query string, args ...any) error
	// Search is Each for a statement that may be slow or is one of very many texts:
	// it is interrupted when ctx ends, and its plan is not kept. Not inside an Each
	// or another Search.
	Search(ctx context.Context, scan func(Row) error, query string, args ...any) error
	// Written rises with every statement that may have written something, or failed so
	// that the transaction may be lost: as long as it stays, there is nothing to undo.
	Written() int64
}

// Row is one row, of which Scan reads every column; nil leaves one out. It is an alias, so that this
// Querier is internal/store's without either knowing the other.
type Row = interface{ Scan(dest ...any) error }

// DB is one open file. Every method is safe for concurrent use.
type DB struct {
	writer  *writer
	readers *readers
	lock    *os.File
	closed  chan struct{}
	once    sync.Once
	ended   error

	mu  sync.Mutex // guards what follows
	all []*session
}

const op = "sqlitedb"

const busyTimeout = 5 * time.Second

// Open locks, opens and migrates the file. fault.Unavailable if another process
// has it, fault.Unsupported if a newer version of the program wrote it.
func Open(ctx context.Context, o Options) (_ *DB, err error) {
	if o.Readers == 0 {
		o.Readers = max(4, runtime.GOMAXPROCS(0))
	}
	d := &DB{closed: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.release())
		}
	}()
	if err := d.lockFile(o.Path); err != nil {
		return nil, err
	}
	// A page that many commits change is copied into the database once for 16 MB of log, not for 4.
	s, err := d.connect(o, "synchronous="+o.Synchronous.String(), "foreign_keys=ON", "cache_size=-32768", "journal_size_limit=67108864", "wal_autocheckpoint=4000")
	if err != nil {
		return nil, err
	}
	if err := s.bringUp(ctx, o); err != nil {
		return nil, err
	}
	d.readers = newReaders(o.Readers, func() (*session, error) { return d.connect(o, "query_only=ON", "cache_size=-4096") })
	if err := d.View(ctx, func(Querier) error { return nil }); err != nil { // what hinders reading is told now
		return nil, err
	}
	d.writer = startWriter(s)
	return d, nil
}

// connect opens a connection with the settings of docs/operations.md, "SQLite". The
// busy handler is for backups: one writer and its readers never wait for each other.
func (d *DB) connect(o Options, settings ...string) (*session, error) {
	const where = op + ".Open"
	conn, err := sqlite.OpenConn(o.Path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, where, err)
	}
	if err := prepareConn(conn, o, settings); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s := &session{conn: conn, stmts: map[string]*statement{}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, s)
	return s, nil
}

func prepareConn(conn *sqlite.Conn, o Options, settings []string) error {
	const where = op + ".Open"
	conn.SetBusyTimeout(busyTimeout)
	for _, setting := range append([]string{"temp_store=MEMORY"}, settings...) {
		if err := sqlitex.ExecuteTransient(conn, "pragma "+setting, nil); err != nil {
			return fault.Wrap(fault.Unavailable, where, err)
		}
	}
	for name, fn := range o.TextFunctions {
		if err := conn.CreateFunction(name, textFunction(fn)); err != nil {
			return fault.Wrap(fault.Internal, where, err)
		}
	}
	return nil
}

func textFunction(fn func(string) string) *sqlite.FunctionImpl {
	return &sqlite.FunctionImpl{NArgs: 1, Deterministic: true, AllowIndirect: true,
		Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
			if args[0].Type() != sqlite.TypeText {
				return sqlite.Value{}, nil
			}
			return sqlite.TextValue(fn(args[0].Text())), nil
		}}
}

// lockFile takes the file's lock. One process per file: what its user keeps in
// memory would not see another process's commits.
func (d *DB) lockFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	db, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	if err := db.Close(); err != nil {
		return fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	d.lock, err = os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	if err := flock(d.lock); err != nil {
		return &fault.Error{Kind: fault.Unavailable, Op: op + ".Open", Err: err,
			Detail: fmt.Sprintf("%s is in use by another process: stop it, or choose another data folder", path)}
	}
	return nil
}

// View runs fn in one read transaction: a snapshot of the last commit. The Querier
// ends with fn. fault.Unavailable where another connection is needed and does not open.
func (d *DB) View(ctx context.Context, fn func(Querier) error) error {
	return d.reading(ctx, func(s *session) error { return s.view(fn) })
}

func (d *DB) reading(ctx context.Context, fn func(*session) error) error {
	select {
	case <-d.closed:
		return closedErr(op + ".View")
	default:
	}
	select {
	case <-d.readers.free:
		s, err := d.readers.take()
		if err != nil {
			return err
		}
		defer d.readers.give(s)
		return fn(s)
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, op+".View", ctx.Err())
	case <-d.closed:
		return closedErr(op + ".View")
	}
}

// Update runs fn in the writer's transaction, which other callers' fns may share;
// an error or panic of fn undoes fn alone. When Update returns nil, the commit is
// durable as Options.Synchronous says and committed (may be nil) has run: in commit
// order, never two at once. fn must not do anything slow and must not call Update.
//
// A caller whose ctx ends while it waits in line is told so and fn never runs;
// once fn has begun, Update waits for its outcome.
func (d *DB) Update(ctx context.Context, fn func(Querier) error, committed func()) error {
	return d.UpdateIn(ctx, "", fn, committed)
}

// UpdateIn is Update in one of several lanes, which share the writer's time fairly:
// whoever waits in one is not behind all that waits in another. Lanes cost nothing
// while nobody is in them.
func (d *DB) UpdateIn(ctx context.Context, lane string, fn func(Querier) error, committed func()) error {
	if d.writer == nil {
		return fault.New(fault.Unavailable, op+".Update", "the database was opened to be looked at")
	}
	return d.writer.do(ctx, lane, fn, committed)
}

// Close finishes what has begun, refuses what has not, and lets go of the file.
// Later calls return what the first did.
func (d *DB) Close() error {
	d.once.Do(func() {
		if d.writer != nil {
			d.writer.stop()
		}
		close(d.closed)
		for range cap(d.readers.free) {
			<-d.readers.free // waits for views that are under way
		}
		d.ended = d.release()
	})
	return d.ended
}

func (d *DB) release() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, s := range d.all {
		errs = append(errs, s.close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return fault.Wrap(fault.Internal, op+".Close", errors.Join(errs...))
}

func closedErr(where string) error {
	return fault.New(fault.Unavailable, where, "the database is closed")
}
