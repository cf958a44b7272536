package config

import (
	"math"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// tests reads the tests that the policy carries.
func (l *loader) tests(root block, attributes []mapping.AttributeSource) []mapping.TestSource {
	f, ok := root.get("tests")
	if !ok {
		return nil
	}
	names := make([]string, len(attributes))
	for i, a := range attributes {
		names[i] = a.Name
	}
	var all []mapping.TestSource
	ids := taken{}
	for _, item := range f.items() {
		before := len(l.list)
		t, ok := l.test(item, names)
		if len(l.list) > before {
			l.blamed[t.Pos] = true
		}
		if ok {
			ids.claim(t.Name, item, "name", "test has the name")
			all = append(all, t)
		}
	}
	return all
}

// Testable is the policy as its tests run where no bridge is asked: if the scope tree is
// kept in the store, with those scopes that the policy names.
func (c *Config) Testable() mapping.PolicySource {
	src := c.Policy
	if src.TreeInStore {
		src.Scopes = suppose(src.Scopes[0], src)
	}
	return src
}

func (l *loader) test(f field, attributes []string) (mapping.TestSource, bool) {
	b, ok := f.open("name", "as", "at", "primary", "guests", "sees", "never_sees", "may_sign_in")
	if !ok {
		return mapping.TestSource{}, false
	}
	t := mapping.TestSource{Name: b.needText("name"), At: b.instant("at"), Sees: b.texts("sees"), NeverSees: b.texts("never_sees"),
		Written: mapping.Written{Pos: f.pos(), FieldPos: b.places("guests", "sees", "never_sees")}}
	if at, ok := b.need("as"); ok {
		t.As = l.person(at, attributes, t.FieldPos)
	}
	if at, ok := b.get("primary"); ok {
		s, _ := at.text()
		t.Primary = &s
	}
	if _, ok := b.get("guests"); ok {
		guests := append([]string{}, b.texts("guests")...)
		t.Guests = &guests
	}
	if _, ok := b.get("may_sign_in"); ok {
		may := b.truth("may_sign_in")
		t.MaySignIn = &may
	}
	return t, true
}

// person reads somebody made up. Keys beside those of every person are the
// policy's attributes. The places of the parts go into at: "as.from", "as.groups.0".
func (l *loader) person(f field, attributes []string, at map[string]mapping.Pos) mapping.TestPerson {
	b, ok := f.openWith(attributes, "from", "email", "groups", "inactive", "certification")
	if !ok {
		return mapping.TestPerson{}
	}
	p := mapping.TestPerson{From: access.ConnectionID(b.needText("from")), Email: b.email("email"), Inactive: b.truth("inactive")}
	if g, ok := b.get("groups"); ok {
		for _, item := range g.items() {
			p.Groups = append(p.Groups, item.testGroup())
		}
	}
	if c, ok := b.get("certification"); ok {
		in, _ := c.open("level", "until")
		p.Certification = access.Certification{Level: in.certification(), Until: in.instant("until")}
	}
	for _, name := range attributes {
		if v, ok := b.get(name); ok && !isTestKey(name) {
			if p.Attributes == nil {
				p.Attributes = map[string]any{}
			}
			p.Attributes[name] = v.attribute()
		}
	}
	for k, pos := range b.places("groups") {
		at["as."+k] = pos
	}
	return p
}

// testGroup reads a group that somebody made up is in: its name, or a mapping.
func (f field) testGroup() mapping.TestGroup {
	if !f.isBlock() {
		name, _ := f.text()
		return mapping.TestGroup{GroupRef: mapping.GroupRef{Group: name}}
	}
	b, _ := f.open("group", "group_id", "since")
	g := mapping.TestGroup{GroupRef: mapping.GroupRef{Group: b.text("group"), GroupID: b.text("group_id")}, Since: b.instant("since")}
	if g.Group == "" && g.GroupID == "" {
		b.say("this needs group, group_id or both")
	}
	return g
}

func (b block) certification() string {
	f, ok := b.need("level")
	if !ok {
		return ""
	}
	s, ok := f.text()
	if levels := access.CertificationLevels(); ok && !slices.Contains(levels, s) {
		if near := suggest.Closest(s, levels); near != "" { // any other level is one that does not count
			f.hint(near, "%q is not a level that counts", s)
		}
	}
	return s
}

// attribute reads the value of an attribute: text, a number, true or false, or a
// list of one of them.
func (f field) attribute() any {
	if s, isList := f.value.(*ast.SequenceNode); isList {
		all := make([]any, 0, len(s.Values))
		for _, item := range f.items() {
			all = append(all, item.scalar())
		}
		return all
	}
	return f.scalar()
}

func (f field) scalar() any {
	if !f.plain() {
		return nil
	}
	switch v := f.value.(type) {
	case *ast.IntegerNode:
		switch n := v.Value.(type) {
		case int64:
			return n
		case uint64:
			if n <= math.MaxInt64 {
				return int64(n)
			}
		}
		f.say("this number is too large")
		return nil
	case *ast.FloatNode:
		return v.Value
	case *ast.BoolNode:
		return v.Value
	case *ast.StringNode, *ast.LiteralNode:
		s, _ := f.text()
		return s
	}
	f.say("this must be text, a number, true or false, or a list of them")
	return nil
}
