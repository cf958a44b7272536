package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/scim/admission"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func TestNarrowFiltersAreThoseThatAnIndexServes(t *testing.T) {
	people := peopleTable(Dialect{}, schema.Users())
	for text, want := range map[string]bool{
		`userName eq "a"`:                                     true,
		`externalId eq "a" or id eq "b"`:                      true,
		`title eq "a" and userName eq "b"`:                    true,
		`(title pr or active eq true) and id eq "x"`:          true,
		`userName sw "a"`:                                     false,
		`not (userName eq "a")`:                               false,
		`userName eq null`:                                    false,
		`title eq "a"`:                                        false,
		`userName eq "a" or title eq "b"`:                     false,
		`emails eq "a"`:                                       true,
		`emails.value eq "a"`:                                 true,
		`emails[value eq "a"]`:                                true,
		`emails[type eq "work" and value eq "a"]`:             true,
		`groups.value eq "a" or userName eq "b"`:              true,
		`emails[type eq "work" or value eq "a"]`:              false,
		`emails[not (value eq "a")]`:                          false,
		`emails[type eq "work"]`:                              false,
		`emails.value eq ""`:                                  false,
		`emails.value ne "a"`:                                 false,
		`phoneNumbers.value eq "a"`:                           false,
		`name.familyName eq "a" or displayName eq "userName"`: false,
	} {
		e, err := filter.Parse(schema.Users(), text)
		if err != nil {
			t.Fatal(err)
		}
		if got := people.narrow(e); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// noEngine has an SQLite-like dialect and no rows to search.
type noEngine struct{ Engine }

func (noEngine) Dialect() Dialect {
	return Dialect{JSON: func(doc string, _ ...string) string { return doc }, Each: func(doc, alias string, _ ...string) string { return doc + alias }}
}

// noRows says of a table that it has many rows, and shows none.
type noRows struct {
	Querier
	rows int
}

func (q noRows) QueryRow(string, ...any) Row { return count(q.rows) }

type count int

func (n count) Scan(dest ...any) error {
	*dest[0].(*int) = int(n)
	return nil
}

var errNoRows = errors.New("searched")

func (noRows) Each(func(Row) error, string, ...any) error { return errNoRows }

func (noRows) Search(context.Context, func(Row) error, string, ...any) error { return errNoRows }

func turns() *admission.Turnstile {
	return admission.NewTurnstile(wideScans, wideScansOfOne, scansInLine)
}

// While two searches are under way in a large directory, a third is told to come
// later; what an index serves is not.
func TestSearchesLeaveReadersToOthers(t *testing.T) {
	scans := turns()
	for i := range wideScans {
		if !scans.TryEnter(strings.Repeat("x", i+1)) {
			t.Fatal("the turnstile is full")
		}
	}
	ask := func(rows int, text, sortBy string) error {
		d := &Directory{v: &View{q: noRows{rows: rows}, ctx: t.Context(), engine: noEngine{}, scans: scans}}
		e, by := parsed(t, text, sortBy)
		_, _, err := d.People(Query{Filter: e, Sort: by, Start: 1, Count: 1})
		_, _, err2 := d.WalkPeople(Walk{Filter: e, Sort: by, Count: 1})
		if fault.KindOf(err) != fault.KindOf(err2) {
			t.Errorf("%q by %q: a numbered page %v, a walk %v", text, sortBy, err, err2)
		}
		return err
	}
	several := strings.Repeat(`title co "x" or `, 9) + `title pr`
	for name, err := range map[string]error{"filter": ask(freeScan+1, `title pr`, ""), "sort": ask(freeScan+1, "", "title"),
		"filter in the order of an index": ask(freeScan+1, `title pr`, "userName"), "many comparisons": ask(freeScan/10+1, several, ""),
		"many comparisons of those who share an identifier": ask(freeScan/10+1, `externalId eq "a" and (`+several+`)`, ""),
		"a shared identifier, sorted":                       ask(freeScan+1, `externalId eq "a"`, "title"), "rows of groups": ask(1, `groups.display co "x"`, "")} {
		if !fault.Is(err, fault.Limited) {
			t.Errorf("a third search by %s: %v", name, err)
		}
	}
	for name, err := range map[string]error{"by index": ask(freeScan+1, `userName eq "a"`, ""), "by identifier": ask(freeScan+1, `externalId eq "a"`, ""),
		"one person, looked at closely": ask(freeScan+1, `id eq "a" and (`+several+`)`, ""), "small": ask(freeScan, `title pr`, ""),
		"sorted by index": ask(freeScan+1, "", "userName"), "one sorted": ask(freeScan+1, `id eq "a"`, "title"), "small sort": ask(freeScan, "", "title")} {
		if !errors.Is(err, errNoRows) {
			t.Errorf("%s: %v", name, err)
		}
	}
	scans.Leave("x")
	if err := ask(freeScan+1, `title pr`, "name.familyName"); !errors.Is(err, errNoRows) {
		t.Errorf("a second search: %v", err)
	}
}

func parsed(t *testing.T, text, sortBy string) (e filter.Expr, by *filter.Sort) {
	t.Helper()
	var err, err2 error
	if text != "" {
		e, err = filter.Parse(schema.Users(), text)
	}
	if sortBy != "" {
		by, err2 = filter.ParseSort(schema.Users(), sortBy, "")
	}
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return e, by
}

type slowRows struct{ noRows }

func (slowRows) Search(ctx context.Context, _ func(Row) error, _ string, _ ...any) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestASearchThatTakesTooLongSaysWhatToDo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	d := &Directory{v: &View{q: slowRows{}, ctx: ctx, engine: noEngine{}, scans: turns()}}
	byTitle, title := parsed(t, `title eq "x"`, "title")
	for name, ask := range map[string]func() error{
		"total":  func() error { _, _, err := d.People(Query{Filter: byTitle, Start: 1}); return err },
		"page":   func() error { _, _, err := d.People(Query{Filter: byTitle, Start: 1, Count: 10}); return err },
		"sorted": func() error { _, _, err := d.People(Query{Sort: title, Start: 1, Count: 10}); return err },
		"walk":   func() error { _, _, err := d.WalkPeople(Walk{Sort: title, Count: 10}); return err },
	} {
		if err := ask(); !fault.Is(err, fault.Limited) || fault.DetailOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A place comes back as it went out, whatever the row was sorted by.
func TestAPlaceIsReadAsItWasWritten(t *testing.T) {
	for _, v := range []any{nil, "", "ångström <&> \u2028", int64(-1), int64(1 << 62), 0.1, -1e300} {
		p := place{Key: 7}
		if err := p.Scan(v); err != nil {
			t.Fatal(err)
		}
		text, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := text.place(); err != nil || back.Key != 7 || back.value() != v {
			t.Errorf("%v comes back as %v (%v)", v, back.value(), err)
		}
	}
	var p place
	if err := p.Scan([]byte("blob")); err == nil {
		t.Error("a list was sorted by a blob")
	}
}

// FuzzPlace: whatever a place is said to be, it is read or refused, and what is read
// is written to be read alike.
func FuzzPlace(f *testing.F) {
	for _, seed := range []string{`{"k":1}`, `{"k":1,"t":"a"}`, `{"k":-1,"i":5}`, `{"k":1,"f":1.5}`, `{"k":1,"t":"a","i":2}`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Place(text).place()
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		again, err := p.encode()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if back, err := again.place(); err != nil || back.Key != p.Key || back.value() != p.value() {
			t.Errorf("%q: %s is read as another (%v)", text, again, err)
		}
	})
}

// FuzzInstant: what is kept of two instants, as text, is ordered as they are.
func FuzzInstant(f *testing.F) {
	for _, seed := range [][2]string{{"2026-11-21T09:00:00Z", "2026-11-21T09:00:00.000000001+01:00"}, {"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00"}, {"2026-11-21T9:00:00Z", "2026-11-21T09:00:00,5Z"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, isX := schema.ParseTime(a)
		y, isY := schema.ParseTime(b)
		if (Instant(a) != "") != isX {
			t.Errorf("%q is kept as %q", a, Instant(a))
		}
		if isX && isY && x.Compare(y) != strings.Compare(Instant(a), Instant(b)) {
			t.Errorf("%q and %q are kept as %q and %q", a, b, Instant(a), Instant(b))
		}
	})
}

// listed is an engine whose rows are many, and whose searches wait until they are
// let go.
type listed struct {
	noEngine
	rows    int
	entered chan<- string
	hold    <-chan struct{}
}

func (e listed) View(_ context.Context, fn func(Querier) error) error {
	return fn(waitingRows{noRows{rows: e.rows}, e})
}

type waitingRows struct {
	noRows
	e listed
}

func (q waitingRows) Search(ctx context.Context, _ func(Row) error, _ string, _ ...any) error {
	q.e.entered <- "searching"
	select {
	case <-q.e.hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// One connection's searches that no index serves take turns among themselves, also
// where each is only found to be slow: another connection's search finds a reader.
func TestAConnectionsSearchesLeaveAnothersATurn(t *testing.T) {
	for name, rows := range map[string]int{"many rows": freeScan + 1, "few rows of large documents": 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				entered, hold := make(chan string, 100), make(chan struct{})
				s := &Store{engine: listed{rows: rows, entered: entered, hold: hold}, scans: turns()}
				e, _ := parsed(t, `title eq "x"`, "")
				search := func(conn access.ConnectionID) error {
					return s.Listing(t.Context(), conn, func(v *View) error {
						d := &Directory{v: v, row: ConnectionRow{Connection: access.Connection{ID: conn}}}
						_, _, err := d.People(Query{Filter: e, Start: 1, Count: 0})
						return err
					})
				}
				errs := make(chan error, 100)
				for range 5 {
					go func() { errs <- search("storm") }()
				}
				time.Sleep(2 * freeTime) // those that were given a short time have used it up
				for len(entered) > 0 {
					<-entered
				}
				done := make(chan error)
				go func() { done <- search("calm") }()
				time.Sleep(2 * freeTime)
				if len(entered) == 0 {
					t.Error("another connection's search waits behind a storm's")
				}
				close(hold)
				if err := <-done; err != nil {
					t.Errorf("another connection's search: %v", err)
				}
				for range 5 {
					if err := <-errs; err != nil {
						t.Errorf("a search whose turn came: %v", err)
					}
				}
			})
		})
	}
}

// Whoever waits too long for a turn is told what to do, and keeps nobody's place.
func TestASearchWhoseTurnDoesNotComeIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, hold := make(chan string, 100), make(chan struct{})
		s := &Store{engine: listed{rows: freeScan + 1, entered: entered, hold: hold}, scans: turns()}
		for i := range wideScans {
			s.scans.TryEnter(strings.Repeat("x", i+1))
		}
		e, _ := parsed(t, `title eq "x"`, "")
		began := time.Now()
		err := s.Listing(t.Context(), "calm", func(v *View) error {
			_, _, err := (&Directory{v: v}).People(Query{Filter: e, Start: 1, Count: 0})
			return err
		})
		if !fault.Is(err, fault.Limited) || fault.DetailOf(err) == "" || time.Since(began) != turnTime {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		s.scans.Leave("x")
		if !s.scans.TryEnter("x") {
			t.Error("a place is kept by who has gone")
		}
	})
}
