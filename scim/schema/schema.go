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
	Dropped         bool // accepted on input, never stored, filtered or shown: password

	path string
}

// Searchable says whether a filter or a sort may ask for the attribute: what is never
// shown could be guessed by asking.
func (a *Attribute) Searchable() bool {
	return !a.Dropped && a.Returned != ReturnedNever && (a.Parent == nil || a.Parent.Searchable())
}

// Path is the attribute's one canonical path: "userName", "emails.value",
// "meta.lastModified", or the extension's URN, a colon and the name.
func (a *Attribute) Path() string { return a.path }

// SubAttribute finds a sub-attribute by name, without regard to ASCII case; nil if
// there is none.
func (a *Attribute) SubAttribute(name string) *Attribute {
	for _, s := range a.Sub {
		if equalASCII(s.Name, name) {
			return s
		}
	}
	return nil
}

// Schema is one schema definition (RFC 7643 section 7). It is never changed after
// it has been compiled.
type Schema struct {
	ID          string
	Name        string
	Description string
	Attributes  []*Attribute
	Custom      bool // a connection's own: what is stored may be of an earlier form of it
}

// Extension is a schema that a resource type's resources may carry beside its core.
type Extension struct {
	Schema   *Schema
	Required bool
}

// ResourceType is a kind of resource (RFC 7643 section 6) with an index of every
// name that one of its attributes goes by. It is never changed once made, so any
// number of goroutines may share it.
type ResourceType struct {
	ID          string
	Name        string
	Endpoint    string // relative to the base URL, with a leading slash
	Description string
	Common      []*Attribute // schemas, id, externalId, meta (RFC 7643 section 3.1)
	Core        *Schema
	Extensions  []Extension

	custom   []Extension           // those of Extensions that are a connection's own
	selects  bool                  // some attribute is not returned as a matter of course, or always
	index    map[string]*Attribute // ASCII lower-case spellings
	schemas  map[string]*Schema    // ASCII lower-case URNs
	ordered  []*Attribute          // what a document may hold, in the order it is written
	relation *Attribute            // the one that clients write, members; nil for none
}
