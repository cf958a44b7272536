package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

func open(t testing.TB) *store.Store {
	t.Helper()
	return wrapped(t, func(e store.Engine) store.Engine { return e })
}

func wrapped(t testing.TB, wrap func(store.Engine) store.Engine) *store.Store {
	t.Helper()
	e, err := OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
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
