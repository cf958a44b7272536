package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// The bounds of an outline.
const (
	mostLines    = 60
	mostElements = 5   // of one array; the others are counted
	mostLine     = 300 // bytes
)

// Outline shows a body line by line, "path: value", with the values of its
// attributes as Text has them. The body is a resource of type rt, or a message about
// resources: of rt, or of types where each of a bulk's operations names its own. One
// that is cut off, or no JSON, is shown as far as it goes.
func Outline(rt *schema.ResourceType, message bool, types []*schema.ResourceType, body []byte) []string {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	o := &outliner{types: types}
	if err := o.value(decoder(body), "", place{rt: rt, message: message}); err != nil && o.left() {
		o.line("…", "what follows is no JSON, too deep, or was not kept")
	}
	return o.lines
}

// decoder reads what has not been checked: it may be refused for its very names.
func decoder(text []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// place is where in the schema a value stands.
type place struct {
	rt      *schema.ResourceType
	attr    *schema.Attribute // nil: the resource, or nothing known
	urn     string            // inside an extension's object
	message bool              // the outermost object of a message
	field   string            // a member of a message, by the word in lower case
	strange bool              // below a name that nobody knows
}

type outliner struct {
	types []*schema.ResourceType
	lines []string
	depth int
}

func (o *outliner) left() bool { return len(o.lines) < mostLines }

func (o *outliner) line(path, value string) {
	switch {
	case len(o.lines) < mostLines-1:
		o.lines = append(o.lines, clip(path+": "+value, mostLine))
	case len(o.lines) == mostLines-1:
		o.lines = append(o.lines, "… more than is shown")
	}
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

var errDeep = errors.New("nested deeper than any resource")

// value shows one value. An error is of the JSON.
func (o *outliner) value(d *jsontext.Decoder, path string, at place) error {
	if o.depth++; o.depth > schema.MaxDepth {
		return errDeep // a path grows with each level
	}
	defer func() { o.depth-- }()
	switch d.PeekKind() {
	case '{':
		if at.field == "operations" {
			return o.operation(d, path, at)
		}
		return o.object(d, path, at)
	case '[':
		return o.array(d, path, at)
	}
	t, err := d.ReadToken()
	if err != nil {
		return err
	}
	o.line(path, at.scalar(t))
	return nil
}

func (p place) scalar(t jsontext.Token) string {
	switch t.Kind() {
	case 'n':
		return "null"
	case 't', 'f':
		if p.strange {
			return "[true or false]"
		}
		if p.attr != nil && !p.attr.Searchable() {
			return neverShown
		}
		return strconv.FormatBool(t.Bool())
	case '0':
		if p.field == "startindex" || p.field == "count" || p.field == "failonerrors" {
			return t.String()
		}
		return "[number]"
	}
	return p.text(t.String())
}

// text shows a string by what it stands for.
func (p place) text(s string) string {
	switch p.field {
	case "":
		return Text(p.rt, p.attr, s)
	case "schemas", "attributes", "excludedattributes", "sortby":
		if attributeLike(s) {
			return s
		}
	case "sortorder", "op", "method":
		if slices.Contains(words, strings.ToLower(s)) {
			return s
		}
	case "path":
		return patchPath(p.rt, s)
	case "filter":
		return searched(p.rt, s)
	}
	return Text(nil, nil, s)
}

// words are what messages say beside names of attributes.
var words = []string{"ascending", "descending", "add", "replace", "remove", "post", "put", "patch", "delete"}

// patchPath shows a path of a PATCH, or the address of an operation of a bulk.
func patchPath(rt *schema.ResourceType, s string) string {
	if rt == nil {
		return address(s)
	}
	p, err := filter.ParsePath(rt, s)
	if err != nil {
		return Where(rt, s)
	}
	return where(rt, p)
}

// address shows the collection, and the item if it is an id of ours.
func address(s string) string {
	collection, item, has := strings.Cut(strings.Trim(s, "/"), "/")
	switch {
	case !has:
		return "/" + Name(collection)
	case ours(item):
		return "/" + Name(collection) + "/" + item
	}
	return "/" + Name(collection) + "/" + Text(nil, nil, item)
}

// searched shows a filter, in a message or in the address.
func searched(rt *schema.ResourceType, s string) string {
	if rt == nil {
		return Text(nil, nil, s)
	}
	e, err := filter.Parse(rt, s)
	if err != nil {
		return Where(rt, s)
	}
	return Filter(rt, e)
}

func (o *outliner) object(d *jsontext.Decoder, path string, at place) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		t, err := d.ReadToken()
		if err != nil {
			return err
		}
		sent := t.String()
		inner, shown := at.member(sent) // a name that is shown is short
		if err := o.value(d, at.join(path, shown), inner); err != nil {
			return err
		}
		if !o.left() {
			return nil
		}
	}
	_, err := d.ReadToken()
	return err
}

// join writes the name of a member behind the path of its object.
func (p place) join(path, name string) string {
	switch {
	case path == "":
		return name
	case p.urn != "":
		return path + ":" + name
	}
	return path + "." + name
}

// member is where a member of the object at p stands, and how it is written.
func (p place) member(sent string) (place, string) {
	if p.message || p.field == "operations" {
		switch word := strings.ToLower(sent); word {
		case "operations", "op", "path", "method", "schemas", "attributes", "excludedattributes", "sortby", "sortorder", "filter", "startindex", "count", "cursor", "failonerrors", "bulkid", "version":
			return place{rt: p.rt, field: word}, Name(sent)
		}
	}
	if p.strange || p.rt == nil {
		return place{strange: true}, Name(sent)
	}
	if p.attr != nil {
		if sub := p.attr.SubAttribute(sent); sub != nil {
			return place{rt: p.rt, attr: sub}, sub.Name
		}
		return place{strange: true}, Name(sent)
	}
	full := sent
	if p.urn != "" {
		full = p.urn + ":" + sent
	}
	if s := p.rt.Schema(full); s != nil {
		return place{rt: p.rt, urn: s.ID}, s.ID
	}
	if a, err := p.rt.Attribute(full); err == nil {
		return place{rt: p.rt, attr: a}, shortPath(a)
	}
	if found, err := filter.ParsePath(p.rt, full); err == nil { // Entra names what a PATCH sets by paths
		return placeOf(p.rt, found), where(p.rt, found)
	}
	return place{strange: true}, Name(sent)
}

// shortPath is an attribute's name, behind its parent's.
func shortPath(a *schema.Attribute) string {
	if a.Parent != nil {
		return a.Parent.Name + "." + a.Name
	}
	return a.Name
}

func placeOf(rt *schema.ResourceType, p filter.Path) place {
	switch {
	case p.Schema != nil:
		return place{rt: rt, urn: p.Schema.ID}
	case p.Sub != nil:
		return place{rt: rt, attr: p.Sub}
	}
	return place{rt: rt, attr: p.Attr}
}

func (o *outliner) array(d *jsontext.Decoder, path string, at place) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	n := 0
	for ; d.PeekKind() != ']'; n++ {
		var err error
		if n < mostElements || at.field == "schemas" {
			err = o.value(d, fmt.Sprintf("%s[%d]", path, n), at)
		} else {
			err = d.SkipValue()
		}
		if err != nil {
			return err
		}
		if !o.left() {
			return nil
		}
	}
	if n == 0 {
		o.line(path, "none")
	}
	if n > mostElements && at.field != "schemas" {
		o.line(path, plural(n, "element in all", "elements in all"))
	}
	_, err := d.ReadToken()
	return err
}

// operation shows an operation of a PATCH, or of a bulk: what its value is of stands
// beside it, so it is read twice.
func (o *outliner) operation(d *jsontext.Decoder, path string, at place) error {
	whole, err := d.ReadValue()
	if err != nil {
		return err
	}
	method, target := operationOf(whole)
	inner := at.valueOf(method, target, o.types)
	in := decoder(whole)
	if _, err := in.ReadToken(); err != nil {
		return err
	}
	for in.PeekKind() != '}' {
		t, err := in.ReadToken()
		if err != nil {
			return err
		}
		sent := t.String()
		below, shown := place{rt: at.rt, field: "operations"}.member(sent)
		switch word := strings.ToLower(sent); {
		case word == "value" || word == "data":
			below, shown = inner, Name(sent)
		case word == "path" && method != "":
			below.rt = nil
		}
		if err := o.value(in, path+"."+shown, below); err != nil {
			return err
		}
	}
	return nil
}

// operationOf finds what an operation says of its method, where it is one of a bulk,
// and its path.
func operationOf(whole []byte) (method, path string) {
	d := decoder(whole)
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() != '}' {
		var t jsontext.Token
		if t, err = d.ReadToken(); err != nil {
			break
		}
		word := strings.ToLower(t.String())
		if d.PeekKind() != '"' || word != "path" && word != "method" {
			err = d.SkipValue()
			continue
		}
		if t, err = d.ReadToken(); err == nil && word == "path" {
			path = t.String()
		} else if err == nil {
			method = strings.ToUpper(t.String())
		}
	}
	return method, path
}

// valueOf is where an operation's value, or a bulk operation's data, stands.
func (p place) valueOf(method, path string, types []*schema.ResourceType) place {
	if method != "" {
		for _, rt := range types {
			if strings.HasPrefix("/"+strings.TrimPrefix(path, "/"), rt.Endpoint) {
				return place{rt: rt, message: method == "PATCH"}
			}
		}
		return place{strange: true}
	}
	if path == "" {
		return place{rt: p.rt}
	}
	if p.rt != nil {
		if found, err := filter.ParsePath(p.rt, path); err == nil {
			return placeOf(p.rt, found)
		}
	}
	return place{strange: true}
}
