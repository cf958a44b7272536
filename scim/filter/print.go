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
func String(e Expr) string { return Print(e, literal) }

// Print is String with the literals as lit writes them: for whoever must not show
// what was searched for.
func Print(e Expr, lit func(*Compare) string) string {
	p := printer{lit: lit}
	p.write(e, false)
	return p.String()
}

type printer struct {
	strings.Builder
	lit func(*Compare) string
}

func (p *printer) write(e Expr, inside bool) {
	switch e := e.(type) {
	case *And:
		for i, t := range e.Terms {
			if i > 0 {
				p.WriteString(" and ")
			}
			_, or := t.(*Or)
			p.parenthesise(t, inside, or)
		}
	case *Or:
		for i, t := range e.Terms {
			if i > 0 {
				p.WriteString(" or ")
			}
			p.write(t, inside)
		}
	case *Not:
		p.WriteString("not ")
		p.parenthesise(e.Term, inside, true)
	case *ValuePath:
		p.WriteString(e.Attr.Path())
		p.WriteByte('[')
		p.write(e.Term, true)
		p.WriteByte(']')
	case *Compare:
		p.compare(e, inside)
	}
}

func (p *printer) parenthesise(e Expr, inside, really bool) {
	if !really {
		p.write(e, inside)
		return
	}
	p.WriteByte('(')
	p.write(e, inside)
	p.WriteByte(')')
}

func (p *printer) compare(c *Compare, inside bool) {
	if inside {
		p.WriteString(c.Attr.Name)
	} else {
		p.WriteString(c.Attr.Path())
	}
	p.WriteByte(' ')
	p.WriteString(c.Op.String())
	if c.Op != Present {
		p.WriteByte(' ')
		p.WriteString(p.lit(c))
	}
}

// literal is a literal as the grammar has it.
func literal(c *Compare) string {
	switch {
	case c.Value.Null:
		return "null"
	case c.Attr.Type == schema.Boolean, c.Attr.Type == schema.Integer, c.Attr.Type == schema.Decimal:
		return c.Value.Text
	}
	// The text came through the lexer, which takes valid UTF-8 only.
	quotedText, _ := jsontext.AppendQuote(nil, c.Value.Text)
	return string(quotedText)
}
