package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

func open(t testing.TB) *store.Store {
	t.Helper()
	return wrapped(t, func(e store.Engine) store.Engine { return e })
}

// fresh is the file of a new store, made once: every test copies it.
var fresh struct {
	once sync.Once
	file []byte
}

func makeFresh(t testing.TB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.db")
	e, err := OpenEngine(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if fresh.file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
}

func wrapped(t testing.TB, wrap func(store.Engine) store.Engine) *store.Store {
	t.Helper()
	fresh.once.Do(func() { makeFresh(t) })
	path := filepath.Join(t.TempDir(), "data.db")
	if err := os.WriteFile(path, fresh.file, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := OpenEngine(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), wrap(e))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) { storetest.Run(t, func(t *testing.T) *store.Store { return open(t) }) }

func TestStoreOnAFailingEngine(t *testing.T) {
	storetest.RunFaults(t, func(t *testing.T, wrap func(store.Engine) store.Engine) *store.Store { return wrapped(t, wrap) })
}

func TestNodes(t *testing.T) {
	storetest.RunNodes(t, func(t *testing.T) (a, b *store.Store) { s := open(t); return s, s })
}

func TestNews(t *testing.T) {
	storetest.RunNews(t, func(t *testing.T) (a, b *store.Store, raw store.Engine) {
		a = wrapped(t, func(e store.Engine) store.Engine { raw = storetest.Share(e); return raw })
		b, err := store.New(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		return a, b, raw
	})
}

func TestTwoProcessesCannotShareAFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.DetailOf(err), "in use") {
		t.Errorf("a second one got in: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A schema that is left as it is, is told and not touched; one that is up to date does.
func TestASchemaThatIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	if lacking, err := Pending(path); err != nil || len(lacking) < 30 {
		t.Errorf("a file that is not there lacks %v, %v", lacking, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("asking made the file")
	}
	if _, err := OpenWith(t.Context(), path, Options{LeaveSchema: true}); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.DetailOf(err), "lacks 00001_directory.sql, ") {
		t.Errorf("a start on an empty file: %v", err)
	}
	if lacking, err := Pending(path); err != nil || len(lacking) < 30 {
		t.Errorf("refusing, it put in all but %v, %v", lacking, err)
	}
	for _, o := range []Options{{}, {LeaveSchema: true}} {
		s, err := OpenWith(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if lacking, err := Pending(path); err != nil || len(lacking) != 0 {
		t.Errorf("then it lacks %v, %v", lacking, err)
	}
}

// TestAPolicyOfAnOlderProgram: one that was put in by a program that does not know from
// which version decisions count leaves nobody decided.
func TestAPolicyOfAnOlderProgram(t *testing.T) {
	t.Parallel()
	e, err := OpenEngine(t.Context(), filepath.Join(t.TempDir(), "drawbridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	open := func() *store.Store {
		s, err := store.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	p := store.Person{ID: "per_1", UserName: "u", Active: true, Epoch: 1, Version: 1, Policy: 1, Doc: []byte(`{}`), Created: crashDay, Updated: crashDay}
	err = open().Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.PutConnection(access.Connection{ID: crashConn}, crashDay); err != nil {
			return err
		}
		if _, err := tx.PutPolicy("h", []byte(`{}`), crashDay); err != nil {
			return err
		}
		d, err := tx.In(crashConn)
		if err != nil {
			return err
		}
		return d.InsertPerson(&p)
	})
	if err != nil {
		t.Fatal(err)
	}
	decided := func() bool {
		now, err := open().Current(t.Context(), credential.Subject{Connection: crashConn, Person: p.ID})
		if err != nil {
			t.Fatal(err)
		}
		return now.Decided
	}
	if !decided() {
		t.Error("nothing has changed, and the decision does not count")
	}
	err = e.Update(t.Context(), "", func(q store.Querier) error {
		_, err := q.Exec(`update policy set version = version + 1`)
		return err
	}, func() {})
	if err != nil || decided() {
		t.Errorf("a decision of before the policy counts (%v)", err)
	}
}

// What is acknowledged outlives a power cut: every commit is synced before it is answered.
func TestI9_EveryCommitIsOnTheDisk(t *testing.T) {
	e, err := OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	const full = 2 // https://www.sqlite.org/pragma.html#pragma_synchronous
	err = e.Update(t.Context(), "", func(q store.Querier) error {
		var synchronous int
		var journal string
		if err := q.QueryRow("pragma synchronous").Scan(&synchronous); err != nil {
			return err
		}
		if err := q.QueryRow("pragma journal_mode").Scan(&journal); err != nil {
			return err
		}
		if synchronous < full || journal != "wal" {
			t.Errorf("the writer commits with synchronous=%d, journal_mode=%s", synchronous, journal)
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}
