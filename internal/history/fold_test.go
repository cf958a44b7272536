package history

import (
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
)

func fact(of event.Type, person access.PersonID, data ...string) event.Event {
	e := event.Event{Type: of, Person: person, Data: map[string]string{}}
	for i := 0; i < len(data); i += 2 {
		e.Data[data[i]] = data[i+1]
	}
	return e
}

func TestFoldAddsUpToWhatIsHeld(t *testing.T) {
	trail := []event.Event{
		fact(event.PersonProvisioned, "per_a"), fact(event.PersonProvisioned, "per_b", "active", "false"), fact(event.PersonProvisioned, "per_c"),
		fact(event.PolicyApplied, ""),
		fact(event.MemberAdded, "per_a", "group", "grp_1"),
		fact(event.AssignmentGiven, "per_a", "assignment", "asg_1", "grant", "standard", "scope", "scp_1"),
		fact(event.AssignmentGiven, "per_a", "assignment", "asg_2", "grant", "elevated", "scope", "scp_2"),
		fact(event.AssignmentChanged, "per_a", "assignment", "asg_1", "grant", "standard", "scope", "scp_3"),
		fact(event.AssignmentDropped, "per_a", "assignment", "asg_2"),
		fact(event.PersonReactivated, "per_b"), fact(event.PersonDeleted, "per_c"),
	}
	is := State{
		"per_a": {Active: true, Groups: map[string]bool{"grp_1": true}, Holds: map[string]string{"asg_1": "standard @ scp_3"}},
		"per_b": {Active: true},
	}
	if found := Differences(Fold(trail), is, "the trail", "the rows"); found != nil {
		t.Errorf("%q", found)
	}
	for name, change := range map[string]func() []event.Event{
		"a gift that was never told":       func() []event.Event { return slices.Delete(slices.Clone(trail), 5, 6)[:5] },
		"a loss that was never told":       func() []event.Event { return slices.Delete(slices.Clone(trail), 8, 9) },
		"a deletion that was never told":   func() []event.Event { return trail[:10] },
		"a membership that is not told":    func() []event.Event { return slices.Delete(slices.Clone(trail), 4, 5) },
		"a deactivation that did not stay": func() []event.Event { return append(slices.Clone(trail), fact(event.PersonDeactivated, "per_b")) },
	} {
		if found := Differences(Fold(change()), is, "the trail", "the rows"); len(found) == 0 {
			t.Errorf("%s was not found", name)
		}
	}
}

func TestRecomputed(t *testing.T) {
	rules := []Rule{{"Geelong", "standard @ geelong"}, {"Hobart", "standard @ hobart"}, {"Old Geelong", "standard @ geelong"}}
	for _, row := range []struct {
		active bool
		groups string
		want   string
	}{
		{true, "Hobart,Geelong,Old Geelong,Nothing", "standard @ geelong,standard @ hobart"},
		{false, "Hobart", ""},
		{true, "Nothing", ""},
	} {
		if got := strings.Join(Recomputed(rules, row.active, strings.Split(row.groups, ",")), ","); got != row.want {
			t.Errorf("%+v: %s", row, got)
		}
	}
}

func TestDiverge(t *testing.T) {
	first := []string{`201 {"id":"per_a1b2c3d4e5f6","meta":{"created":"2026-03-01T00:00:00.123Z"}}`, `200 {"members":["per_a1b2c3d4e5f6"]}`}
	again := []string{`201 {"id":"per_zzzzzzzzzzzz","meta":{"created":"2027-03-01T00:00:00Z"}}`, `200 {"members":["per_zzzzzzzzzzzz"]}`}
	if found := Diverge(first, again); found != "" {
		t.Error(found)
	}
	for name, other := range map[string][]string{
		"another status":      {again[0], strings.Replace(again[1], "200", "404", 1)},
		"another person":      {again[0], strings.Replace(again[1], "per_zzzzzzzzzzzz", "per_yyyyyyyyyyyy", 1)},
		"one answer more":     append(slices.Clone(again), "204"),
		"one answer less":     again[:1],
		"a count of somebody": {again[0], strings.Replace(again[1], "members", "totalResults", 1)},
	} {
		if Diverge(first, other) == "" {
			t.Errorf("%s was not found", name)
		}
	}
}
