package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// Who was in a large group that was deleted left it at that instant, though each
// member's leaving is recorded later: before, while and after that is told.
func TestALargeGroupWasLeftAtOneInstant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.people(banksia, 201)
	group := w.group(banksia, "GL Account Admins", ids...)
	w.drain()
	w.clock.Add(time.Minute)
	before := w.clock.Now()
	w.clock.Add(time.Minute)
	w.must(204, banksia, "DELETE", "/Groups/"+group, "")
	deleted := w.clock.Now()
	w.clock.Add(time.Minute)
	look := func(when string) {
		t.Helper()
		for at, want := range map[time.Time]int{before: 201, deleted: 0} {
			roll, err := w.bridge.WhoWasIn(w.ctx, bridge.HolderQuery{Group: group, At: at})
			w.do(err)
			if int(roll.Total) != want || !roll.Deleted.Equal(deleted) {
				t.Errorf("%s: %d were in it at %v, want %d; deleted %v", when, roll.Total, at, want, roll.Deleted)
			}
			found, err := w.bridge.ExplainAt(w.ctx, ids[7], "", at)
			w.do(err)
			if e := found[0]; len(e.Groups) != min(want, 1) || (len(e.Sees) > 0) != (want > 0) {
				t.Errorf("%s: at %v one was in %v and saw %v", when, at, e.Groups, e.Sees)
			}
		}
	}
	look("while it dissolves")
	w.drain()
	w.seal()
	look("when all is told")
}
