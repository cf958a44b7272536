package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// current says whether files are exactly what was applied, by goose's table: most starts
// need no goose, nor its own connection.
func (s *session) current(files fs.FS) (bool, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return false, fault.Wrap(fault.Internal, op, err)
	}
	var known []int64
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return false, fault.Wrap(fault.Internal, op, err)
		}
		known = append(known, version)
	}
	var tables int
	if err := s.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = ?", goose.DefaultTablename).Scan(&tables); err != nil || tables == 0 {
		return false, err
	}
	var applied []int64
	err = s.Each(func(r Row) error {
		applied = append(applied, 0)
		return r.Scan(&applied[len(applied)-1])
	}, "SELECT version_id FROM "+goose.DefaultTablename+" WHERE is_applied AND version_id > 0 ORDER BY version_id")
	return slices.Equal(known, applied), err
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
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
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
