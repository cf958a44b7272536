package bridge_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

func (w *world) signalOf(c access.ConnectionID, t ssf.Type, e inbound.Effect) inbound.Signal {
	m := w.message()
	m.Ends = w.clock.Now().Add(7 * 24 * time.Hour)
	return inbound.Signal{Message: m, Connection: c, Issuer: idpIssuer(c), Event: t, Name: "session-revoked", Effect: e}
}

func (w *world) hearSignal(s inbound.Signal) inbound.Heard {
	w.t.Helper()
	h, err := w.bridge.HearSignal(w.ctx, s)
	w.do(err)
	return h
}

// TestASessionRevokedEndsTheSessionThatStandsOnIt, those of the same person that may stand
// on it, and no others; it does so of whoever else's session it is if nobody is named.
func TestASessionRevokedEndsTheSessionThatStandsOnIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim := w.must(201, southern, "POST", "/Users", kimBody)["id"].(string)
	two := w.must(201, southern, "POST", "/Users", strings.NewReplacer("kim@", "two@", "oid-kim", "oid-two").Replace(kimBody))["id"].(string)
	w.group(southern, "Field Installers", kim, two)
	at := func(who, sid string) visit {
		return w.saidIn(upstream.Identity{Connection: southern, Subject: who, Session: sid})
	}
	one, second, plain, other := at("oid-kim", "sid-1"), at("oid-kim", "sid-2"), at("oid-kim", ""), at("oid-two", "sid-3")
	revoked := func(sid, named string, user inbound.Subject) inbound.Heard {
		s := w.signalOf(southern, ssf.SessionRevoked, inbound.EffectSession)
		s.Session, s.Named, s.User = sid, named, user
		return w.hearSignal(s)
	}
	elsewhere := w.signalOf(banksia, ssf.SessionRevoked, inbound.EffectSession)
	elsewhere.Session = "sid-1"
	if h := w.hearSignal(elsewhere); h.Outcome != inbound.OutcomeUnknown || !w.living(one) {
		t.Errorf("another connection's signal: %+v", h)
	}
	for name, h := range map[string]inbound.Heard{
		"nobody's session": revoked("sid-9", "", inbound.Subject{}),
		"an id of nothing": revoked("", "nothing", inbound.Subject{}),
		"nobody":           revoked("", "", inbound.Subject{ID: "oid-nobody"}),
		"nothing":          revoked("", "", inbound.Subject{}),
	} {
		if h.Outcome != inbound.OutcomeUnknown {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h := revoked("sid-3", "", inbound.Subject{ID: "oid-kim"}); h.Ended != 1 || w.living(plain) || !w.living(other) || !w.living(one) {
		t.Errorf("another person's session, which only what stands nowhere may stand on: %+v", h)
	}
	plain = at("oid-kim", "")
	if h := revoked("sid-1", "", inbound.Subject{ID: "oid-kim"}); h != (inbound.Heard{Outcome: inbound.OutcomeEnded, Ended: 2}) || w.living(one) || w.living(plain) || !w.living(second) || !w.living(other) {
		t.Errorf("%+v", h)
	}
	if h := revoked("", "sid-2", inbound.Subject{}); h.Ended != 1 || w.living(second) || !w.living(other) {
		t.Errorf("by an id alone, which is a session's: %+v", h)
	}
	if h := revoked("", "oid-two", inbound.Subject{}); h.Ended != 1 || w.living(other) {
		t.Errorf("by an id alone, which is a person's: %+v", h)
	}
	if _, err := w.bridge.Browser(w.ctx, one.cookie); fault.ReasonOf(err) != session.EndIdPSession {
		t.Errorf("the browser is told %v", err)
	}
	if ends := w.ends(southern); !slices.Contains(ends, "idp idp_session_revoked "+string(one.browser.Session.ID)) {
		t.Errorf("ends %v", ends)
	}
}

// TestTB5_ASignInUnderWayDoesNotOutliveASignal.
func TestTB5_ASignInUnderWayDoesNotOutliveASignal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	id := upstream.Identity{Connection: southern, Subject: "oid-kim", Session: "sid-1", Started: w.clock.Now()}
	w.clock.Add(time.Second)
	s := w.signalOf(southern, ssf.SessionRevoked, inbound.EffectSession)
	s.Session = "sid-1"
	w.hearSignal(s)
	if _, err := w.signInSaid(id); fault.ReasonOf(err) != upstream.ReasonOver {
		t.Errorf("it was under way: %v", err)
	}
	s = w.signalOf(southern, ssf.AccountDisabled, inbound.EffectPerson)
	s.User = inbound.Subject{ID: "oid-kim"}
	w.clock.Add(time.Second)
	id.Session, id.Started = "sid-2", w.clock.Now()
	w.clock.Add(time.Second)
	w.hearSignal(s)
	if _, err := w.signInSaid(id); fault.ReasonOf(err) != upstream.ReasonStale {
		t.Errorf("it was under way: %v", err)
	}
	// By the name of sign-ins, which leads to nobody who is not signed in.
	s = w.signalOf(southern, ssf.AccountDisabled, inbound.EffectPerson)
	s.User = inbound.Subject{ID: "pairwise-kim"}
	w.clock.Add(time.Second)
	id.Sub, id.Session, id.Started, id.AuthTime = "pairwise-kim", "sid-3", w.clock.Now(), w.clock.Now()
	w.clock.Add(time.Second)
	if h := w.hearSignal(s); h.Outcome != inbound.OutcomeUnknown {
		t.Errorf("%+v", h)
	}
	if _, err := w.signInSaid(id); fault.ReasonOf(err) != upstream.ReasonOver {
		t.Errorf("it was under way: %v", err)
	}
}

// TestASignalAboutAnAccountEndsAllAndChangesNoRecord: what SCIM says of the person is
// SCIM's, and they can sign in again as soon as the provider lets them.
func TestASignalAboutAnAccountEndsAllAndChangesNoRecord(t *testing.T) {
	t.Parallel()
	for ty, reason := range map[ssf.Type]string{ssf.AccountDisabled: session.EndIdPDisabled, ssf.AccountPurged: session.EndIdPDisabled,
		inbound.SessionsRevoked: session.EndIdPSession, inbound.CredentialChange: session.EndIdPCredential} {
		w := newWorld(t)
		kim, _ := w.kim()
		one, two := w.session(southern, "oid-kim"), w.session(southern, "oid-kim")
		w.clock.Add(time.Minute)
		s := w.signalOf(southern, ty, inbound.EffectPerson)
		s.User = inbound.Subject{Issuer: idpIssuer(southern), ID: "oid-kim"}
		if h := w.hearSignal(s); h != (inbound.Heard{Outcome: inbound.OutcomeEnded, Ended: 2}) {
			t.Errorf("%s: %+v", ty, h)
		}
		w.allDead(one, "after the signal")
		w.allDead(two, "after the signal")
		if ends := w.ends(southern); len(ends) != 2 || !slices.Contains(ends, "idp "+reason+" "+string(one.browser.Session.ID)) {
			t.Errorf("%s: ends %v", ty, ends)
		}
		w.do(w.store.View(w.ctx, func(v *store.View) error {
			dir, err := v.In(southern)
			if err != nil {
				return err
			}
			p, err := dir.Person(access.PersonID(kim))
			if !p.Active {
				t.Errorf("%s switched the person off", ty)
			}
			return err
		}))
		w.clock.Add(time.Minute)
		if v := w.saidIn(upstream.Identity{Connection: southern, Subject: "oid-kim"}); !w.living(v) {
			t.Errorf("%s: nobody can sign in any more", ty)
		}
	}
}

// TestASignalCountsOnceAndIsRecorded, also what nothing is done about.
func TestASignalCountsOnceAndIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kim, _ := w.kim()
	s := w.signalOf(southern, ssf.SessionRevoked, inbound.EffectSession)
	s.User = inbound.Subject{ID: "oid-kim"}
	if h := w.hearSignal(s); h.Outcome != inbound.OutcomeNothing {
		t.Errorf("%+v", h)
	}
	w.clock.Add(6 * 24 * time.Hour)
	w.restart()
	v := w.saidIn(upstream.Identity{Connection: southern, Subject: "oid-kim"})
	if h := w.hearSignal(s); h.Outcome != inbound.OutcomeRepeated || !w.living(v) {
		t.Errorf("the same again: %+v", h)
	}
	ignored := w.signalOf(southern, ssf.TokenClaimsChange, inbound.EffectNone)
	ignored.Name, ignored.User = "token-claims-change", inbound.Subject{ID: "oid-kim"}
	if h := w.hearSignal(ignored); h.Outcome != inbound.OutcomeIgnored || !w.living(v) {
		t.Errorf("%+v", h)
	}
	told := slices.DeleteFunc(w.facts(southern), func(e event.Event) bool { return e.Type != event.SignalReceived })
	if len(told) != 2 || told[0].Person != access.PersonID(kim) || told[0].Actor != event.ByIdP || told[0].Data["outcome"] != "nothing" || told[1].Data["event"] != "token-claims-change" || told[1].Person != "" {
		t.Errorf("told %+v", told)
	}
}

// TestEveryEndIsExplainedToReceivers: whatever ends a session is told in a sentence.
func TestEveryEndIsExplainedToReceivers(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../session/session.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "End") || len(spec.Values) != 1 {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		reason, err := strconv.Unquote(value.Value)
		if ends++; err != nil || bridge.WhyEnded()[reason] == "" {
			t.Errorf("%s (%q) has no sentence", spec.Names[0].Name, reason)
		}
		return true
	})
	if ends < 19 {
		t.Errorf("found %d reasons only", ends)
	}
}
