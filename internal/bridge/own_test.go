package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// TestI1_PeopleEndTheirOwnSessions: one, all others, all; and nobody else's.
func TestI1_PeopleEndTheirOwnSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	w.group(banksia, "GL Account Admins", w.person(banksia, "sam@banksia.example", "oid-sam"))
	sam := w.session(banksia, "oid-sam")
	one := w.session(southern, "oid-kim")
	w.clock.Add(time.Second)
	two, mine := w.session(southern, "oid-kim"), w.session(southern, "oid-kim")
	all, err := w.bridge.OwnSessions(w.ctx, mine.cookie)
	if err != nil || len(all) != 3 || all[2].Session.ID != one.browser.Session.ID || len(all[2].Applications) != 1 || all[2].Assignment.Grant == "" {
		t.Errorf("%+v (%v)", all, err)
	}
	for _, id := range []session.ID{sam.browser.Session.ID, "ses_nobody"} {
		if err := w.bridge.EndOwn(w.ctx, mine.cookie, id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	for range 2 { // another tab asks as well
		w.do(w.bridge.EndOwn(w.ctx, mine.cookie, one.browser.Session.ID))
	}
	w.allDead(one, "ended from another browser")
	if _, err := w.bridge.Browser(w.ctx, one.cookie); fault.ReasonOf(err) != session.EndElsewhere {
		t.Errorf("the browser is told %v", err)
	}
	w.do(w.bridge.EndOwnSessions(w.ctx, mine.cookie, true))
	w.allDead(two, "after the end of all others")
	if b, a, r := w.alive(mine); !b || !a || !r {
		t.Error("one's own session ended with the others")
	}
	w.do(w.bridge.EndOwnSessions(w.ctx, mine.cookie, false))
	w.allDead(mine, "after the end of all")
	if b, a, r := w.alive(sam); !b || !a || !r {
		t.Error("somebody else's session ended")
	}
	if ends := w.ends(southern); len(ends) != 3 || ends[2] != "person signed_out "+string(mine.browser.Session.ID) {
		t.Errorf("ends %v", ends)
	}
	if err := w.bridge.EndOwnSessions(w.ctx, mine.cookie, false); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a dead cookie: %v", err)
	}
}
