package scim

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPagingParametersAreReadOnceAndBounded(t *testing.T) {
	for raw, want := range map[string]queryText{
		"":                            {start: 1, count: 100},
		"startIndex=3&count=7":        {start: 3, count: 7, hasStart: true},
		"startIndex=0":                {start: 1, count: 100, hasStart: true},
		"startIndex=-4&count=-1":      {start: 1, count: 0, hasStart: true},
		"count=0":                     {start: 1, count: 0},
		"count=100000":                {start: 1, count: 200},
		"aadOptscim062020":            {start: 1, count: 100},
		"aadOptscim062020&count=5":    {start: 1, count: 5},
		"foo=%zz&bar=1":               {start: 1, count: 100},
		"sortBy=userName&sortOrder=x": {start: 1, count: 100, sortBy: "userName", hasSort: true, sortOrder: "x"},
		"cursor":                      {start: 1, count: 100, hasCursor: true},
		"cursor=a-_.~1&count=5":       {start: 1, count: 5, hasCursor: true, cursor: "a-_.~1"},
		"filter=userName+eq+%22a%40b%22": {start: 1, count: 100, hasFilter: true,
			filter: `userName eq "a@b"`},
		"filter=displayName%20eq%20%22my%20%25%20name%22": {start: 1, count: 100, hasFilter: true,
			filter: `displayName eq "my % name"`},
		"filter=displayName+eq+%22a%2541%22": {start: 1, count: 100, hasFilter: true,
			filter: `displayName eq "a%41"`},
	} {
		got, err := parseQuery(raw)
		if err != nil || got != want {
			t.Errorf("%q is read as %+v, %v; want %+v", raw, got, err, want)
		}
	}
}

func TestAQueryThatCannotBeReadIsRefusedWithItsParameter(t *testing.T) {
	for raw, scimType := range map[string]string{
		"startIndex=one":                     TypeInvalidValue,
		"startIndex=":                        TypeInvalidValue,
		"count=1.5":                          TypeInvalidValue,
		"count=99999999999999999999":         TypeInvalidValue,
		"count=1&count=2":                    TypeInvalidValue,
		"attributes=id&excludedAttributes=x": TypeInvalidValue,
		"filter=a%zz":                        TypeInvalidFilter,
		"filter=%ff":                         TypeInvalidFilter,
		"filter=a&filter=b":                  TypeInvalidValue,
		"cursor&cursor":                      TypeInvalidValue,
		"cursor&startIndex=1":                TypeInvalidValue,
		"count=201&cursor":                   TypeInvalidCount,
		"cursor=x&count=one":                 TypeInvalidCount,
	} {
		_, err := parseQuery(raw)
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusBadRequest || e.ScimType != scimType {
			t.Errorf("%q: %v, want 400 %s", raw, err, scimType)
		}
	}
}

// FuzzListQuery: whatever the query string, the numbers are in range, the filter
// is UTF-8, and a refusal is a 400.
func FuzzListQuery(f *testing.F) {
	for _, seed := range []string{"", "a=b&&;=", "filter=userName+eq+%22x%22&startIndex=2&count=3", "count=%31", "filter=%25%", "attributes=a,b.c&aadOptscim062020", "cursor=x&count=201&sortBy=a&sortOrder=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Status != http.StatusBadRequest || e.Detail == "" {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if q.start < 1 || q.count < 0 || q.count > maxCount {
			t.Errorf("%q: start %d, count %d", raw, q.start, q.count)
		}
		if !utf8.ValidString(q.filter) || !utf8.ValidString(q.attributes) || !utf8.ValidString(q.excluded) {
			t.Errorf("%q: decoded to something that is not UTF-8", raw)
		}
		if q.hasFilter && !strings.Contains(raw, "filter=") && !strings.Contains(raw, "filter") {
			t.Errorf("%q: a filter from nowhere", raw)
		}
	})
}

// What a refusal quotes can be told from its own words, whatever it holds: the log of
// requests hides it by its quotes.
func TestANumberThatIsNoneIsQuoted(t *testing.T) {
	_, err := integer("count", `1" Anna "2`)
	if err == nil || !strings.Contains(asError(err).Detail, `not "1\" Anna \"2".`) {
		t.Errorf("it is told %v", err)
	}
}
