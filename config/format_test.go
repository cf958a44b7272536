package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestFormatChangesSpacingAlone(t *testing.T) {
	for name, c := range map[string][2]string{
		"ends of lines":    {"a: 1  \r\nb: 2\t\r\n", "a: 1\nb: 2\n"},
		"empty lines":      {"\n\na: 1\n\n\n\nb: 2\n\n", "a: 1\n\nb: 2\n"},
		"no last line end": {"a: 1", "a: 1\n"},
		"byte order mark":  {"\ufeffa: 1\n", "a: 1\n"},
		"comments":         {"# one  \na: 1   # two \n\n\n# three\n", "# one\na: 1   # two\n\n# three\n"},
		"anchors":          {"a: &x 1  \nb: *x  \n", "a: &x 1\nb: *x\n"},
		"kept text":        {"a: |\n  one  \n\n\n  two\nb: 1  \n", "a: |\n  one  \n\n\n  two\nb: 1\n"},
		"folded text":      {"a: >-  \n  one\n\n\n  two\n", "a: >-\n  one\n\n\n  two\n"},
		"quoted text":      {"a: \"one  \n\n\n  two\"\nb: 1  \n", "a: \"one  \n\n\n  two\"\nb: 1\n"},
		"only a comment":   {"# nothing  \n", "# nothing\n"},
		"nothing":          {"", ""},
	} {
		got, err := Format([]byte(c[0]))
		if err != nil || string(got) != c[1] {
			t.Errorf("%s: %q becomes %q, want %q (%v)", name, c[0], got, c[1], err)
		}
	}
	if _, err := Format([]byte("a: [")); err == nil {
		t.Error("what is not YAML was formatted")
	}
}

func TestOurFilesAreFormatted(t *testing.T) {
	files := []string{example, complete}
	for _, pattern := range []string{"../examples/broken/*.yaml", "testdata/broken/*.yaml"} {
		more, _ := filepath.Glob(pattern)
		files = append(files, more...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Format(data)
		if err == nil && !bytes.Equal(got, data) {
			t.Errorf("%s is not formatted", file)
		}
	}
}

// FuzzFormat: twice is once, and nothing but spacing changes: words, comments, anchors
// and order stay, and what the loader makes of it.
func FuzzFormat(f *testing.F) {
	f.Add([]byte(small + "rules:   \n\n\n  # one  \n  - { id: a }  # two\n"))
	f.Add([]byte("a: |+\n  one  \n\n\nb: >2\n   x \n\n  y\n'c\n\n d': \"e \\\n   f\" # g \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := Format(data)
		if err != nil {
			return
		}
		twice, err := Format(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q, and that %q (%v)", data, once, twice, err)
		}
		before, errBefore := Parse("x", data, nil, noFiles)
		after, errAfter := Parse("x", once, nil, noFiles)
		if (errBefore == nil) != (errAfter == nil) {
			t.Fatalf("%q becomes %q: %v, %v", data, once, errBefore, errAfter)
		}
		if errBefore == nil && !reflect.DeepEqual(before.Policy.Unplaced(), after.Policy.Unplaced()) {
			t.Fatalf("%q becomes %q, which says something else", data, once)
		}
	})
}
