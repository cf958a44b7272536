package schema

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// MemberIDs reads the ids of a members value: an array of objects with a "value",
// or one such object, or bare ids; null is none. Each id stands once, in the order
// of its first mention. Nothing but the ids is built.
func (c *Checker) MemberIDs(a *Attribute, raw Deferred) ([]string, error) {
	m := memberReader{c: c, attr: a, dec: jsontext.NewDecoder(bytes.NewBuffer(raw)), seen: map[string]bool{}, ids: []string{}}
	switch kind := m.dec.PeekKind(); {
	case kind == 'n':
		return m.ids, nil
	case kind != '[' && !c.Leniency.Unwrapped:
		return nil, Errorf(InvalidValue, a.path, "multi-valued: the value is an array")
	case kind != '[':
		c.Notes.Add(NoteUnwrapped, a.path)
		err := m.element()
		return m.ids, err
	}
	if _, err := m.dec.ReadToken(); err != nil {
		return nil, syntaxError(err)
	}
	for m.dec.PeekKind() != ']' {
		if err := m.element(); err != nil {
			return nil, err
		}
	}
	return m.ids, nil
}

type memberReader struct {
	c    *Checker
	attr *Attribute
	dec  *jsontext.Decoder
	seen map[string]bool
	ids  []string
}

func (m *memberReader) element() error {
	kind := m.dec.PeekKind()
	if kind == '{' {
		return m.object()
	}
	t, err := m.dec.ReadToken()
	switch {
	case err != nil:
		return syntaxError(err)
	case kind == 'n':
		return nil
	case kind == '"' && m.c.Leniency.BareValues:
		m.c.Notes.Add(NoteBareValue, m.attr.path)
		return m.add(t.String())
	default:
		return Errorf(InvalidValue, m.attr.path, "a member is an object with a value, the id of a user")
	}
}

// object takes "value" and passes over the rest: display, type and $ref are ours
// to say.
func (m *memberReader) object() error {
	if _, err := m.dec.ReadToken(); err != nil {
		return syntaxError(err)
	}
	id, found := "", false
	for m.dec.PeekKind() != '}' {
		name, err := m.dec.ReadToken()
		if err != nil {
			return syntaxError(err)
		}
		if !equalASCII(name.String(), "value") {
			if err := m.dec.SkipValue(); err != nil {
				return syntaxError(err)
			}
			continue
		}
		if found {
			return Errorf(InvalidSyntax, m.attr.path+".value", "the name stands twice in one object")
		}
		found = true
		if id, err = m.id(); err != nil {
			return err
		}
	}
	if _, err := m.dec.ReadToken(); err != nil {
		return syntaxError(err)
	}
	return m.add(id)
}

func (m *memberReader) id() (string, error) {
	t, err := m.dec.ReadToken()
	if err != nil {
		return "", syntaxError(err)
	}
	if t.Kind() != '"' {
		return "", Errorf(InvalidValue, m.attr.path+".value", "a member's value is the id of a user, a string")
	}
	return t.String(), nil
}

func (m *memberReader) add(id string) error {
	if id == "" {
		return Errorf(InvalidValue, m.attr.path+".value", "a member has no value; it is the id of a user")
	}
	if m.seen[id] {
		return nil
	}
	if len(m.ids) == MaxMembers {
		return Errorf(TooMany, m.attr.path, "more than %d members; send them in several requests", MaxMembers)
	}
	m.seen[id] = true
	m.ids = append(m.ids, id)
	return nil
}
