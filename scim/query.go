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

// queryText is a query string, decoded once and split; nothing is looked up yet.
type queryText struct {
	filter                string
	hasFilter             bool
	start, count          int
	attributes, excluded  string
	hasAttributes, hasExc bool
}

// parseQuery reads the parameters this server knows and ignores all others: Entra
// appends ?aadOptscim062020 to every request, and sorting is not offered.
func parseQuery(raw string) (queryText, error) {
	q := queryText{start: 1, count: defaultCount}
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
	if q.hasAttributes && q.hasExc {
		return q, Invalid(TypeInvalidValue, "Send attributes or excludedAttributes, not both.")
	}
	return q, nil
}

func known(key string) bool {
	switch key {
	case "filter", "startIndex", "count", "attributes", "excludedAttributes":
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
	case "startIndex":
		if q.start, err = integer(key, text); err == nil {
			q.start = max(q.start, 1)
		}
	case "count":
		if q.count, err = integer(key, text); err == nil {
			q.count = min(max(q.count, 0), maxCount)
		}
	}
	return err
}

// integer reads a decimal integer of at most 32 bits: more rows than that are
// beyond any directory here.
func integer(key, text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, Invalid(TypeInvalidValue, "The query parameter "+key+" must be an integer, not \""+schema.Clip(text)+"\".")
	}
	return int(n), nil
}
