package bridge_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// idpIssuer is the issuer of a connection's sign-ins.
func idpIssuer(c access.ConnectionID) string { return "https://login.example/" + string(c) }

// signInSaid signs somebody in by what the identity provider said, and takes tokens.
func (w *world) signInSaid(id upstream.Identity) (visit, error) {
	w.t.Helper()
	if id.Issuer == "" {
		id.Issuer = idpIssuer(id.Connection)
	}
	if id.AuthTime.IsZero() {
		id.AuthTime = w.clock.Now()
	}
	if id.Started.IsZero() {
		id.Started = w.clock.Now()
	}
	cookie, b, err := w.bridge.SignIn(w.ctx, id)
	if err != nil {
		return visit{}, err
	}
	code, err := w.code(b)
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	return visit{cookie: cookie.Reveal(), browser: b, tokens: tokens}, nil
}

func (w *world) saidIn(id upstream.Identity) visit {
	w.t.Helper()
	v, err := w.signInSaid(id)
	w.do(err)
	return v
}

var messages atomic.Int64

// message is one that did not come before.
func (w *world) message() inbound.Message {
	return inbound.Message{Signer: "https://org.example", JTI: fmt.Sprint("jti-", messages.Add(1)), Ends: w.clock.Now().Add(12 * time.Minute)}
}

func (w *world) hearLogout(c access.ConnectionID, sid, sub string) int {
	w.t.Helper()
	n, err := w.bridge.HearLogout(w.ctx, inbound.Logout{Message: w.message(), Connection: c, Issuer: idpIssuer(c), Session: sid, Subject: sub})
	w.do(err)
	return n
}

func (w *world) living(v visit) bool {
	w.t.Helper()
	b, a, r := w.alive(v)
	if b != a || a != r {
		w.t.Errorf("half a session lives: browser %t, access %t, refresh %t", b, a, r)
	}
	return b
}

// TestALogoutEndsTheSessionsThatStandOnIt, of that connection, issuer, session and
// subject, and no others.
func TestALogoutEndsTheSessionsThatStandOnIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	at := func(sid string) visit {
		return w.saidIn(upstream.Identity{Connection: southern, Subject: "oid-kim", Sub: "pairwise-kim", Session: sid})
	}
	one, two, plain := at("sid-1"), at("sid-2"), at("")
	if n := w.hearLogout(banksia, "sid-1", "pairwise-kim"); n != 0 || !w.living(one) {
		t.Errorf("another connection's logout ended %d", n)
	}
	n, err := w.bridge.HearLogout(w.ctx, inbound.Logout{Message: w.message(), Connection: southern, Issuer: "https://former.example", Session: "sid-1"})
	if w.do(err); n != 0 {
		t.Errorf("another issuer's logout ended %d", n)
	}
	for _, who := range [][2]string{{"sid-9", ""}, {"sid-1", "somebody"}, {"", "oid-kim"}, {"", "nobody"}} {
		if n := w.hearLogout(southern, who[0], who[1]); n != 0 {
			t.Errorf("%q ended %d", who, n)
		}
	}
	if n := w.hearLogout(southern, "sid-1", "pairwise-kim"); n != 1 || w.living(one) || !w.living(two) || !w.living(plain) {
		t.Errorf("by sid and sub: %d", n)
	}
	w.restart() // the rows know it, and nobody's memory
	if n := w.hearLogout(southern, "", "pairwise-kim"); n != 2 || w.living(two) || w.living(plain) {
		t.Errorf("by sub: %d", n)
	}
	if _, err := w.bridge.Browser(w.ctx, one.cookie); fault.ReasonOf(err) != session.EndIdPLogout {
		t.Errorf("the browser is told %v", err)
	}
	if ends := w.ends(southern); len(ends) != 3 || !slices.Contains(ends, "idp idp_logout "+string(one.browser.Session.ID)) {
		t.Errorf("ends %v", ends)
	}
}

// TestTB17_AMessageCountsOnce, also after a restart, and for as long as it could be shown.
func TestTB17_AMessageCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	l := inbound.Logout{Message: w.message(), Connection: southern, Issuer: idpIssuer(southern), Session: "sid-1"}
	again := func(want bool) {
		t.Helper()
		if _, err := w.bridge.HearLogout(w.ctx, l); want != (fault.ReasonOf(err) == "replayed" && fault.Is(err, fault.Stale)) {
			t.Errorf("the same message again: %v", err)
		}
	}
	again(false)
	again(true)
	w.clock.Add(11 * time.Minute)
	w.restart()
	s := w.saidIn(upstream.Identity{Connection: southern, Subject: "oid-kim", Session: "sid-1"})
	again(true)
	if !w.living(s) {
		t.Error("a message that came before ended a session")
	}
	other := l
	other.Connection, other.Issuer = banksia, idpIssuer(banksia)
	if _, err := w.bridge.HearLogout(w.ctx, other); err != nil {
		t.Errorf("the same jti of another connection: %v", err)
	}
}

// TestTB5_ASignInUnderWayDoesNotOutliveALogout: what began before the provider said that
// its session is over is no sign-in; what begins afterwards is.
func TestTB5_ASignInUnderWayDoesNotOutliveALogout(t *testing.T) {
	t.Parallel()
	for name, said := range map[string][2]string{"by sid": {"sid-1", "sub-kim"}, "by sub": {"", "sub-kim"}} {
		w := newWorld(t)
		w.kim()
		id := upstream.Identity{Connection: southern, Subject: "oid-kim", Sub: "sub-kim", Session: "sid-1", Started: w.clock.Now()}
		w.clock.Add(time.Second)
		w.hearLogout(southern, said[0], said[1])
		if _, err := w.signInSaid(id); fault.ReasonOf(err) != upstream.ReasonOver {
			t.Errorf("%s: %v", name, err)
		}
		w.clock.Add(time.Second)
		id.Started = w.clock.Now()
		if v := w.saidIn(id); !w.living(v) {
			t.Errorf("%s: nobody can sign in any more", name)
		}
	}
}

// TestALogoutLeavesOfflineAccess (Back-Channel Logout 1.0 section 2.7), and a revocation
// does not.
func TestALogoutLeavesOfflineAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, away)
	w.kim()
	_, b, err := w.bridge.SignIn(w.ctx, upstream.Identity{Connection: southern, Issuer: idpIssuer(southern), Subject: "oid-kim", Session: "sid-1", AuthTime: w.clock.Now()})
	w.do(err)
	code, err := w.code(b, oidc.ScopeOffline)
	w.do(err)
	set, err := w.redeem(code)
	w.do(err)
	if n := w.hearLogout(southern, "sid-1", ""); n != 1 {
		t.Errorf("the logout ended %d", n)
	}
	w.hearLogout(southern, "", "oid-kim")
	if set, err = w.refresh(set.RefreshToken); err != nil {
		t.Fatalf("after the logout: %v", err)
	}
	n, err := w.bridge.HearRevocation(w.ctx, inbound.Revocation{Message: w.message(), Connection: southern, Issuer: idpIssuer(southern), Subject: inbound.Subject{ID: "oid-kim"}})
	if n != 1 || err != nil {
		t.Errorf("%d (%v)", n, err)
	}
	if _, err := w.refresh(set.RefreshToken); err == nil {
		t.Error("offline access outlives a revocation")
	}
}

// TestARevocationEndsAllAndWantsAFreshSignIn.
func TestARevocationEndsAllAndWantsAFreshSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim, _ := w.kim()
	began := w.clock.Now()
	one, two := w.session(southern, "oid-kim"), w.session(southern, "oid-kim")
	code, err := w.code(two.browser)
	w.do(err)
	w.clock.Add(time.Minute)
	revoke := func(s inbound.Subject) (int, error) {
		return w.bridge.HearRevocation(w.ctx, inbound.Revocation{Message: w.message(), Connection: southern, Issuer: idpIssuer(southern), Subject: s})
	}
	if n, err := revoke(inbound.Subject{ID: "oid-kim"}); n != 2 || err != nil {
		t.Fatalf("%d (%v)", n, err)
	}
	w.allDead(one, "after the revocation")
	w.allDead(two, "after the revocation")
	if _, err := w.redeem(code); err == nil {
		t.Error("a code made before is redeemed")
	}
	w.restart()
	w.clock.Add(time.Minute)
	now := w.clock.Now()
	for name, id := range map[string]upstream.Identity{
		"what was under way":                   {Started: began, AuthTime: now},
		"what was under way, with a new login": {Started: began, AuthTime: now, Fresh: true},
		"the provider's old session":           {Started: now, AuthTime: began},
	} {
		id.Connection, id.Subject = southern, "oid-kim"
		if _, err := w.signInSaid(id); fault.ReasonOf(err) != upstream.ReasonStale {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, id := range map[string]upstream.Identity{
		"a new sign-in":                     {Started: now, AuthTime: now},
		"one that was asked for and proven": {Started: now, AuthTime: began, Fresh: true},
	} {
		id.Connection, id.Subject = southern, "oid-kim"
		if v, err := w.signInSaid(id); err != nil || !w.living(v) {
			t.Errorf("%s: %v", name, err)
		}
	}
	told := slices.DeleteFunc(w.facts(southern), func(e event.Event) bool { return e.Type != event.PersonSignedOut })
	if len(told) != 1 || told[0].Person != access.PersonID(kim) || told[0].Actor != event.ByIdP || told[0].Data["sessions"] != "2" {
		t.Errorf("told %+v", told)
	}
	if ends := w.ends(southern); len(ends) != 2 || !slices.Contains(ends, "idp idp_revoked "+string(one.browser.Session.ID)) {
		t.Errorf("ends %v", ends)
	}
}

// TestARevocationMeansOnePersonOfItsConnection, or nobody.
func TestARevocationMeansOnePersonOfItsConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const address = `{"op":"replace","path":"emails","value":[{"value":"kim@southern.example","type":"work","primary":true}]}`
	kim, _ := w.kim()
	w.patchUser(southern, kim, address)
	w.person(southern, "kim.two@southern.example", "oid-two")
	bySub := w.saidIn(upstream.Identity{Connection: southern, Subject: "oid-kim", Sub: "pairwise-kim"})
	revoke := func(c access.ConnectionID, s inbound.Subject) error {
		_, err := w.bridge.HearRevocation(w.ctx, inbound.Revocation{Message: w.message(), Connection: c, Issuer: idpIssuer(c), Subject: s})
		return err
	}
	for name, c := range map[string]struct {
		conn access.ConnectionID
		who  inbound.Subject
	}{
		"another connection, by id":      {banksia, inbound.Subject{ID: "oid-kim"}},
		"another connection, by address": {banksia, inbound.Subject{Email: "kim@southern.example"}},
		"nobody's id":                    {southern, inbound.Subject{ID: "oid-nobody"}},
		"nobody's address":               {southern, inbound.Subject{Email: "nobody@southern.example"}},
	} {
		if err := revoke(c.conn, c.who); !fault.Is(err, fault.NotFound) || !w.living(bySub) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.do(revoke(southern, inbound.Subject{ID: "pairwise-kim"}))
	if w.living(bySub) {
		t.Error("the sub of the session means nobody")
	}
	w.clock.Add(time.Minute)
	again := w.saidIn(upstream.Identity{Connection: southern, Subject: "oid-kim"})
	w.do(revoke(southern, inbound.Subject{Email: "KIM@southern.example"}))
	if w.living(again) {
		t.Error("an address means nobody")
	}
	w.patchUser(southern, w.person(southern, "kim.three@southern.example", "oid-three"), address)
	if err := revoke(southern, inbound.Subject{Email: "kim@southern.example"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("an address that two people have: %v", err)
	}
}

// TestASignInUnderWayDoesNotOutliveARevocation, also if whoever is named by the provider's
// sub is known here by another value and has no session: the answer is that nobody is, and
// what began before does not count.
func TestASignInUnderWayDoesNotOutliveARevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	id := upstream.Identity{Connection: southern, Subject: "oid-kim", Sub: "sub-kim", Started: w.clock.Now()}
	w.clock.Add(time.Second)
	r := inbound.Revocation{Message: w.message(), Connection: southern, Issuer: idpIssuer(southern), Subject: inbound.Subject{ID: "sub-kim"}}
	if _, err := w.bridge.HearRevocation(w.ctx, r); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody who is signed in: %v", err)
	}
	if _, err := w.bridge.HearRevocation(w.ctx, r); !fault.Is(err, fault.Stale) {
		t.Errorf("the same message again: %v", err)
	}
	w.restart()
	for _, fresh := range []bool{false, true} {
		id.Fresh = fresh
		if _, err := w.signInSaid(id); fault.ReasonOf(err) != upstream.ReasonOver {
			t.Errorf("what was under way (asked anew: %t): %v", fresh, err)
		}
	}
	w.clock.Add(time.Second)
	id.Started = w.clock.Now()
	if v := w.saidIn(id); !w.living(v) {
		t.Error("nobody can sign in any more")
	}
}

// TestRefreshingAgainstARevocation: whatever order they come in, nothing lives afterwards.
func TestRefreshingAgainstARevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	var all sync.WaitGroup
	got := make([]oidc.TokenSet, 8)
	for i := range got {
		all.Go(func() {
			if tokens, err := w.refresh(s.tokens.RefreshToken); err == nil {
				got[i] = tokens
			}
		})
	}
	all.Go(func() {
		_, err := w.bridge.HearRevocation(w.ctx, inbound.Revocation{Message: inbound.Message{Signer: "x", JTI: "race", Ends: w.clock.Now().Add(time.Hour)}, Connection: southern,
			Issuer: idpIssuer(southern), Subject: inbound.Subject{ID: "oid-kim"}})
		if err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	for _, tokens := range append(got, s.tokens) {
		if tokens.RefreshToken == "" {
			continue
		}
		s.tokens = tokens
		if b, a, r := w.alive(s); b || a || r {
			t.Errorf("browser %t, access %t, refresh %t", b, a, r)
		}
	}
}
