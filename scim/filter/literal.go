package filter

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// literal gives a literal its attribute's type. A bare word is a string (RFC 7644
// wants quotes; Entra's own documents and authentik leave them out).
func (p *parser) literal(a *schema.Attribute, op Op, t token) (Value, error) {
	if t.kind != word && t.kind != quoted {
		return Value{}, p.errorf(t.at, "a value is expected")
	}
	if t.kind == word && t.text == "null" {
		if op != Equal && op != NotEqual {
			return Value{}, p.errorf(t.at, "null can be compared with eq and ne only")
		}
		return Value{Null: true}, nil
	}
	if !allowed(a.Type, op) {
		return Value{}, p.errorf(t.at, "%s is a %s and cannot be compared with %s", a.Path(), a.Type, op)
	}
	v, ok := coerce(a, t)
	if !ok {
		return Value{}, p.errorf(t.at, "%s is compared with a %s", a.Path(), a.Type)
	}
	return v, p.quotes(a, t)
}

// quotes notes, or refuses, a boolean that has quotes or upper case, and a text that
// has no quotes.
func (p *parser) quotes(a *schema.Attribute, t token) error {
	switch a.Type {
	case schema.Integer, schema.Decimal:
		return nil
	case schema.Boolean:
		if t.kind == word && (t.text == "true" || t.text == "false") {
			return nil
		}
		if !p.leniency.StringBooleans {
			return p.errorf(t.at, "%s is compared with true or false, without quotes and in lower case", a.Path())
		}
		p.note(schema.NoteStringBoolean, a.Path())
	default:
		if t.kind == quoted {
			return nil
		}
		if !p.leniency.BareWords {
			return p.errorf(t.at, "%s is compared with a text in quotes", a.Path())
		}
		p.note(schema.NoteBareWord, a.Path())
	}
	return nil
}

// allowed says which operators a type has (RFC 7644 table 3).
func allowed(t schema.Type, op Op) bool {
	switch op {
	case Equal, NotEqual:
		return true
	case Contains, StartsWith, EndsWith:
		return t == schema.String || t == schema.Reference
	default:
		return t != schema.Boolean && t != schema.Binary
	}
}

func coerce(a *schema.Attribute, t token) (Value, bool) {
	v := Value{Text: t.text}
	ok := true
	switch a.Type {
	case schema.Boolean:
		v.Bool, ok = schema.ParseBool(t.text)
	case schema.Integer:
		v.Int, ok = whole(t)
	case schema.Decimal:
		v.Float, ok = number(t)
	case schema.DateTime:
		v.Time, ok = schema.ParseTime(t.text)
	default:
		ok = t.kind == quoted || t.text != "true" && t.text != "false"
		if !a.CaseExact {
			v.Folded = schema.Fold(t.text)
		}
	}
	return v, ok
}

// number reads a JSON number (RFC 7644 figure 1), and none of the other ways in
// which Go writes one.
func number(t token) (float64, bool) {
	if t.kind != word || !jsontext.Value(t.text).IsValid() {
		return 0, false
	}
	f, err := strconv.ParseFloat(t.text, 64)
	return f, err == nil
}

// whole also takes 7.0 and 7e2 for integers: they are the same numbers.
func whole(t token) (int64, bool) {
	f, ok := number(t)
	if !ok {
		return 0, false
	}
	if i, err := strconv.ParseInt(t.text, 10, 64); err == nil {
		return i, true
	}
	const exact = 1 << 53 // beyond it not every integer is a float
	return int64(f), f == math.Trunc(f) && math.Abs(f) <= exact
}
