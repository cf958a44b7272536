// Package request decides about requests for access, as arithmetic: what is the smallest
// grant that opens what is asked for, what is missing, who may decide, and what a decision
// comes to.
package request

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Party is a person, with the connection without which the id means nothing; or, with
// Operator, the operator by the name they gave.
type Party struct {
	Connection access.ConnectionID `json:"connection,omitzero"`
	Person     access.PersonID     `json:"person,omitzero"`
	Operator   string              `json:"operator,omitzero"`
}

// Terms are what is asked for, or given.
type Terms struct {
	Grant access.Grant   `json:"grant"`
	Scope access.ScopeID `json:"scope"`
	Flags access.Flags   `json:"flags"`          // with those that the grant brings by itself
	Until time.Time      `json:"until,omitzero"` // zero: no end
}

// Setting is what decisions are made in.
type Setting struct {
	Tree      *access.Tree
	Catalogue access.Catalogue
	Policy    mapping.Requests
	Now       time.Time
}

// Holder is the person whom something is asked for.
type Holder struct {
	Party
	Root          access.ScopeID // of their connection
	Held          []access.Assignment
	Certification access.Certification
}

// Wish is what is asked for, as it was written.
type Wish struct {
	Workflows    []access.Workflow `json:"workflows,omitempty"`
	Area         access.ScopeID    `json:"area"`
	Grant        access.Grant      `json:"grant,omitzero"` // "": the smallest that opens the workflows
	Flags        access.Flags      `json:"flags,omitzero"` // at least
	NotBefore    time.Time         `json:"not_before,omitzero"`
	Until        time.Time         `json:"until,omitzero"`
	Permanent    bool              `json:"permanent,omitzero"`
	Organisation string            `json:"organisation,omitzero"`
	Reason       string            `json:"reason,omitzero"`
	Case         access.CaseID     `json:"case,omitzero"`
	Approver     Party             `json:"approver,omitzero"`
	Extends      access.RequestID  `json:"extends,omitzero"`
	BreakGlass   bool              `json:"break_glass,omitzero"`
}

// Request is one ask with its decisions, for ever.
type Request struct {
	ID    access.RequestID `json:"-"`
	State State            `json:"-"`
	By    Party            `json:"-"` // who asks
	For   Party            `json:"-"`
	Wish  Wish             `json:"wish"`

	Smallest  Terms             `json:"smallest"` // that opens the workflows
	Asked     Terms             `json:"asked"`
	Standing  access.Standing   `json:"standing"`
	Class     string            `json:"class"`
	Approvers mapping.Approvers `json:"-"`
	Need      int               `json:"need"`
	Several   bool              `json:"several,omitzero"` // customers become visible
	Outside   bool              `json:"outside,omitzero"` // of the root of the person's connection

	Created   time.Time       `json:"created"`
	DecideBy  time.Time       `json:"-"` // it lapses then; broken glass must be confirmed before
	Approvals []Approval      `json:"-"`
	Decided   time.Time       `json:"decided,omitzero"`
	DecidedBy Party           `json:"decided_by,omitzero"`
	Because   string          `json:"because,omitzero"`
	Permit    access.PermitID `json:"permit,omitzero"` // the last that it gave; "" if none
	// Revoked is who took back what it gave, and RevokedBecause why.
	Revoked        Party  `json:"revoked,omitzero"`
	RevokedBecause string `json:"revoked_because,omitzero"`

	// Successor administers the scope when this ends; ConfirmedLast: nobody will, and that
	// is meant.
	Successor     Party `json:"successor,omitzero"`
	ConfirmedLast bool  `json:"confirmed_last,omitzero"`
	// HeldOver is how often the permit was prolonged, so that its scope is not left alone.
	HeldOver int `json:"held_over,omitzero"`
}

// Approval is what one approver gives, or confirms.
type Approval struct {
	By      Party     `json:"-"`
	At      time.Time `json:"at"`
	Terms   Terms     `json:"terms"`
	Comment string    `json:"comment,omitzero"`
}

// Result is what the approvals so far have left of what was asked for.
func (r Request) Result() Terms {
	if n := len(r.Approvals); n > 0 {
		return r.Approvals[n-1].Terms
	}
	return r.Asked
}

// StateAt is the state at that instant: a request that nobody decided in time is not open,
// whether anybody has noticed or not.
func (r Request) StateAt(now time.Time) State {
	switch {
	case r.State == Open && !now.Before(r.DecideBy):
		return Lapsed
	case r.State == Unconfirmed && !now.Before(r.DecideBy):
		return Expired
	}
	return r.State
}

// primary is the place of the person's own, if it may sign in.
func (h Holder) primary() (access.Assignment, bool) {
	i := slices.IndexFunc(h.Held, func(a access.Assignment) bool { return a.Standing == access.Primary && a.Grant.MaySignIn() })
	if i < 0 {
		return access.Assignment{}, false
	}
	return h.Held[i], true
}

// valid lists what counts at that instant.
func (h Holder) valid(t *access.Tree, now time.Time) []access.Assignment {
	return slices.DeleteFunc(slices.Clone(h.Held), func(a access.Assignment) bool { return !a.ValidAt(now) || !t.Live(a.Scope) })
}

// Case is what access belongs to, with how it ended.
type Case struct {
	ID        access.CaseID   `json:"-"`
	Number    string          `json:"-"` // by which cases sort
	Opened    time.Time       `json:"-"`
	Closed    time.Time       `json:"-"` // zero: it is open
	Waiting   int64           `json:"-"` // requests that wait for a decision
	Untold    bool            `json:"-"` // permits that ended with it are not told of yet, those behind Mark
	Mark      access.PermitID `json:"-"`
	Kind      string          `json:"kind,omitzero"`
	ClosedBy  Party           `json:"closed_by,omitzero"`
	Reason    string          `json:"reason,omitzero"`
	Review    access.ReviewID `json:"review,omitzero"`
	Successor Party           `json:"successor,omitzero"` // who administers what was administered for it
	// Ending is the instant of the last closing: what ended then is to be told of.
	Ending time.Time `json:"ending,omitzero"`
	// Parts are where it is closed: nothing is given for it there.
	Parts []CasePart `json:"parts,omitempty"`
}

// CasePart is where a case is closed: at a scope and below.
type CasePart struct {
	At     access.ScopeID  `json:"at"`
	Under  access.ScopeID  `json:"under"` // where whoever closed it administers; only who covers this opens it again
	Closed time.Time       `json:"closed"`
	By     Party           `json:"by"`
	Reason string          `json:"reason,omitzero"`
	Review access.ReviewID `json:"review,omitzero"`
}

// ClosedAt finds what closed a case at a scope. What was closed elsewhere is none of that
// scope's business: customers may call different things by the same number.
func (c Case) ClosedAt(t *access.Tree, scope access.ScopeID) (CasePart, bool) {
	i := slices.IndexFunc(c.Parts, func(p CasePart) bool { return t.Covers(p.At, scope) })
	if i < 0 {
		return CasePart{}, false
	}
	return c.Parts[i], true
}

// ClosedWhole reports whether a case was closed for everybody by somebody of the host.
func (c Case) ClosedWhole(host access.ScopeID) bool {
	return !c.Closed.IsZero() && slices.ContainsFunc(c.Parts, func(p CasePart) bool { return p.Under == host })
}
