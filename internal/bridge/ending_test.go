package bridge_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
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

// TestASessionWhoseTimeIsOverEndsOnce, with an event, though nobody comes back.
func TestASessionWhoseTimeIsOverEndsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	w.do(w.bridge.Sweep(w.ctx))
	if ends := w.ends(southern); len(ends) != 0 {
		t.Errorf("ended before its time: %v", ends)
	}
	w.clock.Add(12 * time.Hour)
	w.do(w.bridge.Sweep(w.ctx))
	w.restart()
	w.do(w.bridge.Sweep(w.ctx))
	w.do(w.bridge.EndSession(w.ctx, s.browser.Session.ID, session.EndAdministrator, event.ByAdministrator))
	if ends := w.ends(southern); len(ends) != 1 || ends[0] != "bridge expired "+string(s.browser.Session.ID) {
		t.Errorf("ends %v", ends)
	}
	if _, err := w.bridge.Browser(w.ctx, s.cookie); fault.ReasonOf(err) != session.EndExpired {
		t.Errorf("the browser is told %v", err)
	}
}

// TestI1_TheEndOfAConnectionTellsOfItsSessions: they are dead with its commit, and each
// is told of, also by a bridge that started after it.
func TestI1_TheEndOfAConnectionTellsOfItsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	w.do(w.bridge.Sweep(w.ctx))
	w.do(w.bridge.EndConnection(w.ctx, southern))
	w.allDead(s, "after the connection ended")
	w.restart()
	w.do(w.bridge.Sweep(w.ctx))
	w.do(w.bridge.Sweep(w.ctx))
	if ends := w.ends(southern); len(ends) != 1 || ends[0] != "administrator connection_ended "+string(s.browser.Session.ID) {
		t.Errorf("ends %v", ends)
	}
}

// TestI1_TheEndOfEverything: one commit, and nothing that anybody has is accepted.
func TestI1_TheEndOfEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	ended, err := w.bridge.EndSessions(w.ctx, bridge.Ending{Everything: true})
	if err != nil || !ended.Everything {
		t.Fatal(ended, err)
	}
	w.allDead(s, "after the end of everything")
	w.do(w.bridge.Sweep(w.ctx))
	if ends := w.ends(southern); len(ends) != 1 || ends[0] != "administrator administrator "+string(s.browser.Session.ID) {
		t.Errorf("ends %v", ends)
	}
	if b, a, r := w.alive(w.session(southern, "oid-kim")); !b || !a || !r {
		t.Error("nobody can sign in any more")
	}
	w.do(w.bridge.Sweep(w.ctx))
	if ends := w.ends(southern); len(ends) != 1 {
		t.Errorf("a new session was ended: %v", ends)
	}
}

// TestI1_TheEndOfAnApplication: all its tokens die, the browser's session and other
// applications' tokens do not, and it is told of each session once.
func TestI1_TheEndOfAnApplication(t *testing.T) {
	t.Parallel()
	other := oidc.Client{ID: "depot-web", Name: "Depot Web", RedirectURIs: []string{"http://127.0.0.1:9201/callback"}, SecretDigest: credential.DigestOf("depot-web-secret")}
	var app *told
	tr := transmitting(t, newWorld(t, withTold(&app), func(w *world) { w.clients = append(w.clients, other) }))
	w := tr.world
	w.do(w.bridge.ApplyClients(w.ctx))
	mine, theirStream := tr.stream(string(w.web.ID), polled), tr.stream(string(other.ID), polled)
	w.kim()
	s := w.session(southern, "oid-kim")
	fleet := w.web
	w.web = other
	code, err := w.code(s.browser)
	w.do(err)
	theirs, err := w.redeem(code)
	w.do(err)
	ended, err := w.bridge.EndSessions(w.ctx, bridge.Ending{Client: fleet.ID, Note: "it was broken into"})
	if err != nil || ended.Sessions != 1 {
		t.Errorf("%+v (%v)", ended, err)
	}
	sid := session.EndAdministrator + " " + string(s.browser.Session.ID)
	if got := tr.hear(app); !slices.Equal(got, []string{sid}) {
		t.Errorf("the application heard %v, want %s", got, sid)
	}
	if got, others := tr.revoked(fleet.ID, mine), toldOf(tr.drained(string(other.ID), theirStream)); !slices.Equal(got, []string{session.EndAdministrator}) || len(others) != 0 {
		t.Errorf("its stream was told %v, and another application's %v", got, others)
	}
	if _, err := w.refresh(theirs.RefreshToken); err != nil {
		t.Errorf("another application lost its tokens: %v", err)
	}
	w.web = fleet
	if b, a, r := w.alive(s); !b || a || r {
		t.Errorf("browser %t, access token %t, refresh token %t; want the browser alone", b, a, r)
	}
	if again, err := w.bridge.EndClientSessions(w.ctx, fleet.ID, session.EndAdministrator, event.ByAdministrator); again != 0 || err != nil {
		t.Errorf("told %d times more (%v)", again, err)
	}
	if got := slices.Concat(tr.hear(app), tr.revoked(fleet.ID, mine)); len(got) != 0 {
		t.Errorf("told again: %v", got)
	}
	if left, err := w.bridge.Sessions(w.ctx, bridge.SessionQuery{Client: other.ID, Limit: 10}); err != nil || len(left.Sessions) != 1 || len(left.Sessions[0].Applications) != 1 {
		t.Errorf("%+v (%v)", left, err)
	}
	if _, err := w.bridge.EndSessions(w.ctx, bridge.Ending{Client: "nobody"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an application that is not there: %v", err)
	}
}

// TestI1_TheEndOfAConnectionsSessions ends those of everybody who came through it, in
// chunks, and nobody else's; provisioning goes on.
func TestI1_TheEndOfAConnectionsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	var all []visit
	for range 3 {
		all = append(all, w.session(southern, "oid-kim"))
	}
	w.group(banksia, "GL Account Admins", w.person(banksia, "sam@banksia.example", "oid-sam"))
	sam := w.session(banksia, "oid-sam")
	n, err := w.bridge.EndConnectionSessions(w.ctx, southern, session.EndAdministrator, event.ByAdministrator)
	if n != 3 || err != nil || len(w.ends(southern)) != 3 {
		t.Errorf("%d sessions, %v (%v)", n, w.ends(southern), err)
	}
	for _, s := range all {
		w.allDead(s, "after the end of the connection's sessions")
	}
	if b, a, r := w.alive(sam); !b || !a || !r {
		t.Error("another customer's session ended")
	}
	w.person(southern, "new@southern.example", "oid-new")
	if _, err := w.bridge.EndConnectionSessions(w.ctx, "nowhere", session.EndAdministrator, event.ByAdministrator); !fault.Is(err, fault.NotFound) {
		t.Errorf("a connection that is not there: %v", err)
	}
}

// TestAnEndingNamesOneThing, exactly, and one customer's.
func TestAnEndingNamesOneThing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(banksia, "pat@shared.example", "oid-pat")
	w.person(southern, "pat@shared.example", "oid-pat")
	for name, row := range map[string]struct {
		end  bridge.Ending
		want fault.Kind
	}{
		"nothing":                  {bridge.Ending{}, fault.Invalid},
		"a note":                   {bridge.Ending{Note: "why"}, fault.Invalid},
		"two things":               {bridge.Ending{Client: "fleet-web", Connection: southern}, fault.Invalid},
		"everything and a session": {bridge.Ending{Everything: true, Session: "ses_1"}, fault.Invalid},
		"two people of one name":   {bridge.Ending{Person: "pat@shared.example"}, fault.Conflict},
		"nobody":                   {bridge.Ending{Person: "nobody@shared.example"}, fault.NotFound},
		"nobody there":             {bridge.Ending{Person: "pat@shared.example", Connection: "tundra-okta"}, fault.NotFound},
	} {
		if _, err := w.bridge.EndSessions(w.ctx, row.end); !fault.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := w.bridge.EndSessions(w.ctx, bridge.Ending{Person: "pat@shared.example", Connection: banksia}); err != nil || got.Connection != banksia {
		t.Errorf("%+v (%v)", got, err)
	}
}

// TestEndedSessionsAreForgottenAfterAMonth: nothing of them grows for ever.
func TestEndedSessionsAreForgottenAfterAMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	id := w.session(southern, "oid-kim").browser.Session.ID
	w.do(w.bridge.EndSession(w.ctx, id, session.EndAdministrator, event.ByAdministrator))
	w.clock.Add(store.EndedKept - time.Minute)
	w.do(w.bridge.TrimSessions(w.ctx))
	if e, err := w.bridge.Session(w.ctx, id); err != nil || e.Reason != session.EndAdministrator || e.UserName != "kim@southern.example" {
		t.Errorf("%+v (%v)", e, err)
	}
	w.clock.Add(2 * time.Minute)
	w.do(w.bridge.TrimSessions(w.ctx))
	if e, err := w.bridge.Session(w.ctx, id); !fault.Is(err, fault.NotFound) {
		t.Errorf("%+v (%v)", e, err)
	}
}
