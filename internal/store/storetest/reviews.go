package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

func reviewIDs(all []review.Review) (ids []access.ReviewID) {
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}

func (f *fixture) openReview(id access.ReviewID, c review.Cause, began time.Time) review.Review {
	f.t.Helper()
	r := review.Begin(id, c, began)
	f.update(func(tx *store.Tx) error { return tx.OpenReview(r) })
	return r
}

// A review is read as it was written, moves from state to state, and is due when it says.
func testReviews(t *testing.T, f *fixture) {
	first := f.openReview("rev_1", review.Cause{Trigger: review.BySchedule, Name: "guests", Select: "guests", Remind: []time.Duration{time.Hour}}, day)
	second := f.openReview("rev_2", review.Cause{Trigger: review.ByCase, Case: "CASE-7", Permits: []review.Permitted{{Connection: north, Person: "per_1", Permit: "prm_1", Grant: access.Standard, Scope: "scp_fleet"}}}, day.Add(time.Second))
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.OpenReview(first) }); !fault.Is(err, fault.Conflict) {
		t.Errorf("a review opened twice: %v", err)
	}
	f.view(func(v *store.View) error {
		got, err := v.Review("rev_2")
		if err != nil || fmt.Sprint(got) != fmt.Sprint(second) {
			t.Errorf("read %+v (%v), want %+v", got, err, second)
		}
		if _, err := v.Review("rev_9"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a review that is not there: %v", err)
		}
		all, err := v.Reviews("", 10)
		behind, err2 := v.Reviews("rev_2", 10)
		gathering, err3 := v.GatheringReviews(10)
		due, err4 := v.DueReviews(day.Add(100*24*time.Hour), 10)
		if got := fmt.Sprint(reviewIDs(all), reviewIDs(behind), reviewIDs(gathering), reviewIDs(due), err, err2, err3, err4); got != "[rev_2 rev_1] [rev_1] [rev_1 rev_2] [] <nil> <nil> <nil> <nil>" {
			t.Errorf("listed %s", got)
		}
		return nil
	})
	first.State, first.Mark = review.Open, "x"
	f.update(func(tx *store.Tx) error { return tx.MoveReview(first) })
	reminder := first.Deadline.Add(-time.Hour)
	f.view(func(v *store.View) error {
		before, err := v.DueReviews(reminder.Add(-time.Millisecond), 10)
		due, err2 := v.DueReviews(reminder, 10)
		if got := fmt.Sprint(reviewIDs(before), reviewIDs(due), err, err2); got != "[] [rev_1] <nil> <nil>" {
			t.Errorf("due are %s", got)
		}
		return nil
	})
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.MoveReview(review.Review{ID: "rev_9"}) }); !fault.Is(err, fault.NotFound) {
		t.Errorf("a review moved that is not there: %v", err)
	}
}
