//go:build lanes

package postgres

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Everybody who records something waits for one lock. It is asked for in the round trip that commits:
// nobody has it while the server waits for this side.
func TestTheOrderOfEventsIsHeldForNoAnswer(t *testing.T) {
	var locked, alone atomic.Int64
	dir := before(t, func() string { return server.Dir }, func(text []byte) bool {
		if bytes.Contains(text, []byte("pg_advisory_xact_lock("+orderLock+")")) {
			locked.Add(1)
			if !bytes.Contains(text, []byte("commit\x00")) {
				alone.Add(1)
			}
		}
		return true
	})
	e, err := OpenEngine(t.Context(), strings.Replace(migrated(t), server.Dir, dir, 1), Options{Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	record := func(q store.Querier) error {
		if _, err := q.Expect(store.AnyRows, "update clients set epoch = epoch + 1 where id = $1", "nobody"); err != nil {
			return err
		}
		return q.Record(store.Recorded{Body: "{}", At: 1})
	}
	for i := range 5 {
		if i == 1 { // its statements are prepared
			locked.Store(0)
			alone.Store(0)
		}
		if err := e.Update(t.Context(), "", record, func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if locked.Load() != 4 || alone.Load() != 0 {
		t.Errorf("four commits have asked for it %d times, %d of them without committing", locked.Load(), alone.Load())
	}
}
