package filter

import (
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Parse reads a filter over resources of type rt, leniently. Errors are
// *schema.Error, invalidFilter, and say what is wrong at which character.
func Parse(rt *schema.ResourceType, text string) (Expr, error) {
	return ParseAs(rt, text, schema.Lenient(), nil)
}

// ParseAs is Parse as leniently as it is told; the leniencies that it took are added
// to notes, unless that is nil.
func ParseAs(rt *schema.ResourceType, text string, l schema.Leniency, notes *schema.Notes) (Expr, error) {
	return parse(typeNames{rt}, text, l, notes)
}

func parse(n names, text string, leniency schema.Leniency, notes *schema.Notes) (Expr, error) {
	l, err := newLexer(text, schema.InvalidFilter)
	if err != nil {
		return nil, err
	}
	p := parser{lexer: l, names: n, leniency: leniency, notes: notes}
	e, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.next.kind != end {
		return nil, p.errorf(p.next.at, "and, or, or the end is expected")
	}
	return e, nil
}

// names resolves the attribute names of one level: the resource's, or inside
// brackets an attribute's sub-attributes.
type names interface {
	attribute(name string) *schema.Attribute
}

type typeNames struct{ rt *schema.ResourceType }

func (n typeNames) attribute(name string) *schema.Attribute {
	a, err := n.rt.Attribute(name)
	if err != nil {
		return nil
	}
	return a
}

type subNames struct{ of *schema.Attribute }

func (n subNames) attribute(name string) *schema.Attribute { return n.of.SubAttribute(name) }

// parser is a recursive descent without backtracking; depth bounds the recursion.
type parser struct {
	*lexer
	names    names
	leniency schema.Leniency
	notes    *schema.Notes // nil: nobody asks
	nodes    int
}

// note adds a leniency that was taken.
func (p *parser) note(word, where string) {
	if p.notes != nil {
		p.notes.Add(word, where)
	}
}

// spelt holds the name that an attribute was found by against its own. Inside
// brackets there are no other names.
func (p *parser) spelt(a *schema.Attribute, name token) error {
	if _, inside := p.names.(subNames); inside {
		return nil
	}
	c := schema.Checker{Leniency: p.leniency}
	if err := c.Spelt(a, name.text, p.fail); err != nil {
		return err
	}
	for _, n := range c.Notes {
		p.note(schema.NoteAlias, n[len(schema.NoteAlias)+2:])
	}
	return nil
}

func (p *parser) count(at int) error {
	if p.nodes++; p.nodes > MaxNodes {
		return p.errorf(at, "more than %d terms", MaxNodes)
	}
	return nil
}

func (p *parser) or(depth int) (Expr, error) {
	return p.chain("or", func() (Expr, error) { return p.and(depth) }, func(terms []Expr) Expr { return &Or{terms} })
}

func (p *parser) and(depth int) (Expr, error) {
	return p.chain("and", func() (Expr, error) { return p.term(depth) }, conjunction)
}

// chain reads terms with one connective between them.
func (p *parser) chain(connective string, term func() (Expr, error), join func([]Expr) Expr) (Expr, error) {
	first, err := term()
	if err != nil || !p.sees(connective) {
		return first, err
	}
	terms := []Expr{first}
	for p.sees(connective) {
		if _, err := p.take(); err != nil {
			return nil, err
		}
		next, err := term()
		if err != nil {
			return nil, err
		}
		terms = append(terms, next)
	}
	if err := p.count(p.next.at); err != nil {
		return nil, err
	}
	return join(flatten(connective, terms)), nil
}

func conjunction(terms []Expr) Expr { return &And{terms} }

// flatten lifts a parenthesised chain of the same connective into its parent, so
// that equal filters have one form.
func flatten(connective string, terms []Expr) []Expr {
	var flat []Expr
	for _, t := range terms {
		switch t := t.(type) {
		case *And:
			if connective == "and" {
				flat = append(flat, t.Terms...)
				continue
			}
		case *Or:
			if connective == "or" {
				flat = append(flat, t.Terms...)
				continue
			}
		}
		flat = append(flat, t)
	}
	return flat
}

func (p *parser) sees(keyword string) bool {
	return p.next.kind == word && strings.EqualFold(p.next.text, keyword)
}

func (p *parser) term(depth int) (Expr, error) {
	if depth >= MaxDepth {
		return nil, p.errorf(p.next.at, "nested deeper than %d levels", MaxDepth)
	}
	t, err := p.take()
	if err != nil {
		return nil, err
	}
	switch {
	case t.kind == open:
		return p.group(t, depth)
	case t.kind == word && strings.EqualFold(t.text, "not") && p.next.kind == open:
		if err := p.count(t.at); err != nil {
			return nil, err
		}
		t, err := p.take()
		if err != nil {
			return nil, err
		}
		inner, err := p.group(t, depth)
		return &Not{inner}, err
	case t.kind == word:
		return p.test(t, depth)
	default:
		return nil, p.errorf(t.at, "an attribute name is expected")
	}
}

// group reads what follows an opening parenthesis.
func (p *parser) group(opened token, depth int) (Expr, error) {
	e, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.next.kind != shut {
		return nil, p.errorf(opened.at, "the parenthesis is not closed")
	}
	_, err = p.take()
	return e, err
}

// test reads what follows an attribute name.
func (p *parser) test(name token, depth int) (Expr, error) {
	if err := p.count(name.at); err != nil {
		return nil, err
	}
	a := p.names.attribute(name.text)
	if a == nil || !a.Searchable() {
		return nil, p.errorf(name.at, "%q is no attribute that can be filtered by", schema.Clip(name.text))
	}
	if err := p.spelt(a, name); err != nil {
		return nil, err
	}
	if p.next.kind == openBracket {
		return p.valuePath(name, a, depth)
	}
	return p.compare(name, a)
}

// valuePath reads attr[…], and the form that Entra and RFC 7644's own PATCH paths
// use in filters too, attr[…].sub op value, which asks for one element that
// satisfies both.
func (p *parser) valuePath(name token, a *schema.Attribute, depth int) (Expr, error) {
	inner, err := p.brackets(name, a, depth)
	if err != nil {
		return nil, err
	}
	if p.next.kind != word || p.next.text[0] != '.' {
		return &ValuePath{Attr: a, Term: inner}, nil
	}
	t, err := p.take()
	if err != nil {
		return nil, err
	}
	sub := a.SubAttribute(t.text[1:])
	if sub == nil {
		return nil, p.errorf(t.at, "%s has no sub-attribute %q", a.Path(), schema.Clip(t.text[1:]))
	}
	if err := p.count(t.at); err != nil {
		return nil, err
	}
	last, err := p.compare(t, sub)
	if err != nil {
		return nil, err
	}
	return &ValuePath{Attr: a, Term: conjunction(flatten("and", []Expr{inner, last}))}, nil
}

// brackets reads the filter between the brackets behind a.
func (p *parser) brackets(name token, a *schema.Attribute, depth int) (Expr, error) {
	if !a.MultiValued || a.Type != schema.Complex {
		return nil, p.errorf(name.at, "%s has no elements to select from", a.Path())
	}
	opened, err := p.take()
	if err != nil {
		return nil, err
	}
	outer := p.names
	p.names = subNames{a}
	inner, err := p.or(depth + 1)
	p.names = outer
	if err != nil {
		return nil, err
	}
	if p.next.kind != shutBracket {
		return nil, p.errorf(opened.at, "the bracket is not closed")
	}
	_, err = p.take()
	return inner, err
}

func (p *parser) compare(name token, a *schema.Attribute) (Expr, error) {
	t, err := p.take()
	if err != nil {
		return nil, err
	}
	op := operator(t)
	if op == 0 {
		return nil, p.errorf(t.at, "an operator is expected: eq, ne, co, sw, ew, gt, ge, lt, le or pr")
	}
	if op == Present {
		return &Compare{Attr: a, Op: Present}, nil
	}
	if a.Type == schema.Complex {
		value := a.SubAttribute("value")
		if value == nil {
			return nil, p.errorf(name.at, "%s is complex: name one of its sub-attributes", a.Path())
		}
		a = value
	}
	if !a.Searchable() {
		return nil, p.errorf(name.at, "%q is no attribute that can be filtered by", a.Path())
	}
	literal, err := p.take()
	if err != nil {
		return nil, err
	}
	v, err := p.literal(a, op, literal)
	if err != nil {
		return nil, err
	}
	return &Compare{Attr: a, Op: op, Value: v}, nil
}

func operator(t token) Op {
	if t.kind != word {
		return 0
	}
	for op, w := range operatorWords {
		if w != "" && strings.EqualFold(t.text, w) {
			return Op(op)
		}
	}
	return 0
}
