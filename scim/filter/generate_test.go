package filter

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// generator draws filters in the one form that Parse gives them.
type generator struct {
	t      *rapid.T
	simple []*schema.Attribute // comparable outside brackets
	lists  []*schema.Attribute // multi-valued and complex
	text   *rapid.Generator[string]
}

func newGenerator(t *rapid.T, rt *schema.ResourceType, text *rapid.Generator[string]) *generator {
	g := &generator{t: t, text: text}
	all := append([]*schema.Attribute{}, rt.Common...)
	all = append(all, rt.Core.Attributes...)
	for _, e := range rt.Extensions {
		all = append(all, e.Schema.Attributes...)
	}
	for _, a := range all {
		if a.Type != schema.Complex {
			g.simple = append(g.simple, a)
		}
		g.simple = append(g.simple, a.Sub...)
		if a.MultiValued && a.Type == schema.Complex {
			g.lists = append(g.lists, a)
		}
	}
	return g
}

func (g *generator) expr(depth int, from []*schema.Attribute, inside bool) Expr {
	kinds := []string{"compare"}
	if depth > 0 {
		kinds = append(kinds, "and", "or", "not")
		if !inside {
			kinds = append(kinds, "valuePath")
		}
	}
	switch rapid.SampledFrom(kinds).Draw(g.t, "kind") {
	case "and":
		return &And{g.terms(depth, "and", from, inside)}
	case "or":
		return &Or{g.terms(depth, "or", from, inside)}
	case "not":
		return &Not{g.expr(depth-1, from, inside)}
	case "valuePath":
		a := rapid.SampledFrom(g.lists).Draw(g.t, "list")
		return &ValuePath{a, g.expr(depth-1, a.Sub, true)}
	}
	return g.compare(rapid.SampledFrom(from).Draw(g.t, "attribute"))
}

func (g *generator) terms(depth int, connective string, from []*schema.Attribute, inside bool) []Expr {
	var terms []Expr
	for range rapid.IntRange(2, 3).Draw(g.t, "terms") {
		terms = append(terms, g.expr(depth-1, from, inside))
	}
	return flatten(connective, terms)
}

func (g *generator) compare(a *schema.Attribute) Expr {
	op := Op(rapid.IntRange(int(Equal), int(Present)).Draw(g.t, "op"))
	if op == Present || !allowed(a.Type, op) {
		return &Compare{Attr: a, Op: Present}
	}
	if op <= NotEqual && rapid.IntRange(0, 9).Draw(g.t, "null") == 0 {
		return &Compare{Attr: a, Op: op, Value: Value{Null: true}}
	}
	tok := token{kind: quoted}
	switch a.Type {
	case schema.Boolean:
		tok = token{kind: word, text: rapid.SampledFrom([]string{"true", "false"}).Draw(g.t, "bool")}
	case schema.DateTime:
		tok.text = time.Unix(rapid.Int64Range(0, 1<<32).Draw(g.t, "time"), 0).UTC().Format(time.RFC3339)
	default:
		tok.text = g.text.Draw(g.t, "text")
	}
	v, ok := coerce(a, tok)
	if !ok {
		g.t.Fatalf("%s cannot be %q", a.Path(), tok.text)
	}
	return &Compare{Attr: a, Op: op, Value: v}
}

func TestParseUndoesString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, rt := range []*schema.ResourceType{schema.Users(), schema.Groups()} {
			g := newGenerator(t, rt, rapid.StringMatching(`[a-zA-ZüßİK"\\ \t()\[\].:@]{0,8}`))
			e := g.expr(3, g.simple, false)
			again, err := Parse(rt, String(e))
			if err != nil || !reflect.DeepEqual(e, again) {
				t.Fatalf("%s\nbecomes %v\n%v", String(e), again, err)
			}
		}
	})
}
