package steward

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// emergency is what somebody of the service desk takes at once in these tests.
var emergency = Ask{Grant: access.Administrator, Area: "southern/reefline/cairns", Reason: "Incident 4", BreakGlass: true}

// What was taken at once, and nobody has confirmed, decides about nobody's access: what it
// gave would outlive it.
func TestBrokenGlassDecidesNothing(t *testing.T) {
	k := newDesks(t)
	k.glass()
	eve, bob := k.person(southern, "eve", "Service Desk"), k.person(southern, "bob", "Service Desk")
	k.asks(k.acts(southern, eve, access.Elevated), emergency)
	taken := k.acts(southern, eve, access.Administrator)
	q := k.asks(k.acts(southern, bob, access.Elevated), Ask{Grant: access.Administrator, Area: "southern/reefline/cairns", Reason: "Rollout", Case: "C-1", Until: k.clock.Now().Add(20 * 24 * time.Hour)})
	_, err := k.steward.Approve(k.ctx, taken, q.ID, Approval{ConfirmLast: true})
	k.refusedFor(err, fault.Denied, ReasonUnproven)
	v, err := k.steward.Request(k.ctx, k.operator, q.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range v.Eligible {
		if w.Person == eve {
			t.Error("who took access at once is named as an approver")
		}
	}
}

// Whoever gives back what they took has still taken it: others look at it, and until they
// have there is no more.
func TestBrokenGlassIsGivenBackAndStillLookedAt(t *testing.T) {
	k := newDesks(t)
	k.glass()
	eve := k.person(southern, "eve", "Service Desk")
	eveActs := k.acts(southern, eve, access.Elevated)
	q := k.asks(eveActs, emergency)
	v, err := k.steward.Withdraw(k.ctx, eveActs, q.ID, "not needed")
	if err != nil || v.State != request.Unconfirmed || k.holdsAt(southern, eve, "southern/reefline/cairns") {
		t.Fatalf("%v, %v", v.State, err)
	}
	_, err = k.steward.Ask(k.ctx, eveActs, emergency)
	k.refusedFor(err, fault.Conflict, ReasonUnconfirmed)
	for _, by := range []Actor{k.pat, k.own} {
		if v, err = k.steward.Confirm(k.ctx, by, q.ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	if v.State != request.Granted || k.holdsAt(southern, eve, "southern/reefline/cairns") {
		t.Errorf("%v: confirming gave it anew", v.State)
	}
}

// It is confirmed afterwards: also when it is over.
func TestBrokenGlassIsConfirmedWhenItIsOver(t *testing.T) {
	k := newDesks(t)
	k.glass()
	eve := k.person(southern, "eve", "Service Desk")
	take := emergency
	take.Until = k.clock.Now().Add(10 * time.Minute)
	q := k.asks(k.acts(southern, eve, access.Elevated), take)
	k.clock.Add(30 * time.Minute)
	for _, by := range []Actor{k.pat, k.own} {
		v, err := k.steward.Confirm(k.ctx, by, q.ID, "seen")
		if err != nil {
			t.Fatal(err)
		}
		q = v
	}
	if q.State != request.Granted || k.holdsAt(southern, eve, "southern/reefline/cairns") {
		t.Errorf("%v", q.State)
	}
}

// What is taken at once ends when it was said to, even if that leaves the place without an
// administrator.
func TestBrokenGlassIsNotHeldOver(t *testing.T) {
	k := newDesks(t)
	k.glass()
	eve := k.person(southern, "eve", "Service Desk")
	q := k.asks(k.acts(southern, eve, access.Elevated), emergency)
	k.clock.Add(30 * time.Minute)
	if err := k.steward.Tick(k.ctx); err != nil {
		t.Fatal(err)
	}
	v, err := k.steward.Request(k.ctx, k.operator, q.ID)
	if err != nil || len(k.facts(event.PermitEnding)) > 0 && k.facts(event.PermitEnding)[0].Data["reason"] == ReasonHeldOver {
		t.Fatalf("%+v, %v", v, err)
	}
	k.clock.Add(31 * time.Minute)
	if k.holdsAt(southern, eve, "southern/reefline/cairns") {
		t.Error("it lasts longer than it may")
	}
}

// Two customers take two approvers, in whichever order they are asked for and decided.
func TestASecondCustomerTakesTwoApproversWhenItIsDecided(t *testing.T) {
	k := newDesks(t)
	zed := k.person(southern, "zed")
	ask := func(area string) RequestView {
		return k.asks(k.operator, Ask{For: PersonRef{southern, zed}, Workflows: []access.Workflow{access.LiveView}, Area: area, Until: k.clock.Now().Add(48 * time.Hour), Reason: "Visit", Case: "C-1"})
	}
	one, other := ask("southern/banksia/hobart"), ask("southern/reefline/cairns")
	if v := k.approves(k.pat, one.ID, Approval{}); v.State != request.Granted {
		t.Fatalf("%v", v.State)
	}
	if v := k.approves(k.pat, other.ID, Approval{}); v.State != request.Open || v.Need != 2 {
		t.Errorf("one approver gave a second customer: %v, need %d", v.State, v.Need)
	}
	if v := k.approves(k.own, other.ID, Approval{}); v.State != request.Granted {
		t.Errorf("%v", v.State)
	}
}

// A policy that has become stricter binds what waits.
func TestAStricterPolicyBindsWhatWaits(t *testing.T) {
	k := newDesks(t)
	q := k.asks(k.samActs, k.visit())
	p := worldPolicy(t)
	p.Requests.Classes = []mapping.RequestClass{{Name: "strict", Approvers: mapping.ServiceOwners, Need: 2, Longest: 24 * time.Hour}}
	k.apply(p)
	_, err := k.steward.Approve(k.ctx, k.ann, q.ID, Approval{})
	k.refusedFor(err, fault.Denied, request.ReasonOwnersOnly)
	_, err = k.steward.Approve(k.ctx, k.own, q.ID, Approval{})
	k.refusedFor(err, fault.Invalid, request.ReasonTooLong)
	short := Approval{Less: &Less{Until: k.clock.Now().Add(20 * time.Hour)}}
	if v := k.approves(k.own, q.ID, short); v.State != request.Open {
		t.Errorf("%v after one of two", v.State)
	}
	if v := k.approves(k.owen, q.ID, Approval{}); v.State != request.Granted {
		t.Errorf("%v", v.State)
	}
}

// The yes of somebody who has left since counts for nothing when the last approver grants.
func TestAnApproverWhoHasLeftApprovesNothing(t *testing.T) {
	k := newDesks(t)
	p := worldPolicy(t)
	p.Requests.Classes = []mapping.RequestClass{{Name: "two", Approvers: mapping.ScopeAdministrators, Need: 2}}
	k.apply(p)
	q := k.asks(k.samActs, k.visit())
	if v := k.approves(k.ann, q.ID, Approval{}); v.State != request.Open {
		t.Fatal(v.State)
	}
	k.activate(banksia, k.ann.Person, false)
	if v := k.approves(k.ada, q.ID, Approval{}); v.State != request.Open {
		t.Errorf("%v: a dismissed person's yes is half of it", v.State)
	}
	if v := k.approves(k.pat, q.ID, Approval{}); v.State != request.Granted {
		t.Errorf("%v", v.State)
	}
}

// Whoever revokes does not become the one who decided, and the record says who did what.
func TestWhoRevokesIsNotWhoDecided(t *testing.T) {
	k := newDesks(t)
	q := k.approves(k.ann, k.asks(k.samActs, k.visit()).ID, Approval{})
	if _, err := k.steward.Revoke(k.ctx, k.hob, q.Permit.ID, "not needed any more"); err != nil {
		t.Fatal(err)
	}
	v, err := k.steward.Request(k.ctx, k.ann, q.ID)
	if err != nil || v.DecidedBy == nil || v.DecidedBy.Person != k.ann.Person || v.RevokedBy == nil || v.RevokedBy.Person != k.hob.Person || v.Revoked != "not needed any more" {
		t.Errorf("%+v, %v", v, err)
	}
	for kind, by := range map[event.Type]access.PersonID{event.RequestOpened: k.sam, event.PermitGiven: k.ann.Person, event.PermitEnded: k.hob.Person} {
		if all := k.facts(kind); len(all) != 1 || all[0].Data["by"] != string(by) || all[0].Data["by_connection"] != string(banksia) {
			t.Errorf("%s: %+v, want by %s", kind, all, by)
		}
	}
}

// Who gives back what they took by revoking it escapes nobody either.
func TestBrokenGlassThatIsRevokedByWhoTookItIsStillLookedAt(t *testing.T) {
	k := newDesks(t)
	k.glass()
	eve := k.person(southern, "eve", "Service Desk")
	eveActs := k.acts(southern, eve, access.Elevated)
	q := k.asks(eveActs, emergency)
	if _, err := k.steward.Revoke(k.ctx, eveActs, q.Permit.ID, "done"); err != nil {
		t.Fatal(err)
	}
	if v, err := k.steward.Request(k.ctx, eveActs, q.ID); err != nil || v.State != request.Unconfirmed {
		t.Errorf("%v, %v", v.State, err)
	}
}

// Somebody of another customer, named as approver, is as nobody: whether they administer
// anything, or exist, is not to be learned.
func TestAnApproverElsewhereIsAsNobody(t *testing.T) {
	k := newDesks(t)
	ask := k.visit()
	for _, name := range []access.PersonID{"pat@southern.example", "nobody@southern.example"} {
		ask.Approver = &PersonRef{southern, name}
		_, err := k.steward.Ask(k.ctx, k.samActs, ask)
		k.refusedFor(err, fault.Invalid, request.ReasonNotEligible)
	}
	ask.Approver = &PersonRef{banksia, "ann@banksia.example"}
	if v := k.asks(k.samActs, ask); v.Approver == nil || v.Approver.Person != k.ann.Person {
		t.Errorf("%+v", v.Approver)
	}
}

// Whoever lost what was granted is not told that they have it.
func TestWhatHasEndedIsToldSo(t *testing.T) {
	k := newDesks(t)
	q := k.approves(k.hob, k.asks(k.samActs, k.visit()).ID, Approval{})
	if !strings.HasPrefix(q.Told, "Granted: ") {
		t.Errorf("%q", q.Told)
	}
	if _, err := k.steward.Revoke(k.ctx, k.hob, q.Permit.ID, "done"); err != nil {
		t.Fatal(err)
	}
	if v, err := k.steward.Request(k.ctx, k.samActs, q.ID); err != nil || !strings.HasPrefix(v.Told, "Ended: ") {
		t.Errorf("%q, %v", v.Told, err)
	}
}
