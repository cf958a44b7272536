package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Pending lists the migrations that Open would apply to a file, by their names, and changes
// nothing. A file that is not there lacks all.
func Pending(path string, files fs.FS) (lacking []string, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		lacking, _, err := (*session)(nil).pending(files)
		return lacking, err
	}
	d := &DB{closed: make(chan struct{})}
	defer func() { err = errors.Join(err, d.release()) }()
	s, err := d.connect(Options{Path: path}, "query_only=ON")
	if err != nil {
		return nil, err
	}
	lacking, _, err = s.pending(files)
	return lacking, err
}

// bringUp brings the file to the newest schema. Most starts need no goose, nor its own connection.
func (s *session) bringUp(ctx context.Context, o Options) error {
	lacking, newer, err := s.pending(o.Migrations)
	switch {
	case err != nil:
		return err
	case len(lacking) > 0 && o.LeaveSchema:
		return fault.New(fault.Invalid, op+".Open", "the database lacks %s, and database.migrate is false: run drawbridge db migrate first", strings.Join(lacking, ", "))
	case len(lacking) > 0 || newer:
		return migrate(ctx, o.Path, o.Migrations)
	}
	return nil
}

// pending compares files with what was applied, by goose's table: which are lacking, and
// whether something was applied that is not among them.
func (s *session) pending(files fs.FS) (lacking []string, newer bool, err error) {
	applied, err := s.applied()
	if err != nil {
		return nil, false, err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, false, fault.Wrap(fault.Internal, op, err)
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, false, fault.Wrap(fault.Internal, op, err)
		}
		if !slices.Contains(applied, version) {
			lacking = append(lacking, name)
		}
	}
	return lacking, len(applied) > len(names)-len(lacking), nil
}

func (s *session) applied() (versions []int64, err error) {
	if s == nil { // there is no file
		return nil, nil
	}
	var tables int
	if err := s.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = ?", goose.DefaultTablename).Scan(&tables); err != nil || tables == 0 {
		return nil, err
	}
	err = s.Each(func(r Row) error {
		versions = append(versions, 0)
		return r.Scan(&versions[len(versions)-1])
	}, "SELECT version_id FROM "+goose.DefaultTablename+" WHERE is_applied AND version_id > 0")
	return versions, err
}

// migrate brings the file to the newest schema this program knows. A file that is
// newer still is refused: an older program would misread it. goose wants a sql.DB,
// so it gets one for as long as it runs. A step that a power cut undoes is done again at
// the next start (synchronous=NORMAL), so that a new file does not wait for every step.
func migrate(ctx context.Context, path string, files fs.FS) (err error) {
	const where = op + ".migrate"
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_txlock=immediate&_pragma=foreign_keys(ON)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(%d)",
		(&url.URL{Path: path}).EscapedPath(), busyTimeout.Milliseconds()))
	if err != nil {
		return fault.Wrap(fault.Internal, where, err)
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, fault.Wrap(fault.Unavailable, where, db.Close())) }()
	p, err := goose.NewProvider(goose.DialectSQLite3, db, interrupted{ctx, files}, goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return fault.Wrap(fault.Internal, where, err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	if current > target {
		return fault.New(fault.Unsupported, where,
			"the data was written by a newer version (schema %d, this program knows %d): run that version, or restore a backup", current, target)
	}
	pending, err := p.HasPending(ctx) // also one with a lower number, which came to the program later
	if err != nil {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	if !pending {
		return nil
	}
	_, err = p.Up(ctx)
	return fault.Wrap(fault.Unavailable, where, err)
}

// interrupted are files of which each is opened when its turn comes: the crash matrix lets
// the process die there.
type interrupted struct {
	ctx context.Context //nolint:containedctx // lives inside one call
	fs.FS
}

func (f interrupted) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".sql") {
		if err := failpoint.Hit(f.ctx, failpoint.DuringMigration); err != nil {
			return nil, err
		}
	}
	return f.FS.Open(name)
}
