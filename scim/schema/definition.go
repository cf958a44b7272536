package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of a connection's own schemas. A path, with its URN, fits longestName.
const (
	MaxDefinition     = 256 << 10 // bytes of what holds definitions
	mostAttributes    = 100       // of a schema
	mostSubAttributes = 50        // of an attribute
	mostCanonical     = 200       // canonical values of an attribute
	longestURN        = 128
	longestAttribute  = 50
	longestTitle      = 200  // a schema's name, a canonical value
	longestText       = 2000 // a description
)

// Fault is one thing that is wrong with a schema definition, and where.
type Fault struct {
	Line, Col int    // from 1
	Path      string // "attributes[2].type"; "" is the whole
	Message   string
}

// String is the place and the sentence.
func (f Fault) String() string {
	if f.Path == "" {
		return fmt.Sprintf("%d:%d: %s", f.Line, f.Col, f.Message)
	}
	return fmt.Sprintf("%d:%d: %s: %s", f.Line, f.Col, f.Path, f.Message)
}

// ParseDefinitions reads schemas of a connection's own, in the form that /Schemas
// shows (RFC 7643 section 7): one, an array of them, or a ListResponse. It returns
// all faults, in their order; what is missing is as RFC 7643 section 2.2 says.
func ParseDefinitions(data []byte) ([]*Schema, []Fault) {
	d := definer{data: data}
	if len(data) > MaxDefinition {
		d.say(0, "", "more than %d KiB; a schema is smaller", MaxDefinition>>10)
		return nil, d.faults
	}
	root, ok := d.read()
	if !ok {
		return nil, d.faults
	}
	var all []*Schema
	for _, n := range d.each(root) {
		all = append(all, d.schema(n.node, n.path))
	}
	if len(d.faults) > 0 {
		slices.SortStableFunc(d.faults, func(a, b Fault) int { return cmp.Or(a.Line-b.Line, a.Col-b.Col) })
		return nil, d.faults
	}
	return all, nil
}

// definer reads definitions and gathers what is wrong with them.
type definer struct {
	data   []byte
	faults []Fault
}

// mostFaults is how many are told; who has more begins with these.
const mostFaults = 20

func (d *definer) say(at int, path, format string, args ...any) {
	if len(d.faults) >= mostFaults {
		return
	}
	before := d.data[:min(at, len(d.data))]
	line := before[strings.LastIndexByte(string(before), '\n')+1:]
	d.faults = append(d.faults, Fault{Line: strings.Count(string(before), "\n") + 1, Col: utf8.RuneCount(line) + 1, Path: path, Message: fmt.Sprintf(format, args...)})
}

// placed is a node with the way to it.
type placed struct {
	node
	path string
}

// each lists the definitions of a document.
func (d *definer) each(root node) []placed {
	list, path := root, ""
	if resources, ok := root.member("Resources"); ok {
		list, path = resources, "Resources"
	}
	if list.kind != '[' {
		return []placed{{list, path}}
	}
	all := make([]placed, len(list.items))
	for i, n := range list.items {
		all[i] = placed{n, fmt.Sprintf("%s[%d]", path, i)}
	}
	if len(all) == 0 {
		d.say(list.at, path, "there is no schema here")
	}
	return all
}

// object holds an object's members against those that are known.
func (d *definer) object(n node, path string, known ...string) bool {
	if n.kind != '{' {
		d.say(n.at, path, "an object is expected")
		return false
	}
	for _, m := range n.members {
		if !slices.Contains(known, m.name) {
			d.say(m.at, join(path, m.name), "unknown; known are %s", strings.Join(known, ", "))
		}
	}
	return true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *definer) schema(n node, path string) *Schema {
	s := &Schema{Custom: true}
	if !d.object(n, path, "schemas", "id", "name", "description", "attributes", "meta") {
		return s
	}
	s.ID = d.text(n, path, "id", longestURN)
	s.Name = d.text(n, path, "name", longestTitle)
	s.Description = d.text(n, path, "description", longestText)
	d.urn(n, path, s.ID)
	d.isSchema(n, path)
	list, ok := n.member("attributes")
	if !ok || list.kind != '[' || len(list.items) == 0 {
		d.say(n.part("attributes"), join(path, "attributes"), "an array of at least one attribute is expected")
		return s
	}
	s.Attributes = d.attributes(list, join(path, "attributes"), s.ID, nil)
	return s
}

// isSchema holds what a document says that it is.
func (d *definer) isSchema(n node, path string) {
	list, ok := n.member("schemas")
	if ok && !slices.ContainsFunc(list.items, func(u node) bool { return u.kind == '"' && equalASCII(u.text, DefinitionURN) }) {
		d.say(list.at, join(path, "schemas"), "%s is missing: is this a schema definition?", DefinitionURN)
	}
}

// reserved begin URNs that mean something here or in the RFCs already.
var reserved = []string{"urn:ietf:params:scim:schemas:core:", "urn:ietf:params:scim:api:", "urn:drawbridge:", "urn:okta:scim:schemas:core:"}

func (d *definer) urn(n node, path, urn string) {
	at, where := n.part("id"), join(path, "id")
	switch {
	case urn == "":
		d.say(at, where, "the schema's URN is missing")
	case !isURN(urn):
		d.say(at, where, "%q is not a URN of letters, digits and . _ - : such as urn:customer:scim:schemas:extension:badge:1.0:User", Clip(urn))
	default:
		for _, r := range reserved {
			if len(urn) >= len(r) && equalASCII(urn[:len(r)], r) {
				d.say(at, where, "URNs that begin with %s are reserved", r)
			}
		}
	}
}

// isURN takes of RFC 8141 what stands in an address without being escaped.
func isURN(s string) bool {
	parts := strings.Split(s, ":")
	if len(parts) < 3 || !equalASCII(parts[0], "urn") || len(parts[1]) < 2 || len(parts[1]) > 31 {
		return false
	}
	for _, p := range parts {
		if p == "" || strings.Trim(p, ".") == "" {
			return false
		}
	}
	return !strings.HasSuffix(s, ".") && strings.IndexFunc(s, func(r rune) bool { return !isLetter(r) && !isDigit(r) && !strings.ContainsRune("._-:", r) }) < 0
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
func isDigit(r rune) bool  { return '0' <= r && r <= '9' }

// isAttributeName is the grammar of RFC 7643 section 2.1.
func isAttributeName(s string) bool {
	return s != "" && isLetter(rune(s[0])) &&
		strings.IndexFunc(s, func(r rune) bool { return !isLetter(r) && !isDigit(r) && !strings.ContainsRune("$_-", r) }) < 0
}

// text reads a member that is text; "" if it is not there.
func (d *definer) text(n node, path, name string, longest int) string {
	m, ok := n.member(name)
	switch {
	case !ok:
		return ""
	case m.kind != '"':
		d.say(m.at, join(path, name), "text is expected")
	case len(m.text) > longest:
		d.say(m.at, join(path, name), "longer than %d bytes", longest)
	case strings.ContainsRune(m.text, 0):
		d.say(m.at, join(path, name), "the text holds a NUL character")
	default:
		return m.text
	}
	return ""
}

func (d *definer) truth(n node, path, name string, usual bool) bool {
	m, ok := n.member(name)
	if !ok {
		return usual
	}
	if m.kind != 't' && m.kind != 'f' {
		d.say(m.at, join(path, name), "true or false is expected")
	}
	return m.kind == 't'
}

// word reads one word of a list as its index; -1 if it is not there or none of them.
func (d *definer) word(n node, path, name string, words []string) int {
	m, ok := n.member(name)
	if !ok {
		return -1
	}
	i := slices.Index(words, m.text)
	if m.kind != '"' || i < 0 || m.text == "" {
		d.say(m.at, join(path, name), "one of %s is expected", strings.TrimPrefix(strings.Join(words, ", "), ", "))
		return -1
	}
	return i
}

// texts reads a member that is an array of different texts.
func (d *definer) texts(n node, path, name string, most int) []string {
	m, ok := n.member(name)
	if !ok {
		return nil
	}
	if m.kind != '[' || len(m.items) > most {
		d.say(m.at, join(path, name), "an array of at most %d texts is expected", most)
		return nil
	}
	var all []string
	for i, item := range m.items {
		if item.kind != '"' || item.text == "" || len(item.text) > longestTitle || strings.ContainsRune(item.text, 0) || slices.Contains(all, item.text) {
			d.say(item.at, fmt.Sprintf("%s[%d]", join(path, name), i), "a text of at most %d bytes is expected, each once", longestTitle)
			continue
		}
		all = append(all, item.text)
	}
	return all
}
