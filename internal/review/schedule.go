package review

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Schedule is where a schedule stands: it is durable, so that no start of the bridge
// begins a review, and none is begun twice.
type Schedule struct {
	Name   string
	Since  time.Time       // the instant that the next one is counted from
	Review access.ReviewID // the one that it began last; "": none
}

// Next is when the schedule begins its next review.
func (s Schedule) Next(every time.Duration) time.Time { return s.Since.Add(every) }

// Turn is what a schedule does at an instant: it begins a review, or not, and is counted
// from another instant then. What was missed while no bridge ran is made up for by one
// review; while an earlier one of it is open, it waits.
func (s Schedule) Turn(every time.Duration, earlierOpen bool, now time.Time) (begins bool, next Schedule) {
	if every <= 0 || earlierOpen || now.Before(s.Next(every)) {
		return false, s
	}
	s.Since = s.Since.Add(now.Sub(s.Since) / every * every)
	return true, s
}

// CauseOf is the cause of a review that a schedule begins.
func CauseOf(s mapping.ReviewSource) Cause {
	return Cause{Trigger: BySchedule, Name: s.Name, Select: s.Select, Reviewers: s.Reviewers, Within: s.Within, Unanswered: s.Unanswered, Remind: s.Remind}
}
