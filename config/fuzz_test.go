package config

import (
	"errors"
	"os"
	"path/filepath"
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
		if err == nil {
			if _, err := mapping.Compile(c.Policy); err != nil {
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
	})
}
