package filter

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

var operatorWords = [...]string{
	Equal: "eq", NotEqual: "ne", Contains: "co", StartsWith: "sw", EndsWith: "ew",
	Greater: "gt", GreaterEqual: "ge", Less: "lt", LessEqual: "le", Present: "pr",
}

// String is the RFC's word for op.
func (op Op) String() string { return operatorWords[op] }

// String writes e so that Parse gives it back.
func String(e Expr) string {
	var b strings.Builder
	write(&b, e, false)
	return b.String()
}

func write(b *strings.Builder, e Expr, inside bool) {
	switch e := e.(type) {
	case *And:
		for i, t := range e.Terms {
			if i > 0 {
				b.WriteString(" and ")
			}
			_, or := t.(*Or)
			parenthesise(b, t, inside, or)
		}
	case *Or:
		for i, t := range e.Terms {
			if i > 0 {
				b.WriteString(" or ")
			}
			write(b, t, inside)
		}
	case *Not:
		b.WriteString("not ")
		parenthesise(b, e.Term, inside, true)
	case *ValuePath:
		b.WriteString(e.Attr.Path())
		b.WriteByte('[')
		write(b, e.Term, true)
		b.WriteByte(']')
	case *Compare:
		writeCompare(b, e, inside)
	}
}

func parenthesise(b *strings.Builder, e Expr, inside, really bool) {
	if !really {
		write(b, e, inside)
		return
	}
	b.WriteByte('(')
	write(b, e, inside)
	b.WriteByte(')')
}

func writeCompare(b *strings.Builder, c *Compare, inside bool) {
	if inside {
		b.WriteString(c.Attr.Name)
	} else {
		b.WriteString(c.Attr.Path())
	}
	b.WriteByte(' ')
	b.WriteString(c.Op.String())
	switch {
	case c.Op == Present:
	case c.Value.Null:
		b.WriteString(" null")
	case c.Attr.Type == schema.Boolean, c.Attr.Type == schema.Integer, c.Attr.Type == schema.Decimal:
		b.WriteByte(' ')
		b.WriteString(c.Value.Text)
	default:
		// The text came through the lexer, which takes valid UTF-8 only.
		quotedText, _ := jsontext.AppendQuote(nil, c.Value.Text)
		b.WriteByte(' ')
		b.Write(quotedText)
	}
}
