package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// field is one value of the file, with the way to it ("connections.acme.idp").
type field struct {
	report *report
	path   string
	key    *token.Token // nil for list entries and the document
	value  ast.Node
	more   []field // the same mapping or list, in further files
}

// block is a mapping of the file.
type block struct {
	field
	fields map[string]field
	order  []string
}

// token is where the field's value begins: a scalar or a flow collection itself,
// for anything written below its key, the key.
func (f field) token() *token.Token {
	switch v := f.value.(type) {
	case *ast.MappingNode:
		if v.IsFlowStyle || f.key == nil {
			return firstToken(v)
		}
		return f.key
	case *ast.SequenceNode, *ast.MappingValueNode, *ast.NullNode, nil:
		if s, ok := v.(*ast.SequenceNode); ok && s.IsFlowStyle {
			return s.Start
		}
		if f.key != nil {
			return f.key
		}
	}
	if f.value == nil {
		return nil
	}
	return f.value.GetToken()
}

func firstToken(m *ast.MappingNode) *token.Token {
	if !m.IsFlowStyle && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	return m.GetToken()
}

func (f field) pos() mapping.Pos { return posOf(f.report.name, f.token()) }

func posOf(name string, t *token.Token) mapping.Pos {
	if t == nil || t.Position == nil {
		return mapping.Pos{File: name, Line: 1, Col: 1}
	}
	return mapping.Pos{File: name, Line: t.Position.Line, Col: t.Position.Column}
}

// width is how many columns of the line the token takes.
func width(t *token.Token) int {
	if t == nil {
		return 1
	}
	n := utf8.RuneCountInString(t.Value)
	switch t.Type {
	case token.DoubleQuoteType, token.SingleQuoteType:
		n += 2
	case token.MappingStartType, token.SequenceStartType:
		n = 1
	}
	if strings.Contains(t.Value, "\n") {
		return 1
	}
	return n
}

// say reports a problem with the field's value.
func (f field) say(format string, args ...any) { f.hint("", format, args...) }

// hint reports a problem and what was probably meant.
func (f field) hint(suggestion, format string, args ...any) {
	f.report.add(f.pos(), width(f.token()), f.named()+fmt.Sprintf(format, args...), suggestion)
}

// hintOfKey reports a problem with the field's key, and what was probably meant.
func (f field) hintOfKey(suggestion, format string, args ...any) {
	f.report.add(posOf(f.report.name, f.key), width(f.key), f.named()+fmt.Sprintf(format, args...), suggestion)
}

func (f field) named() string {
	if f.path == "" {
		return ""
	}
	return f.path + ": "
}

// plain refuses what YAML can do and this file does not need: anchors, aliases,
// tags. It also refuses a key that is written without a value.
func (f field) plain() bool {
	switch f.value.(type) {
	case *ast.TagNode:
		f.say("what begins with ! is a tag in YAML, and tags are not used in this file; put a text in quotes: '!certified'")
		return false
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		f.say("anchors, aliases and tags are not used in this file")
		return false
	case *ast.NullNode, nil:
		f.say("there is no value; leave the key out or give one")
		return false
	}
	return true
}

// open reads a mapping whose keys are known; an unknown key is a problem. It is
// false if the value is no mapping.
func (f field) open(known ...string) (block, bool) { return f.openWith(nil, known...) }

// openWith is open for a mapping that has further keys, which are the file's own.
func (f field) openWith(own []string, known ...string) (block, bool) {
	if f.report.opened != nil {
		f.report.opened(f.path, known)
	}
	known = append(slices.Clone(own), known...)
	b, ok := f.entries()
	for _, k := range b.order {
		if !slices.Contains(known, k) {
			b.fields[k].unknown(k, known)
		}
	}
	return b, ok
}

func (f field) unknown(name string, known []string) {
	s := suggest.Closest(name, known)
	message := fmt.Sprintf("unknown key %q", name)
	if at, _, nested := cutLast(f.path); nested {
		message += " in " + at
	}
	if s == "" && len(known) <= 24 {
		message += "; known are " + strings.Join(known, ", ")
	}
	f.report.add(posOf(f.report.name, f.key), width(f.key), message, s)
}

func cutLast(path string) (before, after string, found bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// isBlock reports whether the field's value is a mapping.
func (f field) isBlock() bool {
	switch f.value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// entries reads a mapping whose keys are names.
func (f field) entries() (block, bool) {
	b := block{field: f, fields: map[string]field{}}
	if !f.plain() {
		return b, false
	}
	for _, part := range append([]field{f}, f.more...) {
		values, isBlock := part.pairs()
		if !isBlock {
			part.say("this must be a mapping (key: value)")
			return b, false
		}
		for _, v := range values {
			b.enter(part, v)
		}
	}
	return b, true
}

// pairs are the keys and values of a mapping.
func (f field) pairs() ([]*ast.MappingValueNode, bool) {
	switch m := f.value.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// enter takes one key of a part of the mapping, which may stand in another file than
// the part before.
func (b *block) enter(part field, v *ast.MappingValueNode) {
	key, ok := keyText(v.Key)
	entry := field{report: part.report, path: key, key: v.Key.GetToken(), value: v.Value}
	if b.path != "" {
		entry.path = b.path + "." + key
	}
	if !ok {
		part.report.add(posOf(part.report.name, entry.key), width(entry.key), "a key must be plain text", "")
		return
	}
	before, dup := b.fields[key]
	switch {
	case !dup:
		b.fields[key] = entry
		b.order = append(b.order, key)
	case entry.joins(before):
		before.more = append(before.more, entry)
		b.fields[key] = before
	default:
		part.report.add(posOf(part.report.name, entry.key), width(entry.key),
			fmt.Sprintf("the key %q stands here twice, first %s", key, where(posOf(before.report.name, before.key), part.report.name)), "")
	}
}

// joins reports whether a value is put together with the one before it, from another
// file: mappings are, and the lists of the document itself, and each file may say its version.
func (f field) joins(before field) bool {
	if f.report == before.report || len(before.more) > 0 && before.more[len(before.more)-1].report == f.report {
		return false
	}
	_, isList := f.value.(*ast.SequenceNode)
	_, wasList := before.value.(*ast.SequenceNode)
	_, _, nested := cutLast(f.path)
	return f.isBlock() && before.isBlock() || !nested && (isList && wasList || f.path == "version")
}

// where says where something else stands, to a reader of the file.
func where(p mapping.Pos, file string) string {
	if p.File == file {
		return fmt.Sprintf("on line %d", p.Line)
	}
	return fmt.Sprintf("at %s:%d:%d", p.File, p.Line, p.Col)
}

func keyText(k ast.MapKeyNode) (string, bool) {
	switch n := k.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode:
		return k.GetToken().Value, true
	}
	return "", false
}

// get returns the field of that name, and whether it is there.
func (b block) get(name string) (field, bool) {
	f, ok := b.fields[name]
	return f, ok
}

// need is get, but says so when the field is missing.
func (b block) need(name string) (field, bool) {
	f, ok := b.fields[name]
	if !ok && b.path == "" { // there is no place for what the whole file lacks
		b.report.add(mapping.Pos{File: b.report.whole}, 0, name+" is missing", "")
	} else if !ok {
		b.say("%s is missing", name)
	}
	return f, ok
}

// items reads a list.
func (f field) items() []field {
	var items []field
	for _, part := range append([]field{f}, f.more...) {
		if !part.plain() {
			return nil
		}
		s, ok := part.value.(*ast.SequenceNode)
		if !ok {
			part.say("this must be a list")
			return nil
		}
		for i, v := range s.Values {
			items = append(items, field{report: part.report, path: fmt.Sprintf("%s[%d]", part.path, i), value: v})
		}
	}
	return items
}

// text reads a text. Numbers and true or false must be quoted to be one.
func (f field) text() (string, bool) {
	if !f.plain() {
		return "", false
	}
	var s string
	switch v := f.value.(type) {
	case *ast.StringNode:
		s = v.Value
	case *ast.LiteralNode:
		s = strings.TrimRight(v.Value.Value, "\n")
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		f.say("this must be text; put it in quotes")
		return "", false
	default:
		f.say("this must be text")
		return "", false
	}
	if strings.TrimSpace(s) == "" || !utf8.ValidString(s) {
		f.say("there is no text here")
		return "", false
	}
	return s, true
}

// text reads an optional text of the block.
func (b block) text(name string) string {
	if f, ok := b.get(name); ok {
		s, _ := f.text()
		return s
	}
	return ""
}

// needText reads a text of the block that must be there.
func (b block) needText(name string) string {
	if f, ok := b.need(name); ok {
		s, _ := f.text()
		return s
	}
	return ""
}

// texts reads a list of texts, or nothing.
func (b block) texts(name string) []string {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	var all []string
	for _, item := range f.items() {
		if s, ok := item.text(); ok {
			all = append(all, s)
		}
	}
	return all
}

// truth reads true or false; missing is false.
func (b block) truth(name string) bool {
	f, ok := b.get(name)
	if !ok || !f.plain() {
		return false
	}
	v, ok := f.value.(*ast.BoolNode)
	if !ok {
		f.say("this must be true or false")
		return false
	}
	return v.Value
}

// number reads a whole number from 0 to most; missing is usual.
func (b block) number(name string, usual, most uint64) int {
	f, ok := b.get(name)
	if !ok || !f.plain() {
		return int(usual) //nolint:gosec // a constant of ours
	}
	v, ok := f.value.(*ast.IntegerNode)
	n, isUnsigned := uint64(0), false
	if ok {
		n, isUnsigned = v.Value.(uint64) // a negative one is an int64
	}
	if !isUnsigned || n > most {
		f.say("this must be a whole number from 0 to %d", most)
		return int(usual) //nolint:gosec // likewise
	}
	return int(n) //nolint:gosec // at most most
}

// either joins words as a sentence does: a, b or c.
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// oneOf reads a word of a list; missing is the first one.
func (b block) oneOf(name string, words ...string) string {
	f, ok := b.get(name)
	if !ok {
		return words[0]
	}
	s, ok := f.text()
	if ok && !slices.Contains(words, s) {
		f.hint(suggest.Closest(s, words), "this is %s, not %q", either(words), s)
	}
	return s
}
