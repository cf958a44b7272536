package mapping

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Requests says what people may ask for beside what their groups give, what a request
// must name, and who decides. The zero Requests is what docs/configuration.md says of a
// file without that part.
type Requests struct {
	Require    []Requirement   `json:"require,omitempty"`     // of every request
	Within     time.Duration   `json:"within,omitzero"`       // a request that nobody decided lapses; 0: after 7 days
	Remind     []time.Duration `json:"remind,omitempty"`      // before something given ends; nil: 72 hours and 24 hours
	Classes    []RequestClass  `json:"classes,omitempty"`     // the first that a request belongs to decides
	BreakGlass *BreakGlass     `json:"break_glass,omitempty"` // nil: nobody may
	Written
}

// Requirement is what a request must name.
type Requirement string

// What can be required.
const (
	RequireOrganisation Requirement = "organisation"
	RequireReason       Requirement = "reason"
	RequireCase         Requirement = "case"
	RequireUntil        Requirement = "until"
	RequireApprover     Requirement = "approver"
)

// RequestClass says how requests of one kind are decided.
type RequestClass struct {
	Name      string         `json:"name"`
	Grants    []access.Grant `json:"grants,omitempty"`   // empty: any
	Levels    []access.Level `json:"levels,omitempty"`   // of the scope; empty: any
	Outside   bool           `json:"outside,omitzero"`   // only what lies outside the root of the person's connection
	Approvers Approvers      `json:"approvers"`          //
	Need      int            `json:"need"`               // how many of them: 1 or 2
	Longest   time.Duration  `json:"longest,omitzero"`   // 0: as long as is asked for
	Permanent bool           `json:"permanent,omitzero"` // may have no end
	Require   []Requirement  `json:"require,omitempty"`  // beside what every request must name
	Written
}

// Approvers says who may decide.
type Approvers string

// Administrators are those of a scope that covers what is asked for; service owners those
// of the host.
const (
	ScopeAdministrators Approvers = "scope_administrators"
	ServiceOwners       Approvers = "service_owners"
)

// BreakGlass is access that somebody takes at once, and that others confirm afterwards.
type BreakGlass struct {
	Grants  []access.Grant `json:"grants"`  // who holds one of them may take access at any scope below theirs
	Longest time.Duration  `json:"longest"` // what is taken ends then
	Need    int            `json:"need"`    // how many must confirm: 2, unless written otherwise
	Within  time.Duration  `json:"within"`  // the access ends if they do not
	Written
}

// ReviewSource is a review that begins again and again.
type ReviewSource struct {
	Name       string          `json:"name"`
	Select     string          `json:"select"` // CEL over an assignment
	Every      time.Duration   `json:"every"`
	Within     time.Duration   `json:"within"` // it ends by itself so long after it began
	Reviewers  Approvers       `json:"reviewers"`
	Unanswered Unanswered      `json:"unanswered"`
	Remind     []time.Duration `json:"remind,omitempty"` // before it ends
	Written
}

// LongestReview is the longest that a review may be open.
const LongestReview = 90 * 24 * time.Hour

// Unanswered is what becomes of what nobody has decided when a review ends.
type Unanswered string

// Nobody's answer removes, or keeps.
const (
	RemoveUnanswered Unanswered = "remove"
	KeepUnanswered   Unanswered = "keep"
)

func (r Requests) unplaced() Requests {
	r.Written = Written{}
	r.Classes = unplaced(r.Classes, func(c *RequestClass) *Written { return &c.Written })
	if r.BreakGlass != nil {
		bare := *r.BreakGlass
		bare.Written = Written{}
		r.BreakGlass = &bare
	}
	return r
}
