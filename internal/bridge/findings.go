package bridge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// maxFindings bounds how many rules, and how many groups, are named for one reason.
const maxFindings = 100

// findings are what the author of the rules will want to know: about rules in the
// order of the file, then about groups, the largest first.
func (r *planRun) findings() []PlanFinding {
	found, of := []PlanFinding{}, map[string]int{}
	for _, f := range r.planner.next.Left() {
		found = append(found, PlanFinding{Code: FindingScopeLeft, Rule: f.Rule, Pos: f.Pos, Message: f.Message})
	}
	for _, rule := range r.planner.next.Source().Rules {
		f, is := r.ruleFinding(rule)
		if !is {
			continue
		}
		if of[f.Code]++; of[f.Code] <= maxFindings {
			f.Rule, f.Pos, f.Connection = rule.ID, rule.Pos, rule.From
			found = append(found, f)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(of)) {
		if more := of[code] - maxFindings; more > 0 {
			found = append(found, PlanFinding{Code: code, Message: fmt.Sprintf("this holds for %d more rules", more)})
		}
	}
	return append(found, r.groupFindings()...)
}

// ruleFinding is what is to be said of one rule.
//
// A rule is shadowed if there is anybody whom it gives something, and for each of them
// an earlier rule gives the primary so that this one's never is it, or an earlier rule
// gives each pair that this one gives, with flags as wide and for as long.
func (r *planRun) ruleFinding(rule mapping.RuleSource) (f PlanFinding, is bool) {
	t := r.tally.rules[rule.ID]
	if t == nil {
		t = &ruleTally{people: r.tally.shadow[rule.ID]}
	}
	f.People = t.people
	switch {
	case !rule.Expires.IsZero() && !r.now.Before(rule.Expires):
		f.Code, f.People, f.Message = FindingExpired, 0, "the rule ended at "+rule.Expires.UTC().Format("2006-01-02 15:04 MST")
	case t.people == 0:
		f.Code, f.Message = FindingMatchesNobody, "the rule gives nobody anything"
	case t.redundant == t.people:
		f.Code, f.Message = FindingShadowed, fmt.Sprintf("whatever the rule gives, an earlier rule gives to the same people (%d) already", t.people)
	case rule.Give != "" && t.beaten == t.people:
		f.Code, f.Message = FindingShadowed, fmt.Sprintf("what the rule gives is nobody's primary: an earlier rule gives that to all whom it concerns (%d)", t.people)
	default:
		return f, false
	}
	return f, true
}

// groupFindings are about groups that feed no rule of the policy, and whether one would
// look at them if their name named a scope.
func (r *planRun) groupFindings() []PlanFinding {
	var idle, nameless []PlanFinding
	for _, g := range r.planner.groups {
		c := r.planner.conns[g.conn]
		if g.gone || c == nil || !c.stays {
			continue
		}
		f := PlanFinding{Code: FindingFeedsNoRule, Connection: g.conn, Group: g.Name, People: g.members, Message: "the group feeds no rule"}
		if rule, pos, would := r.wouldFeed(g); would {
			f.Code, f.Rule, f.Pos, f.Message = FindingScopeUnknown, rule, pos, "the group's name has the form that the rule asks for, but names no scope, or several"
			nameless = append(nameless, f)
		} else if !g.feeds {
			idle = append(idle, f)
		}
	}
	return append(largest(nameless), largest(idle)...)
}

// wouldFeed is the first rule that would look at a group if its name named one scope.
func (r *planRun) wouldFeed(g *planGroup) (string, mapping.Pos, bool) {
	for _, f := range r.planner.next.Feeds(g.conn, g.Name, g.ExternalID) {
		if f.Unknown {
			return f.Rule, f.Pos, true
		}
	}
	return "", mapping.Pos{}, false
}

// largest are the findings about the largest groups, and how many more there are.
func largest(found []PlanFinding) []PlanFinding {
	slices.SortFunc(found, func(a, b PlanFinding) int {
		return cmp.Or(-cmp.Compare(a.People, b.People), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Group, b.Group))
	})
	if len(found) <= maxFindings {
		return found
	}
	rest := PlanFinding{Code: found[0].Code, Message: fmt.Sprintf("this holds for %d more groups", len(found)-maxFindings)}
	return append(found[:maxFindings:maxFindings], rest)
}
