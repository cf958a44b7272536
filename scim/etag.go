package scim

import (
	"net/http"
	"strconv"
	"strings"
)

// entityTag is the ETag of a version: weak, because the same version may be
// rendered with other attributes.
func entityTag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

// foreignTag stands in a Match for an entity tag that this server never made.
const foreignTag = -1

// parseMatch reads If-Match or If-None-Match (RFC 9110 section 8.8.3): "*", or a
// list of tags. A tag that is not ours matches nothing, and so does a header without
// any: a condition that was sent must not vanish. Strong and weak spellings
// are the same: proxies and clients change one into the other.
func parseMatch(header []string) Match {
	var m Match
	for _, line := range header {
		for tag := range strings.SplitSeq(line, ",") {
			tag = strings.TrimSpace(tag)
			switch {
			case tag == "":
			case tag == "*":
				m.Any = true
			default:
				m.Versions = append(m.Versions, tagVersion(tag))
			}
		}
	}
	if len(header) > 0 && !m.Any && len(m.Versions) == 0 {
		m.Versions = []int64{foreignTag}
	}
	return m
}

// conditions are what a write holds the resource's version against (RFC 9110 section 13.2).
func conditions(h http.Header) Match {
	m := parseMatch(h["If-Match"])
	if not := h["If-None-Match"]; len(not) > 0 {
		known := parseMatch(not)
		m.Unless, m.UnlessAny = known.Versions, known.Any
	}
	return m
}

// hasTag reports whether a header names an entity tag that is no version: weakly, or
// by "*".
func hasTag(header []string, tag string) bool {
	for _, line := range header {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

func tagVersion(tag string) int64 {
	quoted := strings.TrimPrefix(tag, "W/")
	digits, ok := strings.CutPrefix(quoted, `"`)
	digits, closed := strings.CutSuffix(digits, `"`)
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || !closed || err != nil || n < 0 {
		return foreignTag
	}
	return n
}
