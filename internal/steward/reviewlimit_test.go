package steward

import (
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// What a review withholds says who decided it, by which review and why; those who administer
// the person's organisation see it, and who lost access is told at sign-in. What the service
// owners withheld is lifted by nobody below them.
func TestWhatAReviewWithholdsIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.acts(banksia, w.person(banksia, "Ada", accountAdmins), access.Administrator)
	own := w.acts(lantern, w.person(lantern, "Own", serviceOwners), access.Administrator)
	gus := w.person(banksia, "Gus", geelongManagers)
	for _, c := range []struct {
		by        Actor
		reviewers mapping.Approvers
		liftedBy  Actor
	}{{own, mapping.ServiceOwners, own}, {ada, mapping.ScopeAdministrators, ada}} {
		one := w.review(theOperator, NewReview{Name: "spring", Area: "southern/banksia", Reviewers: c.reviewers})
		item := cardOf(t, w.cards(c.by, one.ID), gus).Items[0]
		if _, err := w.steward.DecideReview(w.ctx, c.by, one.ID, Decision{Verdict: review.Remove, Comment: "left the depot", Items: []ItemSeen{{ID: item.ID}}}); err != nil {
			t.Fatal(err)
		}
		limits, err := w.steward.Limits(w.ctx, ada, PersonRef{banksia, gus})
		limits = slices.DeleteFunc(limits, func(l LimitView) bool { return !l.Lifted.IsZero() })
		if err != nil || len(limits) != 1 {
			t.Fatalf("their administrator sees of it %+v, %v", limits, err)
		}
		l := limits[0]
		if l.By == "" || l.Reason != "review "+string(one.ID)+" (spring): left the depot" {
			t.Errorf("the limit says by %q because %q", l.By, l.Reason)
		}
		_, _, err = w.bridge.SignIn(w.ctx, upstream.Identity{Connection: banksia, Issuer: "https://login.example/banksia", Subject: "Gus", AuthTime: w.clock.Now()})
		if !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != "withheld" || !strings.Contains(fault.DetailOf(err), "review") {
			t.Errorf("at sign-in they are told %v", err)
		}
		if e, err := w.bridge.Explain(w.ctx, string(gus), banksia); err != nil || len(e) != 1 || e[0].Refusal != "withheld" || !strings.Contains(e[0].Limits[0].Says(), string(one.ID)) {
			t.Errorf("explain says %+v, %v", e, err)
		}
		_, err = w.steward.Lift(w.ctx, ada, l.ID, "needed after all")
		if above := c.by == own; above != (fault.ReasonOf(err) == ReasonLimitFromAbove) {
			t.Errorf("lifted from below: %v", err)
		}
		if c.by == own {
			_, err = w.steward.Lift(w.ctx, own, l.ID, "needed after all")
		}
		if err != nil || w.holds(banksia, gus) == "" {
			t.Errorf("lifted: %v, they hold %q", err, w.holds(banksia, gus))
		}
	}
}
