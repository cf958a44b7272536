package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// migrate brings the file to the newest schema this program knows. A file that is
// newer still is refused: an older program would misread it. goose wants a sql.DB,
// so it gets one for as long as it runs.
func migrate(ctx context.Context, path string, files fs.FS) (err error) {
	const where = op + ".migrate"
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_txlock=immediate&_pragma=foreign_keys(ON)&_pragma=busy_timeout(%d)",
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
