package schema

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// node is a JSON value that knows where it stands.
type node struct {
	kind    jsontext.Kind // 0: there is none
	at      int           // the byte it begins at
	text    string        // of a string
	items   []node        // of an array
	members []member      // of an object, in order
}

type member struct {
	name string
	at   int // where the name begins
	node node
}

// member finds a member of an object by its exact name.
func (n node) member(name string) (node, bool) {
	for _, m := range n.members {
		if m.name == name {
			return m.node, true
		}
	}
	return node{}, false
}

// part is where a member's value begins, or the object that lacks it.
func (n node) part(name string) int {
	if m, ok := n.member(name); ok {
		return m.at
	}
	return n.at
}

// deepestDefinition is how deep definitions are nested: a list of schemas of
// attributes of sub-attributes with their values, and a little more.
const deepestDefinition = 12

// read reads the one JSON value of the document.
func (d *definer) read() (node, bool) {
	r := nodeReader{dec: jsontext.NewDecoder(bytes.NewBuffer(d.data))}
	n, err := r.value(0)
	if err == nil {
		_, err = r.dec.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return n, true
		case err == nil:
			d.say(int(r.dec.InputOffset())-1, "", "the JSON value is followed by something else")
			return n, false
		}
	}
	at, why := r.end(), "the JSON ends too early"
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at, why = int(syntactic.ByteOffset), "not valid JSON: "+syntactic.Err.Error()
		if errors.Is(err, jsontext.ErrDuplicateName) {
			why = "the name stands twice in one object"
		}
	} else if errors.Is(err, errTooDeep) {
		why = err.Error()
	}
	d.say(at, "", "%s", why)
	return n, false
}

var errTooDeep = errors.New("the JSON is nested deeper than a schema is")

type nodeReader struct{ dec *jsontext.Decoder }

func (r nodeReader) end() int { return int(r.dec.InputOffset()) }

func (r nodeReader) value(depth int) (node, error) {
	if depth > deepestDefinition {
		return node{}, errTooDeep
	}
	switch k := r.dec.PeekKind(); k {
	case '{', '[':
		if _, err := r.dec.ReadToken(); err != nil {
			return node{}, err
		}
		n := node{kind: k, at: r.end() - 1}
		var err error
		if k == '{' {
			err = r.object(&n, depth+1)
		} else {
			err = r.array(&n, depth+1)
		}
		return n, err
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		return node{}, err
	}
	n := node{kind: v.Kind(), at: r.end() - len(v)}
	if n.kind == '"' {
		var text []byte
		text, err = jsontext.AppendUnquote(nil, v)
		n.text = string(text)
	}
	return n, err
}

func (r nodeReader) array(n *node, depth int) error {
	for r.dec.PeekKind() != ']' {
		item, err := r.value(depth)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r nodeReader) object(n *node, depth int) error {
	for r.dec.PeekKind() != '}' {
		name, err := r.value(depth)
		if err != nil {
			return err
		}
		v, err := r.value(depth)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{name.text, name.at, v})
	}
	_, err := r.dec.ReadToken()
	return err
}
