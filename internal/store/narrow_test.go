package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func TestNarrowFiltersAreThoseThatAnIndexServes(t *testing.T) {
	people := table{indexed: []string{"id", "userName", "externalId"}}
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
		`emails[value eq "a"]`:                                false,
		`emails.value eq "a"`:                                 false,
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

type noRows struct{ Querier }

var errNoRows = errors.New("searched")

func (noRows) Each(func(Row) error, string, ...any) error { return errNoRows }

func (noRows) Search(context.Context, func(Row) error, string, ...any) error { return errNoRows }

// While two searches are under way in a large directory, a third is told to come
// later; a look-up by an index is not.
func TestSearchesLeaveReadersToOthers(t *testing.T) {
	v := &View{q: noRows{}, ctx: t.Context(), engine: noEngine{}, scans: make(chan struct{}, wideScans)}
	for range wideScans {
		v.scans <- struct{}{}
	}
	ask := func(rows int, text string) error {
		e, err := filter.Parse(schema.Users(), text)
		if err != nil {
			t.Fatal(err)
		}
		d := &Directory{v: v}
		_, _, err = page(d, "test", peopleTable(d.dialect()), Query{Filter: e, Start: 1, Count: 1}, func(string) (int, error) { return rows, nil }, d.scanPerson)
		return err
	}
	if err := ask(freeScan+1, `title pr`); !fault.Is(err, fault.Limited) {
		t.Errorf("a third search: %v", err)
	}
	for name, err := range map[string]error{"by index": ask(freeScan+1, `userName eq "a"`), "small": ask(freeScan, `title pr`)} {
		if !errors.Is(err, errNoRows) {
			t.Errorf("%s: %v", name, err)
		}
	}
	<-v.scans
	if err := ask(freeScan+1, `title pr`); !errors.Is(err, errNoRows) {
		t.Errorf("a second search: %v", err)
	}
}

type slowRows struct{ Querier }

func (slowRows) Search(ctx context.Context, _ func(Row) error, _ string, _ ...any) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestASearchThatTakesTooLongSaysWhatToDo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	e, err := filter.Parse(schema.Users(), `title eq "x"`)
	if err != nil {
		t.Fatal(err)
	}
	d := &Directory{v: &View{q: slowRows{}, ctx: ctx, engine: noEngine{}, scans: make(chan struct{}, wideScans)}}
	for _, count := range []int{0, 10} {
		_, _, err := page(d, "test", peopleTable(d.dialect()), Query{Filter: e, Start: 1, Count: count}, func(string) (int, error) { return 1, nil }, d.scanPerson)
		if !fault.Is(err, fault.Limited) || fault.DetailOf(err) == "" {
			t.Errorf("count %d: %v", count, err)
		}
	}
}
