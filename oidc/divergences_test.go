package oidc

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryDivergenceHasATest holds DIVERGENCES.md to its word.
func TestEveryDivergenceHasATest(t *testing.T) {
	var files []string
	for _, folder := range []string{".", "inbound", "../internal/bridge"} { // where the promises of this page are kept
		found, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	var code strings.Builder
	for _, name := range append(files, "DIVERGENCES.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name != "DIVERGENCES.md" {
			code.Write(text)
			continue
		}
		lines := regexp.MustCompile(`(?m)^- .*$`).FindAllString(string(text), -1)
		if len(lines) < 10 {
			t.Errorf("only %d lines were found", len(lines))
		}
		for _, line := range lines {
			tests := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(line, -1)
			if len(tests) == 0 {
				t.Errorf("no test: %s", line)
			}
			for _, m := range tests {
				if !strings.Contains(code.String(), "func "+m[1]+"(t *testing.T)") {
					t.Errorf("%s is gone", m[1])
				}
			}
		}
	}
}
