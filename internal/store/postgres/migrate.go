package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"

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

// Pending lists the migrations that Migrate would apply, by their files' names.
func Pending(ctx context.Context, url string) (names []string, err error) {
	const where = op + ".Pending"
	db, p, err := provider(url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fault.Wrap(fault.Unavailable, where, db.Close())) }()
	all, err := p.Status(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, where, err)
	}
	for _, m := range all {
		if m.State == goose.StatePending {
			names = append(names, m.Source.Path)
		}
	}
	return names, nil
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
