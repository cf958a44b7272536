package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/scim/admission"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Querier runs statements of one transaction. Statement texts come from a small
// set, so engines prepare them once; parameters are $1, $2, … in any order. A
// statement does not run inside its own Each.
//
// Errors are fault.Errors, but for sql.ErrNoRows and what scan itself returns: a
// unique index that refuses is fault.Conflict with the index's last column as Reason,
// a foreign key ReasonForeignKey, a check ReasonCheck.
type Querier interface {
	Exec(query string, args ...any) (rows int64, err error)
	// Expect is Exec of a statement that most likely changes so many rows (AnyRows: nobody looks).
	// An engine may say so before it has run: it runs ahead of the next that is read, or of the
	// commit. If it fails then, or changes others, every fn of the commit runs again.
	Expect(rows int64, query string, args ...any) (int64, error)
	// Tally is Expect of an update of one row that adds $1 to something, and of which only that
	// differs: an engine may add up what several fn add.
	Tally(by int64, query string, args ...any) error
	// Insert inserts one row and returns its key, the table's first column, which
	// the database makes. Keys rise within a connection. As with Expect, it may run later.
	Insert(query string, args ...any) (key int64, err error)
	// QueryRow is the first row, or sql.ErrNoRows when it is scanned.
	QueryRow(query string, args ...any) Row
	// Steady is QueryRow of what nobody else changes as long as the transaction lasts: a policy, or
	// of a connection that it has entered. An engine may give the answer that it had before, also
	// to another fn of the same commit, until somebody says Unsteady.
	Steady(query string, args ...any) Row
	// Unsteady says that the transaction has changed what Steady answers.
	Unsteady()
	// Each runs scan for every row.
	Each(scan func(Row) error, query string, args ...any) error
	// Last asks several things at once, and is the last to ask: a transaction that only reads may
	// end with the answers. None is scanned before all are there.
	Last(questions ...Question) error
	// Search is Each for filters: interrupted when ctx ends, never kept. Not inside
	// an Each or another Search.
	Search(ctx context.Context, scan func(Row) error, query string, args ...any) error
	// Written rises with every statement that may have written something, or failed so
	// that the transaction may be lost: as long as it stays, there is nothing to undo.
	Written() int64
	// Of is the same transaction where the rows of one connection are, by its key, and no
	// other's: what an engine can do so that a statement which forgets the key finds nothing
	// of others. Engines of which one file is all may return the Querier itself.
	Of(conn int64) Querier
	// Enter says that the transaction is about to write in a connection: from now on, and
	// until it ends, no other does, on whichever node. Engines with one writer need do nothing.
	Enter(conn access.ConnectionID) error
	// Alone says that the transaction is about to change what all others decide by, as a
	// policy: from now on, and until it ends, none other writes. It comes first: whoever waits
	// for it must not be waited for.
	Alone() error
	// Record appends to the audit trail and the outbox. Ids rise in the order of commits: who
	// reads on from the last id it has seen misses nothing. Rows may be written at the commit
	// only, so no transaction sees its own.
	Record(r Recorded) error
}

// Question is a statement whose rows Scan is run for.
type Question struct {
	Scan  func(Row) error
	Query string
	Args  []any
}

// OneByOne asks questions by Each: what an engine does to which asking costs next to nothing.
func OneByOne(q Querier, questions []Question) error {
	for _, a := range questions {
		if err := q.Each(a.Scan, a.Query, a.Args...); err != nil {
			return err
		}
	}
	return nil
}

// AnyRows is for Querier.Expect.
const AnyRows = -1

// Recorded is a row of the audit trail with its row of the outbox.
type Recorded struct {
	Conn         int64 // the connection's key; 0 is the host
	Person       any   // its id; nil: the event is about nobody
	Body         string
	Personal     any // text; nil: there is none
	Salt, Digest any // bytes; nil with Personal
	At           int64
}

// Record writes r at once: what an engine with one writer does.
func (r Recorded) Record(q Querier) error {
	id, err := q.Insert(`insert into audit (conn, person, body, personal, salt, personal_digest) values ($1, $2, $3, $4, $5, $6)`,
		r.Conn, r.Person, r.Body, r.Personal, r.Salt, r.Digest)
	if err == nil {
		err = failpoint.Hit(context.Background(), failpoint.AfterAudit)
	}
	if err != nil {
		return err
	}
	_, err = q.Exec(`insert into outbox (id, at) values ($1, $2)`, id, r.At)
	return err
}

// Row is one row of an answer; Scan reads its columns in their order, and nil leaves
// one out. It is an alias, so that an engine's Querier is this one without an adapter.
type Row = interface{ Scan(dest ...any) error }

// Engine is one database. Update may run fn again, or together with others in one
// commit; committed runs after the commit is durable, in commit order, never two at
// once, and before Update returns. While several lanes wait, they share the engine
// fairly, whoever has sent how much: a lane is the connection on whose behalf Update
// is called, "" where it is nobody's.
type Engine interface {
	Update(ctx context.Context, lane access.ConnectionID, fn func(Querier) error, committed func()) error
	View(ctx context.Context, fn func(Querier) error) error
	Dialect() Dialect
	Close() error
}

// The reasons that engines give to other constraints than unique indexes.
const (
	ReasonForeignKey = "foreign_key"
	ReasonCheck      = "check"
)

// Dialect is what the engines' SQL differs in. Paths are attribute names of the
// schema, never a client's text.
type Dialect struct {
	// Keys is a subquery of the integers in a JSON array parameter: "select value from json_each($1)".
	Keys func(param string) string
	// Texts is the same for strings.
	Texts func(param string) string
	// Probed is a table expression, k and alias, of the rows of a table for which where holds of one
	// of those integers, k.value: the rows of each are looked for by themselves, however many the
	// engine believes there are in the table.
	Probed func(param, table, alias, where string) string
	// JSON is the value at a path of a document expression: text, number, or 1 and 0;
	// NULL where there is none.
	JSON func(doc string, path ...string) string
	// Each is a table expression of the elements of the array at a path (or of the
	// one value there), with the column alias.value.
	Each func(doc, alias string, path ...string) string
	// Typed makes a value that JSON or Each gave one of SQL's own of that type; NULL where it
	// is of another. nil: values have their types by themselves.
	Typed func(value string, t schema.Type) string
	// Own stands behind a select of a transaction that writes: until it ends, nobody else
	// reads these rows so, nor changes them. nil: there is one writer.
	Own func(alias string) string
	// Shared says that other processes write, too: what a transaction decides by it reads.
	Shared bool
	// Catalog is what tables there are.
	Catalog Catalog
	// Now is the database's clock, in Unix milliseconds.
	Now string
	// Free is Own, but passes over the rows that another transaction has: nobody waits.
	Free func(alias string) string
	// Transaction is the number of the transaction that writes, Snapshot the text of what a
	// transaction sees, "lowest:next:open,open": it sees those below next that are not open.
	Transaction, Snapshot string
	// Run is text that names the run of the server, of small letters and digits, and Standby whether
	// it follows another: its answers are from the past.
	Run, Standby string
}

func (d Dialect) typed(value string, t schema.Type) string {
	if d.Typed == nil {
		return value
	}
	return d.Typed(value, t)
}

// own is empty in a transaction that only reads.
func (v *View) own(alias string) string { return v.mine(v.engine.Dialect().Own, alias) }

func (v *View) mine(by func(string) string, alias string) string {
	if by == nil || v.changed == nil {
		return ""
	}
	return by(alias)
}

// Fold and Instant are the functions of one text that engines must offer to SQL
// as fold(x) and instant(x): the case fold of names, and a form of an RFC 3339
// instant that sorts by time ("" for what is none).
func Fold(s string) string { return schema.Fold(s) }

// Instant is described at Fold.
func Instant(s string) string {
	t, ok := schema.ParseTime(s)
	if !ok {
		return ""
	}
	return instantKey(t)
}

func instantKey(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000") }

// Store is the durable truth of all connections, with this node's window of epochs.
type Store struct {
	engine  Engine
	shared  bool // other processes write, too
	window  *window
	defined *definitions
	scans   *admission.Turnstile // where searches that no index serves take turns
	heard   listeners
	run     string // names this run in cursors of changes

	peers     atomic.Pointer[Peers]
	rereading coalesced[struct{}]
	registry  coalesced[[]Node]
	sighted   sighted
	latest    coalesced[late] // news
	known     known
	measure   atomic.Pointer[func(took time.Duration)]
}

// What a node reads beside its work takes at most so long.
const (
	rereadTime   = 5 * time.Second
	registryTime = lease.Longest
)

// New makes a Store over an engine whose schema is in place.
func New(ctx context.Context, e Engine) (*Store, error) {
	s := &Store{engine: withCrowd(e), shared: e.Dialect().Shared, run: credential.NewID("run"), window: newWindow(windowEntries), defined: &definitions{}, scans: admission.NewTurnstile(wideScans, wideScansOfOne, scansInLine)}
	s.rereading = coalesced[struct{}]{run: s.reread, life: rereadTime}
	s.registry = coalesced[[]Node]{run: s.readNodes, life: registryTime}
	s.latest = coalesced[late]{run: s.readLate, life: registryTime}
	s.window.wide.Store(&wide{})
	err := s.Update(Behind(ctx), func(tx *Tx) error { return tx.heedOlder() })
	if err != nil {
		return nil, err
	}
	if err := s.View(ctx, func(v *View) error { return s.window.read(v, []ref{{Kind: refAll}}) }); err != nil {
		return nil, err
	}
	return s, nil
}

// Reading is a Store of which only View is used, and nothing that its window knows: for who
// looks at a database beside those that write to it.
func Reading(e Engine) *Store {
	s := &Store{engine: e, window: newWindow(windowEntries), defined: &definitions{}, scans: admission.NewTurnstile(wideScans, wideScansOfOne, scansInLine)}
	s.window.wide.Store(&wide{})
	return s
}

// Update runs fn as one transaction: all of it or nothing. fn may run again, so tx
// is its only effect. When Update returns nil the commit is durable, and no call of
// Current that begins afterwards, on whichever node, knows less: neither than what fn has
// changed nor, if it has changed nothing or was refused, than what it found.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return s.UpdateFor(ctx, "", fn)
}

// UpdateFor is Update on behalf of one connection, which waits in its own lane.
func (s *Store) UpdateFor(ctx context.Context, conn access.ConnectionID, fn func(*Tx) error) error {
	err := s.update(ctx, conn, fn, false)
	if errors.Is(err, errAgain) {
		return s.update(ctx, conn, fn, true)
	}
	return err
}

func (s *Store) update(ctx context.Context, lane access.ConnectionID, fn func(*Tx) error, savepoints bool) error {
	var tx *Tx
	began, history := time.Now(), s.known.history()
	err := s.engine.Update(ctx, lane, func(q Querier) error {
		tx = &Tx{View: *s.over(ctx, q), progress: &progress{savepoints: savepoints, shared: s.shared}}
		tx.wideChanged = s.shared
		tx.changed = &tx.wideChanged
		before := q.Written()
		err := failpoint.Hit(ctx, failpoint.AfterBegin)
		if err == nil {
			err = fn(tx)
		}
		tx.idle = tx.idle || q.Written() == before && !tx.appended
		if err == nil {
			err = tx.tell()
		}
		if tx.lost != nil {
			return tx.lost // statements after it would have run outside any transaction
		}
		return err
	}, func() {
		tx.lost = failpoint.Hit(ctx, failpoint.AfterCommit)
		s.committed(tx)
	})
	if err == nil && tx.lost != nil {
		return tx.lost
	}
	ended := time.Now()
	s.orLater(ctx, err == nil && tx.wideTouched(), func() {
		if tx != nil && tx.mayHaveSeen(err) {
			s.awaitSeen(ctx, lane, tx, ended)
		}
		if err == nil {
			s.await(ctx, tx, ended, history)
			s.measured(ctx, tx, began)
		}
	})
	return err
}

// committed runs in commit order, before the commit is acknowledged.
func (s *Store) committed(tx *Tx) {
	if s.shared {
		s.window.hear(refsOf(tx.touched))
	} else {
		s.window.apply(tx.touched)
	}
	if tx.appended {
		s.heard.wake()
	}
}

// View runs fn on a snapshot.
func (s *Store) View(ctx context.Context, fn func(*View) error) error {
	return s.engine.View(ctx, func(q Querier) error {
		return fn(s.over(ctx, q))
	})
}

// Listing is View for a list of one connection. A search that no index serves waits for
// its turn, and holds no transaction meanwhile; then fn runs again.
func (s *Store) Listing(ctx context.Context, conn access.ConnectionID, fn func(*View) error) error {
	err := s.listing(ctx, false, fn)
	if fault.ReasonOf(err) != reasonTurn {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	if s.scans.Enter(waiting, string(conn)) != nil {
		return err
	}
	defer s.scans.Leave(string(conn))
	return s.listing(ctx, true, fn)
}

func (s *Store) listing(ctx context.Context, turn bool, fn func(*View) error) error {
	return s.engine.View(ctx, func(q Querier) error {
		v := s.over(ctx, q)
		v.mayWait, v.turn = !turn, turn
		return fn(v)
	})
}

func (s *Store) over(ctx context.Context, q Querier) *View {
	return &View{q: q, ctx: ctx, engine: s.engine, window: s.window, fresh: s.fresh(), defined: s.defined, scans: s.scans}
}

// Shared says that other nodes may work on the same database.
func (s *Store) Shared() bool { return s.shared }

// Close closes the engine.
func (s *Store) Close() error { return s.engine.Close() }

// View reads across connections. It ends with the function it was given to.
type View struct {
	q       Querier
	ctx     context.Context //nolint:containedctx // a View lives inside one call
	engine  Engine
	window  *window
	fresh   bool  // what is remembered may be believed
	changed *bool // the transaction has changed what the window holds; nil: it cannot
	defined *definitions
	scans   *admission.Turnstile
	mayWait bool // a search that turns out slow may be broken off, and wait for its turn
	turn    bool // it is this one's turn to search
	compare int  // rows that searches had to compare
}

// of is v where one connection is.
func (v *View) of(conn int64) *View {
	one := *v
	one.q = v.q.Of(conn)
	return &one
}

// Tx reads and writes across connections. It ends with the function it was given to.
type Tx struct {
	View
	*progress
}

// of is tx where one connection is.
func (tx *Tx) of(conn int64) *Tx { return &Tx{View: *tx.View.of(conn), progress: tx.progress} }

// progress is what is known of a transaction that writes.
type progress struct {
	touched     []touch
	wideChanged bool
	lastID      access.ConnectionID // the connection opened last, for Append
	lastKey     int64
	savepoints  bool         // steps have them
	appended    bool         // events
	scratch     []byte       // what events are written in
	shared      bool         // other processes write, too
	news        News         // what they are told; no ID: nothing
	born        map[ref]bool // people and sessions that this transaction has made: nobody remembers them
	ends        bool         // it ends somebody's access
	idle        bool         // it, or a step of it, has changed nothing
	steps       bool         // it has steps
	about       access.PersonID
	lost        error // the database has given up the transaction: nothing more may be done in it
}

// Step runs fn so that its error undoes what fn did and nothing else: several use
// cases share a transaction, and each is all or nothing. Steps may stand in steps.
// fn must not look at what an undone step read.
//
// Steps rarely fail, and most that do have written nothing, so at first they have no
// savepoint, which costs a copy of every page they change. Where one would have been
// needed, Update runs everything again, with savepoints.
//
// fault.Unavailable if the database fails (SQLite gives up the whole transaction when
// the disk is full), or all of it will run again: every later Step says the same, and
// nothing is kept.
func (tx *Tx) Step(fn func() error) error {
	if tx.lost != nil {
		return tx.lost
	}
	tx.steps = true
	if tx.savepoints {
		return tx.savedStep(fn)
	}
	written, known := tx.q.Written(), len(tx.touched)
	err := fn()
	if tx.lost != nil {
		return tx.lost
	}
	tx.idle = tx.idle || tx.q.Written() == written
	switch {
	case err == nil:
		return nil
	case tx.q.Written() == written:
		tx.touched = tx.touched[:known]
		return err
	case fault.Is(err, fault.Unavailable): // the database fails: nothing of this is acknowledged
		return tx.lose("store.Step", err)
	}
	return tx.lose("store.Step", errAgain)
}

// alone is described at Querier.Alone.
func (tx *Tx) alone(op string) error { return tx.failed(tx.q.Alone(), op) }

// errAgain ends a transaction in which a step is to be undone that has no savepoint.
var errAgain = errors.New("a step that failed had written something")

func (tx *Tx) savedStep(fn func() error) error {
	const op = "store.Step"
	if _, err := tx.exec(op, `savepoint step`); err != nil {
		return tx.lose(op, err)
	}
	written, known := tx.q.Written(), len(tx.touched)
	err := fn()
	if tx.lost != nil {
		return tx.lost
	}
	tx.idle = tx.idle || err != nil || tx.q.Written() == written
	if err != nil {
		tx.touched = tx.touched[:known]
		if _, back := tx.exec(op, `rollback to savepoint step`); back != nil {
			return tx.lose(op, errors.Join(err, back))
		}
	}
	if _, release := tx.exec(op, `release savepoint step`); release != nil {
		return tx.lose(op, errors.Join(err, release))
	}
	return err
}

func (tx *Tx) lose(op string, err error) error {
	tx.lost = &fault.Error{Kind: fault.Unavailable, Op: op, Err: err}
	return tx.lost
}

// found turns sql.ErrNoRows into fault.NotFound; the rest is failed's.
func (v *View) found(err error, op, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, op, "there is no such %s", what)
	}
	return v.failed(err, op)
}

// failed names where an engine's error was seen.
func (v *View) failed(err error, op string) error {
	if err == nil {
		return nil
	}
	return &fault.Error{Kind: fault.KindOf(err), Op: op, Reason: fault.ReasonOf(err), Err: err}
}

func (v *View) exec(op, query string, args ...any) (int64, error) {
	n, err := v.q.Exec(query, args...)
	return n, v.failed(err, op)
}

// expect is described at Querier.Expect.
func (v *View) expect(op string, rows int64, query string, args ...any) (int64, error) {
	n, err := v.q.Expect(rows, query, args...)
	return n, v.failed(err, op)
}

// tally is described at Querier.Tally.
func (v *View) tally(op string, by int64, query string, args ...any) error {
	return v.failed(v.q.Tally(by, query, args...), op)
}

// each runs scan for every row.
func (v *View) each(op string, scan func(Row) error, query string, args ...any) error {
	return v.failed(v.q.Each(scan, query, args...), op)
}

// list collects what scan makes of every row.
func list[T any](v *View, op string, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := v.each(op, into(&all, scan), query, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// into appends what scan makes of a row.
func into[T any](all *[]T, scan func(Row) (T, error)) func(Row) error {
	return func(r Row) error {
		one, err := scan(r)
		*all = append(*all, one)
		return err
	}
}

// ms and at store instants as Unix milliseconds; 0 is the zero time.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
