package steward

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// latest is the review that began last, once it is gathered.
func (w *world) latest() ReviewView {
	w.t.Helper()
	for range 3 {
		w.tickReviews()
	}
	page, err := w.steward.Reviews(w.ctx, theOperator, "", 0)
	if err != nil || len(page.Reviews) == 0 {
		w.t.Fatalf("there is no review (%v)", err)
	}
	return page.Reviews[0]
}

// report are the lines of a review's report: who, what, and what became of it.
func (w *world) report(id access.ReviewID) (said []string) {
	w.t.Helper()
	page, err := w.steward.ReviewReport(w.ctx, theOperator, id, "", 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range page.Lines {
		said = append(said, strings.TrimSpace(l.Name+" "+string(l.Grant)+" @ "+l.Path+" "+string(l.Verdict)+" "+l.Because))
	}
	slices.Sort(said)
	return said
}

// A closed case begins a review of all that was given for it: what ended with it is written
// down with why, and what is held still, by another case, is to be decided.
func TestAClosedCaseIsReviewed(t *testing.T) {
	t.Parallel()
	k := newDesks(t)
	gil := k.person(banksia, "gil", geelongManagers)
	k.approves(k.hob, k.asks(k.samActs, k.visit()).ID, Approval{})
	for _, c := range []access.CaseID{"CASE-7", "CASE-8"} {
		ask := k.visit()
		ask.For, ask.Case = PersonRef{banksia, gil}, c
		if c == "CASE-8" {
			ask.Until = ask.Until.Add(time.Hour)
		}
		k.approves(k.hob, k.asks(k.ann, ask).ID, Approval{})
	}
	shown, err := k.steward.Case(k.ctx, k.operator, "CASE-7")
	if err != nil {
		t.Fatal(err)
	}
	done, err := k.steward.CloseCase(k.ctx, k.operator, "CASE-7", CloseCase{Plan: shown.Plan, Reason: "rolled out"})
	if err != nil {
		t.Fatal(err)
	}
	one := k.latest()
	if one.ID != done.Review || one.Trigger != review.ByCase || one.State != review.Open || one.Counts.Items != 2 || one.Counts.Gone != 1 || one.Counts.Open != 1 {
		t.Errorf("the review is %+v", one)
	}
	if got := k.report(one.ID); !slices.Equal(got, []string{"gil standard @ southern/banksia/hobart", "sam standard @ southern/banksia/hobart gone case_closed"}) {
		t.Errorf("the report says %q", got)
	}
	item := cardOf(t, k.cards(k.hob, one.ID), gil).Items[0]
	if _, err := k.steward.DecideReview(k.ctx, k.hob, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: item.ID}}}); err != nil || strings.Contains(k.has(gil), "guest") {
		t.Errorf("removed: %v, %s", err, k.has(gil))
	}
	if n := len(k.facts("permit.ended")); n != 3 {
		t.Errorf("%d permits were told to end", n)
	}
	for _, e := range k.facts("permit.ended") {
		if e.Data["request"] == "" || e.Data["case"] == "" {
			t.Errorf("it says nothing of request or case: %v", e.Data)
		}
	}
}

// A lapsed certificate begins a review of what people gave the technician. What is removed
// in it is not back with a new certificate.
func TestALapsedCertificateIsReviewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	petra := w.acts(southern, w.person(southern, "petra", providerAdmins), access.Administrator)
	kim := w.person(southern, "kim")
	w.certify("kim@southern.example", w.clock.Now().Add(time.Hour))
	w.permit(southern, kim, access.Technician, "southern/reefline/cairns", access.Permit{})
	w.permit(southern, kim, access.Technician, "southern/banksia/hobart", access.Permit{})
	w.clock.Add(time.Hour)
	w.tickRegister()
	one := w.latest()
	if one.Trigger != review.ByCertificate || one.State != review.Open || one.Counts.Items != 2 || one.Counts.Open != 2 {
		t.Fatalf("the review is %+v", one)
	}
	item := cardOf(t, w.cards(petra, one.ID), kim).item(t, access.Technician, "southern/reefline/cairns")
	if !item.HeldBack {
		t.Error("it does not say that nothing is held by it now")
	}
	if _, err := w.steward.DecideReview(w.ctx, petra, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: item.ID}}}); err != nil {
		t.Fatal(err)
	}
	w.certify("kim@southern.example", w.clock.Now().Add(time.Hour))
	if got := w.holds(southern, kim); got != "technician @ southern/banksia/hobart" {
		t.Errorf("with a new certificate they hold %s", got)
	}
}

// What rules gave a technician is looked at as well once the certificate has lapsed, though
// nobody holds it then: removed, it does not come back with a new certificate. A review
// that finds nothing to decide ends by itself at once, and says so.
func TestALapsedCertificateIsReviewedWithItsRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := worldPolicy(t)
	p.Rules = append(p.Rules, mapping.RuleSource{ID: "installers", From: southern, Group: "Installers", Give: "technician @ southern/reefline/cairns"})
	w.apply(p)
	petra := w.acts(southern, w.person(southern, "petra", providerAdmins), access.Administrator)
	kim := w.person(southern, "kim", "Installers")
	w.person(southern, "lee")
	w.certify("kim@southern.example", w.clock.Now().Add(time.Hour))
	w.certify("lee@southern.example", w.clock.Now().Add(2*time.Hour))
	if got := w.holds(southern, kim); got != "technician @ southern/reefline/cairns" {
		t.Fatalf("certified they hold %s", got)
	}
	w.clock.Add(time.Hour)
	w.tickRegister()
	one := w.latest()
	if one.Trigger != review.ByCertificate || one.State != review.Open || one.Counts.Items != 1 || one.Counts.Open != 1 {
		t.Fatalf("the review is %+v", one)
	}
	item := cardOf(t, w.cards(petra, one.ID), kim).item(t, access.Technician, "southern/reefline/cairns")
	if !item.HeldBack || !item.AtIdP || !strings.Contains(item.Why[0].Text, "Installers") {
		t.Errorf("its card says %+v", item)
	}
	if _, err := w.steward.DecideReview(w.ctx, petra, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: item.ID}}}); err != nil {
		t.Fatal(err)
	}
	w.certify("kim@southern.example", w.clock.Now().Add(24*time.Hour))
	if got := w.holds(southern, kim); got != "" {
		t.Errorf("with a new certificate they hold %s", got)
	}
	w.clock.Add(time.Hour)
	w.tickRegister()
	if one = w.latest(); one.State != review.Ended || !one.Nothing || one.Counts.Items != 0 || w.said(event.ReviewEnded, one.ID) != 1 {
		t.Errorf("the review that found nothing is %+v", one)
	}
}

// To withhold a grant takes what rules give below it as well: that is confirmed by itself,
// and a scope below is not left without its last administrator by the way.
func TestWithholdingTakesMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, other := w.person(banksia, "Ada", accountAdmins, hobartAdmins), w.person(banksia, "Bo", accountAdmins)
	petra := w.acts(southern, w.person(southern, "Petra", providerAdmins), access.Administrator)
	one := w.review(theOperator, NewReview{Area: "southern/banksia"})
	item := cardOf(t, w.cards(petra, one.ID), ada).item(t, access.Administrator, "southern/banksia")
	if !slices.Equal(item.AlsoTakes, []string{"administrator @ southern/banksia/hobart"}) {
		t.Errorf("the card says that it takes %q", item.AlsoTakes)
	}
	decide := func(in Decision) string {
		in.Verdict, in.Items = review.Remove, []ItemSeen{{ID: item.ID}}
		_, err := w.steward.DecideReview(w.ctx, petra, one.ID, in)
		return fault.ReasonOf(err)
	}
	if got := decide(Decision{}); got != ReasonRemovesMore {
		t.Errorf("without a word: %q", got)
	}
	if got := decide(Decision{ConfirmMore: true}); got != ReasonLastAdministrator {
		t.Errorf("Hobart was left without its last administrator: %q", got)
	}
	if got := w.holds(banksia, ada); got != "administrator @ southern/banksia, administrator @ southern/banksia/hobart" {
		t.Errorf("refused, and they hold %s", got)
	}
	if got := decide(Decision{ConfirmMore: true, Successor: &PersonRef{banksia, other}}); got != "" || w.holds(banksia, ada) != "" {
		t.Errorf("confirmed: %q, and they hold %s", got, w.holds(banksia, ada))
	}
}

// A review for the service owners is decided by them alone; others who administer there see
// it, and are told why.
func TestAReviewForServiceOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.acts(banksia, w.person(banksia, "Ada", accountAdmins), access.Administrator)
	petra := w.acts(southern, w.person(southern, "Petra", providerAdmins), access.Administrator)
	own := w.acts(lantern, w.person(lantern, "Own", serviceOwners), access.Administrator)
	gus := w.person(banksia, "Gus", geelongManagers)
	one := w.review(theOperator, NewReview{Area: "southern/banksia", Reviewers: mapping.ServiceOwners})
	item := cardOf(t, w.cards(ada, one.ID), gus).Items[0]
	for _, by := range []Actor{ada, petra} {
		_, err := w.steward.DecideReview(w.ctx, by, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: item.ID}}})
		if !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != ReasonServiceOwnersAlone {
			t.Errorf("decided by another: %v", err)
		}
	}
	if _, err := w.steward.DecideReview(w.ctx, own, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: item.ID}}}); err != nil || w.holds(banksia, gus) != "" {
		t.Errorf("decided by a service owner: %v, they hold %s", err, w.holds(banksia, gus))
	}
}
