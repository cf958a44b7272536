package steward

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

// tro asks for something at Tundra, which belongs to a case.
func (k *desks) troAsks(id access.CaseID, tro access.PersonID, at time.Duration) Ask {
	return Ask{For: PersonRef{tundra, tro}, Workflows: []access.Workflow{access.LiveView}, Area: "boreal/tundra/lulea",
		Until: k.clock.Now().Add(at), Reason: "Roll-out", Case: id}
}

// Whoever administers a customer closes what is the customer's of a case; the others', and
// the case for all others, go on, whoever named it first.
func TestAPersonClosesTheirPartOfACase(t *testing.T) {
	k := newDesks(t)
	tro := k.person(tundra, "tro", "gl-Tromsø-ops")
	k.approves(k.ann, k.asks(k.samActs, k.visit()).ID, Approval{})
	k.approves(k.own, k.asks(k.operator, k.troAsks("CASE-7", tro, time.Hour)).ID, Approval{})
	waits := k.visit()
	waits.Workflows = []access.Workflow{access.AddressesView}
	open := k.asks(k.samActs, waits)
	shown, err := k.steward.Case(k.ctx, k.ann, "CASE-7")
	if err != nil || shown.Permits != 1 || shown.Requests != 1 {
		t.Fatalf("%+v, %v", shown, err)
	}
	done, err := k.steward.CloseCase(k.ctx, k.ann, "CASE-7", CloseCase{Plan: shown.Plan, Reason: "done here"})
	if err != nil || done.Closed.IsZero() || done.Review == "" {
		t.Fatalf("%+v, %v", done, err)
	}
	if hobart := string(k.scope("southern/banksia/hobart")); k.holdsAt(banksia, k.sam, hobart) || !k.holdsAt(tundra, tro, string(k.scope("boreal/tundra/lulea"))) {
		t.Errorf("sam %s, tro %v", k.has(k.sam), k.held(tundra, tro))
	}
	if v, err := k.steward.Request(k.ctx, k.samActs, open.ID); err != nil || v.State != request.Lapsed {
		t.Errorf("%+v, %v", v, err)
	}
	again := k.visit()
	again.Until = again.Until.Add(time.Hour)
	_, err = k.steward.Ask(k.ctx, k.samActs, again)
	k.refusedFor(err, fault.Invalid, request.ReasonCaseClosed)
	_, err = k.steward.CloseCase(k.ctx, k.ann, "CASE-7", CloseCase{})
	k.refusedFor(err, fault.Stale, request.ReasonCaseClosed)
	k.asks(k.operator, k.troAsks("CASE-7", tro, 2*time.Hour))
	if v, err := k.steward.Case(k.ctx, k.own, "CASE-7"); err != nil || !v.Closed.IsZero() || v.Permits != 1 || v.Requests != 1 {
		t.Errorf("the others' part: %+v, %v", v, err)
	}
	if all, err := k.steward.Cases(k.ctx, k.ann, CaseQuery{Open: true}); err != nil || len(all.Cases) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// Whoever closes all of a case below the host blocks nobody elsewhere: the case opens again
// with the next request.
func TestAClosedCaseIsClosedWhereItWas(t *testing.T) {
	k := newDesks(t)
	tro := k.person(tundra, "tro", "gl-Tromsø-ops")
	troActs := k.acts(tundra, tro, access.Standard)
	k.approves(k.ann, k.asks(k.samActs, k.visit()).ID, Approval{})
	for _, who := range []Actor{k.ann, k.own} {
		shown, err := k.steward.Case(k.ctx, who, "CASE-7")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.steward.CloseCase(k.ctx, who, "CASE-7", CloseCase{Plan: shown.Plan}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := k.steward.Ask(k.ctx, k.operator, k.troAsks("CASE-7", tro, time.Hour))
	k.refusedFor(err, fault.Invalid, request.ReasonCaseClosed)
	known, err := k.steward.Propose(k.ctx, troActs, k.troAsks("CASE-7", tro, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := k.steward.Propose(k.ctx, troActs, k.troAsks("CASE-NEW", tro, time.Hour))
	if err != nil || fmt.Sprint(known) != fmt.Sprint(fresh) {
		t.Errorf("a foreign case is told apart:\n%+v\n%+v, %v", known, fresh, err)
	}
	k.asks(troActs, k.troAsks("CASE-7", tro, time.Hour))
	if v, err := k.steward.Case(k.ctx, k.own, "CASE-7"); err != nil || !v.Closed.IsZero() || v.Requests != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if err := k.steward.Tick(k.ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(k.facts(event.PermitEnded)); n != 1 {
		t.Errorf("%d ended", n)
	}
}

// A list of cases names none that is not seen, not even as the place where it goes on, and
// says how much each has given.
func TestAListOfCasesNamesNoOther(t *testing.T) {
	k := newDesks(t)
	tro := k.person(tundra, "tro", "gl-Tromsø-ops")
	for i, id := range []access.CaseID{"MINE-1", "MINE-2"} {
		ask := k.visit()
		ask.Case, ask.Until = id, ask.Until.Add(time.Duration(i)*time.Hour)
		k.asks(k.samActs, ask)
		k.clock.Add(time.Second)
	}
	k.approves(k.own, k.asks(k.operator, k.troAsks("SECRET-1", tro, 24*time.Hour)).ID, Approval{})
	for i := range 3 {
		k.clock.Add(time.Second)
		k.asks(k.operator, k.troAsks(access.CaseID(fmt.Sprintf("SECRET-%d", i+2)), tro, time.Duration(i+25)*time.Hour))
	}
	page, err := k.steward.Cases(k.ctx, k.ann, CaseQuery{Count: 1})
	if err != nil || len(page.Cases) != 1 || page.Cases[0].ID != "MINE-2" || page.Next == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	if page, err = k.steward.Cases(k.ctx, k.ann, CaseQuery{Count: 1, After: page.Next}); err != nil || len(page.Cases) != 1 || page.Cases[0].ID != "MINE-1" || page.Next != "" {
		t.Errorf("%+v, %v", page, err)
	}
	for _, after := range []string{"SECRET-1", "nothing"} {
		if page, err = k.steward.Cases(k.ctx, k.ann, CaseQuery{After: after}); err != nil || len(page.Cases) != 2 || page.Next != "" {
			t.Errorf("after %s: %+v, %v", after, page, err)
		}
	}
	if page, err = k.steward.Cases(k.ctx, k.operator, CaseQuery{}); err != nil || len(page.Cases) != 6 || page.Cases[3].Permits != 1 || page.Cases[0].Permits != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}
