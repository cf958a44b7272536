package sqlitedb

import (
	"context"
	"database/sql"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// migrate brings the file to the newest schema this program knows. A file that is
// newer still is refused: an older program would misread it.
func migrate(ctx context.Context, db *sql.DB, files fs.FS) error {
	const where = op + ".migrate"
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
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
	if current == target {
		return nil
	}
	_, err = p.Up(ctx)
	return fault.Wrap(fault.Unavailable, where, err)
}
