package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Encode writes the canonical JSON of a document: attributes in the order of the
// schemas, then extensions in theirs, no white space. Equal documents give equal
// bytes. Names that no built-in schema has come last, in alphabetical order.
func (o Object) Encode() []byte {
	w := writer{buf: make([]byte, 0, 1<<10)}
	w.object(o, documentOrder)
	return w.buf
}

// documentOrder is every top-level name of both resource types; names that both
// have come in one order.
var documentOrder = orderOf(users, groups)

type order []place

type place struct {
	name string
	sub  order
}

func orderOf(types ...*ResourceType) order {
	var all order
	for _, rt := range types {
		for _, a := range rt.ordered {
			if a.Extension || slices.ContainsFunc(all, func(p place) bool { return p.name == a.Name }) {
				continue
			}
			all = append(all, place{a.Name, subOrder(a.Sub)})
		}
	}
	for _, rt := range types {
		for _, e := range rt.Extensions {
			all = append(all, place{e.Schema.ID, subOrder(e.Schema.Attributes)})
		}
	}
	return all
}

func subOrder(attributes []*Attribute) order {
	var all order
	for _, a := range attributes {
		all = append(all, place{a.Name, subOrder(a.Sub)})
	}
	return all
}

type writer struct {
	buf []byte
}

func (w *writer) object(o Object, in order) {
	w.buf = append(w.buf, '{')
	written := 0
	for _, p := range in {
		if v, ok := o[p.name]; ok {
			w.field(p.name, v, p.sub, written)
			written++
		}
	}
	if written < len(o) {
		for _, name := range slices.Sorted(maps.Keys(o)) {
			if !slices.ContainsFunc(in, func(p place) bool { return p.name == name }) {
				w.field(name, o[name], nil, written)
				written++
			}
		}
	}
	w.buf = append(w.buf, '}')
}

func (w *writer) field(name string, v any, sub order, before int) {
	if before > 0 {
		w.buf = append(w.buf, ',')
	}
	w.text(name)
	w.buf = append(w.buf, ':')
	w.value(v, sub)
}

func (w *writer) value(v any, sub order) {
	switch v := v.(type) {
	case string:
		w.text(v)
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case int64:
		w.buf = strconv.AppendInt(w.buf, v, 10)
	case float64:
		w.decimal(v)
	case Object:
		w.object(v, sub)
	case []any:
		w.buf = append(w.buf, '[')
		for i, item := range v {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.value(item, sub)
		}
		w.buf = append(w.buf, ']')
	default:
		panic(fmt.Sprintf("schema: a document holds a %T", v))
	}
}

// text cannot fail: everything in a document has been checked for valid UTF-8.
func (w *writer) text(s string) {
	w.buf, _ = jsontext.AppendQuote(w.buf, s)
}

// decimal keeps a point or an exponent, so that what is read back is a decimal.
func (w *writer) decimal(f float64) {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	w.buf = append(w.buf, s...)
}

// Stored reads what Encode wrote. Anything else is an error: a fault of ours or of
// the storage, never the client's.
func Stored(doc []byte) (Object, error) {
	raw, err := Read(doc, nil)
	if err != nil {
		return nil, fmt.Errorf("schema: stored document: %w", err)
	}
	v, err := storedValue(raw)
	if err != nil {
		return nil, fmt.Errorf("schema: stored document: %w", err)
	}
	o, ok := v.(Object)
	if !ok {
		return nil, errors.New("schema: a stored document is no object")
	}
	return o, nil
}

func storedValue(raw Raw) (any, error) {
	switch raw := raw.(type) {
	case string, bool:
		return raw, nil
	case Number:
		if strings.ContainsAny(string(raw), ".eE") {
			return strconv.ParseFloat(string(raw), 64)
		}
		return strconv.ParseInt(string(raw), 10, 64)
	case Fields:
		return storedObject(raw)
	case []Raw:
		list := make([]any, len(raw))
		for i, item := range raw {
			v, err := storedValue(item)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	default:
		return nil, fmt.Errorf("a null")
	}
}

func storedObject(fields Fields) (any, error) {
	o := make(Object, len(fields))
	for _, f := range fields {
		v, err := storedValue(f.Value)
		if err != nil {
			return nil, err
		}
		o[f.Name] = v
	}
	return o, nil
}
