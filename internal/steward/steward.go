// Package steward holds the use cases by which people decide about access: what is asked
// for and approved, what is narrowed, handed over and reviewed. Each is one transaction of
// the bridge's (bridge.Deciding), in which the right of whoever decides is read.
package steward

import (
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/handover"
)

// Steward carries out the use cases. It is safe for concurrent use.
type Steward struct {
	bridge *bridge.Bridge
	found  foundUnder
	vendor handover.Vendor
}

// New makes a steward of that bridge's directory.
func New(b *bridge.Bridge) *Steward { return &Steward{bridge: b} }

// Of says whose steward it is, for the notes that customers read. Call it before anything
// else.
func (s *Steward) Of(v handover.Vendor) *Steward {
	s.vendor = v
	return s
}

// Actor is who acts: the operator at the machine, or a person by the one assignment that
// their access token stands on. The zero Actor may nothing.
type Actor struct {
	Operator   string // a name that the operator gives; "operator" if none. "" for a person
	Connection access.ConnectionID
	Person     access.PersonID
	Assignment access.AssignmentID
	Manages    bool // a person's token was made for the OAuth scope users.manage, too
	// Token is what a person showed: it is held against the directory once more in the
	// transaction that decides. Without one only the assignment is.
	Token credential.Bound
}

// By is the actor as events have it.
func (a Actor) By() event.Actor {
	if a.Operator != "" {
		return event.ByAdministrator
	}
	return event.ByPerson
}
