package bridge_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// ends are the ends of sessions in the trail of a connection: "actor reason session".
func (w *world) ends(c access.ConnectionID) []string {
	w.t.Helper()
	var out []string
	err := w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.Outbox(0, 1000)
		for _, row := range rows {
			var e event.Event
			if err := json.Unmarshal(row.Body, &e); err != nil {
				return err
			}
			if e.Type == event.SessionRevoked && e.Connection == c {
				out = append(out, string(e.Actor)+" "+e.Data["reason"]+" "+e.Session)
			}
		}
		return err
	})
	w.do(err)
	return out
}

// TestI1_TheEndOfAPersonsSessionsEndsThemAll: of that person, in one transaction, with
// one event each, and nobody else's.
func TestI1_TheEndOfAPersonsSessionsEndsThemAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim, _ := w.kim()
	one, two := w.session(southern, "oid-kim"), w.session(southern, "oid-kim")
	code, err := w.code(two.browser)
	w.do(err)
	n, err := w.bridge.EndPersonSessions(w.ctx, southern, access.PersonID(kim), session.EndIdPRevoked, event.ByIdP)
	if n != 2 || err != nil {
		t.Errorf("%d sessions (%v)", n, err)
	}
	if _, err := w.redeem(code); err == nil {
		t.Error("a code made before is redeemed")
	}
	w.allDead(one, "after the end of all")
	w.allDead(two, "after the end of all")
	ends := w.ends(southern)
	if len(ends) != 2 || !slices.Contains(ends, "idp idp_revoked "+string(one.browser.Session.ID)) {
		t.Errorf("ends %v", ends)
	}
	if _, err := w.bridge.Browser(w.ctx, one.cookie); fault.ReasonOf(err) != session.EndIdPRevoked {
		t.Errorf("the browser is told %v", err)
	}
	if b, a, r := w.alive(w.session(southern, "oid-kim")); !b || !a || !r {
		t.Error("the person cannot sign in again")
	}
	if _, err := w.bridge.EndPersonSessions(w.ctx, banksia, access.PersonID(kim), session.EndAdministrator, event.ByAdministrator); !fault.Is(err, fault.NotFound) {
		t.Errorf("another customer's person: %v", err)
	}
}

// TestASessionEndsOnceAndKeepsItsFirstReason, whoever asks again.
func TestASessionEndsOnceAndKeepsItsFirstReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	id := w.session(southern, "oid-kim").browser.Session.ID
	w.do(w.bridge.EndSession(w.ctx, id, session.EndIdPLogout, event.ByIdP))
	w.do(w.bridge.EndSession(w.ctx, id, session.EndAdministrator, event.ByAdministrator))
	w.do(w.bridge.SignOut(w.ctx, id, session.EndSignedOut))
	if ends := w.ends(southern); len(ends) != 1 || ends[0] != "idp idp_logout "+string(id) {
		t.Errorf("ends %v", ends)
	}
	if err := w.bridge.EndSession(w.ctx, "ses_nobody", session.EndAdministrator, event.ByAdministrator); !fault.Is(err, fault.NotFound) {
		t.Errorf("a session that never was: %v", err)
	}
}
