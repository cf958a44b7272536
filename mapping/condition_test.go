package mapping

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// asking is the policy of these tests: people of ironbark-entra have badges.
func asking(rules ...RuleSource) PolicySource {
	conns := connections()
	conns[0].SCIM = withBadge()
	return PolicySource{
		Scopes: pacific(), Connections: conns, Rules: rules,
		Attributes: []AttributeSource{
			{Name: "department", From: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"},
			{Name: "title", From: "title"},
			{Name: "roles", From: "roles"},
			{Name: "entitlements", From: "entitlements"},
			{Name: "number", From: "urn:ironbark:scim:schemas:extension:badge:1.0:User:number"},
			{Name: "weight", From: "urn:ironbark:scim:schemas:extension:badge:1.0:User:weight"},
			{Name: "held", From: "urn:ironbark:scim:schemas:extension:badge:1.0:User:held"},
			{Name: "issued", From: "urn:ironbark:scim:schemas:extension:badge:1.0:User:issued"},
			{Name: "zones", From: "urn:ironbark:scim:schemas:extension:badge:1.0:User:zones"},
		},
		Conditions: []ConditionSource{
			{Name: "in_support", CEL: `attr.department == "Support"`},
			{Name: "lasting", CEL: `attr.issued + duration("48h") > now`},
			{Name: "both", CEL: `in_support && lasting`},
		},
	}
}

func when(text string) RuleSource {
	return RuleSource{ID: "r", From: "ironbark-entra", Group: "A", Give: "standard @ pacific/ironbark", When: text}
}

// somebody is in A, and has what is given.
func somebody(attributes map[string]any, groups ...string) Facts {
	f := Facts{Connection: "ironbark-entra", Person: "per_1", Active: true, Attributes: attributes}
	for i, g := range append([]string{"A"}, groups...) {
		f.Memberships = append(f.Memberships, Membership{Group: access.GroupID(fmt.Sprintf("g%d", i)), Name: g, Since: noon.Add(-time.Hour)})
	}
	return f
}

func TestConditions(t *testing.T) {
	support := map[string]any{"department": "Support", "roles": []any{"standard", "x"}, "number": int64(7), "weight": 2.5, "held": true,
		"issued": noon.Add(-24 * time.Hour), "zones": []any{"north", "south"}}
	for _, c := range []struct {
		when string
		want Code
		say  string // a part of the reason
	}{
		{`in_support`, Matched, ""},
		{` in_support `, Matched, ""},
		{`attr.department == "Sales"`, ConditionFalse, `is false: department Support`},
		{`!in_support`, ConditionFalse, `department Support`},
		{`attr.title == "Boss"`, AttributeMissing, `needs title, which the person does not have`},
		{`!(attr.title == "Boss")`, AttributeMissing, "title"},
		{`attr.title == "Boss" || in_support`, Matched, ""}, // one side decides alone
		{`in_support || attr.title == "Boss"`, Matched, ""},
		{`attr.title == "Boss" && !in_support`, ConditionFalse, "no title, department Support"},
		{`has(attr.title)`, ConditionFalse, "no title"},
		{`!has(attr.title) || attr.title == "Boss"`, Matched, ""},
		{`has(attr.department)`, Matched, ""},
		{`"standard" in attr.roles`, Matched, ""},
		{`"admin" in attr.roles`, ConditionFalse, "roles [standard, x]"},
		{`"standard" in attr.entitlements`, AttributeMissing, "entitlements"},
		{`attr.number > 6 && attr.number < 7.5 && attr.weight > 2 && attr.held`, Matched, ""},
		{`attr.zones.exists(z, z.startsWith("so"))`, Matched, ""},
		{`attr.zones.all(z, z.matches("^(north|south)$"))`, Matched, ""},
		{`"A" in user.groups`, Matched, ""},
		{`"a" in user.groups`, ConditionFalse, ""},
		{`fold("a") in user.folded_groups && fold("CONTRACTORS") in user.folded_groups`, Matched, ""},
		{`!("Contractors" in user.groups)`, ConditionFalse, ""},
		{`size(user.groups) == 2`, Matched, ""},
		{`fold(attr.department) == fold("SUPPORT")`, Matched, ""},
		{`lasting`, Matched, ""},
		{`both`, Matched, ""},
		{`attr.issued > now`, ConditionFalse, "issued 2026-11-01T12:00:00Z"},
		{`now < attr.issued + duration("1h")`, ConditionFalse, `attr.issued + duration("1h") 2026-11-01T13:00:00Z`},
		{`now >= timestamp("2026-11-02T12:00:00Z")`, Matched, ""},
		{`now > timestamp("2026-11-02T12:00:00Z")`, ConditionFalse, ""},
		{`attr.number / 0 == 1`, ConditionFailed, "division by zero"},
		{`attr.zones[7] == "x"`, ConditionFailed, "index"},
	} {
		p, err := Compile(asking(when(c.when)))
		if err != nil {
			t.Errorf("%s: %v", c.when, err)
			continue
		}
		f := somebody(support, "Contractors")
		d := Evaluate(p, f, noon)
		r := d.Reasons[0]
		if r.Code != c.want || r.Matched != (c.want == Matched) || r.Near == r.Matched || !strings.Contains(r.Because, c.say) {
			t.Errorf("%s: %+v", c.when, r)
		}
		if (d.Failed > 0) != (c.want == ConditionFailed) {
			t.Errorf("%s: %d failed", c.when, d.Failed)
		}
		d.Reasons = nil
		if quick := Decide(p, f, noon); !reflect.DeepEqual(quick, d) {
			t.Errorf("%s: decided %+v, evaluated %+v", c.when, quick, d)
		}
	}
}

func TestWhatConditionsMayNotSay(t *testing.T) {
	long := strings.Repeat("a", maxCondition+1)
	for _, c := range []struct{ when, want string }{
		{`attr.departmnt == "x"`, `0: attr.departmnt is unknown; attributes are named under attributes; did you mean "attr.department"?`},
		{`in_suport`, `0: in_suport is unknown; did you mean "in_support"?`},
		{`in_support && department == "x"`, `14: department is unknown; did you mean "attr.department"?`},
		{`in_support &&`, `13: something is missing at the end`},
		{`attr.department`, `a condition says true or false, and this is a string`},
		{`attr.department == 7`, `16: == does not take a string and an int`},
		{`attr == "x"`, `attr is followed by a dot and a name`},
		{`user.name == "x"`, `user.name is unknown; there are user.groups and user.folded_groups`},
		{`now.getFullYear() > 2026`, `now may only be one side of`},
		{`attr.issued - now < duration("1h")`, `now may only be one side of`},
		{`now == attr.issued`, `now may only be one side of`},
		{`now < now`, `now may only be one side of`},
		{`[attr.issued].exists(i, i > now)`, `now is compared outside of loops only`},
		{`attr.issued.getHours("Australia/Adelaide") > 7`, `takes no time zone here`},
		{`attr.department.matches(attr.title)`, `the regular expression of matches is written out`},
		{`attr.department.matches("` + strings.Repeat("a", maxRegex+1) + `")`, `more than 256 bytes`},
		{`attr.department.matches("((a{90}){90}){90}")`, `not a regular expression`},
		{`attr.department.matches("(a{30}){33}")`, `its repetitions multiply`},
		{`attr.department.matches("(")`, `not a regular expression: missing closing )`},
		{`user.groups.exists(a, user.groups.exists(b, user.groups.exists(c, a + b == c)))`, `it could cost`},
		{`[1].exists(a, [1].exists(b, [1].exists(c, [1].exists(d, [1].exists(e, a + b + c + d + e == 5)))))`, `loops stand inside each other more than 4 deep`},
		{`attr.zones.exists(now, now == "x")`, `now means something else already`},
		{`attr.zones.exists(in_support, in_support == "x")`, `in_support means something else already`},
		{`has(user.groups)`, `has asks for an attribute`},
		{`google.protobuf.Timestamp{} == attr.issued`, ``},
		{`timestamp("yesterday") < now`, `this is not an instant such as 2027-06-30T00:00:00Z`},
		{`cannot in_support`, `7: "in_support" cannot stand here`},
		{`in_support && not lasting`, `14: "not" cannot stand here; did you mean "!"?`},
		{long, `a condition has 1 to 4096 bytes of CEL`},
		{strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60), ``},
		{strings.Repeat("!", 2001) + "attr.held || " + strings.Repeat("-", 3001) + "attr.number > 0 || true ? [[[1]]] : 1", ``},
	} {
		_, err := Compile(asking(when(c.when)))
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 && c.want != "" {
			t.Errorf("%.60s: %v", c.when, err)
			continue
		}
		f := faults[0]
		text := fmt.Sprintf("%d: %s", f.Offset, f.Message)
		if f.Suggestion != "" {
			text += fmt.Sprintf("; did you mean %q?", f.Suggestion)
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%.60s: %s", c.when, text)
		}
	}
}

// A decision is safe to make from anywhere at once, and ends when a comparison with now
// changes.
func TestConditionsSaySoFromAnywhereAtOnce(t *testing.T) {
	p, err := Compile(asking(when("both")))
	if err != nil {
		t.Fatal(err)
	}
	f := somebody(map[string]any{"department": "Support", "issued": noon.Add(-24 * time.Hour)})
	want := Decide(p, f, noon)
	if len(want.Want) != 1 || !want.ValidUntil.Equal(noon.Add(24*time.Hour)) {
		t.Fatalf("%+v", want)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if got := Decide(p, f, noon); !reflect.DeepEqual(got, want) {
					t.Errorf("%+v", got)
				}
			}
		})
	}
	all.Wait()
}

// Around each instant, to the millisecond.
func TestComparisonsWithNowTurnAtTheirInstant(t *testing.T) {
	at := noon.Add(24 * time.Hour)
	for _, c := range []struct {
		when   string
		before bool          // what it says before
		turn   time.Duration // after the instant
	}{
		{`now < attr.issued`, true, 0},
		{`attr.issued > now`, true, 0},
		{`now <= attr.issued`, true, time.Millisecond},
		{`attr.issued >= now`, true, time.Millisecond},
		{`now > attr.issued`, false, time.Millisecond},
		{`attr.issued < now`, false, time.Millisecond},
		{`now >= attr.issued`, false, 0},
		{`attr.issued <= now`, false, 0},
		{`!(attr.issued <= now)`, true, 0},
		{`now < attr.issued + duration("1ns")`, true, time.Millisecond}, // the next instant that is told apart
		{`now > attr.issued - duration("1h") + duration("60m") || false`, false, time.Millisecond},
	} {
		p, err := Compile(asking(when(c.when)))
		if err != nil {
			t.Fatal(err)
		}
		f := somebody(map[string]any{"issued": at})
		turn := at.Add(c.turn)
		for _, now := range []time.Time{noon, turn.Add(-time.Millisecond), turn.Add(-time.Nanosecond)} {
			d := Decide(p, f, now)
			if (len(d.Want) == 1) != c.before || !d.ValidUntil.Equal(turn) {
				t.Errorf("%s at %v: %+v", c.when, now, d)
			}
		}
		if d := Decide(p, f, turn); (len(d.Want) == 1) == c.before || !d.ValidUntil.IsZero() {
			t.Errorf("%s at its turn: %+v", c.when, d)
		}
	}
}
