package bridge_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestAMoveIsPlannedAndThenDone: who gains and loses by it is shown first; nothing else
// happens, the id stays, and the former path leads on.
func TestAMoveIsPlannedAndThenDone(t *testing.T) {
	t.Parallel()
	w := stored(t)
	sam, lee := w.person(banksia, "sam@banksia.example", "oid-sam"), w.person(southern, "lee@southern.example", "oid-lee")
	w.group(banksia, "GL Geelong Managers", sam)
	_ = lee
	s := w.session(banksia, "oid-sam")
	id := w.scope("southern/banksia/geelong").ID
	move := bridge.ScopePlan{Do: bridge.MoveScope, At: "southern/banksia/geelong", Under: "southern/reefline"}
	plan, err := w.bridge.PlanScope(w.ctx, move, bridge.PlanOptions{})
	w.do(err)
	if plan.Summary.Losing != 1 || len(plan.People) != 1 || plan.People[0].UserName != "sam@banksia.example" || !plan.People[0].WithoutAccess {
		t.Errorf("the plan says %+v: %+v", plan.Summary, plan.People)
	}
	if b, _, _ := w.alive(s); !b || w.scope("southern/banksia/geelong").Path != "southern/banksia/geelong" {
		t.Error("planning a move changed something")
	}
	again, err := w.bridge.PlanScope(w.ctx, move, bridge.PlanOptions{})
	w.do(err)
	if again.Hash != plan.Hash {
		t.Errorf("planned again it is %s, not %s", again.Hash, plan.Hash)
	}
	_, err = w.bridge.ApplyPlan(w.ctx, plan.Hash, accepting(plan))
	w.do(err)
	if now := w.scope("southern/banksia/geelong"); now.ID != id || now.Path != "southern/reefline/geelong" || !slices.Contains(now.Formerly, "southern/banksia/geelong") {
		t.Errorf("after the move it is %+v", now)
	}
	w.allDead(s, "after the fleet left the customer")
	w.restart()
	if now := w.scope("southern/reefline/geelong"); now.ID != id {
		t.Errorf("after a restart it is %+v", now)
	}
	if _, err := w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern/banksia", Slug: "geelong", Name: "Another", TimeZone: "Australia/Melbourne"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("the former path came to mean another scope: %v", err)
	}
	back, err := w.bridge.PlanScope(w.ctx, bridge.ScopePlan{Do: bridge.MoveScope, At: string(id), Under: "southern/banksia"}, bridge.PlanOptions{})
	w.do(err)
	_, err = w.bridge.ApplyPlan(w.ctx, back.Hash, accepting(back))
	w.do(err)
	w.settle()
	if held := w.holds("sam@banksia.example"); !slices.Contains(held, "primary standard @ southern/banksia/geelong") || len(w.scope(string(id)).Formerly) != 1 {
		t.Errorf("moved back: %v", held)
	}
	for what, wrong := range map[string]bridge.ScopePlan{
		"to itself":        {Do: bridge.MoveScope, At: "southern/banksia/geelong", Under: "southern/banksia"},
		"a level too high": {Do: bridge.MoveScope, At: "southern/banksia/geelong", Under: "southern"},
		"below a fleet":    {Do: bridge.MoveScope, At: "southern/banksia/geelong", Under: "southern/banksia/hobart"},
		"the host":         {Do: bridge.MoveScope, At: ".", Under: "southern"},
		"no deed":          {Do: "burn", At: "southern"},
		"the host's end":   {Do: bridge.RetireScope, At: "."},
		"what lives":       {Do: bridge.RestoreScope, At: "southern"},
	} {
		if _, err := w.bridge.PlanScope(w.ctx, wrong, bridge.PlanOptions{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAMoveSaysWhoSeesOtherThings: what people are given stays the same, and yet one
// customer's people come to see another's fleet, and its own see it no longer.
func TestAMoveSaysWhoSeesOtherThings(t *testing.T) {
	t.Parallel()
	w := stored(t)
	w.group(banksia, "GL Account Admins", w.person(banksia, "ada@banksia.example", "oid-ada"))
	w.group(banksia, "GL FIP Contacts", w.person(banksia, "noor@banksia.example", "oid-noor"))
	w.group(tundra, "gl-safety", w.person(tundra, "liv@tundra.example", "oid-liv"))
	w.policy(guardedBy(mapping.Guard{Losing: number(0)}, func(p *mapping.PolicySource) { inStore(t, p) }))
	plan, err := w.bridge.PlanScope(w.ctx, bridge.ScopePlan{Do: bridge.MoveScope, At: "southern/banksia/geelong", Under: "boreal/tundra"}, bridge.PlanOptions{})
	w.do(err)
	var told []string
	for _, p := range plan.People {
		for _, h := range p.Alters {
			told = append(told, fmt.Sprint(p.UserName, " ", h.Is, " ", h.Was, " ", h.Narrows))
		}
	}
	want := []string{"ada@banksia.example administrator @ southern/banksia [with southern/banksia/geelong below it] true",
		"liv@tundra.example elevated @ boreal/tundra [without boreal/tundra/geelong below it] false"}
	if !slices.Equal(told, want) || plan.Summary.Losing != 1 || plan.Summary.Altered != 2 || plan.Summary.WithoutAccess != 0 {
		t.Errorf("the plan says %q, %+v", told, plan.Summary)
	}
	_, err = w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{})
	w.refusedAs(err, fault.Denied, bridge.ReasonGuard, nil)
	w.group(southern, "Service Desk", w.person(southern, "max@southern.example", "oid-max"))
	_, err = w.bridge.ApplyPlan(w.ctx, plan.Hash, accepting(plan))
	w.refusedAs(err, fault.Stale, bridge.ReasonUnreviewed, []string{"max@southern.example"})
}

// TestAMoveSaysWhoSeesOtherThingsByWhatTheyHaveNotBeenGivenYet: a policy gives it, and the
// background work has not come to them.
func TestAMoveSaysWhoSeesOtherThingsByWhatTheyHaveNotBeenGivenYet(t *testing.T) {
	t.Parallel()
	w := stored(t)
	w.group(banksia, "Newcomers", w.person(banksia, "ada@banksia.example", "oid-ada"))
	w.policy(func(p *mapping.PolicySource) {
		inStore(t, p)
		p.Rules = append(p.Rules, ruleSource{ID: "newcomers", From: banksia, Group: "Newcomers", Give: "administrator @ southern/banksia"})
	})
	plan, err := w.bridge.PlanScope(w.ctx, bridge.ScopePlan{Do: bridge.MoveScope, At: "southern/banksia/geelong", Under: "boreal/tundra"}, bridge.PlanOptions{})
	w.do(err)
	if s := plan.Summary; len(plan.People) != 1 || s.Altered != 1 || s.Losing != 1 || s.Gaining != 0 {
		t.Errorf("the plan says %+v of %+v", s, plan.People)
	}
}

// TestOneOfTwoChangesAtOnceIsStale: a plan is against one tree.
func TestOneOfTwoChangesAtOnceIsStale(t *testing.T) {
	t.Parallel()
	w := stored(t)
	var plans []bridge.PolicyPlan
	for _, at := range []string{"southern/banksia/geelong", "southern/banksia/hobart"} {
		p, err := w.bridge.PlanScope(w.ctx, bridge.ScopePlan{Do: bridge.MoveScope, At: at, Under: "southern/reefline"}, bridge.PlanOptions{})
		w.do(err)
		plans = append(plans, p)
	}
	_, err := w.bridge.ApplyPlan(w.ctx, plans[1].Hash, accepting(plans[1]))
	w.do(err)
	if _, err := w.bridge.ApplyPlan(w.ctx, plans[0].Hash, bridge.ApplyOptions{}); !fault.Is(err, fault.Stale) {
		t.Errorf("the second of two: %v", err)
	}
	if p := w.scope("southern/banksia/geelong").Path; p != "southern/banksia/geelong" {
		t.Errorf("it lies at %s", p)
	}
}

// TestARetiredAccountTakesAllBelowIt: what was given there ends, rules that name it give
// nothing and are shown, also after a restart; it can be restored, planned again.
func TestARetiredAccountTakesAllBelowIt(t *testing.T) {
	t.Parallel()
	w := stored(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	s := w.session(banksia, "oid-sam")
	plan, err := w.bridge.PlanScope(w.ctx, bridge.ScopePlan{Do: bridge.RetireScope, At: "southern/banksia"}, bridge.PlanOptions{})
	w.do(err)
	named := slices.ContainsFunc(plan.Findings, func(f bridge.PlanFinding) bool {
		return f.Code == bridge.FindingScopeLeft && f.Rule == "banksia-managers"
	})
	if plan.Summary.WithoutAccess != 1 || !named {
		t.Errorf("the plan says %+v, finds %+v", plan.Summary, plan.Findings)
	}
	_, err = w.bridge.ApplyPlan(w.ctx, plan.Hash, accepting(plan))
	w.do(err)
	w.allDead(s, "after the account was retired")
	w.restart()
	w.allDead(s, "after a restart")
	fleet := w.scope("southern/banksia/geelong")
	if fleet.Retired == nil || fleet.Path != "southern/banksia/geelong" {
		t.Errorf("its fleet is %+v", fleet)
	}
	if _, err := w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern/banksia", Slug: "x", Name: "X", TimeZone: "Australia/Perth"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("added below what is retired: %v", err)
	}
	w.policy(func(p *mapping.PolicySource) { inStore(t, p) }) // the file is read again, and names it still
	back, err := w.bridge.PlanScope(w.ctx, bridge.ScopePlan{Do: bridge.RestoreScope, At: "southern/banksia"}, bridge.PlanOptions{})
	w.do(err)
	if back.Summary.Gaining != 1 {
		t.Errorf("restoring it: %+v", back.Summary)
	}
	_, err = w.bridge.ApplyPlan(w.ctx, back.Hash, accepting(back))
	w.do(err)
	w.settle()
	if held := w.holds("sam@banksia.example"); !slices.Contains(held, "primary standard @ southern/banksia/geelong") {
		t.Errorf("restored: %v", held)
	}
	w.allDead(s, "after the account was restored: nothing older revives")
}

// TestANameIsTakenAwayByAPlan: what add and rename refuse can be planned.
func TestANameIsTakenAwayByAPlan(t *testing.T) {
	t.Parallel()
	w := stored(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Depot Managers", sam)
	if held := w.holds("sam@banksia.example"); len(held) == 0 {
		t.Fatal("the sample does not name fleets by their names")
	}
	plan, err := w.bridge.PlanScope(w.ctx, bridge.ScopePlan{Do: bridge.RenameScope, At: "southern/banksia/geelong", Description: access.Description{Name: text("Corio")}}, bridge.PlanOptions{})
	w.do(err)
	if plan.Summary.Losing != 1 {
		t.Errorf("the plan says %+v", plan.Summary)
	}
	_, err = w.bridge.ApplyPlan(w.ctx, plan.Hash, accepting(plan))
	w.do(err)
	w.settle()
	if held := w.holds("sam@banksia.example"); len(held) != 0 || w.scope("southern/banksia/geelong").Name != "Corio" {
		t.Errorf("holds %v", held)
	}
}

// accepting approves by name all that guards of a plan refuse.
func accepting(plan bridge.PolicyPlan) bridge.ApplyOptions {
	o := bridge.ApplyOptions{Author: "ops", Reason: "planned with the customer"}
	for _, g := range plan.Guards {
		switch g.Guard {
		case bridge.GuardLosing:
			o.Approvals.Losing = g.Names
		case bridge.GuardWithoutAccess:
			o.Approvals.WithoutAccess = g.Names
		default:
			o.Approvals.Administrators = g.Names
		}
	}
	return o
}
