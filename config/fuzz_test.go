package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// FuzzParse: whatever the file holds, Parse ends, and it gives either a
// configuration whose policy compiles or a report with a sentence for every problem.
func FuzzParse(f *testing.F) {
	good, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.yaml", data, nil, noFiles)
		holdsOrSaysWhy(t, c, err)
	})
}

// FuzzParseFiles: likewise of a configuration in two files.
func FuzzParseFiles(f *testing.F) {
	f.Add([]byte(parts["10-base.yaml"]), []byte(parts["20-banksia.yaml"]))
	f.Add([]byte(small), []byte("version: 1\nscopes: { southern: { accounts: { banksia: { name: B } } } }\nrules: [ { id: x } ]\n"))
	f.Add([]byte("rules:\n  - a\n"), []byte("rules: { b: c }\n# nothing\n"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		c, err := ParseFiles("dir", []File{{"dir/1.yaml", one}, {"dir/2.yaml", two}}, nil, noFiles)
		holdsOrSaysWhy(t, c, err)
	})
}

func holdsOrSaysWhy(t *testing.T, c *Config, err error) {
	t.Helper()
	if err == nil {
		if _, err := mapping.Compile(c.Policy); err != nil && !c.Policy.TreeInStore {
			t.Fatalf("an accepted policy does not compile: %v", err)
		}
		return
	}
	var ps *Problems
	if !errors.As(err, &ps) || len(ps.List) == 0 {
		t.Fatalf("an error without problems: %v", err)
	}
	for _, p := range ps.List {
		if p.Message == "" || p.Pos.File == "" {
			t.Fatalf("a problem without a place or a sentence: %+v", p)
		}
	}
}

// FuzzMasked: no secret that the loader reads from a text is left in the masked text.
func FuzzMasked(f *testing.F) {
	for _, how := range []string{"secret: hunter2-and-more", "secret: >-\n      hunter2-and-more", "\"secret\":hunter2-and-more", "? secret\n    : hunter2-and-more", "'s\\u0065cret': hunter2-and-more"} {
		f.Add("version: 1\nvendor: { name: L }\nserver: { public_url: \"http://127.0.0.1:1\" }\nscopes: { s: { name: S } }\nclients:\n  - id: a\n    name: A\n    redirect_uris: [ \"http://127.0.0.1/a\" ]\n    " + how + "\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		masked := Masked(text)
		if strings.Count(masked, "\n") != strings.Count(text, "\n") {
			t.Fatal("lines have lost their numbers")
		}
		c, err := Parse("fuzz.yaml", []byte(text), nil, noFiles)
		if err != nil {
			return
		}
		for _, client := range c.Clients {
			if s := client.Secret.Reveal(); len(s) >= 8 && strings.Count(text, s) == 1 && strings.Contains(c.Text, s) {
				t.Fatalf("a secret is left:\n%s", masked)
			}
		}
	})
}
