//go:build lanes

package postgres

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

func wrapped(t testing.TB, wrap func(store.Engine) store.Engine) *store.Store {
	t.Helper()
	e, err := OpenEngine(t.Context(), migrated(t), Options{})
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

func openStore(t testing.TB) *store.Store {
	t.Helper()
	return wrapped(t, func(e store.Engine) store.Engine { return e })
}

func TestStore(t *testing.T) {
	all := &looked{plans: map[string][2]string{}}
	storetest.Run(t, func(t *testing.T) *store.Store { return all.over(t) })
	all.report(t)
}

func TestStoreOnAFailingEngine(t *testing.T) {
	storetest.RunFaults(t, func(t *testing.T, wrap func(store.Engine) store.Engine) *store.Store { return wrapped(t, wrap) })
}

func TestNodes(t *testing.T) {
	storetest.RunNodes(t, func(t *testing.T) (a, b *store.Store) {
		url := migrated(t)
		return node(t, url), node(t, url)
	})
}

func TestNews(t *testing.T) {
	storetest.RunNews(t, func(t *testing.T) (a, b *store.Store, raw store.Engine) {
		url := migrated(t)
		raw, err := OpenEngine(t.Context(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = raw.Close() })
		return node(t, url), node(t, url), raw
	})
}

// node is a store over a database that others may have open, too.
func node(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := Open(t.Context(), url, Options{})
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
