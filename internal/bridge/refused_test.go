package bridge_test

import (
	"errors"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// TestFailedSignInsDoNotFillTheTrail: whoever has no account cannot write more than
// a few audit rows a minute, and not at another customer's expense.
func TestFailedSignInsDoNotFillTheTrail(t *testing.T) {
	w := newWorld(t)
	rows := func() (n int) {
		t.Helper()
		err := w.store.View(w.ctx, func(v *store.View) error {
			all, err := v.Unsealed(10_000)
			n = len(all)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rows()
	for range 200 {
		w.do(w.bridge.Refused(w.ctx, banksia, errors.New("the provider said no")))
	}
	if got := rows() - before; got != 30 {
		t.Errorf("200 failures in a minute wrote %d rows", got)
	}
	w.do(w.bridge.Refused(w.ctx, tundra, errors.New("the provider said no")))
	w.clock.Add(time.Minute)
	w.do(w.bridge.Refused(w.ctx, banksia, errors.New("the provider said no")))
	if got := rows() - before; got != 32 {
		t.Errorf("another customer's, and the next minute's, make it %d rows", got)
	}
}
