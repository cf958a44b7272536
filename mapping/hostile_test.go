package mapping

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// What an identity provider sends can make a condition fail, and never costs more than
// the limit.
func TestAConditionThatCostsTooMuchGivesNothing(t *testing.T) {
	p, err := Compile(asking(when(`attr.zones.all(z, z.contains("aaaab"))`),
		RuleSource{ID: "not", From: "ironbark-entra", Group: "A", Give: "standard @ pacific/ironbark", When: `!attr.zones.exists(z, z.contains("aaaab"))`}))
	if err != nil {
		t.Fatal(err)
	}
	var zones []any
	for range 10_000 {
		zones = append(zones, strings.Repeat("a", 1_000))
	}
	d := Evaluate(p, somebody(map[string]any{"zones": zones}), noon)
	if len(d.Want) != 0 || d.Failed != 1 || d.Reasons[0].Code != ConditionFalse || d.Reasons[1].Code != ConditionFailed {
		t.Errorf("%d failed: %.300v", d.Failed, d.Reasons)
	}
	if text := d.Reasons[1].Because; !strings.Contains(text, "cost limit exceeded") || len(d.Reasons[0].Looked[0].Value) > 4*shownText {
		t.Errorf("%.500s", text)
	}
}

func TestAPolicyOfVeryManyRules(t *testing.T) {
	src := asking()
	for i := range maxRules {
		src.Rules = append(src.Rules, RuleSource{ID: fmt.Sprintf("r%d", i), From: "ironbark-entra", Group: fmt.Sprintf("G%d {fleet}", i), Give: "standard @ pacific/ironbark/{fleet}"})
	}
	p, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	if d := Decide(p, somebody(nil, "G9999 Adelaide", "G1 Perth"), noon); len(d.Want) != 2 || d.Want[0].Scope != "per" {
		t.Errorf("%+v", d)
	}
	src.Rules = append(src.Rules, RuleSource{ID: "more", From: "ironbark-entra", Group: "A", Give: "standard @ pacific/ironbark"})
	if _, err = Compile(src); err == nil || !strings.Contains(err.Error(), "at most 10000 rules") {
		t.Errorf("%v", err)
	}
}

// Somebody in hundreds of groups that a rule combines gets what is right, or nothing.
func TestSomebodyInVeryManyGroupsOfAll(t *testing.T) {
	src := wide(1000)
	src.Rules = []RuleSource{{ID: "r", From: "c", Give: "standard @ sp/acc/{fleet}", All: []GroupRef{{Group: "A {fleet}"}, {Group: "B {fleet}"}, {Group: "C {fleet}"}}}}
	p, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	in := func(n int) Facts {
		f := Facts{Connection: "c", Active: true}
		for i := range n {
			for _, list := range []string{"A", "B", "C"} {
				f.Memberships = append(f.Memberships, Membership{Group: access.GroupID(fmt.Sprint(list, i)), Name: fmt.Sprintf("%s f%d", list, i), Since: noon})
			}
		}
		return f
	}
	if d := Decide(p, in(200), noon); len(d.Want) != 200 || d.Failed != 0 {
		t.Errorf("200 fleets: %d, %d failed", len(d.Want), d.Failed)
	}
	if d := Decide(p, in(400), noon); len(d.Want) != 0 || d.Failed != 1 {
		t.Errorf("400 fleets: %d, %d failed", len(d.Want), d.Failed)
	}
}

// Names of any kind are read once, whatever a pattern looks like.
func TestOddGroupNames(t *testing.T) {
	p, err := Compile(PolicySource{Scopes: pacific(), Connections: connections(), Rules: []RuleSource{
		{ID: "one", From: "pacific-entra", Group: "GL {fleet} Managers", Give: "standard @ pacific/ironbark/{fleet}"},
		{ID: "two", From: "pacific-entra", Group: "{account}{fleet}", Give: "standard @ pacific/{account}/{fleet}"},
		{ID: "three", From: "pacific-entra", Group: "Ÿnys Môn \u202e{account}\u200b", Give: "standard @ pacific/{account}"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"GL Pérth West Managers": 1, "GL Pe\u0301rth WEST Managers": 1, "GL P\u00e9rth West\u200b Managers": 0, "GL  Managers": 0,
		"Ironbark HaulageAdelaide Depot": 1, "ironbarkfremantle": 1, "ironbark": 0, "y\u0308NYS M\u00d4N \u202eCORAL\u200b": 1,
		"\xff\xfe": 0, "": 0, "🚚{fleet}🚚": 0, strings.Repeat("ironbark", 5_000): 0, strings.Repeat("İ", 400): 0,
	} {
		f := Facts{Connection: "pacific-entra", Active: true, Memberships: []Membership{{Group: "g", Name: name}}}
		if d := Decide(p, f, noon); len(d.Want) != want {
			t.Errorf("%.40q: %+v", name, d.Want)
		}
		if p.LooksAt(f.Connection, name, "") != (want > 0) {
			t.Errorf("%.40q: looked at: %v", name, want == 0)
		}
	}
}

// Conditions that use each other twice each would be 2^n long if they were written out.
func TestConditionsThatUseEachOther(t *testing.T) {
	src := asking(when("c18"))
	src.Conditions = append(src.Conditions, ConditionSource{Name: "c0", CEL: `attr.number > 1`})
	for i := 1; i <= 18; i++ {
		src.Conditions = append(src.Conditions, ConditionSource{Name: fmt.Sprintf("c%d", i), CEL: fmt.Sprintf("c%d && c%d", i-1, i-1)})
	}
	p, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	if d := Decide(p, somebody(map[string]any{"number": int64(2)}), noon); len(d.Want) != 1 {
		t.Errorf("%+v", d)
	}
	if got := p.Attributes("ironbark-entra"); len(got) != 1 || got[0].Name != "number" || len(p.Attributes("pacific-entra")) != 0 {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		"c18 && true":  "circle: a → b → c → a",
		"nobody_knows": `nobody_knows is unknown`,
	} {
		circle := asking(when("a"))
		circle.Conditions = []ConditionSource{{Name: "a", CEL: "b"}, {Name: "b", CEL: "c || true"}, {Name: "c", CEL: "a"}}
		if strings.HasPrefix(text, "nobody") {
			circle.Conditions = []ConditionSource{{Name: "a", CEL: text}}
		}
		_, err := Compile(circle)
		var faults Faults
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), want) || len(faults) != 1 {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// One fault at the end of a long chain is told once, however often the conditions before
// it use each other: 3^20 times would never end.
func TestAFaultIsInheritedOnce(t *testing.T) {
	for last, want := range map[string]string{`attr.number >`: "c12", `attr.nobody == "x"`: "c12", `attr.number > 1 && c13`: "deep"} {
		src := asking(when("c0"))
		for i := range 40 {
			cel := fmt.Sprintf("c%d && c%d && c%d", i+1, i+1, i+1)
			if i == 12 {
				cel = last
			}
			src.Conditions = append(src.Conditions, ConditionSource{Name: fmt.Sprintf("c%d", i), CEL: cel})
		}
		src.Conditions = append(src.Conditions, ConditionSource{Name: "c40", CEL: "true"})
		_, err := Compile(src)
		var faults Faults
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), want) || len(faults) > 2 {
			t.Errorf("%s: %v, want %s", last, err, want)
		}
	}
}

// FuzzCompileCondition: whatever a condition says, it is refused with a reason, or says the
// same of a person each time it is asked.
func FuzzCompileCondition(f *testing.F) {
	for _, text := range append([]string{`attr.department.matches("a+$")`, "attr.zones.map(z, z + z).exists(z, z in user.groups)", "now<attr.issued?in_support:!lasting", `{"a": attr.number}["a"] == 7`,
		"has(attr.x)", "\"\\", "1/0==1||true", `attr.zones.filter(z, z.size() > 1).size() == 2`, "type(attr.number) == int", "[now].size() == 1"}, drawnConditions...) {
		f.Add(text, "Support", int64(7))
	}
	f.Fuzz(func(t *testing.T, text, department string, number int64) {
		p, err := Compile(asking(when(text)))
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 || faults[0].Message == "" || faults[0].Offset < 0 || faults[0].Offset > len(text) {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		facts := somebody(map[string]any{"department": department, "number": number, "issued": noon.Add(time.Hour), "zones": []any{department, "b"}}, department)
		one := Evaluate(p, facts, noon)
		if two := Evaluate(p, facts, noon); !reflect.DeepEqual(one, two) {
			t.Fatalf("%q says %+v and then %+v", text, one, two)
		}
		if !one.ValidUntil.IsZero() && !one.ValidUntil.After(noon) {
			t.Fatalf("%q: over when it is made: %v", text, one.ValidUntil)
		}
	})
}

// FuzzCompileRule: a rule is refused, or gives under the ceiling alone.
func FuzzCompileRule(f *testing.F) {
	f.Add("GL {fleet} Managers", "B {fleet}", "C", "standard @ pacific/ironbark/{fleet}", "GL Adelaide Managers", uint8(0))
	f.Add("A", "{account}-{fleet}", "", "standard @ pacific/{account}/{fleet}", "ironbark-adelaide", uint8(1))
	f.Add("{fleet}", "{fleet}", "x{fleet}", "elevated @ pacific/ironbark/{fleet}", "perth", uint8(2))
	f.Fuzz(func(t *testing.T, one, two, none, give, name string, how uint8) {
		r := RuleSource{ID: "r", From: "ironbark-entra", Give: give}
		refs := []GroupRef{{Group: one}, {Group: two}}
		switch how % 3 {
		case 0:
			r.Group = one
		case 1:
			r.All = refs
		case 2:
			r.Any = refs
		}
		if none != "" {
			r.None = []GroupRef{{Group: none}}
		}
		p, err := Compile(PolicySource{Scopes: pacific(), Connections: connections(), Rules: []RuleSource{r}})
		if err != nil {
			return
		}
		facts := Facts{Connection: "ironbark-entra", Active: true, Memberships: []Membership{{Group: "g1", Name: name}, {Group: "g2", Name: one}, {Group: "g3", Name: two}}}
		d := Evaluate(p, facts, noon)
		for _, w := range d.Want {
			if !p.Tree().Covers("iron", w.Scope) {
				t.Fatalf("%+v lies above the ceiling", w)
			}
		}
		quick := Decide(p, facts, noon)
		if !reflect.DeepEqual(quick.Want, d.Want) {
			t.Fatalf("%+v, told %+v", quick.Want, d.Want)
		}
	})
}
