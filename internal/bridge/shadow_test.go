package bridge_test

import (
	"maps"
	"testing"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestShadowRulesAreCounted: each person once for each rule, also who is in several
// groups that feed it; nobody who is inactive, and no rule that is enforced.
func TestShadowRulesAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if people, ok := w.bridge.ShadowPeople(); ok {
		t.Errorf("before the first count: %v", people)
	}
	a, b, c := w.person(tundra, "a@tundra.example", "a"), w.person(tundra, "b@tundra.example", "b"), w.person(tundra, "c@tundra.example", "c")
	w.group(tundra, "gl-office", a, b, c)
	w.group(tundra, "gl-tromso-desk", a)
	w.group(tundra, "gl-lulea-desk", a, b)
	w.patchUser(tundra, c, `{"op":"replace","path":"active","value":false}`)
	w.policy(func(p *mapping.PolicySource) {
		p.Rules = append(p.Rules, mapping.RuleSource{ID: "desks", From: tundra, Group: "gl-{fleet}-desk", Give: "standard @ boreal/tundra/{fleet}", Mode: mapping.Shadow},
			mapping.RuleSource{ID: "nobody", From: banksia, Group: "gl-office", Give: "standard @ southern/banksia", Mode: mapping.Shadow})
	})
	w.do(w.bridge.CountShadow(w.ctx))
	want := map[string]int64{"tundra-office": 2, "desks": 2, "nobody": 0}
	if got, ok := w.bridge.ShadowPeople(); !ok || !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	w.policy(func(p *mapping.PolicySource) {
		for i := range p.Rules {
			p.Rules[i].Mode = mapping.Enforce
		}
	})
	w.do(w.bridge.CountShadow(w.ctx))
	if got, _ := w.bridge.ShadowPeople(); len(got) > 0 {
		t.Errorf("nothing is in shadow, and %v is counted", got)
	}
}
