package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Finding is something that is not wrong, and probably not meant.
type Finding struct {
	Pos     mapping.Pos `json:"pos"`
	Message string      `json:"message"`
}

// Findings looks for rules that give nothing any more, or can match nobody, and for
// attributes and conditions that nothing uses; in the order of the rules, then of those.
func (c *Config) Findings(now time.Time) []Finding {
	var all []Finding
	say := func(pos mapping.Pos, format string, args ...any) {
		all = append(all, Finding{Pos: pos, Message: fmt.Sprintf(format, args...)})
	}
	for _, r := range c.Policy.Rules {
		switch {
		case !r.Expires.IsZero() && !now.Before(r.Expires):
			say(r.FieldPos["expires"], "rule %s: it expired at %s; take it out", r.ID, r.Expires.Format(time.RFC3339))
		case !r.Until.IsZero() && !now.Before(r.Until):
			say(r.FieldPos["until"], "rule %s: what it gives ended at %s; take it out", r.ID, r.Until.Format(time.RFC3339))
		}
		if g, ok := contradicts(r); ok {
			say(r.FieldPos["none"], "rule %s: it asks that a person is in %q and is not: it can match nobody", r.ID, g)
		}
	}
	for _, named := range c.Policy.Conditions {
		if !slices.ContainsFunc(c.Policy.Rules, func(r mapping.RuleSource) bool { return uses(r.When, named.Name) }) {
			say(named.Pos, "condition %s: no rule uses it", named.Name)
		}
	}
	for _, a := range c.Policy.Attributes {
		if !slices.ContainsFunc(c.expressions(), func(cel string) bool { return uses(cel, "attr."+a.Name) }) {
			say(a.Pos, "attribute %s: no condition uses it", a.Name)
		}
	}
	return all
}

// contradicts finds a group that everybody whom the rule matches would be in and not in.
func contradicts(r mapping.RuleSource) (string, bool) {
	asks := append([]mapping.GroupRef{{Group: r.Group, GroupID: r.GroupID}}, r.All...)
	if len(r.Any) == 1 {
		asks = append(asks, r.Any[0])
	}
	for _, n := range r.None {
		for _, a := range asks {
			if a.GroupID != "" && a.GroupID == n.GroupID || a.Group != "" && schema.Fold(a.Group) == schema.Fold(n.Group) {
				return a.Group + a.GroupID, true
			}
		}
	}
	return "", false
}

func (c *Config) expressions() []string {
	var all []string
	for _, named := range c.Policy.Conditions {
		all = append(all, named.CEL)
	}
	for _, r := range c.Policy.Rules {
		all = append(all, r.When)
	}
	return all
}

// uses reports whether an expression has that name as a word. It may take a text for a
// name, and then no finding is made.
func uses(cel, name string) bool {
	return strings.Contains(cel, name) && regexp.MustCompile(`(^|[^\w.])`+regexp.QuoteMeta(name)+`($|\W)`).MatchString(cel)
}
