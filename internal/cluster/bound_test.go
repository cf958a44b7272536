package cluster_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/cluster"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

// TestNobodyWaitsLongerThanALease: whatever no longer answers, and does not even notice that nobody
// waits for it any more, a commit is answered lease.Longest after it; so is whoever finds nothing to change, and
// one who is no node.
func TestNobodyWaitsLongerThanALease(t *testing.T) {
	t.Parallel()
	person, wide := storetest.Touches()[0], storetest.Touches()[5] // the host
	nothingAndOne := func(tx *store.Tx) error { tx.Confirm(); return person.Do(tx) }
	registry := func(_ *world, a, _ *node, hang *chan struct{}) { a.engine.hang.Store(hang) }
	for _, c := range []struct {
		what string
		do   func(*store.Tx) error
		hang func(w *world, a, b *node, hang *chan struct{})
		node bool
	}{
		{"registry and news", person.Do, registry, true},
		{"registry and news, and something wide is to be read again", wide.Do, registry, true},
		{"registry and news, and nothing changes", nothing, registry, true},
		{"registry and news, and a part changes nothing", nothingAndOne, registry, true},
		{"registry and news, and it is no node", person.Do, registry, false},
		{"registry and news, it is no node, and nothing changes", nothing, registry, false},
		{"the feed", person.Do, func(w *world, _, _ *node, hang *chan struct{}) { w.feed.hang.Store(hang) }, true},
		{"another node", wide.Do, func(_ *world, _, b *node, hang *chan struct{}) { b.engine.hang.Store(hang) }, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, b := w.join("a", true), w.join("b", true)
			s := a.store
			if !c.node {
				var err error
				if s, err = store.New(t.Context(), a.engine); err != nil {
					t.Fatal(err)
				}
			}
			hang := make(chan struct{})
			t.Cleanup(func() { close(hang) }) // before nodes leave
			c.hang(w, a, b, &hang)
			time.Sleep(2 * lease.Every) // polls hang
			began, done := time.Now(), make(chan error, 1)
			go func() { done <- s.UpdateFor(t.Context(), storetest.Touched.Connection, c.do) }()
			select {
			case err := <-done:
				if took := time.Since(began); err != nil || took < lease.Longest {
					t.Errorf("it was answered after %v, and somebody may not know (%v)", took, err)
				}
			case <-time.After(lease.Longest + 2*lease.Life): // the machine may have much else to do
				t.Error("it is not answered")
			}
			if c.node && a.outcome() != cluster.Lapsed {
				t.Errorf("it was %q", a.outcome())
			}
		})
	}
}
