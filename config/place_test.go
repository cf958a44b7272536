package config

import (
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestACharacterOfATextHasItsPlace: @ stands in each text once, and where it stands in
// the source is the place.
func TestACharacterOfATextHasItsPlace(t *testing.T) {
	for _, source := range []string{
		`a: one @ two`,
		`a: "one @ two"`,
		`a: "say \"x\" \u00e9 \\ @"`,
		`a: 'it''s @'`,
		"a: >-\n  one\n  two @ three",
		"a: >-\n\n  one\n\n    two\n  @three",
		"a: |\n    one ø 北\n    && @two",
		"a: > # a header\n  one two\n  three @",
		"a: one\n  two @ three",
		"a: \"one\n  two @\"",
		"a: 'one\n\n   @ two'",
		"a: >2\n   one\n  @two",
	} {
		g := &gathered{whole: "x"}
		root, ok := g.open([]File{{"x", []byte(source)}}, map[string][]byte{})
		if !ok {
			t.Fatalf("%q: %v", source, g.problems(Files{}))
		}
		b, _ := root.entries()
		f := b.fields["a"]
		text, _ := f.text()
		l := &loader{report: f.report}
		offset := len([]rune(text[:strings.Index(text, "@")]))
		pos, _ := l.within(f.pos(), text, offset)
		before := source[:strings.Index(source, "@")]
		line := strings.Count(before, "\n")
		want := mapping.Pos{File: "x", Line: line + 1, Col: len([]rune(before[strings.LastIndex(before, "\n")+1:])) + 1}
		if pos != want {
			t.Errorf("%q: %+v, want %+v (%T)", source, pos, want, f.value)
		}
	}
}

// FuzzWithin: whatever the text and the source are, there is a place on a line of the file.
func FuzzWithin(f *testing.F) {
	f.Add("a: >-\n  one\n  two", "one two", 4)
	f.Add(`a: "x\`, `x\\`, 2)
	f.Fuzz(func(t *testing.T, source, text string, offset int) {
		g := &gathered{whole: "x"}
		r := g.add("x", []byte(source))
		l := &loader{report: r}
		if pos, wide := l.within(mapping.Pos{File: "x", Line: 1, Col: 4}, text, max(0, offset)); pos.Line < 1 || pos.Col < 1 || wide < 1 {
			t.Fatalf("%+v", pos)
		}
	})
}
