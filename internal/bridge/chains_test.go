package bridge_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestLongChainsOfAlternativesAreAnswered: One Identity Manager asks for many people
// in one filter, joined by or. As many as fit into the limits of a filter are found,
// each by its index; more are refused in a sentence, not by a broken connection.
func TestLongChainsOfAlternativesAreAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const people, most = 300, 255
	for i := range people {
		w.person(banksia, fmt.Sprintf("p%03d@b.example", i), fmt.Sprint("x", i))
	}
	chain := func(term string, from, n int) string {
		terms := make([]string, n)
		for i := range terms {
			terms[i] = fmt.Sprintf(term, from+i)
		}
		return "/Users?count=0&filter=" + url.QueryEscape(strings.Join(terms, " or "))
	}
	for _, c := range []struct {
		name, term string
		from, n    int
		status     int
		found      float64
	}{
		{"by a name", `userName eq "p%03d@b.example"`, 50, 200, 200, 200},
		{"by a short name without quotes", `externalId eq x%d`, 200, most, 200, 100},
		{"by what no index knows", `employeeNumber eq "e%d"`, 0, most, 200, 0},
		{"in parentheses", `(externalId eq "x%d")`, 0, most, 200, most},
		{"one too many", `externalId eq x%d`, 0, most + 1, 400, 0},
		{"too long", `userName eq "p%03d@b.example" or externalId eq "x"`, 0, 200, 400, 0},
	} {
		status, body := w.send(banksia, "GET", chain(c.term, c.from, c.n), "")
		if status != c.status {
			t.Errorf("%s: %d %v", c.name, status, body)
			continue
		}
		if found, _ := body["totalResults"].(float64); status == 200 && found != c.found {
			t.Errorf("%s: %v found, want %v", c.name, found, c.found)
		}
	}
}
