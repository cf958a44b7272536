// Package postgres is the store's engine for several machines, on PostgreSQL 14 or later.
//
// Whoever writes in a connection holds its lock until the commit, and whoever writes on
// nobody's behalf the host's, on whichever node: within each, writing is as it is with one
// writer, which the verbs of internal/store rely on. Different connections write at the same
// time, by several lanes; each lane commits what waits together.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// acquireTime bounds the wait for a connection of the pool.
const acquireTime = 10 * time.Second

const beginRead = "begin isolation level repeatable read, read only"

// Options say how a database is opened. The zero values are good for one node on two to
// four processors.
type Options struct {
	Lanes   int // transactions that write at once; 0: 4
	Readers int // that read at once; 0: 8
	// LeaveSchema refuses a database whose schema is not up to date, instead of bringing it there.
	LeaveSchema bool
}

// Open opens the store in a database, whose schema it brings up to date. Its address is
// postgres://user@host/database?sslmode=verify-full, or in libpq's keywords. fault.Unsupported
// if a newer version wrote it, fault.Invalid if the database is not safe to use as it is set up.
func Open(ctx context.Context, url string, o Options) (*store.Store, error) {
	e, err := OpenEngine(ctx, url, o)
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

// OpenEngine opens the bare engine, for tests that put something between it and the store.
func OpenEngine(ctx context.Context, url string, o Options) (store.Engine, error) {
	if o.Lanes == 0 {
		o.Lanes = 4
	}
	if o.Readers == 0 {
		o.Readers = 8
	}
	writing, err := configure(url, o.Lanes)
	if err != nil {
		return nil, err
	}
	reading, err := configure(url, o.Readers)
	if err != nil {
		return nil, err
	}
	beside, err := configure(url, besideConns)
	if err != nil {
		return nil, err
	}
	inPlace := Migrate
	if o.LeaveSchema {
		inPlace = upToDate
	}
	if err := inPlace(ctx, url); err != nil {
		return nil, err
	}
	return open(ctx, o.Lanes, writing, reading, beside)
}

func open(ctx context.Context, lanes int, writing, reading, beside *pgxpool.Config) (_ *engine, err error) {
	e := &engine{queue: newQueue(), order: newOrder(), closed: make(chan struct{}), patience: statementTime + grace, batchTime: maxBatchTime}
	if e.writers, err = pgxpool.NewWithConfig(ctx, writing); err != nil {
		return nil, fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	if e.readers, err = pgxpool.NewWithConfig(ctx, reading); err != nil {
		e.writers.Close()
		return nil, fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	if e.beside, err = pgxpool.NewWithConfig(ctx, beside); err != nil {
		e.closePools()
		return nil, fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	if err := e.learn(ctx); err != nil {
		e.closePools()
		return nil, err
	}
	for range lanes {
		e.lanes.Add(1)
		go (&lane{e: e}).loop()
	}
	return e, nil
}

// engine is a database, with the lanes that write to it.
type engine struct {
	writers, readers *pgxpool.Pool
	beside           *pgxpool.Pool // of Aside
	names            *names
	queue            *queue
	order            *order
	patience         time.Duration // with a server that does not answer
	batchTime        time.Duration // a commit takes no more in after it
	lanes            sync.WaitGroup
	once             sync.Once
	closed           chan struct{}
}

// learn reads what must be known of the schema. Connecting has checked the server.
func (e *engine) learn(ctx context.Context) error {
	conn, err := e.writers.Acquire(ctx)
	var refused *fault.Error
	if errors.As(err, &refused) {
		return refused
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	defer conn.Release()
	e.names, err = readNames(ctx, conn.Conn().PgConn())
	return err
}

// sessionOf is what is kept with a connection of the pool.
func (e *engine) sessionOf(pg *pgconn.PgConn, writer bool) *session {
	const key = "drawbridge"
	if s, ok := pg.CustomData()[key].(*session); ok {
		return s
	}
	s := newSession(pg, e.names, writer)
	s.patience = e.patience
	pg.CustomData()[key] = s
	return s
}

// Update implements store.Engine.
func (e *engine) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, op+".Update", err)
	}
	r := &request{fn: fn, committed: committed, conn: lane, done: make(chan struct{})}
	if !e.queue.join(r) {
		return closedErr(op + ".Update")
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, abandoned) {
			e.queue.drop(r)
			return fault.Wrap(fault.Unavailable, op+".Update", ctx.Err())
		}
	}
	<-r.done
	return r.err
}

// View implements store.Engine. When ctx ends, what is being asked is broken off.
func (e *engine) View(ctx context.Context, fn func(store.Querier) error) (err error) {
	if e.isClosed() {
		return closedErr(op + ".View")
	}
	waiting, cancel := context.WithTimeout(ctx, acquireTime)
	defer cancel()
	conn, err := e.readers.Acquire(waiting)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op+".View", err)
	}
	defer conn.Release()
	s := e.sessionOf(conn.Conn().PgConn(), false)
	defer s.leave()
	s.begin(beginRead)
	defer context.AfterFunc(ctx, s.watch.hangUp)()
	return guard(fn, s)
}

func (e *engine) isClosed() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// Close finishes what has begun and refuses what has not.
func (e *engine) Close() error {
	e.once.Do(func() {
		for _, r := range e.queue.close() {
			if r.state.CompareAndSwap(waiting, begun) {
				r.finish(closedErr(op + ".Update"))
			}
		}
		close(e.closed)
		e.lanes.Wait()
		e.closePools() // waits for views that are under way
	})
	return nil
}

func (e *engine) closePools() {
	e.writers.Close()
	e.readers.Close()
	if e.beside != nil {
		e.beside.Close()
	}
}

func closedErr(where string) error {
	return fault.New(fault.Unavailable, where, "the database is closed")
}

// Dialect implements store.Engine.
func (e *engine) Dialect() store.Dialect { return dialect }

// Lists are unnested arrays, which the planner takes for short, and looks into no further: under
// row-level security no index serves a comparison with something that a function makes, such as
// the cast of an element, since that could tell of rows that are not to be seen.
var dialect = store.Dialect{
	Shared:      true,
	Transaction: "pg_current_xact_id()::text::bigint",
	Snapshot:    "pg_current_snapshot()::text",
	Run:         "to_hex((extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint)",
	Standby:     "pg_is_in_recovery()",
	Catalog:     catalog,
	Keys:        keys,
	Texts: func(param string) string {
		return "select unnest(array(select value from json_array_elements_text(" + param + "::json))) as value"
	},
	Probed: func(param, table, alias, where string) string {
		return "(" + keys(param) + ") k cross join lateral (select * from " + table + " " + alias + " where " + where + " offset 0) " + alias
	},
	JSON: func(doc string, path ...string) string {
		return "(" + document(doc) + " #> " + jsonPath(path) + ")"
	},
	Each: func(doc, alias string, path ...string) string {
		return "doc_each(" + document(doc) + ", " + jsonPath(path) + ") " + alias
	},
	Typed: typed,
	Own:   func(alias string) string { return " for update of " + alias },
	Now:   "(extract(epoch from clock_timestamp()) * 1000)::bigint",
	Free:  func(alias string) string { return " for update of " + alias + " skip locked" },
}

func keys(param string) string {
	return "select unnest(array(select value::bigint from json_array_elements_text(" + param + "::json))) as value"
}

// document is a JSON expression: a table's text, or an element of an array.
func document(doc string) string {
	if strings.HasSuffix(doc, ".doc") {
		return "doc_json(" + doc + ")"
	}
	return doc
}

func typed(value string, t schema.Type) string {
	switch t {
	case schema.Boolean:
		return "doc_truth(" + value + ")"
	case schema.Integer:
		return "doc_integer(" + value + ")"
	case schema.Decimal:
		return "doc_number(" + value + ")"
	case schema.Complex:
		return value
	}
	return `doc_text(` + value + `) collate "C"`
}

func jsonPath(path []string) string {
	steps := make([]string, len(path))
	for i, step := range path {
		steps[i] = "'" + strings.ReplaceAll(step, "'", "''") + "'"
	}
	return fmt.Sprintf("array[%s]", strings.Join(steps, ", "))
}
