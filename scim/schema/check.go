package schema

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Checker gives raw values their attribute's type, as strictly as it is told, and
// notes each leniency it had to use.
type Checker struct {
	Type     *ResourceType
	Leniency Leniency
	Notes    Notes
	Named    []*Attribute // met so far, of those that are shown to who names them
}

// Value types the whole value of an attribute. It is nil where RFC 7643 section 2.5
// calls the attribute unassigned: null, an empty array, and what holds nothing but
// these; also the empty string, which identity providers send to clear.
func (c *Checker) Value(a *Attribute, raw Raw) (any, error) {
	c.name(a)
	if !a.MultiValued {
		return c.Element(a, raw)
	}
	list, err := c.list(a, raw)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var out []any
	for _, item := range list {
		v, err := c.Element(a, item)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, onePrimary(a, out)
}

// name remembers an attribute that is shown to who names it. Who names a part names
// the whole.
func (c *Checker) name(a *Attribute) {
	if a.Returned == ReturnedRequest && !slices.Contains(c.Named, a) {
		c.Named = append(c.Named, a)
	}
	if a.Parent != nil {
		c.name(a.Parent)
	}
}

func (c *Checker) list(a *Attribute, raw Raw) ([]Raw, error) {
	switch raw := raw.(type) {
	case nil:
		return nil, nil
	case []Raw:
		return raw, nil
	default:
		if !c.Leniency.Unwrapped {
			return nil, Errorf(InvalidValue, a.path, "multi-valued: the value is an array")
		}
		c.Notes.Add(NoteUnwrapped, a.path)
		return []Raw{raw}, nil
	}
}

func onePrimary(a *Attribute, list []any) error {
	found := false
	for _, item := range list {
		if !isPrimary(item) {
			continue
		}
		if found {
			return Errorf(InvalidValue, a.path+".primary", "at most one value is the primary one")
		}
		found = true
	}
	return nil
}

func isPrimary(item any) bool {
	o, ok := item.(Object)
	return ok && o["primary"] == true
}

// Element types one value: of a single-valued attribute, or one element of a
// multi-valued one. Nil means empty, as for Value.
func (c *Checker) Element(a *Attribute, raw Raw) (any, error) {
	raw, err := c.unwrap(a, raw)
	if err != nil || raw == nil {
		return nil, err
	}
	if a.Type == Complex {
		return c.complex(a, raw)
	}
	return c.simple(a, raw)
}

// unwrap takes the one value out of an array.
func (c *Checker) unwrap(a *Attribute, raw Raw) (Raw, error) {
	list, ok := raw.([]Raw)
	if !ok {
		return raw, nil
	}
	switch {
	case len(list) == 0:
		return nil, nil
	case len(list) == 1 && c.Leniency.Wrapped:
		c.Notes.Add(NoteWrapped, a.path)
		if _, again := list[0].([]Raw); !again {
			return list[0], nil
		}
	}
	return nil, Errorf(InvalidValue, a.path, "one %s is expected, not an array", a.Type)
}

// Fields gives a complex value as the object that was meant, nil if it is empty.
func (c *Checker) Fields(a *Attribute, raw Raw) (Fields, error) {
	raw, err := c.unwrap(a, raw)
	if err != nil || raw == nil || raw == "" {
		return nil, err
	}
	if fields, ok := raw.(Fields); ok {
		return fields, nil
	}
	value := a.SubAttribute("value")
	if value == nil || !c.Leniency.BareValues {
		return nil, Errorf(InvalidValue, a.path, "an object is expected")
	}
	c.Notes.Add(NoteBareValue, a.path)
	return Fields{{"value", raw}}, nil
}

func (c *Checker) complex(a *Attribute, raw Raw) (any, error) {
	fields, err := c.Fields(a, raw)
	if err != nil {
		return nil, err
	}
	o := Object{}
	for _, f := range fields {
		sub, err := c.Sub(a, f.Name)
		if err != nil {
			return nil, err
		}
		if sub == nil {
			continue
		}
		v, err := c.Value(sub, f.Value)
		if err != nil {
			return nil, err
		}
		if v != nil {
			o[sub.Name] = v
		}
	}
	if len(o) == 0 {
		return nil, nil
	}
	return o, nil
}

// Sub finds the sub-attribute that a field of a complex value sets; nil for one
// that is read-only or unknown and to be passed over.
func (c *Checker) Sub(a *Attribute, name string) (*Attribute, error) {
	sub := a.SubAttribute(name)
	switch {
	case sub == nil && !c.Leniency.UnknownNames:
		return nil, Errorf(InvalidSyntax, Clip(a.path+"."+name), "no such sub-attribute")
	case sub == nil:
		c.Notes.Add(NoteUnknownName, a.path+"."+name)
		return nil, nil
	case sub.Mutability == ReadOnly:
		c.Notes.Add(NoteReadOnly, sub.path)
		return nil, nil
	}
	return sub, nil
}

func (c *Checker) simple(a *Attribute, raw Raw) (any, error) {
	if fields, ok := raw.(Fields); ok {
		inner, has := fields.Get("value")
		if !c.Leniency.Wrapped || !has || len(fields) != 1 {
			return nil, wrongType(a)
		}
		c.Notes.Add(NoteWrapped, a.path)
		raw = inner
	}
	switch raw {
	case nil, "":
		return nil, nil
	}
	switch a.Type {
	case Boolean:
		return c.boolean(a, raw)
	case Integer, Decimal:
		return number(a, raw)
	default:
		return text(a, raw)
	}
}

func (c *Checker) boolean(a *Attribute, raw Raw) (any, error) {
	switch raw := raw.(type) {
	case bool:
		return raw, nil
	case string:
		b, ok := ParseBool(raw)
		if ok && c.Leniency.StringBooleans {
			c.Notes.Add(NoteStringBoolean, a.path)
			return b, nil
		}
	}
	return nil, wrongType(a)
}

// ParseBool reads "true" and "false" in any case, because Entra sends "True".
func ParseBool(s string) (value, ok bool) {
	switch {
	case equalASCII(s, "true"):
		return true, true
	case equalASCII(s, "false"):
		return false, true
	}
	return false, false
}

func number(a *Attribute, raw Raw) (any, error) {
	n, ok := raw.(Number)
	if !ok {
		return nil, wrongType(a)
	}
	if a.Type == Integer {
		i, err := strconv.ParseInt(string(n), 10, 64)
		if err != nil {
			return nil, wrongType(a)
		}
		return i, nil
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, wrongType(a)
	}
	return f, nil
}

func text(a *Attribute, raw Raw) (any, error) {
	s, ok := raw.(string)
	if !ok {
		return nil, wrongType(a)
	}
	switch a.Type {
	case DateTime:
		if _, ok := ParseTime(s); !ok {
			return nil, Errorf(InvalidValue, a.path, "a dateTime such as 2027-01-31T12:00:00Z is expected")
		}
	case Binary:
		if !isBase64(s) {
			return nil, Errorf(InvalidValue, a.path, "base64 is expected")
		}
	}
	return raw, nil // the same string, without another allocation for the interface
}

func wrongType(a *Attribute) error {
	article := "a"
	if a.Type == Integer {
		article = "an"
	}
	return Errorf(InvalidValue, a.path, "%s %s is expected", article, a.Type)
}

// ParseTime reads an xsd:dateTime (RFC 7643 section 2.3.5); without a time zone it
// is UTC. Years have four digits, also in UTC: what stores keep of an instant has room
// for no more.
func ParseTime(s string) (time.Time, bool) {
	// time.Parse would take a comma, and an hour of one digit.
	const hour = len("2006-01-02T15")
	if len(s) <= hour || s[hour] != ':' || strings.ContainsRune(s, ',') {
		return time.Time{}, false
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			year := t.UTC().Year()
			return t, 0 <= year && year <= 9999
		}
	}
	return time.Time{}, false
}

// isBase64 takes both alphabets of RFC 4648, padded or not.
func isBase64(s string) bool {
	s = strings.TrimRight(s, "=")
	for _, enc := range [...]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if _, err := enc.DecodeString(s); err == nil {
			return true
		}
	}
	return false
}
