// Package sqlite is the store's embedded engine: one file, one process, every
// commit on the disk before it is acknowledged.
package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/sqlitedb"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options say how a file is opened.
type Options struct {
	// LeaveSchema refuses a file whose schema is not up to date, instead of bringing it there.
	LeaveSchema bool
	beside      bool
}

// Open opens the store in a file, made if missing, and brings its schema up to date.
// fault.Unavailable if another process has it, fault.Unsupported if a newer version wrote it.
func Open(ctx context.Context, path string) (*store.Store, error) {
	return OpenWith(ctx, path, Options{})
}

// OpenWith is Open with options. fault.Invalid where the schema is not up to date and left.
func OpenWith(ctx context.Context, path string, o Options) (*store.Store, error) {
	e, err := openEngine(ctx, path, o)
	if err != nil {
		return nil, err
	}
	s, err := store.New(ctx, e)
	if err != nil {
		_ = e.Close() // the first error says more
		return nil, err
	}
	return s, nil
}

// OpenEngine opens the bare engine, for tests that put something between it and
// the store.
func OpenEngine(ctx context.Context, path string) (store.Engine, error) {
	return openEngine(ctx, path, Options{})
}

// Pending lists the migrations that Open would apply to a file, and changes nothing.
func Pending(path string) ([]string, error) {
	files, err := schemaFiles()
	if err != nil {
		return nil, err
	}
	return sqlitedb.Pending(path, files)
}

func schemaFiles() (fs.FS, error) {
	files, err := fs.Sub(migrations, "migrations")
	return files, fault.Wrap(fault.Internal, "sqlite.Open", err)
}

// OpenBeside opens a file to look at it, whether or not a bridge has it: only View works.
// fault.NotFound if there is none, fault.Invalid if its schema is not up to date.
func OpenBeside(ctx context.Context, path string) (store.Engine, error) {
	return openEngine(ctx, path, Options{beside: true})
}

// Copy writes a database as it is at one instant to a new file, whether or not a bridge has it.
// fault.Conflict if there is such a file already.
func Copy(ctx context.Context, from, to string) error { return sqlitedb.Copy(ctx, from, to) }

func openEngine(ctx context.Context, path string, o Options) (store.Engine, error) {
	files, err := schemaFiles()
	if err != nil {
		return nil, err
	}
	open := sqlitedb.Open
	if o.beside {
		open = sqlitedb.OpenBeside
	}
	options := sqlitedb.Options{
		Path: path, Synchronous: sqlitedb.Full, Migrations: files, LeaveSchema: o.LeaveSchema,
		TextFunctions: map[string]func(string) string{"fold": store.Fold, "instant": store.Instant},
	}
	if planted.Bug(planted.NormalSync) {
		options.Synchronous = sqlitedb.Normal
	}
	db, err := open(ctx, options)
	if err != nil {
		return nil, err
	}
	return engine{db}, nil
}

// engine is sqlitedb with the store's words.
type engine struct{ db *sqlitedb.DB }

func (e engine) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	return e.db.UpdateIn(ctx, string(lane), func(q sqlitedb.Querier) error { return fn(querier{q}) }, committed)
}

func (e engine) View(ctx context.Context, fn func(store.Querier) error) error {
	return e.db.View(ctx, func(q sqlitedb.Querier) error { return fn(querier{q}) })
}

// querier adds what one writer has for nothing.
type querier struct{ sqlitedb.Querier }

// Of implements store.Querier: the keys in the statements are all that keeps connections apart.
func (q querier) Of(int64) store.Querier { return q }

// Enter implements store.Querier: there is one writer.
func (querier) Enter(access.ConnectionID) error { return nil }

// Steady implements store.Querier: asking again costs next to nothing.
func (q querier) Steady(query string, args ...any) store.Row { return q.QueryRow(query, args...) }

// Last implements store.Querier.
func (q querier) Last(questions ...store.Question) error { return store.OneByOne(q, questions) }

// Unsteady implements store.Querier.
func (querier) Unsteady() {}

// Expect implements store.Querier.
func (q querier) Expect(_ int64, query string, args ...any) (int64, error) {
	return q.Exec(query, args...)
}

// Tally implements store.Querier.
func (q querier) Tally(by int64, query string, args ...any) error {
	_, err := q.Exec(query, append([]any{by}, args...)...)
	return err
}

// Alone implements store.Querier: there is one writer.
func (querier) Alone() error { return nil }

// Record implements store.Querier.
func (q querier) Record(r store.Recorded) error { return r.Record(q) }

func (e engine) Close() error { return e.db.Close() }

func (e engine) Dialect() store.Dialect {
	return store.Dialect{
		Catalog: catalog,
		Keys:    func(param string) string { return "select value from json_each(" + param + ")" },
		Texts:   func(param string) string { return "select value from json_each(" + param + ")" },
		Probed: func(param, table, alias, where string) string {
			return "(select value from json_each(" + param + ")) k cross join " + table + " " + alias + " on " + where
		},
		JSON: func(doc string, path ...string) string {
			return fmt.Sprintf("json_extract(%s, '%s')", doc, jsonPath(path))
		},
		Each: func(doc, alias string, path ...string) string {
			return fmt.Sprintf("json_each(%s, '%s') %s", doc, jsonPath(path), alias)
		},
		Now: "cast(round((julianday('now') - 2440587.5) * 86400000) as integer)",
		Run: "''", Standby: "false", // there is no server
		Transaction: nextNews, Snapshot: "(select " + nextNews + " || ':' || " + nextNews + " || ':')",
	}
}

// nextNews is the id of the next piece of news: with one writer, they are ordered as commits are.
const nextNews = "(select coalesce(max(seq), 0) + 1 from sqlite_sequence where name = 'news')"

// jsonPath quotes every step, so that a URN's dots and colons are part of its name.
func jsonPath(path []string) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, step := range path {
		b.WriteString(`."` + strings.NewReplacer(`"`, `\"`, `'`, `''`).Replace(step) + `"`)
	}
	return b.String()
}
