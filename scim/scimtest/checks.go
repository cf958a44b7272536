package scimtest

import (
	"slices"
	"strings"
)

// Check is one thing that is tried.
type Check struct {
	ID       string // group and name, "filter.eq"
	Severity Severity
	Section  string // where it is written, "RFC 7644 section 3.4.2.2"
	Expected string // what it expects, a sentence

	needs   []feature
	lenient bool // it asks for what the RFC does not have
	try     func(*trial)
}

func (c Check) blank() Finding {
	return Finding{ID: c.ID, Severity: c.Severity, Section: c.Section, Expected: c.Expected}
}

func groupOf(id string) string {
	group, _, _ := strings.Cut(id, ".")
	return group
}

// Checks is every check, in the order in which they are tried.
func Checks() []Check {
	return slices.Concat(
		discoveryConfig(), discoveryTypes(), discoverySchemas(),
		authentication(), contentTypes(),
		creation(), creationNames(), creationValues(), creationGroups(),
		reading(), projections(), projectionSpellings(),
		filterOperators(), filterLogic(), filterAttributes(), filterLiterals(), filterRefusals(), filterGroups(),
		paging(), pagingEdges(), searching(),
		replacing(), replacingRefusals(),
		patchPeople(), patchValues(), patchRefusals(), patchSpellings(),
		patchGroups(), patchGroupEdges(),
		deletion(), errorBodies(), errorInputs(),
		etags(), etagGuards(), concurrency(),
		sorting(), bulkChecks(), cursors(),
	)
}

func must(id, section, expected string, try func(*trial)) Check {
	return Check{ID: id, Severity: Must, Section: section, Expected: expected, try: try}
}

func should(id, section, expected string, try func(*trial)) Check {
	return Check{ID: id, Severity: Should, Section: section, Expected: expected, try: try}
}

func may(id, section, expected string, try func(*trial)) Check {
	return Check{ID: id, Severity: May, Section: section, Expected: expected, try: try}
}

// lenient is a may check of a departure from the RFC that identity providers make.
func lenient(id, section, expected string, try func(*trial)) Check {
	c := may(id, section, expected, try)
	c.lenient = true
	return c
}

// needing adds what a server must claim before these are tried.
func needing(f feature, checks ...Check) []Check {
	for i := range checks {
		checks[i].needs = append(checks[i].needs, f)
	}
	return checks
}

// The sections that many checks stand on.
const (
	protocol = "RFC 7644 section "
	core     = "RFC 7643 section "
	cursorly = "RFC 9865 section "
)
