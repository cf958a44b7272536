package sqlitedb

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// OpenBeside opens a file to look at it, whether or not another process has it: only View
// works. fault.NotFound if there is none, fault.Invalid if its schema is not up to date.
func OpenBeside(ctx context.Context, o Options) (_ *DB, err error) {
	const where = op + ".OpenBeside"
	if _, err := os.Stat(o.Path); errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, where, "there is no database at %s", o.Path)
	}
	d := &DB{closed: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.release())
		}
	}()
	s, err := d.connect(o, "query_only=ON")
	if err != nil {
		return nil, err
	}
	lacking, newer, err := s.pending(o.Migrations)
	switch {
	case err != nil:
		return nil, err
	case len(lacking) > 0:
		return nil, fault.New(fault.Invalid, where, "the database has an older schema: run drawbridge db migrate first")
	case newer:
		return nil, fault.New(fault.Unsupported, where, "the data was written by a newer version: use that")
	}
	d.readers = newReaders(1, func() (*session, error) { return d.connect(o, "query_only=ON") })
	return d, d.View(ctx, func(Querier) error { return nil })
}

// Copy writes a database as it is at one instant to a new file, mode 0600, whether or not
// another process writes to it meanwhile. fault.Conflict if there is such a file already.
func Copy(ctx context.Context, from, to string) (err error) {
	const where = op + ".Copy"
	if _, err := os.Stat(from); err != nil {
		return fault.Wrap(fault.NotFound, where, err)
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, where, "%s is there already: name a new file", to)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(fault.Wrap(fault.Unavailable, where, err), os.Remove(to))
		}
	}()
	conn, err := sqlite.OpenConn(from, sqlite.OpenReadWrite) // in whatever journal mode it is
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetBusyTimeout(busyTimeout)
	conn.SetInterrupt(ctx.Done())
	if err := sqlitex.ExecuteTransient(conn, "vacuum into ?", &sqlitex.ExecOptions{Args: []any{to}}); err != nil {
		return err
	}
	return file.Sync() // SQLite leaves that to whoever wants the copy
}
