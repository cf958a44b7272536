package config

import (
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// maxNamed bounds the attributes, and the conditions, of a file.
const maxNamed = 256

// testKeys are what a test says of a person beside the policy's attributes.
func testKeys() []string {
	return []string{"from", "email", "groups", "inactive", "certification"}
}

// attributes reads the names that conditions use for SCIM attributes.
func (l *loader) attributes(root block) []mapping.AttributeSource {
	var all []mapping.AttributeSource
	b := l.named(root, "attributes")
	for _, name := range b.order {
		f := b.fields[name]
		a := mapping.AttributeSource{Name: name, Written: f.written()}
		from := f
		if f.isBlock() {
			in, _ := f.open("from")
			if from, _ = in.need("from"); from.value == nil {
				continue
			}
		}
		a.From, _ = from.text()
		a.FieldPos["from"] = from.pos()
		if isTestKey(name) {
			f.sayOfKey("tests use the key %q for something else; take another name", name)
		}
		all = append(all, a)
	}
	return all
}

func isTestKey(name string) bool { return slices.Contains(testKeys(), name) }

// conditions reads the named conditions.
func (l *loader) conditions(root block) []mapping.ConditionSource {
	var all []mapping.ConditionSource
	b := l.named(root, "conditions")
	for _, name := range b.order {
		f := b.fields[name]
		c := mapping.ConditionSource{Name: name, Written: f.written()}
		c.CEL, _ = f.text()
		c.FieldPos["cel"] = f.pos()
		all = append(all, c)
	}
	return all
}

// named reads a mapping whose keys are names that CEL can use.
func (l *loader) named(root block, section string) block {
	f, ok := root.get(section)
	if !ok {
		return block{}
	}
	b, _ := f.entries()
	if len(b.order) > maxNamed {
		f.say("there are more than %d", maxNamed)
		return block{}
	}
	for _, name := range b.order {
		if !validName(name) {
			b.fields[name].sayOfKey("a name here is made of lower-case letters, digits and underscores, begins with a letter, and has at most 64 of them")
		}
	}
	return b
}

func validName(s string) bool {
	return s != "" && len(s) <= 64 && s[0] >= 'a' && s[0] <= 'z' && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}

// written is the place of a named part: its key's.
func (f field) written() mapping.Written {
	return mapping.Written{Pos: posOf(f.report.name, f.key), FieldPos: map[string]mapping.Pos{}}
}

// sayOfKey reports a problem with the field's key.
func (f field) sayOfKey(format string, args ...any) {
	f.hintOfKey("", format, args...)
}
