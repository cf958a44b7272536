package request

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Right is what somebody who acts may do: the operator, or a person by the one assignment
// that their access token stands on. It is read in the transaction that decides, and the
// zero Right may nothing.
type Right struct {
	Operator   bool
	Name       string // of the person, or the one that the operator gives; for people to read
	Connection access.ConnectionID
	Person     access.PersonID
	Assignment access.AssignmentID
	Grant      access.Grant   // of that assignment
	Scope      access.ScopeID // of that assignment
	Manages    bool           // the token was made for users.manage, too
	// Taken says that the assignment was taken at once and nobody has confirmed it yet: it
	// works, and decides about nobody's access. What it would give could outlive it.
	Taken bool
	// Elsewhere is where the person is administrator by assignments that the token does
	// not stand on: they give nothing until the person switches.
	Elsewhere []access.ScopeID
}

// Reach is what a right comes to at a scope.
type Reach uint8

// What lies outside is Unseen: nobody learns that it exists.
const (
	Unseen       Reach = iota
	Unproven           // the assignment reaches there, but was taken at once
	ElsewhereToo       // another assignment of the person's reaches there
	Unmarked           // the assignment reaches there, but the token was not made for it
	Reached
)

// Reaches says what a person may do for others at a scope. The operator, who is nobody that
// could be held to a decision, reaches nothing by it: see Sees.
func (r Right) Reaches(t *access.Tree, at access.ScopeID) Reach {
	covers := func(s access.ScopeID) bool { return t.Live(s) && t.Covers(s, at) }
	switch {
	case r.Operator || r.Person == "":
		return Unseen
	case r.Grant == access.Administrator && covers(r.Scope) && !r.Taken && r.Manages:
		return Reached
	case r.Grant == access.Administrator && covers(r.Scope) && !r.Taken:
		return Unmarked
	case slices.ContainsFunc(r.Elsewhere, covers):
		return ElsewhereToo
	case r.Grant == access.Administrator && covers(r.Scope):
		return Unproven
	}
	return Unseen
}

// Administers reports whether a person decides for others at a scope now.
func (r Right) Administers(t *access.Tree, at access.ScopeID) bool {
	return r.Reaches(t, at) == Reached
}

// Sees reports whether whoever acts sees what belongs to others at a scope: the operator
// everywhere, a person where they decide.
func (r Right) Sees(t *access.Tree, at access.ScopeID) bool {
	return r.Operator || r.Administers(t, at)
}

// Is reports whether whoever acts is that person.
func (r Right) Is(conn access.ConnectionID, person access.PersonID) bool {
	return !r.Operator && r.Person != "" && r.Connection == conn && r.Person == person
}

// Root is where a person sees what belongs to others, "" if they see only their own; it is
// the host for the operator.
func (r Right) Root(t *access.Tree) access.ScopeID {
	if r.Operator {
		host, _ := t.Resolve(".")
		return host.ID
	}
	if r.Administers(t, r.Scope) {
		return r.Scope
	}
	return ""
}
