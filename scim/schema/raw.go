package schema

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/internal/planted"
)

// Raw is a JSON value before it has met the schema: nil, bool, string, Number,
// []Raw, Fields or Deferred.
type Raw any

// Number is a JSON number as written.
type Number string

// Fields is a JSON object, in the order written. No two names differ only in ASCII
// case.
type Fields []Field

// Field is one member of a JSON object.
type Field struct {
	Name  string
	Value Raw
}

// Deferred is JSON that has been checked for syntax only: a part of the body that
// is read when it is known what for, or that may be large.
type Deferred []byte

// Get finds a field by name, without regard to ASCII case.
func (f Fields) Get(name string) (Raw, bool) {
	for _, field := range f {
		if equalASCII(field.Name, name) {
			return field.Value, true
		}
	}
	return nil, false
}

// Defer says which object members Read leaves as Deferred; depth is 1 for those of
// the outermost object.
type Defer func(depth int, name string) bool

// Read reads one JSON value and nothing behind it. Duplicate names, also those that
// differ only in ASCII case, and invalid UTF-8 are refused. The body must have
// passed Guard, or be a part of one that has.
func Read(body []byte, later Defer) (Raw, error) {
	r := reader{body: body, dec: jsontext.NewDecoder(bytes.NewBuffer(body)), later: later, left: MaxValues}
	v, err := r.value(0)
	if err != nil {
		return nil, syntaxError(err)
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, Errorf(InvalidSyntax, "", "the JSON value is followed by something else")
	}
	return v, nil
}

// usual is how many members an object of a request has, more or less.
const usual = 4

type reader struct {
	body  []byte
	dec   *jsontext.Decoder
	later Defer
	left  int // values that may still be read
}

func (r *reader) value(depth int) (Raw, error) {
	if r.left--; r.left < 0 {
		return nil, Errorf(TooMany, "", "the JSON holds more than %d values", MaxValues)
	}
	t, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '{':
		return r.object(depth + 1)
	case '[':
		return r.array(depth + 1)
	case '"':
		return t.String(), nil
	case '0':
		return Number(t.String()), nil
	case 't', 'f':
		return t.Bool(), nil
	default:
		return nil, nil
	}
}

func (r *reader) array(depth int) (Raw, error) {
	list := []Raw{}
	for r.dec.PeekKind() != ']' {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := r.dec.ReadToken()
	return list, err
}

func (r *reader) object(depth int) (Raw, error) {
	fields := make(Fields, 0, usual)
	var seen names
	for r.dec.PeekKind() != '}' {
		quoted, err := r.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		name, err := nameOf(quoted)
		if err != nil {
			return nil, err
		}
		if seen.again(fields, name) {
			return nil, Errorf(InvalidSyntax, Clip(name), "the name stands twice in one object; names differ by more than case")
		}
		v, err := r.member(depth, name)
		if err != nil {
			return nil, err
		}
		fields = append(fields, Field{name, v})
	}
	_, err := r.dec.ReadToken()
	return fields, err
}

// nameOf gives the names that every request has without making them anew.
func nameOf(quoted jsontext.Value) (string, error) {
	if known, ok := knownNames[string(quoted)]; ok {
		return known, nil
	}
	name, err := jsontext.AppendUnquote(nil, quoted)
	return string(name), err
}

// knownNames are the names of the core schemas and of PATCH requests, by their JSON.
var knownNames = quotedNames("op", "path", "schemas", "Operations")

func quotedNames(more ...string) map[string]string {
	known := map[string]string{}
	var enter func(attributes []*Attribute)
	enter = func(attributes []*Attribute) {
		for _, a := range attributes {
			known[`"`+a.Name+`"`] = a.Name
			enter(a.Sub)
		}
	}
	for _, rt := range []*ResourceType{users, groups} {
		enter(rt.Common)
		enter(rt.Core.Attributes)
		for _, e := range rt.Extensions {
			known[`"`+e.Schema.ID+`"`] = e.Schema.ID
			enter(e.Schema.Attributes)
		}
	}
	for _, name := range more {
		known[`"`+name+`"`] = name
	}
	return known
}

func (r *reader) member(depth int, name string) (Raw, error) {
	if r.later == nil || !r.later(depth, name) {
		return r.value(depth)
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	// The decoder's own copy lives until its next call only.
	end := int(r.dec.InputOffset())
	return Deferred(r.body[end-len(v) : end]), nil
}

// names finds a name that an object already has, in any case: by comparing where
// there are few, by a set where a client sends many.
type names map[string]bool

func (n *names) again(have Fields, name string) bool {
	if planted.Bug(planted.SecondNameCounts) {
		return false
	}
	const few = 32
	if len(have) < few {
		_, found := have.Get(name)
		return found
	}
	if *n == nil {
		*n = names{}
		for _, f := range have {
			(*n)[lowerASCII(f.Name)] = true
		}
	}
	low := lowerASCII(name)
	found := (*n)[low]
	(*n)[low] = true
	return found
}

func syntaxError(err error) error {
	if _, ours := errors.AsType[*Error](err); ours {
		return err
	}
	syntactic, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case !ok:
		return Errorf(InvalidSyntax, "", "the JSON ends too early")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return Errorf(InvalidSyntax, Clip(string(syntactic.JSONPointer)), "the name stands twice in one object")
	default:
		return Errorf(InvalidSyntax, Clip(string(syntactic.JSONPointer)), "not valid JSON at byte %d: %s", syntactic.ByteOffset, syntactic.Err)
	}
}
