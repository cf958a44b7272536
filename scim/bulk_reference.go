package scim

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// bulkPrefix begins a reference to a resource that the same request creates
// (RFC 7644 section 3.7.2). No id contains it.
const bulkPrefix = "bulkId:"

// referring is a JSON string that refers to other operations: text and bulkIds in
// turn, beginning and ending with text.
type referring struct {
	start, end int // its place in the data, with the quotes
	parts      []string
}

// names are the bulkIds it refers to.
func (r referring) names() []string {
	var all []string
	for i := 1; i < len(r.parts); i += 2 {
		all = append(all, r.parts[i])
	}
	return all
}

// references finds every string of an operation's data that refers: a whole value
// "bulkId:x"; the last segment of a $ref; and, in a PATCH, a literal within a path.
// What the resource type calls read-only is passed over, as it is when it is read.
func references(data []byte, method string, rt *schema.ResourceType) ([]referring, error) {
	if !bytes.Contains(data, []byte(bulkPrefix)) && bytes.IndexByte(data, '\\') < 0 {
		return nil, nil
	}
	f := finder{data: data, dec: jsontext.NewDecoder(bytes.NewBuffer(data)), patch: method == http.MethodPatch, rt: rt}
	if err := f.value("", 0); err != nil {
		return nil, Internal(err) // its syntax has been checked
	}
	return f.found, nil
}

type finder struct {
	data  []byte
	dec   *jsontext.Decoder
	patch bool
	rt    *schema.ResourceType
	found []referring
}

// value looks through the value of a member; GuardEnvelope has bounded the depth.
func (f *finder) value(name string, depth int) error {
	switch f.dec.PeekKind() {
	case '{':
		return f.object(depth + 1)
	case '[':
		if _, err := f.dec.ReadToken(); err != nil {
			return err
		}
		for f.dec.PeekKind() != ']' {
			if err := f.value(name, depth); err != nil {
				return err
			}
		}
		_, err := f.dec.ReadToken()
		return err
	case '"':
		return f.text(name)
	default:
		return f.dec.SkipValue()
	}
}

func (f *finder) object(depth int) error {
	if _, err := f.dec.ReadToken(); err != nil {
		return err
	}
	for f.dec.PeekKind() != '}' {
		t, err := f.dec.ReadToken()
		if err != nil {
			return err
		}
		name := t.String()
		if depth == 1 && !f.patch && f.readOnly(name) {
			err = f.dec.SkipValue()
		} else {
			err = f.value(name, depth)
		}
		if err != nil {
			return err
		}
	}
	_, err := f.dec.ReadToken()
	return err
}

func (f *finder) readOnly(name string) bool {
	a, err := f.rt.Attribute(name)
	return err == nil && a.Mutability == schema.ReadOnly
}

func (f *finder) text(name string) error {
	quoted, err := f.dec.ReadValue()
	if err != nil {
		return err
	}
	end := int(f.dec.InputOffset())
	at := referring{start: end - len(quoted), end: end}
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return err
	}
	switch {
	case strings.EqualFold(name, "$ref"):
		at.parts = lastSegment(string(text))
	case f.patch && strings.EqualFold(name, "path"):
		at.parts = literals(string(text))
	default:
		if id, ok := strings.CutPrefix(string(text), bulkPrefix); ok {
			at.parts = []string{"", id, ""}
		}
	}
	if at.parts != nil {
		f.found = append(f.found, at)
	}
	return nil
}

// lastSegment cuts "../Users/bulkId:x", and "bulkId:x" alone.
func lastSegment(text string) []string {
	at := strings.LastIndexByte(text, '/') + 1
	id, ok := strings.CutPrefix(text[at:], bulkPrefix)
	if !ok {
		return nil
	}
	return []string{text[:at], id, ""}
}

// literals cuts members[value eq "bulkId:x"]; nil if no literal in it refers. What
// follows a quote that closes is no literal.
func literals(path string) []string {
	var parts []string
	behind := 0 // of the last literal that refers
	for at := 0; at < len(path); {
		if path[at] != '"' {
			at++
			continue
		}
		end := closing(path, at+1)
		if end < 0 {
			break
		}
		if id, refers := strings.CutPrefix(path[at+1:end], bulkPrefix); refers {
			parts = append(parts, path[behind:at+1], id)
			behind = end
		}
		at = end + 1
	}
	if parts == nil {
		return nil
	}
	return append(parts, path[behind:])
}

// closing finds the quote that closes a literal; -1 if there is none.
func closing(path string, at int) int {
	for ; at < len(path); at++ {
		switch path[at] {
		case '\\':
			at++
		case '"':
			return at
		}
	}
	return -1
}

// resolved is data with ids in the place of references.
func resolved(data []byte, found []referring, ids map[string]string) []byte {
	if len(found) == 0 {
		return data
	}
	var out []byte
	from := 0
	for _, r := range found {
		var text strings.Builder
		for i, part := range r.parts {
			if i%2 == 1 {
				part = ids[part]
			}
			text.WriteString(part)
		}
		out = appendString(append(out, data[from:r.start]...), text.String())
		from = r.end
	}
	return append(out, data[from:]...)
}
