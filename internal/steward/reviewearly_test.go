package steward

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Whoever ends a review early removes nobody's access by that: what nobody had answered is
// kept, and the report says by whom answers were cut off, and until when they were promised.
// A review by hand gives a day at least.
func TestClosingEarlyTakesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.acts(banksia, w.person(banksia, "Ada", accountAdmins), access.Administrator)
	gus := w.person(banksia, "Gus", geelongManagers)
	w.permit(banksia, gus, access.Elevated, "southern/banksia/hobart", access.Permit{})
	before := w.holds(banksia, gus)
	for _, short := range []time.Duration{time.Hour, 24*time.Hour - time.Second} {
		if _, err := w.steward.StartReview(w.ctx, ada, NewReview{Within: short, Unanswered: mapping.RemoveUnanswered}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a review by hand of %s: %v", short, err)
		}
	}
	for _, by := range []Actor{theOperator, ada} {
		one := w.review(by, NewReview{Area: "southern/banksia", Within: 24 * time.Hour, Unanswered: mapping.RemoveUnanswered})
		if _, err := w.steward.CloseReview(w.ctx, by, one.ID, false); fault.ReasonOf(err) != ReasonUndecidedLeft {
			t.Errorf("closed without a word: %v", err)
		}
		w.clock.Add(13 * time.Second)
		done, err := w.steward.CloseReview(w.ctx, by, one.ID, true)
		if err != nil || done.State != review.Ended || w.get(one.ID).Counts != (review.Counts{Items: 3, Lapsed: 3}) || !done.Deadline.Equal(one.Deadline) || done.Closed == nil || !done.Closed.At.Equal(w.clock.Now()) {
			t.Fatalf("closed: %+v, %v", done, err)
		}
		if done.Closed.By.Operator != by.Operator || done.Closed.By.Person != by.Person {
			t.Errorf("it says that %+v closed it", done.Closed.By)
		}
		if got := w.holds(banksia, gus); got != before {
			t.Errorf("closing it left them %q of %q", got, before)
		}
		page, err := w.steward.ReviewReport(w.ctx, theOperator, one.ID, "", 0)
		if err != nil || !strings.Contains(page.Head.EndedBy, "answers were cut off") || !strings.HasPrefix(page.Head.EndedBy, done.Closed.By.called()) {
			t.Errorf("the report says %+v, %v", page.Head, err)
		}
		for _, l := range page.Lines {
			if l.Because != ReasonClosedEarly || !l.Ended.IsZero() || l.Outcome != "Nobody had answered when the review was closed early. Kept." {
				t.Errorf("of an item it says %+v", l)
			}
		}
	}
}
