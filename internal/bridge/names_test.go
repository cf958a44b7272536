package bridge_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

type (
	ruleSource = mapping.RuleSource
	connection = access.Connection
)

func userName(i int) string   { return fmt.Sprintf("p%04d@banksia.example", i) }
func externalID(i int) string { return fmt.Sprintf("oid-%04d", i) }

// stamp is what time and versions put into an answer.
var stamp = regexp.MustCompile(`"lastModified":"[^"]*"|"version":"[^"]*"|W/\\?"\d+\\?"`)

func reasonOf(err error) string { return fault.ReasonOf(err) }

func column(q store.Querier, query string) (out []string, err error) {
	err = q.Each(func(r store.Row) error {
		var s string
		err := r.Scan(&s)
		out = append(out, s)
		return err
	}, query)
	return out, err
}

// contents is every row of a table, as text.
func contents(t testing.TB, q store.Querier, table string) []string {
	t.Helper()
	names, err := column(q, `select name from pragma_table_info('`+table+`')`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := column(q, `select json_array(`+quoted(names)+`) from `+table+` order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// quoted makes every column text, blobs too.
func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "quote(" + n + ")"
	}
	return strings.Join(out, ", ")
}
