//go:build lanes

package postgres

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
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

// What is written first and committed last is not missed: transactions are numbered as they
// begin, and seen as they end.
func TestNewsOfWhoEndsLate(t *testing.T) {
	url := migrated(t)
	raw, err := OpenEngine(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	b := node(t, url)
	if _, err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	write := func(conn access.ConnectionID, then func()) error {
		return raw.Update(t.Context(), conn, func(q store.Querier) error {
			d := raw.Dialect()
			_, err := q.Insert(`insert into news (txid, refs, at) values (` + d.Transaction + `, '[]', ` + d.Now + `)`)
			then()
			return err
		}, func() {})
	}
	written, may, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { done <- write("north", func() { close(written); <-may }) }()
	<-written
	if err := write("south", func() {}); err != nil {
		t.Fatal(err)
	}
	follow := func(want int) {
		t.Helper()
		found, err := b.Follow(t.Context())
		if err != nil || found.News != want || found.Begun {
			t.Errorf("%+v (%v), want %d", found, err, want)
		}
	}
	follow(1) // the second, which has a higher number
	follow(0)
	close(may)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	follow(1)
	follow(0)
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
