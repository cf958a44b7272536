package storetest

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// testOutwaited: a store that is no node waits for those who are until it has seen that they poll no
// more, whatever the database's clock says of them.
func testOutwaited(t *testing.T, a, b *store.Store, raw store.Engine) {
	Prepare(t, a)
	took := func() time.Duration {
		t.Helper()
		began := time.Now()
		if err := a.Update(t.Context(), func(tx *store.Tx) error { return tx.BumpHost(day) }); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	beat := func() { // one that looks an hour old: the database's clock was set
		t.Helper()
		_, err := b.Beat(t.Context(), store.Node{ID: "node_1"})
		if err == nil {
			err = raw.Update(t.Context(), "", func(q store.Querier) error {
				_, err := q.Exec(`update nodes set beat_at = beat_at - 3600000`)
				return err
			}, func() {})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := took(); got >= lease.Longest {
		t.Errorf("beside nobody it took %s", got)
	}
	if err := b.Register(t.Context(), store.Node{ID: "node_1", Name: "one", Version: "v1", Started: day}); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		says  string
		do    func()
		waits bool
	}{
		{"somebody who has just polled", beat, true},
		{"somebody who has polled again", beat, true},
		{"somebody who has not polled since", func() { time.Sleep(lease.Every) }, false},
		{"somebody who polls again", beat, true},
	} {
		step.do()
		if got := took(); got >= lease.Longest != step.waits {
			t.Errorf("%d: beside %s it took %s", i, step.says, got)
		}
	}
}
