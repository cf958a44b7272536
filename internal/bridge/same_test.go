package bridge_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestTheSameIsAnsweredInTheSameBytes: what a plan, an explanation, a list or a
// simulation says depends on what is so and on nothing else: not on what the bridge
// remembers, nor in which order a map is walked.
func TestTheSameIsAnsweredInTheSameBytes(t *testing.T) {
	t.Parallel()
	h := &history{world: newWorld(t), r: rand.New(rand.NewPCG(3, 17))}
	h.settleIn(8)
	for n := range 20 {
		h.step(n)
	}
	h.drain()
	then := h.clock.Now()
	next := h.validPolicy()
	next.Rules = append(next.Rules, ruleSource{ID: "counted", From: southern, Group: "Service Desk", Give: "standard @ southern", Mode: mapping.Shadow})
	h.drain()
	asked := map[string]func() (any, error){
		"plan": func() (any, error) { return h.bridge.PlanPolicy(h.ctx, next, bridge.PlanOptions{}) },
		"who can see": func() (any, error) {
			return h.bridge.WhoCanSee(h.ctx, bridge.HolderQuery{Scope: "southern/banksia", Limit: 100})
		},
		"who could": func() (any, error) {
			return h.bridge.WhoCanSee(h.ctx, bridge.HolderQuery{Scope: "southern/banksia", At: then, Limit: 100})
		},
		"who has": func() (any, error) {
			return h.bridge.WhoHas(h.ctx, bridge.HolderQuery{Grant: access.Standard, Limit: 100})
		},
		"policy diff":  func() (any, error) { return h.bridge.DiffPolicies(h.ctx, 1, h.store.PolicyVersion()) },
		"scopes":       func() (any, error) { return h.bridge.Scopes(h.ctx, ".", "", 100) },
		"applications": func() (any, error) { return h.bridge.Applications(h.ctx, 0, 100) },
		"simulation": func() (any, error) {
			return h.bridge.Simulate(h.ctx, bridge.Supposed{Connection: southern, AddGroups: []string{"Service Desk", "GL Geelong Managers", "Field Installers"}, Hypothetical: true, Policy: &next})
		},
	}
	h.clock.Add(1)
	for _, id := range h.people {
		asked["explain "+id] = func() (any, error) { return h.bridge.Explain(h.ctx, id, southern) }
		asked["explain past "+id] = func() (any, error) { return h.bridge.ExplainAt(h.ctx, id, southern, then) }
	}
	first := map[string][]byte{}
	for range 4 {
		h.forget()
		for what, ask := range asked {
			answer, err := ask()
			h.do(err)
			said, err := json.Marshal(answer)
			h.do(err)
			if first[what] == nil {
				first[what] = said
			} else if !bytes.Equal(first[what], said) {
				t.Errorf("%s was\n%s\nand now is\n%s", what, first[what], said)
			}
		}
	}
	if plan := h.plannedAs(next); len(plan.People) == 0 || len(plan.Findings) == 0 || len(plan.Shadow) == 0 {
		t.Errorf("the plan says too little to tell: %+v", plan)
	}
}

// plannedAs is a plan without the names that are made of the policy's own text.
func (w *world) plannedAs(src mapping.PolicySource) bridge.PolicyPlan {
	w.t.Helper()
	plan, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{})
	w.do(err)
	plan.Hash, plan.Policy = "", ""
	return plan
}

// TestAPlanDoesNotDependOnTheOrderOfCustomers: in which order a file names connections,
// scopes and the rules of different connections changes nothing of what a plan says.
func TestAPlanDoesNotDependOnTheOrderOfCustomers(t *testing.T) {
	t.Parallel()
	h := &history{world: newWorld(t), r: rand.New(rand.NewPCG(4, 17))}
	h.settleIn(6)
	h.group(banksia, "GL Geelong Managers", h.person(banksia, "sam@banksia.example", "oid-sam"))
	h.group(tundra, "gl-tromso-ops", h.person(tundra, "liv@tundra.example", "oid-liv"))
	h.drain()
	src := h.validPolicy()
	withoutRule("banksia-managers")(&src)
	withoutRule("tundra-ops")(&src)
	one, err := json.Marshal(h.plannedAs(src))
	h.do(err)
	for range 4 {
		mixed := src
		mixed.Connections, mixed.Scopes = slices.Clone(src.Connections), slices.Clone(src.Scopes)
		h.r.Shuffle(len(mixed.Connections), func(i, j int) {
			mixed.Connections[i], mixed.Connections[j] = mixed.Connections[j], mixed.Connections[i]
		})
		h.r.Shuffle(len(mixed.Scopes), func(i, j int) { mixed.Scopes[i], mixed.Scopes[j] = mixed.Scopes[j], mixed.Scopes[i] })
		two, err := json.Marshal(h.plannedAs(mixed))
		h.do(err)
		if !bytes.Equal(one, two) {
			t.Fatalf("in one order\n%s\nin another\n%s", one, two)
		}
	}
}
