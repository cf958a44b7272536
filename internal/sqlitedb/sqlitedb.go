// Package sqlitedb is one SQLite file in WAL mode: one writer goroutine that
// commits concurrent requests together, several read-only readers, one process
// per file, and embedded migrations.
//
// It knows nothing of what is stored. internal/store/sqlite and
// internal/hot/embedded put their own SQL on top.
package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"modernc.org/sqlite"

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
	Readers     int   // read-only connections; 0: the number of processors, at least 4
	// TextFunctions are deterministic SQL functions of one text: NULL for NULL and
	// for what is not text.
	TextFunctions map[string]func(string) string
}

// Querier runs statements in one transaction. Statements are prepared once per
// connection and kept, so queries should come from a small set of texts. Close the
// rows of a query before running the same text again.
type Querier interface {
	// Exec returns the number of rows changed.
	Exec(query string, args ...any) (rows int64, err error)
	// Insert runs an insert of one row and returns its integer primary key.
	Insert(query string, args ...any) (key int64, err error)
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
	// Scan is Query for a statement that may be slow or is one of very many texts:
	// it is interrupted when ctx ends, and its plan is not kept.
	Scan(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// DB is one open file. Every method is safe for concurrent use.
type DB struct {
	write   *sql.DB
	read    *sql.DB
	writer  *writer
	readers chan *session
	all     []*session
	lock    *os.File
	closed  chan struct{}
	once    sync.Once
	ended   error
}

const op = "sqlitedb"

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
	drv, err := newDriver(o.TextFunctions)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, op+".Open", err)
	}
	d.write = sql.OpenDB(&connector{drv: drv, dsn: writerDSN(o)})
	d.write.SetMaxOpenConns(1)
	if err := migrate(ctx, d.write, o.Migrations); err != nil {
		return nil, err
	}
	if err := d.startReaders(ctx, drv, o); err != nil {
		return nil, err
	}
	s, err := newSession(ctx, d.write)
	if err != nil {
		return nil, err
	}
	d.all = append(d.all, s)
	d.writer = startWriter(s)
	return d, nil
}

func (d *DB) startReaders(ctx context.Context, drv *sqlite.Driver, o Options) error {
	d.read = sql.OpenDB(&connector{drv: drv, dsn: readerDSN(o)})
	d.read.SetMaxOpenConns(o.Readers)
	d.read.SetMaxIdleConns(o.Readers)
	d.readers = make(chan *session, o.Readers)
	for range o.Readers {
		s, err := newSession(ctx, d.read)
		if err != nil {
			return err
		}
		d.all = append(d.all, s)
		d.readers <- s
	}
	return nil
}

// lockFile takes the file's lock. One process per file: two would not see each
// other's window of epochs.
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
// ends with fn.
func (d *DB) View(ctx context.Context, fn func(Querier) error) error {
	return d.reading(ctx, func(s *session) error { return s.view(fn) })
}

// Look runs fn without a transaction: for one statement, which is a snapshot by
// itself. Statements after the first may see later commits.
func (d *DB) Look(ctx context.Context, fn func(Querier) error) error {
	return d.reading(ctx, func(s *session) error { return Classify(guard(fn, s)) })
}

func (d *DB) reading(ctx context.Context, fn func(*session) error) error {
	select {
	case <-d.closed:
		return closedErr(op + ".View")
	default:
	}
	select {
	case s := <-d.readers:
		defer func() { d.readers <- s }()
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
	return d.writer.do(ctx, fn, committed)
}

// Close finishes what has begun, refuses what has not, and lets go of the file.
// Later calls return what the first did.
func (d *DB) Close() error {
	d.once.Do(func() {
		d.writer.stop()
		close(d.closed)
		for range cap(d.readers) {
			<-d.readers // waits for views that are under way
		}
		d.ended = d.release()
	})
	return d.ended
}

func (d *DB) release() error {
	var errs []error
	for _, s := range d.all {
		errs = append(errs, s.close())
	}
	if d.read != nil {
		errs = append(errs, d.read.Close())
	}
	if d.write != nil {
		errs = append(errs, d.write.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return fault.Wrap(fault.Internal, op+".Close", errors.Join(errs...))
}

func closedErr(where string) error {
	return fault.New(fault.Unavailable, where, "the database is closed")
}

// writerDSN and readerDSN carry the settings of docs/operations.md, "SQLite". The
// writer begins its transactions IMMEDIATE; the busy handler is for backups only.
func writerDSN(o Options) string {
	return dsn(o.Path, "immediate", "busy_timeout(5000)", "journal_mode(WAL)",
		"synchronous("+o.Synchronous.String()+")", "foreign_keys(ON)", "temp_store(MEMORY)",
		"cache_size(-32768)", "journal_size_limit(67108864)")
}

func readerDSN(o Options) string {
	return dsn(o.Path, "", "busy_timeout(5000)", "query_only(ON)", "temp_store(MEMORY)", "cache_size(-4096)")
}

func dsn(path, txlock string, pragmas ...string) string {
	q := url.Values{}
	if txlock != "" {
		q.Set("_txlock", txlock)
	}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return "file:" + strings.ReplaceAll(url.PathEscape(path), "%2F", "/") + "?" + q.Encode()
}

// connector opens connections through a driver of our own, so that registering a
// function changes no state of the process.
type connector struct {
	drv *sqlite.Driver
	dsn string
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.drv.Open(c.dsn)
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.drv }

func newDriver(text map[string]func(string) string) (*sqlite.Driver, error) {
	drv := &sqlite.Driver{}
	for name, fn := range text {
		err := drv.RegisterDeterministicScalarFunction(name, 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			s, isText := args[0].(string)
			if !isText {
				return nil, nil
			}
			return fn(s), nil
		})
		if err != nil {
			return nil, err
		}
	}
	return drv, nil
}
