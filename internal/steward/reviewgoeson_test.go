package steward

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// A schedule that cannot begin, and a review that cannot be gathered, hold up no other:
// those are begun, gathered, reminded and ended, and the error is said all the same.
func TestOneBadReviewHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(banksia, "Ada", accountAdmins)
	p := worldPolicy(t)
	p.Reviews = []mapping.ReviewSource{
		{Name: "bad", Select: "true", Every: time.Hour, Within: 400 * 24 * time.Hour},
		{Name: "good", Select: "true", Every: time.Hour, Within: time.Hour},
	}
	w.apply(p)
	w.tickReviews() // both schedules are seen
	err := w.store.Update(w.ctx, func(tx *store.Tx) error {
		return tx.OpenReview(review.Begin("rev_0", review.Cause{Trigger: review.ByHand, Select: "assignment.gone"}, w.clock.Now()))
	})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Hour)
	if err := w.steward.TickReviews(w.ctx); err == nil {
		t.Error("nothing is said of what failed")
	}
	if err := w.steward.TickReviews(w.ctx); err == nil {
		t.Error("nothing is said of what could not be gathered")
	}
	page, err := w.steward.Reviews(w.ctx, theOperator, "", 1)
	if err != nil || len(page.Reviews) != 1 {
		t.Fatal(page, err)
	}
	one := page.Reviews[0]
	if one.Name != "good" || one.State != review.Open || one.Counts.Items != 1 {
		t.Fatalf("the latest review is %+v", one)
	}
	w.clock.Add(time.Hour)
	if err := w.steward.TickReviews(w.ctx); err == nil {
		t.Error("nothing is said of what failed again")
	}
	if got := w.get(one.ID); got.State != review.Ended || w.said(event.ReviewEnded, one.ID) != 1 {
		t.Errorf("at its deadline it is %+v", got)
	}
}
