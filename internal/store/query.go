package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/scim/filter"
)

// A filter or a sort that no index serves may search for scanTime. At most wideScans
// of them search at once, and of one connection one: every search holds a reader and a
// processor, and the others need some too. Where there are no more than freeScan rows
// to compare, counted once for each comparison, a search need not wait, but for
// freeTime only: rows differ in size.
const (
	scanTime       = 5 * time.Second
	freeScan       = 10_000
	freeTime       = 100 * time.Millisecond
	wideScans      = 2
	wideScansOfOne = 1
	scansInLine    = 16
	turnTime       = 5 * time.Second // how long a turn is waited for (Store.Listing)
)

// reasonTurn is why a search was not made, or broken off: it is to wait for its turn.
const reasonTurn = "turn"

// ReasonTooLong is why a search was broken off that would take as long again.
const ReasonTooLong = "too_long"

// pageBytes is how much of a page's documents is read at once. A page may hold a
// thousand documents of a megabyte: those beyond come without (Doc is nil), to be
// read one by one.
const pageBytes = 2 << 20

// People lists a page of people with the number of all that match; documents beyond
// 2 MiB are left out.
// fault.Limited if a filter or a sort that no index serves takes longer than 5
// seconds, or too many are searching already. In a DirectoryTx it holds the writer:
// do not.
func (d *Directory) People(q Query) ([]Person, int, error) {
	return numbered(d, "store.People", peopleTable(d.dialect(), d.row.Types.Users), q, d.people())
}

// Groups lists a page of live groups with the number of all that match.
func (d *Directory) Groups(q Query) ([]Group, int, error) {
	return numbered(d, "store.Groups", groupsTable(d.dialect(), d.row.Types.Groups), q, d.groups())
}

// WalkPeople lists the people behind a place, and the place where the next page
// begins; nil: this was the last one. Whoever stays as they are meanwhile is met
// exactly once, whatever happens to others. Limits are those of People.
func (d *Directory) WalkPeople(w Walk) ([]Person, Place, error) {
	return walk(d, "store.WalkPeople", peopleTable(d.dialect(), d.row.Types.Users), w, d.people())
}

// WalkGroups is WalkPeople for live groups.
func (d *Directory) WalkGroups(w Walk) ([]Group, Place, error) {
	return walk(d, "store.WalkGroups", groupsTable(d.dialect(), d.row.Types.Groups), w, d.groups())
}

// reader reads the rows of a table.
type reader[T any] struct {
	scan  func(r Row, more ...any) (T, error) // more are the columns that a search adds
	own   func(T) T
	doc   func(T) []byte
	bytes int // of the documents read so far
}

func (d *Directory) people() *reader[Person] {
	return &reader[Person]{scan: scanPerson, own: d.ownPerson, doc: func(p Person) []byte { return p.Doc }}
}

func (d *Directory) groups() *reader[Group] {
	return &reader[Group]{scan: scanGroup, own: d.ownGroup, doc: func(g Group) []byte { return g.Doc }}
}

func (x *reader[T]) read(r Row, more ...any) (T, error) {
	if x.bytes > pageBytes {
		r = lean{r, len(more)}
	}
	one, err := x.scan(r, more...)
	x.bytes += len(x.doc(one))
	return x.own(one), err
}

// lean reads a row without its document, the last of the row's own columns.
type lean struct {
	Row
	more int
}

// Scan implements Row.
func (l lean) Scan(dest ...any) error {
	dest[len(dest)-1-l.more] = nil
	return l.Row.Scan(dest...)
}

func numbered[T any](d *Directory, op string, t table, q Query, x *reader[T]) ([]T, int, error) {
	if q.Start < 1 || q.Count < 0 || q.Count > MaxPage {
		return nil, 0, fault.New(fault.Invalid, op, "a page starts at 1 or later and has at most %d entries", MaxPage)
	}
	t.base = q.Base
	s, done, err := d.search(op, t, q.Filter, q.Sort, q.Count == 0)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	s.limit, s.offset = q.Count, q.Start-1
	var found []T
	if q.Count > 0 {
		err := s.rows(func(r Row) error {
			var ignored place
			one, err := x.read(r, &ignored.Key, &ignored)
			found = append(found, one)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
	}
	total, err := s.total(q, len(found))
	return found, total, err
}

// walk reads one row more than is asked for: its being there says that a page follows.
func walk[T any](d *Directory, op string, t table, w Walk, x *reader[T]) ([]T, Place, error) {
	if w.Count < 1 || w.Count > MaxPage {
		return nil, nil, fault.New(fault.Invalid, op, "a page has at least one and at most %d entries", MaxPage)
	}
	t.base = w.Base
	s, done, err := d.search(op, t, w.Filter, w.Sort, false)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	s.limit = w.Count + 1
	if w.After != nil {
		if s.after, err = w.After.place(); err != nil {
			return nil, nil, err
		}
		s.where += " and " + s.behind(s.order, s.after)
	}
	var found []T
	var last place // of the page, never of the row too many
	err = s.rows(func(r Row) error {
		var at place
		one, err := x.read(r, &at.Key, &at)
		if found = append(found, one); len(found) == w.Count {
			last = at
		}
		return err
	})
	if err != nil || len(found) <= w.Count {
		return found, nil, err
	}
	next, err := last.encode()
	return found[:w.Count], next, err
}

// search is one search of a table: its filter and order compiled, its place among
// the others found.
type search struct {
	*compiler
	order
	d             *Directory
	op            string
	ctx           context.Context //nolint:containedctx // a search lives inside one call
	filter        filter.Expr
	where         string
	all           int // rows there are for the client, if that was asked
	after         place
	limit, offset int
	brief         bool // it may take freeTime
}

// search begins a search; done ends it. A search that no index serves takes a slot.
func (d *Directory) search(op string, t table, f filter.Expr, by *filter.Sort, totals bool) (_ *search, done func(), err error) {
	c := &compiler{table: t, args: []any{d.conn}}
	s := &search{compiler: c, d: d, op: op, filter: f, where: c.where(f)}
	if !totals {
		s.order = c.order(by)
	}
	if c.err != nil {
		return nil, nil, c.err
	}
	alone := false
	switch f.(type) {
	case *filter.Compare, *filter.ValuePath:
		alone = true
	}
	cheap := f != nil && (t.few(f) || alone && by == nil && t.narrow(f))
	if !cheap {
		if s.all, err = d.counted(t.counter); err != nil {
			return nil, nil, err
		}
	}
	leave, most := func() {}, scanTime
	if !cheap && (f != nil || !totals && !s.indexed) {
		if !t.narrow(f) {
			d.v.compare += s.all
		}
		switch {
		case d.v.turn:
		case s.work() <= freeScan:
			if s.brief = d.v.mayWait; s.brief {
				most = freeTime
			}
		case d.v.scans.TryEnter(string(d.row.ID)):
			leave = func() { d.v.scans.Leave(string(d.row.ID)) }
		default:
			return nil, nil, notYet(op, nil)
		}
	}
	ctx, cancel := context.WithTimeout(d.v.ctx, most)
	s.ctx = ctx
	return s, func() { cancel(); leave() }, nil
}

// Compared is how many rows the lists of this transaction had to compare with their
// filters, or to sort, because no index serves them.
func (d *Directory) Compared() int { return d.v.compare }

func notYet(op string, err error) error {
	return &fault.Error{Kind: fault.Limited, Op: op, Err: err, Reason: reasonTurn,
		Detail: "other searches are under way: try again in a few seconds, or filter by userName, emails.value, externalId or id"}
}

// work is how many rows a search may have to compare, counted once for each
// comparison. What looks at members or groups may read every membership there is.
func (s *search) work() int {
	if s.filter == nil {
		return s.all
	}
	comparisons, related := weigh(s.filter)
	if related {
		return math.MaxInt
	}
	return s.all * comparisons
}

// rows finds the keys of a page on the narrow index first and joins the wide rows
// outside, so that a deep page does not read what it skips. Behind a row's own
// columns stand its key and what it is sorted by.
func (s *search) rows(scan func(Row) error) error {
	x := s.value
	if x == "" {
		x = "null"
	}
	t := s.table
	key := t.alias + ".key"
	text := fmt.Sprintf(`select %[1]s, k.key, k.x from (select %[2]s as key, %[3]s as x from %[4]s %[5]s where %[6]s order by %[7]s limit %[8]s offset %[9]s) k
		join %[4]s %[5]s on %[2]s = k.key order by %[10]s`,
		t.columns, key, x, t.name, t.alias, s.where, s.by(s.value, key), s.bind(s.limit), s.bind(s.offset), s.by("k.x", "k.key"))
	if s.usual() {
		return s.d.v.failed(s.d.v.q.Each(scan, text, s.args...), s.op)
	}
	return s.tooLong(s.d.v.q.Search(s.ctx, scan, text, s.args...))
}

// usual reports whether this is one of the few questions that every identity
// provider asks before each change, or one of a walk over everything: those are
// prepared once; others are interruptible and forgotten.
func (s *search) usual() bool {
	return s.indexed && (s.filter == nil || s.asksForOne(s.filter))
}

// asksForOne reports whether e is one comparison by which an index finds a few rows.
func (s *search) asksForOne(e filter.Expr) bool {
	if in, ok := e.(*filter.ValuePath); ok && in.Attr.Relation {
		e = in.Term
	}
	c, ok := e.(*filter.Compare)
	if !ok || c.Op != filter.Equal {
		return false
	}
	l, _, listed := s.listed(c)
	return listed && !l.many || !listed && s.narrow(c)
}

// total counts what matches, where the page has not already shown it.
func (s *search) total(q Query, found int) (int, error) {
	if q.Filter == nil {
		return s.all, nil
	}
	if q.Count > 0 && found < q.Count && (found > 0 || q.Start == 1) {
		return q.Start - 1 + found, nil
	}
	c := &compiler{table: s.table, args: []any{s.d.conn}}
	text := fmt.Sprintf(`select count(*) from %s %s where %s`, s.name, s.alias, c.where(q.Filter))
	var total int
	err := s.d.v.q.Search(s.ctx, func(r Row) error { return r.Scan(&total) }, text, c.args...)
	return total, s.tooLong(err)
}

func (s *search) tooLong(err error) error {
	err = s.d.v.failed(err, s.op)
	if err != nil && s.brief && s.d.v.ctx.Err() == nil && errors.Is(s.ctx.Err(), context.DeadlineExceeded) {
		return notYet(s.op, err)
	}
	if err != nil && errors.Is(s.ctx.Err(), context.DeadlineExceeded) {
		return &fault.Error{Kind: fault.Limited, Op: s.op, Err: err, Reason: ReasonTooLong,
			Detail: "this search takes too long here: filter by userName, externalId, id, emails.value, displayName or members.value of a group, or a time, and sort by id, userName of a user or displayName of a group"}
	}
	return err
}

// counted is one of the connection's counters.
func (d *Directory) counted(column string) (n int, err error) {
	err = d.v.q.QueryRow(`select `+column+` from connections where key = $1`, d.conn).Scan(&n)
	return n, d.v.failed(err, "store.counted")
}
