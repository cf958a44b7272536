// Package filter parses SCIM filters and paths (RFC 7644 section 3.4.2.2, figure 1),
// with limits, resolves every name against a resource type's schema and coerces
// every literal to its attribute's type. It is pure and never recurses deeper
// than its depth limit.
package filter

import (
	"time"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Op is a comparison operator.
type Op uint8

// The operators of RFC 7644 table 3.
const (
	Equal Op = iota + 1
	NotEqual
	Contains
	StartsWith
	EndsWith
	Greater
	GreaterEqual
	Less
	LessEqual
	Present
)

// Expr is a resolved filter: *And, *Or, *Not, *Compare or *ValuePath.
type Expr interface{ isExpr() }

// And holds when every term does.
type And struct{ Terms []Expr }

// Or holds when any term does.
type Or struct{ Terms []Expr }

// Not holds when its term does not; an absent attribute makes the term false, so
// its negation true (two-valued, as RFC 7644 reads).
type Not struct{ Term Expr }

// Compare tests one attribute. On a multi-valued attribute, or a sub-attribute of
// one outside a ValuePath, it holds when any element does. A complex attribute
// without sub-attribute has been resolved to its "value" sub-attribute (except
// for Present, which asks for the attribute itself).
type Compare struct {
	Attr  *schema.Attribute
	Op    Op
	Value Value // zero for Present
}

// ValuePath holds when one and the same element of a multi-valued complex
// attribute satisfies the term. `emails[type eq "work"].value eq "x"` is parsed to
// a ValuePath whose term is the conjunction.
type ValuePath struct {
	Attr *schema.Attribute
	Term Expr // its Compare nodes name sub-attributes of Attr
}

// Value is a literal, coerced to the attribute's type: exactly one of the fields
// counts, by the attribute's type. Null is `null`: equal to an absent attribute.
type Value struct {
	Null   bool
	Text   string    // String, Reference, Binary; also the literal's own text
	Folded string    // Text folded for comparison when the attribute is not caseExact
	Bool   bool      // Boolean
	Int    int64     // Integer
	Float  float64   // Decimal
	Time   time.Time // DateTime
}

func (*And) isExpr()       {}
func (*Or) isExpr()        {}
func (*Not) isExpr()       {}
func (*Compare) isExpr()   {}
func (*ValuePath) isExpr() {}
