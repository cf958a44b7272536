package bridge

import (
	"regexp"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// How a rule knows a group.
const (
	byName    = "name"
	byGroupID = "group_id"
)

// matchedBy says how a rule came to know a group of that name, and what the name gave
// to it. A group that is known by its id may be called anything.
func matchedBy(r mapping.RuleSource, name string) (how string, captures map[string]string) {
	refs := slices.Concat([]mapping.GroupRef{{Group: r.Group, GroupID: r.GroupID}}, r.All, r.Any)
	for _, ref := range refs {
		if ref.Group == "" {
			continue
		}
		if got, fits := captured(ref.Group, name); fits {
			return byName, got
		}
	}
	if slices.ContainsFunc(refs, func(ref mapping.GroupRef) bool { return ref.GroupID != "" }) {
		return byGroupID, nil
	}
	return byName, nil // the name was another when it matched
}

var capture = regexp.MustCompile(`\{([a-z_]+)\}`)

// captured is what a group's name gives to the captures of a pattern, as it is written
// in the name.
func captured(pattern, name string) (map[string]string, bool) {
	var expr strings.Builder
	expr.WriteString(`(?is)^\s*`)
	var names []string
	at := 0
	for _, m := range capture.FindAllStringSubmatchIndex(pattern, -1) {
		expr.WriteString(regexp.QuoteMeta(pattern[at:m[0]]) + `(.+)`)
		names, at = append(names, pattern[m[2]:m[3]]), m[1]
	}
	expr.WriteString(regexp.QuoteMeta(pattern[at:]) + `\s*$`)
	re, err := regexp.Compile(expr.String())
	if err != nil {
		return nil, false
	}
	found := re.FindStringSubmatch(name)
	if found == nil {
		return nil, false
	}
	var got map[string]string
	for i, n := range names {
		if got == nil {
			got = map[string]string{}
		}
		got[n] = found[i+1]
	}
	return got, true
}
