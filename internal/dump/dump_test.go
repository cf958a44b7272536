package dump_test

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/dump"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

var day = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

func engine(t *testing.T) store.Engine {
	t.Helper()
	e, err := sqlite.OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func exec(t *testing.T, e store.Engine, query string, args ...any) {
	t.Helper()
	if err := e.Update(t.Context(), "", func(q store.Querier) error { _, err := q.Exec(query, args...); return err }, nil); err != nil {
		t.Fatal(err)
	}
}

// filled has a connection, and one key that was given and is no more.
func filled(t *testing.T) store.Engine {
	t.Helper()
	e := engine(t)
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutConnection(access.Connection{ID: "north"}, day)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, e, `insert into alarms (id, conn, at, kind, grp, count, base, within) values (41, 1, 0, 'x', '', 0, 0, 0)`)
	exec(t, e, `delete from alarms`)
	return e
}

func export(t *testing.T, e store.Engine) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := dump.Export(t.Context(), e, &out, dump.Move, day, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func put(t *testing.T, e store.Engine, text string) error {
	t.Helper()
	_, _, err := dump.Import(t.Context(), e, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		func(dump.Header) error { return nil }, func(store.Querier) error { return nil }, func(int64) {})
	return err
}

// What is put in comes out the same, and no key is given twice.
func TestWhatGoesInComesOut(t *testing.T) {
	text := export(t, filled(t))
	e := engine(t)
	if err := put(t, e, text); err != nil {
		t.Fatal(err)
	}
	if again := export(t, e); again != text {
		t.Errorf("in\n%s\nout\n%s", text, again)
	}
	var key int64
	err := e.Update(t.Context(), "", func(q store.Querier) (err error) {
		key, err = q.Insert(`insert into alarms (conn, at, kind, grp, count, base, within) values (1, 0, 'x', '', 0, 0, 0)`)
		return err
	}, nil)
	if err != nil || key != 42 {
		t.Errorf("the next key is %d (%v), and 41 had been given", key, err)
	}
	if found, err := dump.Check(t.Context(), e); err != nil || len(found) > 0 {
		t.Errorf("%v %v", found, err)
	}
}

// A file that is not as it was written puts nothing in.
func TestABrokenFilePutsNothingIn(t *testing.T) {
	text := export(t, filled(t))
	lines := strings.SplitAfter(text, "\n")
	row := 0
	for i, l := range lines {
		if strings.HasPrefix(l, `["connections"`) {
			row = i
		}
	}
	with := func(at int, line string) string {
		all := append([]string{}, lines...)
		all[at] = line
		return strings.Join(all, "")
	}
	for name, c := range map[string]struct {
		text, says string
		kind       fault.Kind
	}{
		"nothing":                 {"", "not a file that drawbridge db export", fault.Invalid},
		"something else":          {"-- SQL\n", "not a file that drawbridge db export", fault.Invalid},
		"no end":                  {strings.Join(lines[:len(lines)-2], ""), "without the line that says what is in it", fault.Invalid},
		"cut in a line":           {text[:len(text)-200], "cut short, in line", fault.Invalid},
		"cut in its first line":   {lines[0][:len(lines[0])/2], "cut short, in line 1", fault.Invalid},
		"a row less":              {with(row, ""), "SHA-256", fault.Invalid},
		"another row":             {with(row, strings.Replace(lines[row], "north", "south", 1)), "SHA-256", fault.Invalid},
		"a row of nothing":        {with(row, "[\"nothing\",1]\n"), "no row of a table", fault.Invalid},
		"a row that is none":      {with(row, "[1\n"), "is no row", fault.Invalid},
		"a column too many":       {with(row, strings.Replace(lines[row], "]\n", ",1]\n", 1)), "no row of a table", fault.Invalid},
		"a text for a number":     {with(row, strings.Replace(lines[row], `["connections",1`, `["connections","1"`, 1)), "key in line", fault.Invalid},
		"something behind":        {text + "[]\n", "something stands behind its end", fault.Invalid},
		"another schema":          {with(0, strings.Replace(lines[0], `"schema":`, `"schema":9`, 1)), "put it in with the version of drawbridge that wrote it", fault.Unsupported},
		"another form":            {with(0, strings.Replace(lines[0], `"form":1`, `"form":2`, 1)), "form 2", fault.Unsupported},
		"another column":          {with(0, strings.Replace(lines[0], `"name":"definition"`, `"name":"definitions"`, 1)), "other columns of connections", fault.Invalid},
		"a table that is no more": {with(0, strings.Replace(lines[0], `"tables":[`, `"tables":[{"name":"old","columns":[]},`, 1)), "tables", fault.Invalid},
	} {
		e := engine(t)
		if err := put(t, e, c.text); !fault.Is(err, c.kind) || !strings.Contains(fault.DetailOf(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err := put(t, e, text); err != nil {
			t.Errorf("%s left something behind: %v", name, err)
		}
	}
}

// What is there is not written over.
func TestADatabaseInWhichSomethingIs(t *testing.T) {
	e := filled(t)
	text := export(t, e)
	if err := put(t, e, text); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.DetailOf(err), "the database is not empty: there are rows in connections") {
		t.Errorf("%v", err)
	}
	if again := export(t, e); again != text {
		t.Error("the refusal changed something")
	}
}

// FuzzImport: whatever a file says, it is put in whole or refused with a sentence, and then
// nothing is there.
func FuzzImport(f *testing.F) {
	e, err := sqlite.OpenEngine(f.Context(), filepath.Join(f.TempDir(), "data.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() }) //nolint:errcheck // a test
	var out bytes.Buffer
	if _, err := dump.Export(f.Context(), e, &out, dump.Move, day, func(int64) {}); err != nil {
		f.Fatal(err)
	}
	header, rows, _ := strings.Cut(out.String(), "\n")
	f.Add(rows)
	f.Add("[\"clients\",\"a\",true,1]\n[]\n{}\n")
	f.Add("[\"connections\",1e3]")
	f.Fuzz(func(t *testing.T, rows string) {
		_, _, err := dump.Import(t.Context(), e, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(header + "\n" + rows)), nil },
			func(dump.Header) error { return nil }, func(store.Querier) error { return fault.New(fault.Denied, "test", "it would be put in") }, func(int64) {})
		if fault.DetailOf(err) == "" {
			t.Errorf("%q: %v", rows, err)
		}
	})
}

// A restore's epoch is ahead of all that was counted, also by a restore before.
func TestTheEpochOfARestoreWasNeverThere(t *testing.T) {
	e := engine(t)
	last := int64(1)
	for _, now := range []time.Time{day, day, day.Add(-time.Hour), day.Add(time.Hour)} {
		var to int64
		err := e.Update(t.Context(), "", func(q store.Querier) (err error) { to, err = store.RaiseHost(q, now); return err }, nil)
		if err != nil || to <= last || to < now.UnixMilli() {
			t.Errorf("at %s the epoch is %d, after %d (%v)", now, to, last, err)
		}
		last = to
	}
}
