package steward

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Closing a case ends, in one instant and across connections, all that was given for it
// and nothing else; nothing is given for it afterwards; and it begins one review.
func TestACaseClosesInOneInstant(t *testing.T) {
	k := newDesks(t)
	k.approves(k.hob, k.asks(k.samActs, k.visit()).ID, Approval{})
	sue := k.person(southern, "sue", "Service Desk")
	forSue := k.visit()
	forSue.For, forSue.Area, forSue.Grant = PersonRef{southern, sue}, "southern/reefline/cairns", access.Technician
	_, err := k.steward.Ask(k.ctx, k.operator, forSue)
	k.refusedFor(err, fault.Invalid, request.ReasonNotCertified)
	forSue.Grant = access.Administrator
	forSue.Workflows = []access.Workflow{access.UsersManage}
	v := k.asks(k.operator, forSue)
	_, err = k.steward.Approve(k.ctx, k.pat, v.ID, Approval{})
	k.refusedFor(err, fault.Invalid, request.ReasonLast)
	k.approves(k.pat, v.ID, Approval{ConfirmLast: true})
	k.clock.Add(time.Second)
	other := k.visit()
	other.Case, other.Until = "CASE-8", k.clock.Now().Add(time.Hour)
	other.Area, other.Workflows = "southern/banksia", []access.Workflow{access.SettingsView}
	k.approves(k.ann, k.asks(k.samActs, other).ID, Approval{})
	waiting := k.visit()
	waiting.Workflows = []access.Workflow{access.AddressesView}
	open := k.asks(k.samActs, waiting)

	_, err = k.steward.CloseCase(k.ctx, k.ann, "CASE-7", CloseCase{})
	k.refusedFor(err, fault.Invalid, ReasonPlanMissing)
	shown, err := k.steward.Case(k.ctx, k.operator, "CASE-7")
	if err != nil || shown.Permits != 2 || shown.Requests != 1 || len(shown.Ends) != 2 || len(shown.Last) != 1 || shown.Last[0].Path != "southern/reefline/cairns" {
		t.Fatalf("%+v, %v", shown, err)
	}
	_, err = k.steward.CloseCase(k.ctx, k.operator, "CASE-7", CloseCase{ConfirmLast: true})
	k.refusedFor(err, fault.Invalid, ReasonPlanMissing)
	_, err = k.steward.CloseCase(k.ctx, k.operator, "CASE-7", CloseCase{Plan: "other", ConfirmLast: true})
	k.refusedFor(err, fault.Stale, ReasonPlanStale)
	_, err = k.steward.CloseCase(k.ctx, k.operator, "CASE-7", CloseCase{Plan: shown.Plan})
	k.refusedFor(err, fault.Invalid, request.ReasonLast)
	done, err := k.steward.CloseCase(k.ctx, k.own, "CASE-7", CloseCase{Plan: shown.Plan, Kind: "project", Reason: "rolled out", ConfirmLast: true})
	if err != nil || done.Closed.IsZero() || done.Review == "" || done.Kind != "project" || done.ClosedBy.UserName != "own@lantern.example" {
		t.Fatalf("%+v, %v", done, err)
	}
	if k.holdsAt(banksia, k.sam, string(k.scope("southern/banksia/hobart"))) || k.holdsAt(southern, sue, string(k.scope("southern/reefline/cairns"))) ||
		!k.holdsAt(banksia, k.sam, string(k.scope("southern/banksia"))) || !k.holdsAt(southern, sue, string(k.scope("southern"))) {
		t.Errorf("sam %s, sue %v", k.has(k.sam), k.held(southern, sue))
	}
	if v, err := k.steward.Request(k.ctx, k.samActs, open.ID); err != nil || v.State != request.Lapsed || v.Because != request.ReasonCaseClosed {
		t.Errorf("%+v, %v", v, err)
	}
	waiting.Until = waiting.Until.Add(time.Hour)
	_, err = k.steward.Ask(k.ctx, k.samActs, waiting)
	k.refusedFor(err, fault.Invalid, request.ReasonCaseClosed)
	_, err = k.steward.CloseCase(k.ctx, k.operator, "CASE-7", CloseCase{})
	k.refusedFor(err, fault.Stale, request.ReasonCaseClosed)
	if n, m := len(k.facts(event.PermitEnded)), len(k.facts(event.CaseClosed)); n != 2 || m != 1 {
		t.Errorf("%d permits, %d cases", n, m)
	}
	if err := k.steward.Tick(k.ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(k.facts(event.PermitEnded)); n != 2 {
		t.Errorf("%d are told of in all", n)
	}
	cases, err := k.steward.Cases(k.ctx, k.ann, CaseQuery{})
	if err != nil || len(cases.Cases) != 2 || cases.Cases[0].ID != "CASE-8" {
		t.Errorf("%+v, %v", cases, err)
	}
	if cases, err = k.steward.Cases(k.ctx, k.operator, CaseQuery{Open: true, Count: 1}); err != nil || len(cases.Cases) != 1 {
		t.Errorf("%+v, %v", cases, err)
	}
}

// What a large case gave is refused from the commit that closes it, before anybody is
// decided anew; the background tells of each once.
func TestALargeCaseEndsBeforeItsPeopleAreDecided(t *testing.T) {
	k := newDesks(t)
	hobart := k.scope("southern/banksia/hobart")
	err := k.store.Update(k.ctx, func(tx *store.Tx) error {
		d, err := tx.In(banksia)
		if err != nil {
			return err
		}
		if _, err := tx.OpenCase("BIG", "cas_big", k.clock.Now()); err != nil {
			return err
		}
		p, err := d.Person(k.sam)
		for i := 0; i < endsInline+50 && err == nil; i++ {
			err = d.PutPermit(p, access.Permit{ID: access.PermitID(fmt.Sprintf("prm_big%04d", i)), Grant: access.Standard, Scope: hobart, Standing: access.Guest,
				Kind: access.SourceRequest, Request: "req_big", Case: "BIG", Given: k.clock.Now(), Until: k.clock.Now().Add(time.Hour)})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	k.recompute()
	signedIn := k.signedIn(banksia, "sam", k.samActs)
	if _, err := k.steward.Requests(k.ctx, signedIn, Query{}); err != nil || !k.holdsAt(banksia, k.sam, string(hobart)) {
		t.Fatalf("%v, %s", err, k.has(k.sam))
	}
	shown, err := k.steward.Case(k.ctx, k.operator, "BIG")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.steward.CloseCase(k.ctx, k.operator, "BIG", CloseCase{Plan: shown.Plan}); err != nil {
		t.Fatal(err)
	}
	err = k.store.View(k.ctx, func(v *store.View) error {
		cur, err := v.Current(signedIn.Token.Subject)
		if cur.ValidUntil.IsZero() || k.clock.Now().Before(cur.ValidUntil) {
			t.Error("the last decision about the person still counts")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	k.recompute()
	if k.holdsAt(banksia, k.sam, string(hobart)) {
		t.Error("it is held still")
	}
	for range 5 {
		if err := k.steward.Tick(k.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.facts(event.PermitEnded)); n != endsInline+50 {
		t.Errorf("%d are told of", n)
	}
}

// recompute does what the bridge does behind requests.
func (w *world) recompute() {
	w.t.Helper()
	for more := true; more; {
		n, err := w.bridge.Recompute(w.ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		more = n > 0
	}
}

// Both sides are told before something ends: at each instant once, whatever was stopped
// meanwhile.
func TestBothSidesAreToldBeforeTheEnd(t *testing.T) {
	k := newDesks(t)
	k.approves(k.hob, k.asks(k.samActs, k.visit()).ID, Approval{})
	tick := func(want int) {
		t.Helper()
		for range 2 {
			if err := k.steward.Tick(k.ctx); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(k.facts(event.PermitEnding)); n != want {
			t.Errorf("told %d times, want %d", n, want)
		}
	}
	k.clock.Add(11*24*time.Hour - time.Millisecond)
	tick(0)
	k.clock.Add(time.Millisecond)
	tick(1)
	k.clock.Add(2*24*time.Hour + time.Hour)
	tick(2)
	if e := k.facts(event.PermitEnding)[1]; e.Person != k.sam || e.Data["asked_by"] != "banksia-entra/"+string(k.sam) || e.Data["seconds_left"] != "82800" {
		t.Errorf("%+v", e)
	}
	k.clock.Add(24 * time.Hour)
	tick(2)
}

// The last administrator of a scope is held over by a week, again and again, until
// somebody says who follows, or that nobody will; with the work stopped the end counts.
func TestTheLastAdministratorIsHeldOver(t *testing.T) {
	k := newDesks(t)
	cairns := string(k.scope("southern/reefline/cairns"))
	sue := k.person(southern, "sue", "Service Desk")
	ask := k.visit()
	ask.For, ask.Area, ask.Workflows = PersonRef{southern, sue}, "southern/reefline/cairns", []access.Workflow{access.UsersManage}
	v := k.asks(k.operator, ask)
	if v.Last == "" {
		t.Error("nobody is told of the last administrator")
	}
	_, err := k.steward.Approve(k.ctx, k.pat, v.ID, Approval{Successor: &PersonRef{southern, sue}})
	k.refusedFor(err, fault.Invalid, request.ReasonSuccessor)
	k.unnamed(k.pat, v.ID)
	k.clock.Add(11 * 24 * time.Hour)
	if err := k.steward.Tick(k.ctx); err != nil {
		t.Fatal(err)
	}
	ending := k.facts(event.PermitEnding)
	if len(ending) != 2 || ending[1].Data["reason"] != ReasonHeldOver {
		t.Errorf("%+v", ending)
	}
	k.clock.Add(4 * 24 * time.Hour) // past the first end
	if !k.holdsAt(southern, sue, cairns) {
		t.Error("the scope was left alone")
	}
	if v, err = k.steward.Approve(k.ctx, k.pat, v.ID, Approval{Successor: &PersonRef{southern, k.pat.Person}}); err != nil || v.Permit.State != "running" {
		t.Errorf("%+v, %v", v, err)
	}
	for range 8 {
		if err := k.steward.Tick(k.ctx); err != nil {
			t.Fatal(err)
		}
		k.clock.Add(24 * time.Hour)
	}
	if k.holdsAt(southern, sue, cairns) {
		t.Error("it goes on though somebody follows")
	}
}

// unnamed approves as one who had another administrator without an end beside, who leaves
// afterwards: nobody was asked who follows.
func (k *desks) unnamed(a Actor, id access.RequestID) {
	k.t.Helper()
	p := worldPolicy(k.t)
	rules := p.Rules
	for i, r := range rules {
		if r.ID == "provider-admins" {
			r.Give = "administrator @ southern"
			r.Guest = []string{"administrator @ southern/reefline/cairns"}
			rules[i] = r
		}
	}
	k.apply(p)
	k.recompute()
	k.approves(a, id, Approval{})
	k.apply(worldPolicy(k.t))
	k.recompute()
}

// What the case itself gave without an end keeps no scope, nor does what has not begun:
// closing it says which scopes are left without an administrator.
func TestACaseThatGaveTheLastAdministrator(t *testing.T) {
	k := newDesks(t)
	zed, yan := k.person(banksia, "zed"), k.person(banksia, "yan")
	for _, id := range []access.CaseID{"CASE-9", "CASE-10"} {
		if err := k.store.Update(k.ctx, func(tx *store.Tx) error {
			_, err := tx.OpenCase(id, "cas_"+string(id), k.clock.Now())
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	k.permit(banksia, zed, access.Administrator, "southern/banksia/geelong", access.Permit{Case: "CASE-9"})
	k.permit(banksia, yan, access.Administrator, "southern/banksia/geelong", access.Permit{Case: "CASE-10", NotBefore: k.clock.Now().Add(9 * 365 * 24 * time.Hour)})
	shown, err := k.steward.Case(k.ctx, k.operator, "CASE-9")
	if err != nil || len(shown.Last) != 1 || shown.Last[0].Path != "southern/banksia/geelong" {
		t.Fatalf("%+v, %v", shown, err)
	}
	_, err = k.steward.CloseCase(k.ctx, k.operator, "CASE-9", CloseCase{Plan: shown.Plan})
	k.refusedFor(err, fault.Invalid, request.ReasonLast)
	k.permit(banksia, yan, access.Administrator, "southern/banksia/geelong", access.Permit{Case: "CASE-10"})
	if shown, err = k.steward.Case(k.ctx, k.operator, "CASE-9"); err != nil || len(shown.Last) != 0 {
		t.Errorf("with another it is left alone all the same: %+v, %v", shown, err)
	}
}
