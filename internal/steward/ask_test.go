package steward

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// desks is a world with somebody to ask for, and those who may decide and may not.
type desks struct {
	*world
	sam                                    access.PersonID // standard @ southern/banksia/geelong
	samActs, ann, ada, hob, pat, own, owen Actor
	operator                               Actor
}

func newDesks(t testing.TB) *desks {
	w := newWorld(t)
	k := &desks{world: w, operator: Actor{Operator: "desk"}}
	admin := func(c access.ConnectionID, name, group string) Actor {
		return w.acts(c, w.person(c, name, group), access.Administrator)
	}
	k.ann, k.ada = admin(banksia, "ann", accountAdmins), admin(banksia, "ada", accountAdmins)
	k.hob, k.pat = admin(banksia, "hob", hobartAdmins), admin(southern, "pat", providerAdmins)
	k.own, k.owen = admin(lantern, "own", serviceOwners), admin(lantern, "owen", serviceOwners)
	k.sam = w.person(banksia, "sam", geelongManagers)
	k.samActs = w.acts(banksia, k.sam, access.Standard)
	return k
}

// visit is what sam asks for in these tests: a visit to Hobart.
func (k *desks) visit() Ask {
	return Ask{For: PersonRef{banksia, k.sam}, Workflows: []access.Workflow{access.LiveView}, Area: "southern/banksia/hobart",
		Until: k.clock.Now().Add(14 * 24 * time.Hour), Reason: "Training", Case: "CASE-7"}
}

func (k *desks) asks(a Actor, ask Ask) RequestView {
	k.t.Helper()
	v, err := k.steward.Ask(k.ctx, a, ask)
	if err != nil {
		k.t.Fatal(err)
	}
	return v
}

func (k *desks) approves(a Actor, id access.RequestID, ap Approval) RequestView {
	k.t.Helper()
	v, err := k.steward.Approve(k.ctx, a, id, ap)
	if err != nil {
		k.t.Fatal(err)
	}
	return v
}

// has are a person's assignments that hold now, in words.
func (k *desks) has(p access.PersonID) string {
	k.t.Helper()
	var all []string
	for _, a := range k.held(banksia, p) {
		if a.ValidAt(k.clock.Now()) {
			all = append(all, fmt.Sprintf("%s %s@%s", a.Standing, a.Grant, a.Scope))
		}
	}
	return strings.Join(all, ", ")
}

func (k *desks) refusedFor(err error, kind fault.Kind, reason string) {
	k.t.Helper()
	if !fault.Is(err, kind) || fault.ReasonOf(err) != reason {
		k.t.Errorf("%v (%s), want %s %s", err, fault.ReasonOf(err), kind, reason)
	}
}

// facts are all events of a type ("": of any), the oldest first.
func (w *world) facts(t event.Type) (all []event.Event) {
	w.t.Helper()
	err := w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.Outbox(0, 10_000)
		for _, r := range rows {
			var e event.Event
			if err := json.Unmarshal(r.Body, &e); err != nil {
				return err
			}
			if e.Type == t || t == "" {
				all = append(all, e)
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestARequestIsAskedDecidedAndHeld(t *testing.T) {
	k := newDesks(t)
	offer, err := k.steward.Propose(k.ctx, k.samActs, k.visit())
	if err != nil {
		t.Fatal(err)
	}
	if offer.Terms.Grant != access.Standard || offer.Terms.Area.Path != "southern/banksia/hobart" || offer.Standing != access.Guest || len(offer.Missing) > 0 ||
		offer.Class != "usual" || offer.Need != 1 || len(offer.Approvers) != 3 || !offer.More {
		t.Errorf("%+v", offer)
	}
	v := k.asks(k.samActs, k.visit())
	if v.State != request.Open || len(v.Eligible) != 3 || v.By.UserName != "sam@banksia.example" || k.has(k.sam) != "primary standard@"+string(k.scope("southern/banksia/geelong")) {
		t.Errorf("%+v", v)
	}
	_, err = k.steward.Ask(k.ctx, k.samActs, k.visit())
	k.refusedFor(err, fault.Conflict, ReasonAsked)
	_, err = k.steward.Approve(k.ctx, k.samActs, v.ID, Approval{})
	k.refusedFor(err, fault.Denied, request.ReasonOwn)
	_, err = k.steward.Approve(k.ctx, k.operator, v.ID, Approval{})
	k.refusedFor(err, fault.Denied, ReasonNeedsPerson)
	tun := k.acts(lantern, k.person(lantern, "tun", "Service Owners"), access.Administrator)
	tun.Manages = false
	_, err = k.steward.Approve(k.ctx, tun, v.ID, Approval{})
	k.refusedFor(err, fault.Denied, ReasonUnmarked)

	until := k.clock.Now().Add(48 * time.Hour)
	got := k.approves(k.hob, access.RequestID(v.Short), Approval{Less: &Less{Until: until}, Comment: "two days will do"})
	if got.State != request.Granted || !got.Granted.Until.Equal(until) || got.Permit == nil || got.Permit.State != "running" || got.DecidedBy.UserName != "hob@banksia.example" {
		t.Errorf("%+v", got)
	}
	if want := "primary standard@" + string(k.scope("southern/banksia/geelong")) + ", guest standard@" + string(k.scope("southern/banksia/hobart")); k.has(k.sam) != want {
		t.Errorf("holds %s, want %s", k.has(k.sam), want)
	}
	_, err = k.steward.Approve(k.ctx, k.ann, v.ID, Approval{})
	k.refusedFor(err, fault.Stale, request.ReasonDecided)
	_, err = k.steward.Ask(k.ctx, k.samActs, k.visit())
	if err != nil {
		t.Errorf("what ends before may be asked for: %v", err)
	}
	k.clock.Add(48*time.Hour - time.Millisecond)
	if !strings.Contains(k.has(k.sam), "guest") {
		t.Error("it ended too early")
	}
	k.clock.Add(time.Millisecond)
	if strings.Contains(k.has(k.sam), "guest") {
		t.Error("it did not end, with all workers stopped")
	}
	page, err := k.steward.Permits(k.ctx, k.hob, PermitQuery{})
	if err != nil || len(page.Permits) != 1 || page.Permits[0].State != "over" || page.Permits[0].EndReason != access.EndPermitTime {
		t.Errorf("%+v, %v", page, err)
	}
	if n := len(k.facts(event.PermitGiven)); n != 1 {
		t.Errorf("%d permits were given", n)
	}
	for _, e := range k.facts(event.RequestOpened) {
		if strings.Contains(fmt.Sprint(e.Data), "example") || e.Data["approvers"] == "" || e.Data["case"] != "CASE-7" {
			t.Errorf("%v", e.Data)
		}
	}
}

// Nobody asks for others elsewhere, and nobody learns of what lies elsewhere.
func TestWhatLiesElsewhereIsNotThere(t *testing.T) {
	k := newDesks(t)
	kai := k.person(tundra, "kai")
	ask := k.visit()
	ask.For = PersonRef{tundra, kai}
	for _, a := range []Actor{k.samActs, k.ann, k.pat} {
		_, err := k.steward.Ask(k.ctx, a, ask)
		k.refusedFor(err, fault.NotFound, "")
	}
	v := k.asks(k.ann, k.visit())
	for _, a := range []Actor{k.acts(tundra, k.person(tundra, "olga", "gl-tromso-ops"), access.Standard), k.acts(banksia, k.person(banksia, "gil", geelongManagers), access.Standard)} {
		_, err := k.steward.Request(k.ctx, a, v.ID)
		k.refusedFor(err, fault.NotFound, "")
		_, err = k.steward.Approve(k.ctx, a, v.ID, Approval{})
		k.refusedFor(err, fault.NotFound, "")
		_, err = k.steward.Withdraw(k.ctx, a, v.ID, "")
		k.refusedFor(err, fault.NotFound, "")
		page, err := k.steward.Requests(k.ctx, a, Query{})
		if err != nil || len(page.Requests) > 0 {
			t.Errorf("%+v, %v", page, err)
		}
		_, err = k.steward.Case(k.ctx, a, "CASE-7")
		k.refusedFor(err, fault.NotFound, "")
	}
	_, err := k.steward.Approve(k.ctx, k.ann, v.ID, Approval{})
	k.refusedFor(err, fault.Denied, request.ReasonOwn)
	mine, err := k.steward.Requests(k.ctx, k.samActs, Query{})
	if err != nil || len(mine.Requests) != 1 || mine.Requests[0].By.UserName != "ann@banksia.example" {
		t.Errorf("%+v, %v", mine, err)
	}
	for who, a := range map[string]Actor{"hob": k.hob, "ada": k.ada, "pat": k.pat, "own": k.own} {
		todo, err := k.steward.Requests(k.ctx, a, Query{ToDecide: true})
		if err != nil || len(todo.Requests) != 1 {
			t.Errorf("%s decides %d requests, %v", who, len(todo.Requests), err)
		}
	}
	if todo, err := k.steward.Requests(k.ctx, k.ann, Query{ToDecide: true}); err != nil || len(todo.Requests) != 0 {
		t.Errorf("whoever asks decides: %+v, %v", todo, err)
	}
	if _, err := k.steward.Withdraw(k.ctx, k.samActs, v.ID, "not needed"); err != nil {
		t.Error(err)
	}
}

// A fleet of another customer: the vendor's staff ask, the service owners decide, both of them,
// and it is held above the ceiling.
func TestAccessAboveTheCeilingIsTwoServiceOwners(t *testing.T) {
	k := newDesks(t)
	ask := k.visit()
	ask.Area = "southern/reefline"
	v := k.asks(k.operator, ask)
	if v.Need != 2 || !v.Outside || !v.Visible.Several || v.Class != "outside" || v.Asked.Area.Path != "southern/reefline/cairns" {
		t.Errorf("%+v", v)
	}
	_, err := k.steward.Approve(k.ctx, k.pat, v.ID, Approval{})
	k.refusedFor(err, fault.Denied, request.ReasonOwnersOnly)
	if v = k.approves(k.own, v.ID, Approval{}); v.State != request.Open || len(v.Eligible) != 1 && !v.More {
		t.Errorf("%+v", v)
	}
	_, err = k.steward.Approve(k.ctx, k.own, v.ID, Approval{})
	k.refusedFor(err, fault.Stale, request.ReasonTwice)
	if v = k.approves(k.owen, v.ID, Approval{}); v.State != request.Granted || !strings.Contains(k.has(k.sam), string(k.scope("southern/reefline/cairns"))) {
		t.Errorf("%s, %s", v.State, k.has(k.sam))
	}
	k.patch(banksia, k.sam, `{"op":"replace","path":"title","value":"Driver"}`)
	if !strings.Contains(k.has(k.sam), string(k.scope("southern/reefline/cairns"))) {
		t.Error("a sync of the identity provider took it away")
	}
	k.activate(banksia, k.sam, false)
	k.activate(banksia, k.sam, true)
	if strings.Contains(k.has(k.sam), string(k.scope("southern/reefline/cairns"))) {
		t.Error("it revived")
	}
}

func (w *world) patch(c access.ConnectionID, p access.PersonID, op string) {
	w.t.Helper()
	w.must(200, c, "PATCH", "/Users/"+string(p), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+op+`]}`)
}

func TestNobodyCanApproveIsSaidAtOnce(t *testing.T) {
	w := newWorld(t)
	k := &desks{world: w, sam: w.person(banksia, "sam", geelongManagers)}
	_, err := w.steward.Ask(w.ctx, w.acts(banksia, k.sam, access.Standard), k.visit())
	k.refusedFor(err, fault.Invalid, request.ReasonNobody)
	ask := k.visit()
	ask.Approver = &PersonRef{lantern, "nobody@lantern.example"}
	k.person(banksia, "ann", accountAdmins)
	_, err = w.steward.Ask(w.ctx, w.acts(banksia, k.sam, access.Standard), ask)
	k.refusedFor(err, fault.Invalid, request.ReasonNotEligible)
	ask.Approver = &PersonRef{banksia, "ann@banksia.example"}
	if v, err := w.steward.Ask(w.ctx, w.acts(banksia, k.sam, access.Standard), ask); err != nil || v.Approver.UserName != "ann@banksia.example" {
		t.Errorf("%+v, %v", v.Approver, err)
	}
}

func TestRefusedAndTakenBack(t *testing.T) {
	k := newDesks(t)
	v := k.asks(k.samActs, k.visit())
	_, err := k.steward.Deny(k.ctx, k.hob, v.ID, " ")
	k.refusedFor(err, fault.Invalid, request.ReasonReason)
	if v, err = k.steward.Deny(k.ctx, k.hob, v.ID, "Ask your manager"); err != nil || v.State != request.Denied || v.Because != "Ask your manager" || !strings.Contains(v.Told, "Ask your manager") {
		t.Errorf("%+v, %v", v, err)
	}
	_, err = k.steward.Withdraw(k.ctx, k.samActs, v.ID, "")
	k.refusedFor(err, fault.Stale, request.ReasonDecided)
	v = k.asks(k.samActs, k.visit())
	if c, err := k.steward.Case(k.ctx, k.ann, "CASE-7"); err != nil || c.Requests != 1 || c.Permits != 0 || c.Plan == "" {
		t.Errorf("%+v, %v", c, err)
	}
	if v, err = k.steward.Withdraw(k.ctx, k.samActs, v.ID, "not needed"); err != nil || v.State != request.Withdrawn {
		t.Errorf("%+v, %v", v, err)
	}
	if c, err := k.steward.Case(k.ctx, k.ann, "CASE-7"); err != nil || c.Requests != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// A request that nobody decides lapses at its instant; what was written down says so later.
func TestARequestLapses(t *testing.T) {
	k := newDesks(t)
	v := k.asks(k.samActs, k.visit())
	k.clock.Add(7*24*time.Hour - time.Millisecond)
	if got, err := k.steward.Request(k.ctx, k.hob, v.ID); err != nil || got.State != request.Open {
		t.Errorf("%+v, %v", got, err)
	}
	k.clock.Add(time.Millisecond)
	_, err := k.steward.Approve(k.ctx, k.hob, v.ID, Approval{})
	k.refusedFor(err, fault.Stale, request.ReasonDecided)
	for _, state := range []request.State{request.Lapsed, request.Open} {
		page, err := k.steward.Requests(k.ctx, k.own, Query{State: state})
		if err != nil || (len(page.Requests) == 1) != (state == request.Lapsed) {
			t.Errorf("%s: %+v, %v", state, page, err)
		}
	}
	for range 2 {
		if err := k.steward.Tick(k.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.facts(event.RequestLapsed)); n != 1 {
		t.Errorf("told %d times", n)
	}
	if got, err := k.steward.Request(k.ctx, k.hob, v.ID); err != nil || got.State != request.Lapsed || got.Decided.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

// An extension is a decision of its own; what was given first ends when it ends.
func TestAnExtensionIsANewDecision(t *testing.T) {
	k := newDesks(t)
	first := k.asks(k.samActs, k.visit())
	_, err := k.steward.Ask(k.ctx, k.samActs, Ask{Extends: first.ID, Until: k.clock.Now().Add(20 * 24 * time.Hour), Reason: "More training"})
	k.refusedFor(err, fault.Invalid, request.ReasonExtends)
	k.approves(k.hob, first.ID, Approval{})
	more := Ask{Extends: first.ID, Until: k.clock.Now().Add(20 * 24 * time.Hour), Reason: "More training"}
	v := k.asks(k.samActs, more)
	if v.State != request.Open || v.Asked.Grant != access.Standard || v.Asked.Area.Path != "southern/banksia/hobart" || v.Case != "CASE-7" || v.Extends != first.ID {
		t.Errorf("%+v", v)
	}
	k.approves(k.ann, v.ID, Approval{})
	page, err := k.steward.Permits(k.ctx, k.samActs, PermitQuery{Live: true})
	if err != nil || len(page.Permits) != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	k.clock.Add(15 * 24 * time.Hour)
	if !strings.Contains(k.has(k.sam), "guest") {
		t.Error("the extension did not hold")
	}
	more.Until = k.clock.Now().Add(24 * time.Hour)
	_, err = k.steward.Ask(k.ctx, k.samActs, more)
	k.refusedFor(err, fault.Invalid, request.ReasonExtends)
}

func TestRevoked(t *testing.T) {
	k := newDesks(t)
	v := k.approves(k.hob, k.asks(k.samActs, k.visit()).ID, Approval{})
	_, err := k.steward.Revoke(k.ctx, k.acts(tundra, k.person(tundra, "olga", "gl-tromso-ops"), access.Standard), v.Permit.ID, "x")
	k.refusedFor(err, fault.NotFound, "")
	p, err := k.steward.Revoke(k.ctx, k.operator, v.Permit.ID, "Left the project")
	if err != nil || p.State != "ended" || p.EndReason != access.EndPermitRevoked || strings.Contains(k.has(k.sam), "guest") {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = k.steward.Revoke(k.ctx, k.hob, v.Permit.ID, "x")
	k.refusedFor(err, fault.Stale, "")
	if got, err := k.steward.Request(k.ctx, k.samActs, v.ID); err != nil || got.Revoked != "Left the project" || got.RevokedBy.Operator != "desk" || got.Permit.State != "ended" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAtMostTwentyWait(t *testing.T) {
	k := newDesks(t)
	ask := k.visit()
	for i := range maxWaiting {
		ask.Until = k.clock.Now().Add(time.Duration(i+1) * 24 * time.Hour)
		k.asks(k.samActs, ask)
	}
	ask.Until = k.clock.Now().Add(50 * 24 * time.Hour)
	_, err := k.steward.Ask(k.ctx, k.samActs, ask)
	k.refusedFor(err, fault.Limited, ReasonTooMany)
	var ids []access.RequestID
	for after := access.RequestID(""); ; {
		page, err := k.steward.Requests(k.ctx, k.pat, Query{Count: 7, After: after, ToDecide: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Requests {
			ids = append(ids, r.ID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if !slices.IsSortedFunc(ids, func(a, b access.RequestID) int { return -strings.Compare(string(a), string(b)) }) || len(slices.Compact(ids)) != maxWaiting {
		t.Errorf("%v", ids)
	}
}

// glass puts a policy in force by which elevated users may take access at once.
func (k *desks) glass() {
	k.t.Helper()
	p := worldPolicy(k.t)
	p.Requests.BreakGlass = &mapping.BreakGlass{Grants: []access.Grant{access.Elevated}, Longest: 4 * time.Hour, Need: 2, Within: time.Hour}
	k.apply(p)
}

// alarms holds what status and doctor are told about a connection to these kinds, the newest
// first.
func (k *desks) alarms(c access.ConnectionID, want ...string) {
	k.t.Helper()
	raised, err := k.bridge.Raised(k.ctx, c)
	if err != nil {
		k.t.Fatal(err)
	}
	var got []string
	for _, a := range raised {
		if got = append(got, a.Kind); bridge.Sentence(a) == a.Kind {
			k.t.Errorf("%s has no sentence", a.Kind)
		}
	}
	if !slices.Equal(got, want) {
		k.t.Errorf("alarms are %v, not %v", got, want)
	}
}

func TestBrokenGlassIsConfirmedOrEnds(t *testing.T) {
	k := newDesks(t)
	k.glass()
	hobart := string(k.scope("southern/banksia/hobart"))
	sue := k.person(southern, "sue", "Service Desk")
	acts := k.acts(southern, sue, access.Elevated)
	take := Ask{Workflows: []access.Workflow{access.LiveView}, Grant: access.Standard, Area: "southern/banksia/hobart", Reason: "Incident 4", BreakGlass: true}
	_, err := k.steward.Ask(k.ctx, k.samActs, take)
	k.refusedFor(err, fault.Denied, request.ReasonGlassGrant)
	take.For = PersonRef{southern, sue}
	v := k.asks(acts, take)
	if v.State != request.Unconfirmed || v.Permit.State != "running" || !k.holdsAt(southern, sue, hobart) {
		t.Fatalf("%+v", v)
	}
	if n := len(k.facts(event.GlassBroken)); n != 1 {
		t.Errorf("%d alarms", n)
	}
	k.alarms(southern, bridge.KindGlassBroken)
	_, err = k.steward.Confirm(k.ctx, acts, v.ID, "")
	k.refusedFor(err, fault.Denied, request.ReasonOwn)
	if v, err = k.steward.Confirm(k.ctx, k.hob, v.ID, "was there"); err != nil || v.State != request.Unconfirmed {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err = k.steward.Confirm(k.ctx, k.pat, v.ID, ""); err != nil || v.State != request.Granted {
		t.Errorf("%+v, %v", v, err)
	}
	k.clock.Add(2 * time.Hour)
	if !k.holdsAt(southern, sue, hobart) {
		t.Error("what was confirmed has ended")
	}
	k.clock.Add(2 * time.Hour)
	if k.holdsAt(southern, sue, hobart) {
		t.Error("it lasts longer than the policy lets it")
	}

	take.Reason = "Incident 5"
	v = k.asks(k.operator, take)
	k.clock.Add(time.Hour)
	if k.holdsAt(southern, sue, hobart) {
		t.Error("nobody confirmed it, and with all workers stopped it goes on")
	}
	_, err = k.steward.Confirm(k.ctx, k.hob, v.ID, "")
	k.refusedFor(err, fault.Stale, request.ReasonDecided)
	if err := k.steward.Tick(k.ctx); err != nil {
		t.Fatal(err)
	}
	if v, err = k.steward.Request(k.ctx, k.hob, v.ID); err != nil || v.State != request.Expired || len(k.facts(event.GlassUnconfirmed)) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	k.alarms(southern, bridge.KindGlassUnconfirmed, bridge.KindGlassBroken, bridge.KindGlassBroken)
}

func (w *world) holdsAt(c access.ConnectionID, p access.PersonID, scope string) bool {
	w.t.Helper()
	return slices.ContainsFunc(w.held(c, p), func(a access.Assignment) bool { return string(a.Scope) == scope && a.ValidAt(w.clock.Now()) })
}
