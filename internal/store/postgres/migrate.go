package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// opensFrom is the newest migration of the oldest program that may open a database which this one has
// migrated. While migrations only add, and a program of before goes on on what they make, it stays; whoever
// writes one that takes away, or functions that work otherwise, puts here the migration of the first program
// that can do without what is gone: at least a release after that.
const opensFrom = 51

// Migrate brings a database to the newest schema that this program knows, however many
// nodes start at once. One that is newer still is left as it is, if the program that made it so says that
// this one may open it, as when a node of before is started again in the middle of an upgrade;
// fault.Unsupported if it does not: this one would misread it.
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
	newer, err := up(ctx, conn, p)
	if err != nil || newer { // what a newer program has put in stays
		return err
	}
	if err := putFunctions(ctx, conn); err != nil {
		return err
	}
	if err := failpoint.Hit(ctx, failpoint.DuringMigration); err != nil {
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
	sources := p.ListSources()
	if len(applied) > 0 {
		if newer, err := ahead(ctx, db, slices.Max(applied), sources[len(sources)-1].Version); newer || err != nil {
			return nil, err
		}
	}
	for _, m := range sources {
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

// upToDate refuses a database that Migrate would change, and one that a newer version made which
// does not let this one in.
func upToDate(ctx context.Context, url string) error {
	pending, err := Pending(ctx, url)
	if err == nil && len(pending) > 0 {
		err = fault.New(fault.Invalid, op+".Open", "the database lacks %s, and database.migrate is false: run drawbridge db migrate first", strings.Join(pending, ", "))
	}
	return err
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

// up applies what is pending. Who may open what comes of it is said before. Newer: a newer program has been here,
// and lets this one in; nothing is changed.
func up(ctx context.Context, conn *sql.Conn, p *goose.Provider) (newer bool, err error) {
	const where = op + ".Migrate"
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return false, fault.Wrap(fault.Unavailable, where, err)
	}
	if newer, err := ahead(ctx, conn, current, target); newer || err != nil {
		return newer, err
	}
	if err := putOldest(ctx, conn); err != nil {
		return false, err
	}
	for err == nil { // also one with a lower number, which came to the program later
		if err = failpoint.Hit(ctx, failpoint.DuringMigration); err == nil {
			_, err = p.UpByOne(ctx)
		}
	}
	if errors.Is(err, goose.ErrNoNextVersion) {
		return false, nil
	}
	return false, fault.Wrap(fault.Unavailable, where, err)
}

// ahead reports whether a newer program has migrated a database, and lets one in that knows migrations up
// to target. fault.Unsupported if it does not.
func ahead(ctx context.Context, conn querying, current, target int64) (bool, error) {
	if current <= target {
		return false, nil
	}
	lowest, err := oldestThere(ctx, conn)
	if err == nil && (lowest == 0 || lowest > target) {
		err = fault.New(fault.Unsupported, op+".Migrate",
			"the data was written by a newer version (schema %d, this program knows %d): run that version, or restore a backup", current, target)
	}
	return true, err
}

// querying is a *sql.DB, or one connection of it.
type querying interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// oldestSays is the comment of goose's table: the number of a migration stands behind it.
const oldestSays = "programs may open this that know migration "

// oldestThere is what a newer program says of who may open the database; 0: nothing.
func oldestThere(ctx context.Context, conn querying) (lowest int64, err error) {
	var said sql.NullString
	if err := conn.QueryRowContext(ctx, "select obj_description(to_regclass('"+goose.DefaultTablename+"'))").Scan(&said); err != nil {
		return 0, fault.Wrap(fault.Unavailable, op+".Migrate", err)
	}
	if number, ours := strings.CutPrefix(said.String, oldestSays); ours {
		lowest, err = strconv.ParseInt(number, 10, 64)
	}
	return lowest, fault.Wrap(fault.Invalid, op+".Migrate", err)
}

// putOldest says who may open the database from now on.
func putOldest(ctx context.Context, conn *sql.Conn) error {
	there, err := oldestThere(ctx, conn)
	if err != nil || there == opensFrom {
		return err
	}
	_, err = conn.ExecContext(ctx, "comment on table "+goose.DefaultTablename+" is '"+oldestSays+strconv.Itoa(opensFrom)+"'")
	return fault.Wrap(fault.Unavailable, op+".Migrate", err)
}
