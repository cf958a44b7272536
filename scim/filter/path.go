package filter

import (
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Path is a resolved PATCH path (RFC 7644 figure 7). Exactly one of Attr and
// Schema is set.
type Path struct {
	Attr   *schema.Attribute // the top-level attribute
	Filter Expr              // over Attr's elements; nil: all
	Sub    *schema.Attribute // nil: the attribute or element itself
	Schema *schema.Schema    // the path is an extension's, or the core's, URN
	Raw    string            // as sent

	// Pairs are the values that a new element must have to be selected by Filter;
	// Stampable says that they suffice, since Filter is nothing but eq and and.
	Pairs     []Pair
	Stampable bool
}

// Pair is a sub-attribute and the value that a filter asks of it: a string, bool,
// int64 or float64.
type Pair struct {
	Sub   *schema.Attribute
	Value any
}

// ParsePath reads a PATCH path, leniently. Errors are *schema.Error, invalidPath, also
// for what stands in the brackets.
func ParsePath(rt *schema.ResourceType, text string) (Path, error) {
	return ParsePathAs(rt, text, schema.Lenient(), nil)
}

// ParsePathAs is ParsePath as leniently as it is told; the leniencies that it took are
// added to notes, unless that is nil.
func ParsePathAs(rt *schema.ResourceType, text string, leniency schema.Leniency, notes *schema.Notes) (Path, error) {
	if s := rt.Schema(text); s != nil {
		return Path{Schema: s, Raw: text}, nil
	}
	p := parser{names: typeNames{rt}, leniency: leniency, notes: notes, lexer: &lexer{fail: schema.InvalidPath}}
	if a, err := rt.Attribute(text); err == nil {
		return plainPath(a, text), p.spelt(a, token{text: text})
	}
	l, err := newLexer(text, schema.InvalidPath)
	if err != nil {
		return Path{}, err
	}
	p.lexer = l
	return p.path()
}

func plainPath(a *schema.Attribute, text string) Path {
	if a.Parent != nil {
		return Path{Attr: a.Parent, Sub: a, Raw: text}
	}
	return Path{Attr: a, Raw: text}
}

func (p *parser) path() (Path, error) {
	name, err := p.take()
	if err != nil {
		return Path{}, err
	}
	a := p.names.attribute(name.text)
	if name.kind != word || a == nil {
		return Path{}, p.errorf(name.at, "this names no attribute")
	}
	if p.next.kind != openBracket {
		return Path{}, p.errorf(p.next.at, "[ or the end is expected")
	}
	if err := p.spelt(a, name); err != nil {
		return Path{}, err
	}
	out := plainPath(a, p.text)
	if out.Filter, err = p.brackets(name, a, 0); err != nil {
		return Path{}, err
	}
	out.Pairs, out.Stampable = pairs(out.Filter)
	if p.next.kind == word && p.next.text[0] == '.' {
		t, err := p.take()
		if err != nil {
			return Path{}, err
		}
		if out.Sub = a.SubAttribute(t.text[1:]); out.Sub == nil {
			return Path{}, p.errorf(t.at, "%s has no sub-attribute %q", a.Path(), schema.Clip(t.text[1:]))
		}
	}
	if p.next.kind != end {
		return Path{}, p.errorf(p.next.at, "the path should end here")
	}
	return out, nil
}

// pairs reads the values out of a conjunction of equalities. A sub-attribute that
// is asked to equal two things gives no element.
func pairs(e Expr) ([]Pair, bool) {
	terms := []Expr{e}
	if and, ok := e.(*And); ok {
		terms = and.Terms
	}
	var all []Pair
	for _, t := range terms {
		c, ok := t.(*Compare)
		if !ok || c.Op != Equal || c.Value.Null {
			return nil, false
		}
		for _, have := range all {
			if have.Sub == c.Attr {
				return nil, false
			}
		}
		all = append(all, Pair{c.Attr, c.Value.document(c.Attr)})
	}
	return all, true
}

// document is the value as a document holds it.
func (v Value) document(a *schema.Attribute) any {
	switch a.Type {
	case schema.Boolean:
		return v.Bool
	case schema.Integer:
		return v.Int
	case schema.Decimal:
		return v.Float
	default:
		return v.Text
	}
}
