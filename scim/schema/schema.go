// Package schema compiles SCIM schema definitions (RFC 7643 section 7) into an
// index of attributes, and holds resources as typed objects: every name in its
// canonical spelling, every value of its attribute's type.
//
// It is pure. Definitions come from github.com/elimity-com/scim/schema.
package schema

// Type is an attribute's type (RFC 7643 section 2.3).
type Type uint8

// The types.
const (
	String Type = iota + 1
	Boolean
	Decimal
	Integer
	DateTime
	Binary
	Reference
	Complex
)

// Mutability says who may write (RFC 7643 section 7).
type Mutability uint8

// ReadWrite is the default.
const (
	ReadWrite Mutability = iota
	ReadOnly
	Immutable
	WriteOnly
)

// Returned says when an attribute appears in answers (RFC 7643 section 7).
type Returned uint8

// ReturnedDefault is the default.
const (
	ReturnedDefault Returned = iota
	ReturnedAlways
	ReturnedNever
	ReturnedRequest
)

// Attribute is one attribute, or a sub-attribute, in the index.
type Attribute struct {
	Name            string // canonical spelling
	URN             string // the schema it belongs to; "" for common attributes (id, externalId, meta, schemas)
	Type            Type
	MultiValued     bool
	Required        bool
	CaseExact       bool
	Mutability      Mutability
	Returned        Returned
	Unique          bool // uniqueness is server or global
	Description     string
	CanonicalValues []string // advisory: other values are never refused
	ReferenceTypes  []string
	Parent          *Attribute // nil for a top-level attribute
	Sub             []*Attribute
	Relation        bool // rows, never part of the document: members, groups
	Extension       bool // the URN is an extension's: the value lives under the URN's key
}
