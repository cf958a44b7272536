package bridge

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// OpenReview begins a review within a transaction: by what happened in it, or because
// somebody or a schedule asks for it. It is one row; package steward gathers what the
// review is about. fault.Invalid if the cause does not say that.
func OpenReview(tx *store.Tx, cause review.Cause, by event.Actor, now time.Time) (access.ReviewID, error) {
	if err := cause.Check(); err != nil {
		return "", fault.New(fault.Invalid, "bridge.OpenReview", "%v", err)
	}
	r := review.Begin(access.ReviewID(credential.NewIDAt("rev", now)), cause, now)
	if err := tx.OpenReview(r); err != nil {
		return "", err
	}
	data := map[string]string{"review": string(r.ID), "trigger": string(cause.Trigger), "until": r.Deadline.UTC().Format(time.RFC3339)}
	for name, value := range map[string]string{"case": string(cause.Case), "scope": string(cause.Scope), "schedule": cause.Name} {
		if value != "" {
			data[name] = value
		}
	}
	return r.ID, tx.Append(fact(event.ReviewStarted, by, cause.Connection, cause.Person, now, data))
}

// maxMovedReviews is how many scopes may move at once and have a review each; where more
// do, one review looks at all that lies below the host.
const maxMovedReviews = 50

// reviewMoved begins the reviews of scopes that lie under another now. What is under review
// there already is found from now on by those who administer the new place.
func reviewMoved(tx *store.Tx, was, next *access.Tree, d access.TreeDiff, now time.Time) error {
	var moved []access.ScopeID
	var places []store.ScopeMove
	for _, s := range d.Changed {
		before, known := was.Scope(s.ID)
		if !known || before.Parent == s.Parent {
			continue
		}
		places = append(places, store.ScopeMove{Scope: s.ID, Was: was.Ancestors(s.ID), Now: next.Ancestors(s.ID)})
		if s.Retired.IsZero() {
			moved = append(moved, s.ID)
		}
	}
	if err := tx.MoveReviewScopes(places); err != nil {
		return err
	}
	if len(moved) > maxMovedReviews {
		host, _ := next.Resolve(".")
		moved = []access.ScopeID{host.ID}
	}
	for _, id := range moved {
		if _, err := OpenReview(tx, review.Cause{Trigger: review.ByScope, Scope: id}, event.ByAdministrator, now); err != nil {
			return err
		}
	}
	return nil
}

// reviewEnded begins the review of what people gave to those of a connection that ends.
func reviewEnded(tx *store.Tx, conn access.ConnectionID, now time.Time) error {
	_, err := OpenReview(tx, review.Cause{Trigger: review.ByConnection, Connection: conn}, event.ByAdministrator, now)
	return err
}
