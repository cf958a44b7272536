// Package patch compiles a PatchOp request (RFC 7644 section 3.5.2) into a plan
// of mutations against one resource type, before anything is read or written.
// It is pure.
package patch

import (
	"errors"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Plan is a compiled PATCH: mutations of the document and deltas of the relation,
// each in request order. Document and relation are independent of each other. The
// zero Plan changes nothing.
type Plan struct {
	Edits   []Edit       // applied in order by Apply
	Members []MemberEdit // applied in order to the rows; nil: members are not touched

	rt    *schema.ResourceType
	notes schema.Notes
	said  []Said
	more  int // said beyond those
	named []*schema.Attribute
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
	at    site
	apply func(schema.Object, *schema.Notes) error
}

// Apply gives the document as the plan leaves it; doc stays as it is. Where the
// plan changes nothing, the result equals doc. Errors are *schema.Error: noTarget,
// invalidValue, mutability.
func (p Plan) Apply(doc schema.Object) (schema.Object, error) {
	return p.ApplyNoting(doc, new(schema.Notes))
}

// ApplyNoting is Apply; leniencies that depend on the document are added to notes.
func (p Plan) ApplyNoting(doc schema.Object, notes *schema.Notes) (schema.Object, error) {
	if len(p.Edits) == 0 {
		return doc, nil
	}
	out := doc.Clone()
	for _, e := range p.Edits {
		if err := e.apply(out, notes); err != nil {
			return nil, placed(err, e.Index, "")
		}
	}
	p.rt.Tidy(out)
	if err := p.rt.Complete(out); err != nil {
		return nil, p.blamed(err)
	}
	if err := p.rt.Changed(doc, out); err != nil {
		return nil, p.blamed(err)
	}
	return out, nil
}

// blamed says in an error about the whole result which operation led to it: the last
// that changed the attribute, else the last that changed anything of its schema.
func (p Plan) blamed(err error) error {
	e, ok := errors.AsType[*schema.Error](err)
	if !ok {
		return err
	}
	closest, index := 0, 0
	for _, edit := range p.Edits {
		if c := edit.at.closeness(e.Path); c > 0 && c >= closest {
			closest, index = c, edit.Index
		}
	}
	if closest == 0 {
		return err
	}
	return placed(err, index, "")
}

// site is what an edit changes: an attribute and its schema, or a whole extension.
type site struct {
	urn  string
	path string // "": all of the schema
}

func (p site) closeness(path string) int {
	switch {
	case p.path != "" && (path == p.path || strings.HasPrefix(path, p.path+".")):
		return 2
	case p.urn != "" && (path == p.urn || strings.HasPrefix(path, p.urn+":")):
		return 1
	}
	return 0
}

// Named are the attributes given a value, of those that are shown to who names them.
func (p Plan) Named() []*schema.Attribute { return p.named }

// Notes are the leniencies that reading the request took; ApplyNoting may know more.
func (p Plan) Notes() []string { return p.notes }
