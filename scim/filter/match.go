package filter

import (
	"cmp"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Matches says whether a resource satisfies e. It is the meaning of a filter; what
// a store compiles to SQL is tested against it. Attributes that a document leaves
// out (id, meta, members) are found if doc has them under their names.
//
// An absent attribute satisfies "ne" with any value, "eq null", and no other
// comparison. On a multi-valued attribute a comparison holds when it does for any
// element, "ne" among them; "eq null" and "ne null" ask whether there is a value.
func Matches(e Expr, doc schema.Object) bool {
	switch e := e.(type) {
	case *And:
		for _, t := range e.Terms {
			if !Matches(t, doc) {
				return false
			}
		}
		return true
	case *Or:
		for _, t := range e.Terms {
			if Matches(t, doc) {
				return true
			}
		}
		return false
	case *Not:
		return !Matches(e.Term, doc)
	case *ValuePath:
		for _, v := range elements(doc.Get(e.Attr)) {
			if o, ok := v.(schema.Object); ok && MatchesElement(e.Term, o) {
				return true
			}
		}
		return false
	case *Compare:
		return holds(e, values(doc, e))
	}
	return false
}

// MatchesElement says whether one element of a multi-valued attribute satisfies
// the term of a ValuePath or the filter of a Path.
func MatchesElement(e Expr, element schema.Object) bool {
	switch e := e.(type) {
	case *And:
		for _, t := range e.Terms {
			if !MatchesElement(t, element) {
				return false
			}
		}
		return true
	case *Or:
		for _, t := range e.Terms {
			if MatchesElement(t, element) {
				return true
			}
		}
		return false
	case *Not:
		return !MatchesElement(e.Term, element)
	case *Compare:
		return holds(e, e.within(element))
	}
	return false
}

// values are all values of an attribute, or of a sub-attribute in all elements.
func values(doc schema.Object, c *Compare) []any {
	if c.Attr.Parent == nil {
		return elements(doc.Get(c.Attr))
	}
	var all []any
	for _, v := range elements(doc.Get(c.Attr.Parent)) {
		if o, ok := v.(schema.Object); ok {
			all = append(all, c.within(o)...)
		}
	}
	return all
}

// within are the values of a sub-attribute in one element.
func (c *Compare) within(element schema.Object) []any {
	if v, there := element[c.Attr.Name]; there || !c.AssumesFalse() {
		return elements(v)
	}
	return []any{false}
}

// AssumesFalse reports whether an element without the attribute is compared as if it
// said false: "primary" in a list is assumed to be false where it is not specified.
func (c *Compare) AssumesFalse() bool {
	in := c.Attr.Parent
	return in != nil && in.MultiValued && c.Attr.Name == "primary" && c.Attr.Type == schema.Boolean && c.Op != Present && !c.Value.Null
}

func elements(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func holds(c *Compare, found []any) bool {
	switch {
	case c.Op == Present, c.Value.Null && c.Op == NotEqual:
		return len(found) > 0
	case c.Value.Null:
		return len(found) == 0
	case len(found) == 0:
		return c.Op == NotEqual
	}
	for _, v := range found {
		if satisfies(c, v) {
			return true
		}
	}
	return false
}

func satisfies(c *Compare, v any) bool {
	switch v := v.(type) {
	case bool:
		return (v == c.Value.Bool) == (c.Op == Equal)
	case int64:
		return ordered(c.Op, cmp.Compare(v, c.Value.Int))
	case float64:
		return ordered(c.Op, cmp.Compare(v, c.Value.Float))
	case string:
		return satisfiesText(c, v)
	}
	return false
}

func satisfiesText(c *Compare, v string) bool {
	want := c.Value.Text
	switch {
	case c.Attr.Type == schema.DateTime:
		t, ok := schema.ParseTime(v)
		return ok && ordered(c.Op, t.Compare(c.Value.Time))
	case !c.Attr.CaseExact:
		v, want = schema.Fold(v), c.Value.Folded
	}
	switch c.Op {
	case Contains:
		return strings.Contains(v, want)
	case StartsWith:
		return strings.HasPrefix(v, want)
	case EndsWith:
		return strings.HasSuffix(v, want)
	}
	return ordered(c.Op, strings.Compare(v, want))
}

func ordered(op Op, sign int) bool {
	switch op {
	case Equal:
		return sign == 0
	case NotEqual:
		return sign != 0
	case Greater:
		return sign > 0
	case GreaterEqual:
		return sign >= 0
	case Less:
		return sign < 0
	case LessEqual:
		return sign <= 0
	}
	return false
}
