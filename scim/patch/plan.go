// Package patch compiles a PatchOp request (RFC 7644 section 3.5.2) into a plan
// of mutations against one resource type, before anything is read or written.
// It is pure.
package patch

import "github.com/drawbridge-id/drawbridge/scim/schema"

// Plan is a compiled PATCH: mutations of the document and deltas of the relation,
// each in request order. Document and relation are independent of each other.
type Plan struct {
	Edits   []Edit       // applied in order by Apply
	Members []MemberEdit // applied in order to the rows; nil: members are not touched
}

// MemberEdit is one delta of the members relation.
type MemberEdit struct {
	Kind  MemberKind
	IDs   []string // Add, Remove: these; Replace: the whole new set
	Index int      // of the operation in the request, for error details
}

// MemberKind says what a MemberEdit does.
type MemberKind uint8

// The kinds.
const (
	AddMembers MemberKind = iota + 1
	RemoveMembers
	ReplaceMembers
	RemoveAllMembers
)

// Edit is one mutation of the document.
type Edit struct {
	Index int // of the operation in the request, for error details
	apply func(schema.Object) error
}
