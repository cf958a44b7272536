package doctest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/dialect"
)

// Every line of the list in testdata/idp/README.md has its own test, every
// conversation its line, and no number is left out.
func TestEveryRowOfTheWireListHasItsTest(t *testing.T) {
	text, err := os.ReadFile(root + "/testdata/idp/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| (\\d\\d-\\d\\d) \\|.*\\| `([^`]+)` \\|$").FindAllStringSubmatch(string(text), -1) {
		if rows[m[1]] != "" {
			t.Errorf("row %s stands twice", m[1])
		}
		rows[m[1]] = m[2]
	}
	for section, last := range map[string]int{"00": 30, "12": 20} {
		for n := 1; n <= last; n++ {
			row := fmt.Sprintf("%s-%02d", section, n)
			if !wireTest(t, row, rows[row]) {
				t.Errorf("row %s has no test: %q", row, rows[row])
			}
			delete(rows, row)
		}
	}
	for row := range rows {
		t.Errorf("row %s is none of the list", row)
	}
	conversations, err := filepath.Glob(root + "/testdata/idp/wire/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range conversations {
		if name := strings.TrimSuffix(filepath.Base(file), ".txtar"); !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("wire/%s has no row", name)
		}
	}
}

// wireTest reports whether a row's test is there: a conversation that is named after
// the row, or a function of cmd/drawbridge.
func wireTest(t *testing.T, row, name string) bool {
	t.Helper()
	if !strings.HasPrefix(name, "Test") {
		_, err := os.Stat(root + "/testdata/idp/wire/" + name + ".txtar")
		return err == nil && strings.HasPrefix(name, row)
	}
	tests, err := filepath.Glob(root + "/cmd/drawbridge/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tests {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "func "+name+"(") {
			return true
		}
	}
	return false
}

// The table of docs/identity-providers.md is what package dialect says.
func TestEveryDialectIsDescribed(t *testing.T) {
	rows := section(t, "docs/identity-providers.md", "## What `idp` changes")
	for _, name := range dialect.Names() {
		d, _ := dialect.Named(name)
		needs := []string{}
		for _, kind := range d.Needs {
			needs = append(needs, dialect.Called(kind))
		}
		row := fmt.Sprintf("| `%s` | %s | %s | `%s`", name, anyOf(needs), map[bool]string{true: "yes", false: "no"}[d.RawToken], d.SubjectClaim)
		if !strings.Contains(rows, row) {
			t.Errorf("docs/identity-providers.md does not say %s", row)
		}
	}
}

func anyOf(needs []string) string {
	switch len(needs) {
	case 0:
		return "none"
	case len(dialect.Leniencies()):
		return "all"
	}
	slices.Sort(needs)
	return strings.Join(needs, "; ")
}
