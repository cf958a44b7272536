package bridge_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// away lets the world's application act while the person is away.
func away(w *world) {
	w.web.Offline = true
	w.clients = []oidc.Client{w.web}
}

// offline is a sign-in whose tokens outlive the browser's session.
func (w *world) offline() (s visit, id session.ID) {
	w.t.Helper()
	s = w.session(southern, "oid-kim", oidc.ScopeOffline)
	a, err := w.bridge.Accept(w.ctx, s.tokens.AccessToken)
	w.do(err)
	return s, a.Bound.Subject.Session
}

func (w *world) row(id session.ID) (row store.SessionRow) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) (err error) { row, err = v.Session(id); return err }))
	return row
}

// TestOfflineAccessOutlivesTheBrowser: its sign-out, its switch and its end by time, in
// a session of its own that shows what it is.
func TestOfflineAccessOutlivesTheBrowser(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(w *world, s visit){
		"signed out": func(w *world, s visit) { w.do(w.bridge.SignOut(w.ctx, s.browser.Session.ID, session.EndSignedOut)) },
		"switched": func(w *world, s visit) {
			_, _, err := w.bridge.Switch(w.ctx, s.cookie, guestPlace(s))
			w.do(err)
		},
		"over": func(w *world, _ visit) { w.clock.Add(13 * time.Hour) },
	} {
		w := newWorld(t, away)
		w.kim()
		s, id := w.offline()
		row := w.row(id)
		if id == s.browser.Session.ID || row.Offline != w.web.ID || row.Active != s.browser.Session.Active || !row.AuthTime.Equal(s.browser.Session.AuthTime) ||
			!row.Expires.Equal(w.clock.Now().Add(30*24*time.Hour)) || row.Upstream.Session != "" {
			t.Errorf("%s: the session is %+v", name, row)
		}
		if !slices.Contains(s.tokens.OAuthScopes, oidc.ScopeOffline) {
			t.Errorf("%s: granted %v", name, s.tokens.OAuthScopes)
		}
		leave(w, s)
		next, err := w.refresh(s.tokens.RefreshToken)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a, err := w.bridge.Accept(w.ctx, next.AccessToken); err != nil || a.Bound.Subject.Session != id {
			t.Errorf("%s: the next token is of %q, %v", name, a.Bound.Subject.Session, err)
		}
		w.clock.Add(30 * 24 * time.Hour)
		if _, err := w.refresh(next.RefreshToken); err == nil {
			t.Errorf("%s: it is refreshed after its end", name)
		}
	}
}

// TestOfflineAccessEndsWhenTheIdentityProviderWants it to, if it says so.
func TestOfflineAccessEndsWhenTheIdentityProviderWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, away)
	w.kim()
	until := w.clock.Now().Add(2 * time.Hour)
	_, b, err := w.bridge.SignIn(w.ctx, upstream.Identity{Connection: southern, Issuer: "https://login.example/southern", Subject: "oid-kim", AuthTime: w.clock.Now(), Until: until})
	w.do(err)
	code, err := w.code(b, oidc.ScopeOffline)
	w.do(err)
	set, err := w.redeem(code)
	w.do(err)
	a, err := w.bridge.Accept(w.ctx, set.AccessToken)
	if w.do(err); !w.row(a.Bound.Subject.Session).Expires.Equal(until) {
		t.Errorf("it ends at %s, want %s", w.row(a.Bound.Subject.Session).Expires, until)
	}
}

// TestOfflineAccessEndsWithWhatItStandsOn, and with whoever may end it.
func TestOfflineAccessEndsWithWhatItStandsOn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, person, group string, s visit, id session.ID){
		"deactivated": func(w *world, person, _ string, _ visit, _ session.ID) {
			w.patchUser(southern, person, `{"op":"replace","path":"active","value":false}`)
		},
		"deleted": func(w *world, person, _ string, _ visit, _ session.ID) {
			w.must(204, southern, "DELETE", "/Users/"+person, "")
		},
		"lost": func(w *world, person, group string, _ visit, _ session.ID) { w.removeMember(southern, group, person) },
		"ended by an administrator": func(w *world, _, _ string, _ visit, id session.ID) {
			w.do(w.bridge.EndSession(w.ctx, id, session.EndAdministrator, event.ByAdministrator))
		},
		"revoked": func(w *world, _, _ string, s visit, _ session.ID) {
			w.do(w.bridge.Revoke(w.ctx, s.tokens.RefreshToken, w.web.ID))
		},
		"reused": func(w *world, _, _ string, s visit, _ session.ID) {
			_, err := w.refresh(s.tokens.RefreshToken)
			w.do(err)
			w.clock.Add(time.Minute)
			if _, err := w.refresh(s.tokens.RefreshToken); err == nil {
				w.t.Error("a refresh token is exchanged twice")
			}
		},
		"no longer registered": func(w *world, _, _ string, _ visit, _ session.ID) {
			w.web.Offline = false
			w.clients = []oidc.Client{w.web}
			w.assemble()
		},
	} {
		w := newWorld(t, away)
		person, group := w.kim()
		s, id := w.offline()
		end(w, person, group, s, id)
		if _, err := w.refresh(s.tokens.RefreshToken); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: refresh: %v", name, err)
		}
		if row := w.row(id); name != "no longer registered" && row.State != session.Ended {
			t.Errorf("%s: the session is %s", name, row.State)
		}
	}
}

// TestACodeThatComesTwiceEndsTheOfflineSessionToo, whichever redemption was first.
func TestACodeThatComesTwiceEndsTheOfflineSessionToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, away)
	w.kim()
	s := w.session(southern, "oid-kim")
	code, err := w.code(s.browser, oidc.ScopeOffline)
	w.do(err)
	var got visit
	if n := together(func(int) bool {
		tokens, err := w.redeem(code)
		if err == nil {
			got.tokens = tokens
		}
		return err == nil
	}); n > 1 {
		t.Errorf("one code was redeemed %d times", n)
	}
	w.allDead(got, "after a code came twice")
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(southern)
		if err != nil {
			return err
		}
		p, err := dir.Person(s.browser.Session.Person)
		if err != nil {
			return err
		}
		rows, err := dir.Sessions(p)
		for _, r := range rows {
			if r.Offline != "" {
				t.Errorf("session %s lives on", r.ID)
			}
		}
		return err
	}))
}

// TestAnApplicationHasSixteenOfflineSessionsOfAPerson: the 17th ends the oldest.
func TestAnApplicationHasSixteenOfflineSessionsOfAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, away)
	w.kim()
	var all []session.ID
	for range 17 {
		_, id := w.offline()
		all = append(all, id)
		w.clock.Add(time.Second)
	}
	for i, id := range all {
		if row := w.row(id); (row.State == session.Ended) != (i == 0) {
			t.Errorf("session %d is %s because %s", i, row.State, row.EndReason)
		}
	}
}

// TestExplainTellsWhatApplicationsKeep apart from what browsers have.
func TestExplainTellsWhatApplicationsKeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, away)
	w.kim()
	s, id := w.offline()
	found, err := w.bridge.Explain(w.ctx, "kim@southern.example", "")
	w.do(err)
	for _, h := range found[0].Holds {
		on := h.ID == s.browser.Session.Active
		if on && (h.Sessions != 2 || h.Offline != 1) || !on && h.Sessions+h.Offline != 0 {
			t.Errorf("%s: %d sessions, %d of them kept", h.Is, h.Sessions, h.Offline)
		}
	}
	for _, v := range found[0].Sessions {
		if (v.Offline == w.web.ID) != (v.ID == id) {
			t.Errorf("session %s is kept by %q", v.ID, v.Offline)
		}
	}
}
