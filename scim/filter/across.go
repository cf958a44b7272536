package filter

import (
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// ParseAcross reads a filter of a search over several resource types, as it applies
// to those of type rt. To them, an attribute that only others have is one without
// a value (RFC 7644 section 3.4.2.1). matters is false if no resource of the type
// can match; then, and if every one does, the expression is nil. Errors are as
// ParseAs's.
func ParseAcross(rt *schema.ResourceType, others []*schema.ResourceType, text string, l schema.Leniency, notes *schema.Notes) (e Expr, matters bool, err error) {
	names := acrossNames{rt: rt, others: others, foreign: map[*schema.Attribute]bool{}}
	e, err = parse(names, text, l, notes)
	if err != nil {
		return nil, false, err
	}
	e, always := names.reduce(e)
	return e, e != nil || always, nil
}

// acrossNames knows the names of a type, and remembers those it had to borrow.
type acrossNames struct {
	rt      *schema.ResourceType
	others  []*schema.ResourceType
	foreign map[*schema.Attribute]bool
}

func (n acrossNames) attribute(name string) *schema.Attribute {
	if a, err := n.rt.Attribute(name); err == nil {
		return a
	}
	for _, other := range n.others {
		if a, err := other.Attribute(name); err == nil {
			n.foreign[a] = true
			return a
		}
	}
	return nil
}

// reduce takes out of e what is the same for every resource of the type. A nil
// expression always holds, or never.
func (n acrossNames) reduce(e Expr) (_ Expr, always bool) {
	switch e := e.(type) {
	case *And:
		terms, always := n.reduceTerms(e.Terms, true)
		return joined(terms, conjunction), always
	case *Or:
		terms, always := n.reduceTerms(e.Terms, false)
		return joined(terms, func(t []Expr) Expr { return &Or{t} }), always
	case *Not:
		term, always := n.reduce(e.Term)
		if term == nil {
			return nil, !always
		}
		return &Not{term}, false
	case *ValuePath:
		if n.borrowed(e.Attr) {
			return nil, false
		}
	case *Compare:
		if n.borrowed(e.Attr) {
			return nil, holds(e, nil)
		}
	}
	return e, false
}

// reduceTerms keeps the terms that matter. One that is not as neutral says, where
// it is a constant, decides all.
func (n acrossNames) reduceTerms(terms []Expr, neutral bool) (kept []Expr, always bool) {
	for _, t := range terms {
		e, always := n.reduce(t)
		switch {
		case e != nil:
			kept = append(kept, e)
		case always != neutral:
			return nil, always
		}
	}
	return kept, neutral
}

func joined(terms []Expr, join func([]Expr) Expr) Expr {
	switch len(terms) {
	case 0:
		return nil
	case 1:
		return terms[0]
	}
	return join(terms)
}

func (n acrossNames) borrowed(a *schema.Attribute) bool {
	return n.foreign[a] || a.Parent != nil && n.foreign[a.Parent]
}
