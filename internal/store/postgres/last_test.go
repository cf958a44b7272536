//go:build lanes

package postgres

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Whoever says that they ask for the last time asks once, however much it is. What they have asked in ends
// with the answers, and whoever comes next sees nothing by it.
func TestWhatIsAskedLastIsOneRoundTrip(t *testing.T) {
	url := migrated(t)
	peopled(t, node(t, url))
	e, w := watchedEngine(t, url, 1, time.Minute, readers)
	ask := func(conn int64, then func(store.Querier) error) (people, groups int64, err error) {
		into := func(n *int64) func(store.Row) error { return func(r store.Row) error { return r.Scan(n) } }
		err = e.View(t.Context(), func(q store.Querier) error {
			err := q.Of(conn).Last(store.Question{Scan: into(&people), Query: "select count(*) from people"},
				store.Question{Scan: into(&groups), Query: "select count(*) from groups where conn = $1 or $1 < 1", Args: []any{conn}})
			if err != nil {
				return err
			}
			return then(q)
		})
		return people, groups, err
	}
	nothing := func(store.Querier) error { return nil }
	if _, _, err := ask(1, nothing); err != nil { // the statements are prepared
		t.Fatal(err)
	}
	for _, conn := range []int64{everybody, 1, nobody, 2, nobody, everybody} {
		before := w.trips.Load()
		people, groups, err := ask(conn, nothing)
		if trips := w.trips.Load() - before; trips != 1 || err != nil {
			t.Errorf("it took %d round trips (%v)", trips, err)
		}
		if want := map[int64]int64{everybody: 4, 1: 2, 2: 2, nobody: 0}[conn]; people != want || groups != want/2 {
			t.Errorf("connection %d sees %d people and %d groups", conn, people, groups)
		}
	}
	_, _, err := ask(1, func(q store.Querier) error {
		var one int64
		return q.QueryRow("select 1").Scan(&one)
	})
	if !fault.Is(err, fault.Internal) {
		t.Errorf("what is asked afterwards: %v", err)
	}
	if people, _, err := ask(everybody, nothing); people != 4 || err != nil {
		t.Errorf("then %d people are seen (%v)", people, err)
	}
}
