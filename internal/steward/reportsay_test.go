package steward

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// A report says who asked, why, and how it came to be held; what the end of a review removed
// has its end in it, and by whom; and who sees a scope from above stands in the report of
// it, for those who may read that.
func TestReportsSayWhoAskedAndWhoEnded(t *testing.T) {
	t.Parallel()
	k := newDesks(t)
	ask := k.visit()
	ask.Reason = "two depots are rolled out"
	k.approves(k.hob, k.asks(k.samActs, ask).ID, Approval{})
	k.permit(banksia, k.sam, access.Standard, "southern/banksia/geelong", access.Permit{})
	k.person(southern, "petra", providerAdmins)
	full := func(by Actor) (string, []review.Line) {
		page, err := k.steward.AccessReport(k.ctx, by, "southern/banksia", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		return page.Head.About, page.Lines
	}
	about, lines := full(theOperator)
	above, asked := 0, 0
	for _, l := range lines {
		if l.Above {
			above++
			if l.Path != "southern" && l.Path != "." {
				t.Errorf("from above: %+v", l)
			}
		}
		if l.Reason != "" && l.How == howRequest && l.AskedBy != "" && l.ApprovedBy != "" && strings.Contains(l.Reason, "two depots") {
			asked++
		}
		if l.How == "" {
			t.Errorf("nothing says how they came to hold it: %+v", l)
		}
	}
	if above == 0 || asked != 1 || !strings.Contains(about, "and above it") {
		t.Errorf("%d from above, %d asked for, about %s", above, asked, about)
	}
	about, lines = full(k.ann)
	for _, l := range lines {
		if l.Above {
			t.Errorf("their administrator reads %+v", l)
		}
	}
	if !strings.Contains(about, "not yours to read") {
		t.Errorf("it does not say that others are left out: %s", about)
	}
	one := k.review(theOperator, NewReview{Area: "southern/banksia", Unanswered: mapping.RemoveUnanswered})
	k.clock.Add(one.Deadline.Sub(k.clock.Now()))
	k.tickReviews()
	page, err := k.steward.ReviewReport(k.ctx, theOperator, one.ID, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	for _, l := range page.Lines {
		if strings.Contains(l.Outcome, "Removed") {
			removed++
			if l.Ended.IsZero() || l.EndedBy != "the review's end: nobody answered" || l.Because != access.EndPermitReview {
				t.Errorf("removed at the end: %+v", l)
			}
		}
	}
	if removed == 0 {
		t.Error("nothing was removed")
	}
}

// Where a page of a report ends tells nothing of people outside the scope of whoever asks;
// texts that control a terminal are no names and no comments.
func TestPagesOfAReportTellNothingOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fleet := w.person(banksia, "Finn", hobartAdmins)
	for _, name := range []string{"Gus", "Gil", "Gia"} {
		w.person(banksia, name, geelongManagers)
	}
	acts := w.acts(banksia, fleet, access.Administrator)
	one := w.review(theOperator, NewReview{Area: "southern/banksia"})
	lines := 0
	for after := ""; ; {
		page, err := w.steward.ReviewReport(w.ctx, acts, one.ID, after, 1)
		if err != nil {
			t.Fatal(err)
		}
		lines += len(page.Lines)
		if after = page.Next; after == "" {
			break
		}
		place, err := base64.RawURLEncoding.DecodeString(after)
		if err != nil || !strings.Contains(string(place), string(fleet)) {
			t.Errorf("a page ends at %s (%v)", place, err)
		}
	}
	if lines != 1 {
		t.Errorf("they read %d lines", lines)
	}
	if _, err := w.steward.StartReview(w.ctx, acts, NewReview{Name: "x\x1b[31m"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a name that is not printed: %v", err)
	}
	if _, err := w.steward.DecideReview(w.ctx, acts, one.ID, Decision{Verdict: review.Remove, Comment: "x\x1b[31m"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a comment that is not printed: %v", err)
	}
}

// Of what was taken at once a report says that, by whom, and that nobody has confirmed it.
func TestAReportSaysThatGlassWasBroken(t *testing.T) {
	t.Parallel()
	k := newDesks(t)
	k.glass()
	sue := k.person(southern, "sue", "Service Desk")
	k.asks(k.acts(southern, sue, access.Elevated), Ask{For: PersonRef{southern, sue}, Workflows: []access.Workflow{access.LiveView}, Grant: access.Standard,
		Area: "southern/banksia/hobart", Reason: "Incident 4", BreakGlass: true})
	page, err := k.steward.AccessReport(k.ctx, theOperator, "southern/banksia/hobart", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range page.Lines {
		if l.How == howGlass && l.AskedBy == "sue" && l.Reason == "Incident 4" && l.ApprovedBy == "" && strings.HasSuffix(l.Why, "confirmed by nobody") {
			return
		}
	}
	t.Errorf("the report says %+v", page.Lines)
}
