// Package review decides about reviews of access, as arithmetic: what is to be looked at,
// in which order, who may answer, and what becomes of what nobody answers.
package review

import (
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Trigger says why a review began.
type Trigger string

// The triggers.
const (
	ByCase        Trigger = "case_closed"
	ByConnection  Trigger = "connection_ended"
	ByScope       Trigger = "scope_moved" // or it changed hands
	ByCertificate Trigger = "certificate_lapsed"
	BySchedule    Trigger = "schedule"
	ByHand        Trigger = "hand"
)

// MostPermits is how many permits a Cause may carry. Those of a larger case are gathered
// by its number.
const MostPermits = 200

// Permitted is a permit that a review is about, as it was when the review began.
type Permitted struct {
	Connection access.ConnectionID `json:"connection"`
	Person     access.PersonID     `json:"person"`
	Permit     access.PermitID     `json:"permit"`
	Grant      access.Grant        `json:"grant"`
	Scope      access.ScopeID      `json:"scope"`
	Ended      string              `json:"ended,omitzero"` // why it has ended; "" while it lives
}

// Cause is why a review begins, and all that is needed to find later what it is about. What
// a trigger does not need is left out.
type Cause struct {
	Trigger    Trigger             `json:"trigger"`
	Name       string              `json:"name,omitzero"`       // of a schedule, or of what somebody began by hand
	Case       access.CaseID       `json:"case,omitzero"`       // ByCase
	Permits    []Permitted         `json:"permits,omitempty"`   // ByCase: all that were given for it, at most MostPermits; none: they are gathered by the case
	Connection access.ConnectionID `json:"connection,omitzero"` // ByConnection, ByCertificate; by hand: of that one alone
	Scope      access.ScopeID      `json:"scope,omitzero"`      // ByScope; by hand: at it and below alone
	Person     access.PersonID     `json:"person,omitzero"`     // ByCertificate
	Select     string              `json:"select,omitzero"`     // BySchedule, ByHand: one of the built-in selections, or CEL over an assignment
	Reviewers  mapping.Approvers   `json:"reviewers,omitzero"`  // "": the administrators of each scope
	Within     time.Duration       `json:"within,omitzero"`     // it ends by itself so long after it began; 0: DefaultWithin
	Unanswered mapping.Unanswered  `json:"unanswered,omitzero"` // "": what nobody answers is kept
	Remind     []time.Duration     `json:"remind,omitempty"`    // before it ends; nil: DefaultRemind
}

// DefaultWithin is how long a review that says nothing of it is open.
const DefaultWithin = 14 * 24 * time.Hour

// The shortest and the longest that a review may be open; one that somebody begins by hand
// gives those who are to answer a day at least.
const (
	Shortest       = time.Hour
	ShortestByHand = 24 * time.Hour
	Longest        = mapping.LongestReview
)

// DefaultRemind is how long before its end reviewers are reminded.
func DefaultRemind() []time.Duration { return []time.Duration{7 * 24 * time.Hour, 24 * time.Hour} }

// State is where a review stands.
type State string

// What is under review is gathered first, then it is open for decisions, until it ends.
const (
	Gathering State = "gathering"
	Open      State = "open"
	Ended     State = "ended"
)

// Counts are the items of a review.
type Counts struct {
	Items   int64 `json:"items"`
	Open    int64 `json:"open"` // that nobody has decided
	Kept    int64 `json:"kept"`
	Removed int64 `json:"removed"`
	Lowered int64 `json:"lowered"`
	Gone    int64 `json:"gone" doc:"what had ended otherwise, before anybody decided"`
	Lapsed  int64 `json:"unanswered" doc:"what nobody decided, as far as the review has ended"`
}

// Closed is how a review was closed before its deadline: answers were cut off, and what
// nobody had answered is kept, whatever the review says of that.
type Closed struct {
	At         time.Time           `json:"at"`
	Connection access.ConnectionID `json:"connection,omitzero"`
	Person     access.PersonID     `json:"person,omitzero"`
	Operator   string              `json:"operator,omitzero"` // by the name they gave, where the operator closed it
}

// Review is one look at access.
type Review struct {
	ID       access.ReviewID `json:"id"`
	Cause    Cause           `json:"cause"`
	State    State           `json:"state"`
	Began    time.Time       `json:"began"`
	Deadline time.Time       `json:"deadline"`
	Ended    time.Time       `json:"ended,omitzero"`
	Counts   Counts          `json:"counts"`
	Closed   *Closed         `json:"closed,omitempty"` // nil: it ends, or ended, at its deadline
	// Next is when something about it is due: a reminder, or its end. Mark is how far
	// what it is about has been gathered, or what nobody answered been settled.
	Next time.Time `json:"-"`
	Mark string    `json:"-"`
}

// Begin is a review that begins now.
func Begin(id access.ReviewID, c Cause, now time.Time) Review {
	if c.Within == 0 {
		c.Within = DefaultWithin
	}
	if c.Reviewers == "" {
		c.Reviewers = mapping.ScopeAdministrators
	}
	if c.Unanswered == "" {
		c.Unanswered = mapping.KeepUnanswered
	}
	if c.Remind == nil {
		c.Remind = DefaultRemind()
	}
	r := Review{ID: id, Cause: c, State: Gathering, Began: now, Deadline: now.Add(c.Within)}
	r.Next = r.NextAfter(now)
	return r
}

// Check says what is wrong with a cause, in a sentence; nil if nothing is.
func (c Cause) Check() error {
	need := map[Trigger]bool{ByCase: c.Case != "", ByConnection: c.Connection != "", ByScope: c.Scope != "",
		ByCertificate: c.Connection != "" && c.Person != "", BySchedule: c.Name != "", ByHand: true}
	ok, known := need[c.Trigger]
	switch {
	case !known:
		return fmt.Errorf("there is no trigger %q of reviews", c.Trigger)
	case !ok:
		return fmt.Errorf("a review by %s must name what it is about", c.Trigger)
	case len(c.Permits) > MostPermits:
		return fmt.Errorf("a review carries at most %d permits; more are gathered by the case", MostPermits)
	case c.Within != 0 && (c.Within < Shortest || c.Within > Longest):
		return fmt.Errorf("a review is open for %s to %s, not %s", Shortest, Longest, c.Within)
	case c.Within != 0 && c.Trigger == ByHand && c.Within < ShortestByHand:
		return fmt.Errorf("a review that is begun by hand is open for a day at least, so that somebody can answer, not for %s", c.Within)
	}
	return nil
}

// NextAfter is the first reminder or the end that lies after an instant; zero once the
// review has ended.
func (r Review) NextAfter(now time.Time) time.Time {
	if r.State == Ended {
		return time.Time{}
	}
	next := r.Deadline
	for _, before := range r.Cause.Remind {
		at := r.Deadline.Add(-before)
		if at.After(now) && at.After(r.Began) && at.Before(next) {
			next = at
		}
	}
	return next
}

// EndsAt reports whether the review is over at that instant, whoever has noticed: nothing
// is decided in it any more.
func (r Review) EndsAt(now time.Time) bool {
	return r.State == Ended || r.Closed != nil || !now.Before(r.Deadline)
}

// Removes reports whether what nobody answered is removed at its end: never where answers
// were cut off.
func (r Review) Removes() bool {
	return r.Closed == nil && r.Cause.Unanswered == mapping.RemoveUnanswered
}

// Opened is the review once all that it is about is known. What took long to gather gives
// its reviewers their whole time from then on.
func (r Review) Opened(now time.Time) Review {
	r.State, r.Mark = Open, ""
	if now.Sub(r.Began) > r.Cause.Within/10 {
		r.Deadline = now.Add(r.Cause.Within)
	}
	r.Next = r.NextAfter(now)
	return r
}
