package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings a database to the newest schema that this program knows, however many
// nodes start at once. fault.Unsupported where it is newer still: an older program would
// misread it.
func Migrate(ctx context.Context, url string) (err error) {
	const where = op + ".Migrate"
	db, p, err := provider(url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fault.Wrap(fault.Unavailable, where, db.Close())) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	defer func() { err = errors.Join(err, fault.Wrap(fault.Unavailable, where, conn.Close())) }()
	if _, err := conn.ExecContext(ctx, "set lock_timeout = 0; set statement_timeout = 0; select pg_advisory_lock("+migrateLock+")"); err != nil {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	defer func() {
		_, unlock := conn.ExecContext(context.WithoutCancel(ctx), "select pg_advisory_unlock("+migrateLock+")")
		err = errors.Join(err, fault.Wrap(fault.Unavailable, where, unlock))
	}()
	if err := up(ctx, p); err != nil {
		return err
	}
	if err := putFunctions(ctx, conn); err != nil {
		return err
	}
	return putPolicies(ctx, conn)
}

// Pending lists what Migrate would put in, and changes nothing: migrations by their files'
// names; functions, where the program's are others; row-level security, where a table lacks it.
func Pending(ctx context.Context, url string) (names []string, err error) {
	const where = op + ".Pending"
	db, p, err := provider(url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fault.Wrap(fault.Unavailable, where, db.Close())) }()
	applied, err := versions(ctx, db)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, where, err)
	}
	for _, m := range p.ListSources() {
		if !slices.Contains(applied, m.Version) {
			names = append(names, m.Path)
		}
	}
	var there sql.NullString
	if err := db.QueryRowContext(ctx, functionsThere).Scan(&there); err != nil {
		return nil, fault.Wrap(fault.Unavailable, where, err)
	}
	if _, digest := functionsWanted(); there.String != digest {
		names = append(names, "functions")
	}
	var unguarded bool
	if err := db.QueryRowContext(ctx, "select exists ("+unguardedSQL+")").Scan(&unguarded); err != nil {
		return nil, fault.Wrap(fault.Unavailable, where, err)
	}
	if unguarded {
		names = append(names, "row-level security")
	}
	return names, nil
}

// versions are the numbers of the migrations that a database has. goose itself would make its
// table to answer that.
func versions(ctx context.Context, db *sql.DB) (applied []int64, err error) {
	var there bool
	if err := db.QueryRowContext(ctx, "select to_regclass('"+goose.DefaultTablename+"') is not null").Scan(&there); err != nil || !there {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, "select version_id from "+goose.DefaultTablename+" where is_applied")
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err says it
	for rows.Next() {
		applied = append(applied, 0)
		if err := rows.Scan(&applied[len(applied)-1]); err != nil {
			return nil, err
		}
	}
	return applied, rows.Err()
}

// upToDate refuses a database that Migrate would change, and one that a newer version made.
func upToDate(ctx context.Context, url string) (err error) {
	const where = op + ".Open"
	pending, err := Pending(ctx, url)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fault.New(fault.Invalid, where, "the database lacks %s, and database.migrate is false: run drawbridge db migrate first", strings.Join(pending, ", "))
	}
	db, p, err := provider(url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fault.Wrap(fault.Unavailable, where, db.Close())) }()
	return up(ctx, p) // nothing is left to apply
}

func provider(url string) (*sql.DB, *goose.Provider, error) {
	const where = op + ".Migrate"
	c, err := configure(url, 1)
	if err != nil {
		return nil, nil, err
	}
	delete(c.ConnConfig.RuntimeParams, "statement_timeout") // an index may take its time
	c.ConnConfig.RuntimeParams[connectionSetting] = "host"
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, fault.Wrap(fault.Internal, where, err)
	}
	db := stdlib.OpenDB(*c.ConnConfig)
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return nil, nil, errors.Join(fault.Wrap(fault.Internal, where, err), db.Close())
	}
	return db, p, nil
}

func up(ctx context.Context, p *goose.Provider) error {
	const where = op + ".Migrate"
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	if current > target {
		return fault.New(fault.Unsupported, where,
			"the data was written by a newer version (schema %d, this program knows %d): run that version, or restore a backup", current, target)
	}
	pending, err := p.HasPending(ctx) // also one with a lower number, which came to the program later
	if err != nil || !pending {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	_, err = p.Up(ctx)
	return fault.Wrap(fault.Unavailable, where, err)
}
