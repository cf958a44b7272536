package steward

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

// flags are those of what somebody holds of a grant.
func (w *world) flags(c access.ConnectionID, p access.PersonID, g access.Grant) access.Flags {
	w.t.Helper()
	for _, a := range w.held(c, p) {
		if a.Grant == g {
			return a.Flags
		}
	}
	w.t.Fatalf("%s does not hold %s", p, g)
	return access.Flags{}
}

func events(f access.EventFlag) *access.EventFlag { return &f }

func TestALimitLowersAtOnceAndOutlivesWhatGives(t *testing.T) {
	w := newWorld(t)
	boss := w.person(banksia, "boss", accountAdmins)
	kim := w.person(banksia, "kim", geelongManagers)
	a := w.signedIn(banksia, "kim", w.acts(banksia, kim, access.Standard))
	by := w.acts(banksia, boss, access.Administrator)
	ref := PersonRef{Person: "kim@banksia.example"} // of boss's own connection
	l, err := w.steward.Narrow(w.ctx, by, ref, Narrowing{Area: "southern/banksia", Events: events(access.EventsNone), Reason: "complaint of a driver"})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.flags(banksia, kim, access.Standard); got != (access.Flags{Video: true}) {
		t.Errorf("left with %+v", got)
	}
	if w.acting(a) {
		t.Error("a token of before still counts")
	}
	if again, err := w.steward.Narrow(w.ctx, by, ref, Narrowing{Area: "southern/banksia", Events: events(access.EventsNone), Reason: "once more"}); err != nil || again.ID != l.ID {
		t.Errorf("%+v, %v", again, err)
	}
	w.clock.Add(time.Millisecond)
	if _, err := w.steward.Narrow(w.ctx, by, ref, Narrowing{Area: "southern/banksia/geelong", NoVideo: true, Reason: "as well"}); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Millisecond)
	// It binds what comes later, too, and the groups give no more than before.
	w.leave(banksia, kim, geelongManagers)
	w.join(banksia, string(kim), geelongManagers)
	if got := w.flags(banksia, kim, access.Standard); got != (access.Flags{}) {
		t.Errorf("given again: %+v", got)
	}
	all, err := w.steward.Limits(w.ctx, by, ref)
	if err != nil || len(all) != 2 || all[0].By != "boss" || all[0].Reason != "complaint of a driver" || all[0].Area.Path != "southern/banksia" {
		t.Errorf("%+v, %v", all, err)
	}
	lifted, err := w.steward.Lift(w.ctx, by, l.ID, "settled")
	if err != nil || lifted.Lifted.IsZero() || lifted.LiftedBy != "boss" || lifted.Because != "settled" {
		t.Errorf("%+v, %v", lifted, err)
	}
	if got := w.flags(banksia, kim, access.Standard); got != (access.Flags{Events: access.EventsStandard}) {
		t.Errorf("after lifting: %+v", got)
	}
	if _, err := w.steward.Lift(w.ctx, by, l.ID, "again"); !fault.Is(err, fault.Stale) {
		t.Errorf("%v", err)
	}
	if set, gone := w.events(event.LimitSet), w.events(event.LimitLifted); set != 2 || gone != 1 {
		t.Errorf("%d set, %d lifted", set, gone)
	}
}

func TestWhoMayNarrowWhomAndWhere(t *testing.T) {
	w := newWorld(t)
	boss, hob := w.person(banksia, "boss", accountAdmins), w.person(banksia, "hob", hobartAdmins)
	kim := w.person(banksia, "kim", geelongManagers)
	far := w.person(tundra, "far", "gl-lulea-ops")
	byBoss, byHob := w.acts(banksia, boss, access.Administrator), w.acts(banksia, hob, access.Administrator)
	byKim := w.acts(banksia, kim, access.Standard)
	in := func(c access.ConnectionID, p access.PersonID) PersonRef { return PersonRef{Connection: c, Person: p} }
	less := Narrowing{NoVideo: true, Reason: "why"}
	for _, c := range []struct {
		what   string
		who    Actor
		ref    PersonRef
		area   string
		kind   fault.Kind
		reason string
	}{
		{"of another customer", byBoss, in(tundra, far), "southern/banksia", fault.NotFound, ""},
		{"elsewhere", byBoss, in(banksia, kim), "boreal/tundra", fault.NotFound, ""},
		{"above", byHob, in(banksia, kim), "southern/banksia", fault.NotFound, ""},
		{"of another fleet", byHob, in(banksia, kim), "southern/banksia/hobart", fault.NotFound, ""},
		{"who is no administrator", byKim, in(banksia, kim), "southern/banksia/geelong", fault.NotFound, ""},
		{"nobody", byBoss, in(banksia, "per_none"), "southern/banksia", fault.NotFound, ""},
		{"no connection", byBoss, in("none", kim), "southern/banksia", fault.NotFound, ""},
		{"nothing by nobody", Actor{}, in(banksia, kim), "southern/banksia", fault.Denied, ReasonRightLost},
	} {
		less.Area = c.area
		_, err := w.steward.Narrow(w.ctx, c.who, c.ref, less)
		if !fault.Is(err, c.kind) || fault.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	less.Area = "southern/banksia"
	own, err := w.steward.Narrow(w.ctx, byBoss, in(banksia, boss), less) // oneself: that is allowed
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.steward.Lift(w.ctx, byBoss, own.ID, "no"); fault.ReasonOf(err) != ReasonOwnLimit {
		t.Errorf("lifted for oneself: %v", err)
	}
	// What was set from above stays until somebody above lifts it.
	owner := w.acts(southern, w.person(southern, "pat", providerAdmins), access.Administrator)
	above, err := w.steward.Narrow(w.ctx, owner, in(banksia, kim), less)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.steward.Lift(w.ctx, byBoss, above.ID, "no"); fault.ReasonOf(err) != ReasonLimitFromAbove {
		t.Errorf("lifted from below: %v", err)
	}
	if _, err := w.steward.Lift(w.ctx, byHob, above.ID, "no"); !fault.Is(err, fault.NotFound) {
		t.Errorf("lifted from elsewhere: %v", err)
	}
	if _, err := w.steward.Lift(w.ctx, operator, above.ID, "yes"); err != nil {
		t.Error(err)
	}
	if all, err := w.steward.Limits(w.ctx, byKim, in(banksia, kim)); err != nil || len(all) != 1 {
		t.Errorf("one's own limits: %+v, %v", all, err)
	}
	for what, n := range map[string]Narrowing{ReasonNothingNarrowed: {Area: "southern/banksia", Reason: "x"}, request.ReasonReason: {Area: "southern/banksia", NoVideo: true, Reason: " "}} {
		if _, err := w.steward.Narrow(w.ctx, operator, in(banksia, kim), n); fault.ReasonOf(err) != what || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.steward.Narrow(w.ctx, operator, in(banksia, kim), Narrowing{Area: ".", Events: events(access.EventsRestricted), Reason: "x"}); fault.ReasonOf(err) != ReasonNothingNarrowed {
		t.Errorf("restricted takes nothing: %v", err)
	}
}
