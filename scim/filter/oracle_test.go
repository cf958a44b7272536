package filter

import (
	"fmt"
	"strings"
	"testing"

	elimity "github.com/elimity-com/scim/filter"
	upstream "github.com/elimity-com/scim/schema"
	reference "github.com/scim2/filter-parser/v2"
	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// scim2/filter-parser is an independent reading of the grammar. Where it reads a
// filter at all it must read what we read; where it is known to be wrong stands in
// TestWhereTheReferenceIsWrong, and the generator keeps away from that.
func TestReadsLikeTheReferenceParser(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGenerator(t, schema.Users(), rapid.StringMatching(`[a-z@. ]{0,8}`))
		for _, list := range g.lists {
			list := &ValuePath{list, g.compare(rapid.SampledFrom(list.Sub).Draw(t, "sub"))}
			agree(t, list)
		}
		agree(t, g.expr(3, g.simple, false))
	})
}

func mustAttribute(path string) *schema.Attribute {
	a, err := schema.Users().Attribute(path)
	if err != nil {
		panic(err)
	}
	return a
}

func agree(t *rapid.T, e Expr) {
	text := String(e)
	theirs, err := reference.ParseFilter([]byte(text))
	if err != nil {
		if strings.Contains(text, "[") {
			return // more than it can read between brackets
		}
		t.Fatalf("the reference refuses %s: %v", text, err)
	}
	if got, want := ourForm(e), theirForm(theirs); !strings.EqualFold(got, want) {
		t.Fatalf("%s\nours   %s\ntheirs %s", text, got, want)
	}
}

// ourForm and theirForm write both trees with every bracket.
func ourForm(e Expr) string {
	switch e := e.(type) {
	case *And:
		return "(and " + forms(e.Terms) + ")"
	case *Or:
		return "(or " + forms(e.Terms) + ")"
	case *Not:
		return "(not " + ourForm(e.Term) + ")"
	case *ValuePath:
		inner := strings.ReplaceAll(ourForm(e.Term), e.Attr.Path()+".", "")
		return "(" + e.Attr.Path() + " " + inner + ")"
	case *Compare:
		v := any(e.Value.Text)
		switch {
		case e.Op == Present || e.Value.Null:
			v = nil
		case e.Attr.Type == schema.Boolean:
			v = e.Value.Bool
		}
		return fmt.Sprintf("(%s %s %v)", e.Attr.Path(), e.Op, v)
	}
	return ""
}

func forms(terms []Expr) string {
	var all []string
	for _, t := range terms {
		all = append(all, ourForm(t))
	}
	return strings.Join(all, " ")
}

func theirForm(e reference.Expression) string {
	switch e := e.(type) {
	case *reference.LogicalExpression:
		return "(" + string(e.Operator) + " " + strings.Join(theirTerms(e, e.Operator), " ") + ")"
	case *reference.NotExpression:
		return "(not " + theirForm(e.Expression) + ")"
	case *reference.ValuePath:
		return "(" + theirPath(e.AttributePath) + " " + theirForm(e.ValueFilter) + ")"
	case *reference.AttributeExpression:
		return fmt.Sprintf("(%s %s %v)", theirPath(e.AttributePath), strings.ToLower(string(e.Operator)), e.CompareValue)
	}
	return fmt.Sprintf("%T", e)
}

// theirTerms flattens a chain, as ours is.
func theirTerms(e reference.Expression, op reference.LogicalOperator) []string {
	l, ok := e.(*reference.LogicalExpression)
	if !ok || l.Operator != op {
		return []string{theirForm(e)}
	}
	return append(theirTerms(l.Left, op), theirTerms(l.Right, op)...)
}

func theirPath(p reference.AttributePath) string {
	return strings.TrimPrefix(p.String(), schema.UserURN+":")
}

// The reviewed list: filters that we read and the reference refuses, or reads as
// something else. RFC 7644 figure 1 allows all of them but the last two, which
// identity providers send.
func TestWhereTheReferenceIsWrong(t *testing.T) {
	for text, why := range map[string]string{
		`emails[type eq "work" and value co "a" and primary eq true]`: "at most two terms in brackets",
		`emails[(type eq "work")]`:                                    "no parentheses in brackets",
		`title eq "\u00fc"`:                                           "no escapes with lower-case digits",
		`emails[type eq "work"].value eq "x"`:                         "no sub-attribute behind brackets",
		`externalId eq jyoung`:                                        "no bare words",
	} {
		if _, err := Parse(schema.Users(), text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := reference.ParseFilter([]byte(text)); err == nil {
			t.Errorf("the reference reads %s by now (%s): take it off the list", text, why)
		}
	}
}

// elimity's filters agree with ours on single-valued strings; it panics on complex
// attributes and integers, takes "ne" of an absent attribute for false, and
// compares one schema's attributes at a time.
func TestSelectsLikeElimity(t *testing.T) {
	names := []string{"userName", "title", "displayName", "nickName"}
	words := rapid.StringMatching(`[abAB]{1,2}`)
	rapid.Check(t, func(t *rapid.T) {
		doc := schema.Object{}
		for _, n := range names {
			if rapid.Bool().Draw(t, "has "+n) {
				doc[n] = words.Draw(t, n)
			}
		}
		g := &generator{t: t, text: words}
		for _, n := range names {
			g.simple = append(g.simple, mustAttribute(n))
		}
		e := g.expr(0, g.simple, false)
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			e = &And{flatten("and", []Expr{e, &Not{g.expr(0, g.simple, false)}})}
		}
		if strings.Contains(String(e), " ne ") || strings.Contains(String(e), "null") || ordering(e) {
			return
		}
		theirs, err := elimity.NewValidator(String(e), upstream.CoreUserSchema())
		if err != nil {
			t.Fatalf("%s: %v", String(e), err)
		}
		if passes := theirs.PassesFilter(doc) == nil; passes != Matches(e, doc) {
			t.Fatalf("%s on %s: elimity says %v", String(e), doc.Encode(), passes)
		}
	})
}

// ordering says whether e asks for an order, in which elimity heeds case.
func ordering(e Expr) bool {
	text := String(e)
	for _, op := range []string{" gt ", " ge ", " lt ", " le "} {
		if strings.Contains(text, op) {
			return true
		}
	}
	return false
}
