package scim

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Page sizes (RFC 7644 section 3.4.2.4). The larger is what ServiceProviderConfig
// calls filter.maxResults.
const (
	defaultCount = 100
	maxCount     = 200
)

// queryText is the parameters of a query as they were sent, in the address or in
// the body of a search; no name is looked up yet.
type queryText struct {
	filter                string
	hasFilter             bool
	start, count          int
	hasStart              bool
	badCount              error
	attributes, excluded  string
	hasAttributes, hasExc bool
	sortBy, sortOrder     string
	hasSort               bool
	cursor                string
	hasCursor             bool
}

// noQuery is what a request without parameters asks.
func noQuery() queryText { return queryText{start: 1, count: defaultCount} }

// parseQuery reads the parameters this server knows and ignores all others: Entra
// appends ?aadOptscim062020 to every request.
func parseQuery(raw string) (queryText, error) {
	q := noQuery()
	seen := make(map[string]bool, 4)
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		if !known(key) {
			continue
		}
		if seen[key] {
			return q, Invalid(TypeInvalidValue, "The query parameter "+key+" stands there twice; send it once.")
		}
		seen[key] = true
		text, err := decodeOnce(key, value)
		if err != nil {
			return q, err
		}
		if err := q.set(key, text); err != nil {
			return q, err
		}
	}
	return q, q.finish()
}

func known(key string) bool {
	switch key {
	case "filter", "startIndex", "count", "attributes", "excludedAttributes", "sortBy", "sortOrder", "cursor":
		return true
	}
	return false
}

// decodeOnce turns + into a space and %xx into its byte, exactly once, so that a
// percent sign inside a literal survives.
func decodeOnce(key, value string) (string, error) {
	text, err := url.QueryUnescape(value)
	if err != nil || !utf8.ValidString(text) {
		return "", Invalid(typeFor(key), "The query parameter "+key+" is not percent-encoded UTF-8.")
	}
	return text, nil
}

func typeFor(key string) string {
	if key == "filter" {
		return TypeInvalidFilter
	}
	return TypeInvalidValue
}

func (q *queryText) set(key, text string) (err error) {
	switch key {
	case "filter":
		q.filter, q.hasFilter = text, true
	case "attributes":
		q.attributes, q.hasAttributes = text, true
	case "excludedAttributes":
		q.excluded, q.hasExc = text, true
	case "sortBy":
		q.sortBy, q.hasSort = text, true
	case "sortOrder":
		q.sortOrder = text
	case "cursor":
		q.cursor, q.hasCursor = text, true
	case "startIndex":
		q.hasStart = true
		if q.start, err = integer(key, text); err == nil {
			q.start = max(q.start, 1)
		}
	case "count":
		q.count, q.badCount = integer(key, text)
		q.count = max(q.count, 0)
	}
	return err
}

// finish holds the parameters against each other. A count that is too large is cut
// for who numbers pages (RFC 7644 section 3.4.2.4) and refused to who walks with a
// cursor (RFC 9865 section 2.1).
func (q *queryText) finish() error {
	switch {
	case q.hasAttributes && q.hasExc:
		return Invalid(TypeInvalidValue, "Send attributes or excludedAttributes, not both.")
	case q.hasStart && q.hasCursor:
		return Invalid(TypeInvalidValue, "Send startIndex or cursor, not both: each is a way of paging.")
	case q.hasCursor && (q.badCount != nil || q.count > maxCount):
		return invalidCount()
	case q.badCount != nil:
		return q.badCount
	}
	q.count = min(q.count, maxCount)
	return nil
}

// integer reads a decimal integer of at most 32 bits: more rows than that are
// beyond any directory here.
func integer(key, text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, Invalid(TypeInvalidValue, "The parameter "+key+" must be an integer, not "+strconv.Quote(schema.Clip(text))+".")
	}
	return int(n), nil
}
