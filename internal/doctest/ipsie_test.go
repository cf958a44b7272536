package doctest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	packageAndTests = regexp.MustCompile("^`([a-z/]+)`: (`Test[A-Za-z0-9_]+`(?:, `Test[A-Za-z0-9_]+`)*)$")
	testOfAColumn   = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
)

// Each requirement of docs/ipsie.md names tests that are there, each with its package.
func TestEveryRequirementOfIPSIEHasItsTests(t *testing.T) {
	there := map[string][]string{}
	rows := 0
	for _, title := range []string{"## Session lifecycle", "## Account lifecycle"} {
		table := section(t, "docs/ipsie.md", title)
		requirements, tests := column(table, 1), column(table, 3)
		if len(requirements) != len(tests) {
			t.Fatalf("%s: %d requirements, %d cells of tests", title, len(requirements), len(tests))
		}
		for i, cell := range tests {
			rows++
			for part := range strings.SplitSeq(cell, "; ") {
				m := packageAndTests.FindStringSubmatch(part)
				if m == nil {
					t.Errorf("%s: %q names no package with tests of it: %q", title, requirements[i], part)
					continue
				}
				if there[m[1]] == nil {
					there[m[1]] = declared(t, m[1])
				}
				for _, name := range testOfAColumn.FindAllStringSubmatch(m[2], -1) {
					if !slices.Contains(there[m[1]], name[1]) {
						t.Errorf("%s: %s has no %s", title, m[1], name[1])
					}
				}
			}
		}
	}
	if rows < 15 {
		t.Fatalf("found %d requirements: the page has changed, and this test must follow", rows)
	}
}
