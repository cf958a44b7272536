package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func migrations(extra ...string) fstest.MapFS {
	m := fstest.MapFS{"00001_first.sql": {Data: []byte(`-- +goose Up
create table parents (conn integer not null, key integer not null, name text not null, primary key (conn, key));
create unique index parents_name on parents (conn, name);
create table children (conn integer not null, parent integer not null, n integer not null check (n > 0),
  foreign key (conn, parent) references parents (conn, key));
`)}}
	for i, sql := range extra {
		m[fmt.Sprintf("%05d_more.sql", i+2)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql)}
	}
	return m
}

func open(t testing.TB) *DB {
	t.Helper()
	d, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "data.db"), Migrations: migrations(),
		TextFunctions: map[string]func(string) string{"shout": strings.ToUpper}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func count(t *testing.T, d *DB) (n int) {
	t.Helper()
	err := d.View(t.Context(), func(q Querier) error { return q.QueryRow(`select count(*) from parents`).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func insert(key int) func(Querier) error {
	return func(q Querier) error {
		_, err := q.Exec(`insert into parents (conn, key, name) values ($1, $2, $3)`, 1, key, fmt.Sprint("n", key))
		return err
	}
}

// Whatever one caller does wrong in a shared commit, the others' writes stand and
// its own leave no trace.
func TestOneCallersFailureIsItsOwn(t *testing.T) {
	d := open(t)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			err := d.Update(context.Background(), func(q Querier) error {
				if err := insert(i)(q); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return errors.New("changed my mind")
				case 2:
					panic("bug")
				}
				return nil
			}, nil)
			if (err == nil) != (i%3 == 0) {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := count(t, d); n != 100 {
		t.Errorf("%d rows, want the 100 of those who did not fail", n)
	}
}

func TestCommittedRunsAfterTheCommitInItsOrderAndBeforeTheAnswer(t *testing.T) {
	d := open(t)
	var order []int
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			told := false
			var at int
			err := d.Update(context.Background(), func(q Querier) error {
				if err := q.QueryRow(`select count(*) from parents`).Scan(&at); err != nil {
					return err
				}
				return insert(i)(q)
			}, func() { told = true; order = append(order, at) })
			if err != nil || !told {
				t.Errorf("%v, told %v", err, told)
			}
		})
	}
	wg.Wait()
	for i, at := range order {
		if i != at {
			t.Fatalf("callback %d was of commit %d", i, at)
		}
	}
}

func TestConstraintsAreNamed(t *testing.T) {
	d := open(t)
	do := func(query string, args ...any) error {
		return d.Update(t.Context(), func(q Querier) error { _, err := q.Exec(query, args...); return err }, nil)
	}
	if err := d.Update(t.Context(), insert(1), nil); err != nil {
		t.Fatal(err)
	}
	for reason, err := range map[string]error{
		"name":           do(`insert into parents (conn, key, name) values (1, 2, 'n1')`),
		"key":            do(`insert into parents (conn, key, name) values (1, 1, 'x')`),
		ReasonForeignKey: do(`insert into children (conn, parent, n) values (2, 1, 1)`),
		ReasonCheck:      do(`insert into children (conn, parent, n) values (1, 1, 0)`),
	} {
		if !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != reason {
			t.Errorf("want conflict %q, got %v (%q)", reason, err, fault.ReasonOf(err))
		}
	}
	if err := do(`select nonsense`); !fault.Is(err, fault.Internal) {
		t.Errorf("bad SQL is ours: %v", err)
	}
}

func TestASlowScanEndsWithItsContext(t *testing.T) {
	d := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := d.View(t.Context(), func(q Querier) error {
		return q.Search(ctx, ignore, `with recursive n(i) as (select 1 union all select i+1 from n where i < 1e12) select count(*) from n`)
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("want unavailable, got %v", err)
	}
	if count(t, d) != 0 {
		t.Error("the reader is of no use any more")
	}
}

func TestAViewIsASnapshot(t *testing.T) {
	d := open(t)
	err := d.View(t.Context(), func(q Querier) error {
		var before, after int
		if err := q.QueryRow(`select count(*) from parents`).Scan(&before); err != nil {
			return err
		}
		if err := d.Update(t.Context(), insert(1), nil); err != nil {
			return err
		}
		if err := q.QueryRow(`select count(*) from parents`).Scan(&after); err != nil || before != after {
			t.Errorf("%d rows, then %d (%v)", before, after, err)
		}
		_, err := q.Exec(`delete from parents`)
		if err == nil {
			t.Error("a view could write")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACallerWhoGaveUpInLineWritesNothing(t *testing.T) {
	d := open(t)
	hold, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = d.Update(context.Background(), func(Querier) error { close(hold); <-release; return nil }, nil)
	})
	<-hold
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if err := d.Update(ctx, insert(1), nil); !fault.Is(err, fault.Unavailable) {
			t.Errorf("want unavailable, got %v", err)
		}
		close(release)
	})
	time.Sleep(10 * time.Millisecond)
	cancel()
	wg.Wait()
	if count(t, d) != 0 {
		t.Error("it wrote")
	}
}

func TestOneProcessPerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	first, err := Open(t.Context(), Options{Path: path, Migrations: migrations()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: path, Migrations: migrations()}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a second one got in: %v", err)
	}
	if err := errors.Join(first.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"update": first.Update(t.Context(), insert(1), nil),
		"view":   first.View(t.Context(), func(Querier) error { return nil }),
	} {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s of a closed database: %v", name, err)
		}
	}
	again, err := Open(t.Context(), Options{Path: path, Migrations: migrations()})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	newer, err := Open(t.Context(), Options{Path: path, Migrations: migrations(`create table later (x integer);`)})
	if err != nil {
		t.Fatal(err)
	}
	if err := newer.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{Path: path, Migrations: migrations()})
	if !fault.Is(err, fault.Unsupported) || !strings.Contains(fault.DetailOf(err), "newer version") {
		t.Errorf("want a refusal that says why, got %v", err)
	}
}

func TestSettingsAreThoseWePromise(t *testing.T) {
	d := open(t)
	want := map[string]any{"journal_mode": "wal", "synchronous": int64(2), "foreign_keys": int64(1), "busy_timeout": int64(5000), "journal_size_limit": int64(67108864), "wal_autocheckpoint": int64(4000)}
	err := d.Update(t.Context(), func(q Querier) error {
		for pragma, v := range want {
			var got sql.Null[any]
			if err := q.QueryRow("pragma " + pragma).Scan(&got); err != nil || got.V != v {
				t.Errorf("%s = %v, want %v (%v)", pragma, got.V, v, err)
			}
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func TestTextFunctions(t *testing.T) {
	d := open(t)
	err := d.View(t.Context(), func(q Querier) error {
		var loud, none sql.NullString
		if err := q.QueryRow(`select shout('a'), shout(null)`).Scan(&loud, &none); err != nil {
			return err
		}
		if loud.String != "A" || none.Valid {
			t.Errorf("%v %v", loud, none)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A connection that is needed and does not open refuses one view; the next ones have
// their place, and their connection once it opens again.
func TestAReaderThatDoesNotOpenRefusesOneViewAlone(t *testing.T) {
	d, path := open(t), ""
	err := d.View(t.Context(), func(q Querier) error {
		return q.QueryRow(`select file from pragma_database_list where name = 'main'`).Scan(&path)
	})
	if err != nil {
		t.Fatal(err)
	}
	away := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	second := func() error { return d.View(t.Context(), func(Querier) error { return nil }) }
	err = d.View(t.Context(), func(Querier) error { // it has the one connection
		away(path, path+".away")
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		for range cap(d.readers.free) + 1 {
			if err := second(); !fault.Is(err, fault.Unavailable) {
				t.Errorf("a view without a connection: %v", err)
			}
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		away(path+".away", path)
		return second()
	})
	if err != nil {
		t.Error(err)
	}
	if len(d.all) != 3 || len(d.readers.free) != cap(d.readers.free) {
		t.Errorf("%d connections are open, %d of %d may read", len(d.all), len(d.readers.free), cap(d.readers.free))
	}
}

// TestWhoeverIsRefusedIsAnsweredWithTheCommitThatRefused: what is refused by something that another
// has changed in the same commit is told so when that has been committed, and everybody knows.
func TestWhoeverIsRefusedIsAnsweredWithTheCommitThatRefused(t *testing.T) {
	db := open(t)
	hold, held := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { _ = db.Update(t.Context(), func(Querier) error { close(held); <-hold; return nil }, nil) })
	<-held
	var known atomic.Bool
	all.Go(func() {
		_ = db.Update(t.Context(), func(q Querier) error { _, err := q.Exec(`create table gone (id integer)`); return err },
			func() { time.Sleep(20 * time.Millisecond); known.Store(true) })
	})
	time.Sleep(50 * time.Millisecond) // it is in line
	refused := errors.New("it is gone")
	all.Go(func() {
		err := db.Update(t.Context(), func(q Querier) error {
			var n int
			if err := q.QueryRow(`select count(*) from sqlite_schema where name = 'gone'`).Scan(&n); err != nil || n == 0 {
				return err
			}
			return refused
		}, func() { t.Error("what was refused was committed") })
		if !errors.Is(err, refused) || !known.Load() {
			t.Errorf("it was told %v, and that others know: %t", err, known.Load())
		}
	})
	time.Sleep(50 * time.Millisecond)
	close(hold)
	all.Wait()
}
