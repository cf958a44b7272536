package steward

import (
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/review"
)

// Open begins a review in the transaction of what caused it: one small row and an event.
// What it is about is gathered afterwards, in the background (Steward.TickReviews).
// fault.Invalid if the cause does not say what the review is about.
func Open(d *bridge.Deciding, cause review.Cause) (access.ReviewID, error) {
	return bridge.OpenReview(d.Tx(), cause, d.Actor(), d.Now())
}
