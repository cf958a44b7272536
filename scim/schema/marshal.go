package schema

import "encoding/json"

// DefinitionURN is the schema of schema definitions.
const DefinitionURN = "urn:ietf:params:scim:schemas:core:2.0:Schema"

// The wire words, by the constants' values.
var (
	typeWords       = [...]string{"", "string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"}
	mutabilityWords = [...]string{"readWrite", "readOnly", "immutable", "writeOnly"}
	returnedWords   = [...]string{"default", "always", "never", "request"}
)

// String is the RFC's word for t.
func (t Type) String() string { return typeWords[t] }

// String is the RFC's word for m.
func (m Mutability) String() string { return mutabilityWords[m] }

// String is the RFC's word for r.
func (r Returned) String() string { return returnedWords[r] }

type definition struct {
	Schemas     []string     `json:"schemas"`
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Attributes  []*Attribute `json:"attributes"`
}

// MarshalJSON is the definition as /Schemas shows it (RFC 7643 section 7), without
// meta, which depends on the address that asked.
func (s *Schema) MarshalJSON() ([]byte, error) {
	return json.Marshal(definition{
		Schemas: []string{DefinitionURN},
		ID:      s.ID, Name: s.Name, Description: s.Description, Attributes: s.Attributes,
	})
}

type characteristics struct {
	Name            string       `json:"name"`
	Type            string       `json:"type"`
	SubAttributes   []*Attribute `json:"subAttributes,omitempty"`
	MultiValued     bool         `json:"multiValued"`
	Description     string       `json:"description"`
	Required        bool         `json:"required"`
	CanonicalValues []string     `json:"canonicalValues,omitempty"`
	CaseExact       bool         `json:"caseExact"`
	Mutability      string       `json:"mutability"`
	Returned        string       `json:"returned"`
	Uniqueness      string       `json:"uniqueness"`
	ReferenceTypes  []string     `json:"referenceTypes,omitempty"`
}

// MarshalJSON writes every characteristic of RFC 7643 section 7.
func (a *Attribute) MarshalJSON() ([]byte, error) {
	uniqueness := "none"
	if a.Unique {
		uniqueness = "server"
	}
	return json.Marshal(characteristics{
		Name: a.Name, Type: a.Type.String(), SubAttributes: a.Sub, MultiValued: a.MultiValued,
		Description: a.Description, Required: a.Required, CanonicalValues: a.CanonicalValues,
		CaseExact: a.CaseExact, Mutability: a.Mutability.String(), Returned: a.Returned.String(),
		Uniqueness: uniqueness, ReferenceTypes: a.ReferenceTypes,
	})
}
