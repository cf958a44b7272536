package bridge_test

import (
	"maps"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestAConditionThatCannotBeToldIsCounted: by rule, once for each decision that was
// committed; looking counts nothing.
func TestAConditionThatCannotBeToldIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(func(p *mapping.PolicySource) {
		for i := range p.Rules {
			if p.Rules[i].ID == "banksia-managers" {
				p.Rules[i].When = `user.groups[7] == "none has so many"`
			}
		}
	})
	if got := w.bridge.RuleErrors(); len(got) > 0 {
		t.Errorf("nobody was decided, and %v", got)
	}
	sam := w.person(banksia, "sam@banksia.example", "sam")
	w.group(banksia, "GL Geelong Managers", sam)
	want := map[string]int64{"banksia-managers": 1}
	if got := w.bridge.RuleErrors(); !maps.Equal(got, want) || len(w.holds("sam@banksia.example")) > 0 {
		t.Errorf("%v, want %v; sam holds %v", got, want, w.holds("sam@banksia.example"))
	}
	w.simulate(bridge.Supposed{Person: sam})
	if got := w.bridge.RuleErrors(); !maps.Equal(got, want) {
		t.Errorf("looking counts: %v", got)
	}
}

// TestAttributesMayBeSupposed: of the types that the schemas have, and none at all.
func TestAttributesMayBeSupposed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(func(p *mapping.PolicySource) {
		p.Attributes = []mapping.AttributeSource{{Name: "kind", From: "userType"}}
		for i := range p.Rules {
			if p.Rules[i].ID == "banksia-managers" {
				p.Rules[i].When = `attr.kind == "Employee"`
			}
		}
	})
	sam := w.person(banksia, "sam@banksia.example", "sam")
	w.group(banksia, "GL Geelong Managers", sam)
	with := func(value any) bridge.Supposed {
		return bridge.Supposed{Person: sam, Attributes: map[string]any{"kind": value}}
	}
	if got := w.simulate(with("Employee")); len(got.Then.Holds) != 1 || len(got.Now.Holds) != 0 || got.Test.As.Attributes["kind"] != "Employee" {
		t.Errorf("%+v", got)
	}
	if got := w.simulate(with(nil)); len(got.Then.Holds) != 0 {
		t.Errorf("without the attribute: %+v", got.Then)
	}
	if _, err := w.bridge.Simulate(w.ctx, with(5.0)); err == nil {
		t.Error("a number is taken for text")
	}
}
