//go:build failpoints

package crash

import (
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to read beside the running program

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

// engine is where a program keeps what it knows.
type engine interface {
	args() []string
	// events counts the events of a type about a person, as they are committed now.
	events(t *testing.T, kind, person string) int
	// verify walks the audit chains once no process uses the data.
	verify(t *testing.T)
}

// folder is the engines of one machine: SQLite, and the embedded hot store.
type folder struct{ dir string }

func (f folder) args() []string { return []string{"--data", f.dir} }

func (f folder) events(t *testing.T, kind, person string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(f.dir, "drawbridge.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // read only
	if err := db.QueryRowContext(t.Context(), `select count(*) from audit where person = ? and body like '{"type":"' || ? || '"%'`, person, kind).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (f folder) verify(t *testing.T) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(f.dir, "drawbridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	verified(t, s)
}

// verified seals what is left, as the next start would, and walks every chain (I-10, I-11).
func verified(t *testing.T, s *store.Store) {
	t.Helper()
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := audit.NewSealer(s, time.Second, func(err error) { t.Error(err) }).Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []access.ConnectionID{connection, ""} {
		r, err := audit.Verify(t.Context(), s, conn)
		if err != nil || r.Why != "" || r.Rows == 0 {
			t.Errorf("I-10: the chain of %q: %+v (%v)", conn, r, err)
		}
	}
}

// prepared is a data folder in which the sample organisation is provisioned, made once.
var prepared struct {
	once sync.Once
	dir  string
}

func freshFolder(t *testing.T) folder {
	t.Helper()
	prepared.once.Do(func() {
		dir := t.TempDir()
		b, err := start(t, folder{dir})
		if err != nil {
			t.Fatal(err)
		}
		b.stop(t)
		kept := filepath.Join(filepath.Dir(program(t)), "data")
		copied(t, dir, kept)
		prepared.dir = kept
	})
	if prepared.dir == "" {
		t.Fatal("there is no data to begin with: the test that made it failed")
	}
	dir := t.TempDir()
	copied(t, prepared.dir, dir)
	return folder{dir}
}

// copied copies a data folder, whose files nobody else may read.
func copied(t *testing.T, from, to string) {
	t.Helper()
	files, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, f.Name()), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
