package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// policyPlan plans the sample policy with a change.
func (w *world) policyPlan(change func(*mapping.PolicySource)) bridge.PolicyPlan {
	w.t.Helper()
	src := samplePolicy(w.t)
	change(&src)
	plan, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{File: "rules.yaml", Text: []byte("rules: …"), Author: "ops@vendor.example"})
	w.do(err)
	return plan
}

// managers is a world in which sam, kim and pat manage Geelong and ada administers the
// account; the guard allows what it says.
func managers(t *testing.T, guard mapping.Guard) *world {
	t.Helper()
	w := newWorld(t)
	var all []string
	for _, name := range []string{"sam", "kim", "pat"} {
		all = append(all, w.person(banksia, name+"@banksia.example", "oid-"+name))
	}
	w.group(banksia, "GL Geelong Managers", all...)
	w.group(banksia, "GL Account Admins", w.person(banksia, "ada@banksia.example", "oid-ada"))
	w.policy(guardedBy(guard, unchanged))
	return w
}

func guardedBy(g mapping.Guard, change func(*mapping.PolicySource)) func(*mapping.PolicySource) {
	return func(p *mapping.PolicySource) {
		p.Guard = g
		change(p)
	}
}

func number(n int64) *mapping.Share { return &mapping.Share{People: n} }

var anything = mapping.Guard{Losing: number(1000), WithoutAccess: number(1000), Administrators: new(int64)}

// TestApplyDoesWhatWasReviewed: the plan's losers lose, nobody else does; how it came to
// be is kept; and a plan that has been applied is done.
func TestApplyDoesWhatWasReviewed(t *testing.T) {
	t.Parallel()
	w := managers(t, anything)
	sam, ada := w.session(banksia, "oid-sam"), w.session(banksia, "oid-ada")
	plan := w.policyPlan(guardedBy(anything, withoutRule("banksia-managers")))
	done, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{Author: "ops@vendor.example"})
	w.do(err)
	if !done.Changed || done.Version != plan.Base+1 {
		t.Errorf("%+v came of a plan on version %d", done, plan.Base)
	}
	w.allDead(sam, "after the plan that took all")
	if b, _, _ := w.alive(ada); !b {
		t.Error("somebody whom the plan did not show was signed out")
	}
	again, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{})
	if err != nil || again.Changed || again.Version != done.Version {
		t.Errorf("applied again: %+v (%v)", again, err)
	}
	all, err := w.bridge.Applications(w.ctx, 0, 1)
	w.do(err)
	if a := all[0]; a.Version != done.Version || a.Plan != plan.Hash || a.Author != "ops@vendor.example" || a.File != "rules.yaml" || a.Summary.Losing != 3 || a.Summary.WithoutAccess != 3 {
		t.Errorf("it is kept as %+v", a)
	}
	text, err := w.bridge.Application(w.ctx, done.Version)
	if err != nil || text.Text != "rules: …" || len(text.Source) == 0 {
		t.Errorf("it says %q (%v)", text.Text, err)
	}
}

// TestApplyRefusesWhatWasNotReviewed: between the plan and its application something
// happens. Whoever joins without losing anything does not make it stale.
func TestApplyRefusesWhatWasNotReviewed(t *testing.T) {
	t.Parallel()
	takes := guardedBy(anything, withoutRule("banksia-managers"))
	for name, c := range map[string]struct {
		meanwhile func(*world, *bridge.ApplyOptions)
		kind      fault.Kind
		reason    string
		who       []string // who would lose what was not shown
	}{
		"nothing":                 {func(*world, *bridge.ApplyOptions) {}, 0, "", nil},
		"somebody joins, no rule": {func(w *world, _ *bridge.ApplyOptions) { w.person(banksia, "new@banksia.example", "oid-new") }, 0, "", nil},
		"somebody gains": {func(w *world, _ *bridge.ApplyOptions) {
			w.group(southern, "Service Desk", w.person(southern, "new@southern.example", "oid-new"))
		}, 0, "", nil},
		"who was shown leaves": {func(w *world, _ *bridge.ApplyOptions) {
			w.must(204, banksia, "DELETE", "/Users/"+w.idOf("pat@banksia.example"), "")
		}, 0, "", nil},
		"somebody would lose": {func(w *world, _ *bridge.ApplyOptions) {
			w.group(banksia, "GL Hobart Managers", w.person(banksia, "new@banksia.example", "oid-new"))
		}, fault.Stale, bridge.ReasonUnreviewed, []string{"new@banksia.example"}},
		"another policy": {func(w *world, _ *bridge.ApplyOptions) { w.policy(guardedBy(anything, withoutRule("southern-support"))) }, fault.Stale, bridge.ReasonMoved, nil},
		"another policy, and back": {func(w *world, _ *bridge.ApplyOptions) {
			w.policy(guardedBy(anything, withoutRule("southern-support")))
			w.policy(guardedBy(anything, unchanged))
		}, fault.Stale, bridge.ReasonMoved, nil},
		"the file is the plan's": {func(w *world, o *bridge.ApplyOptions) {
			src := samplePolicy(w.t)
			takes(&src)
			o.Source = &src
		}, 0, "", nil},
		"the file is another": {func(w *world, o *bridge.ApplyOptions) {
			src := samplePolicy(w.t)
			o.Source = &src
		}, fault.Stale, bridge.ReasonMoved, nil},
		"an approval without a reason": {func(_ *world, o *bridge.ApplyOptions) { o.Approvals.Losing = []string{"sam@banksia.example"} }, fault.Invalid, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := managers(t, anything)
			plan := w.policyPlan(takes)
			o := bridge.ApplyOptions{}
			c.meanwhile(w, &o)
			before, err := w.bridge.PolicyInForce(w.ctx)
			w.do(err)
			_, err = w.bridge.ApplyPlan(w.ctx, plan.Hash, o)
			w.refusedAs(err, c.kind, c.reason, c.who)
			after, err2 := w.bridge.PolicyInForce(w.ctx)
			w.do(err2)
			if (after.Version == before.Version) != (err != nil) {
				t.Errorf("version %d follows %d although %v", after.Version, before.Version, err)
			}
		})
	}
}

func (w *world) refusedAs(err error, kind fault.Kind, reason string, who []string) {
	w.t.Helper()
	if (err == nil) != (kind == 0) || err != nil && (!fault.Is(err, kind) || fault.ReasonOf(err) != reason) {
		w.t.Fatalf("%v, want %s with the reason %q", err, kind, reason)
	}
	var r *bridge.Refusal
	var names []string
	if errors.As(err, &r) {
		for _, p := range r.People {
			names = append(names, p.UserName)
		}
	}
	if !slices.Equal(names, who) {
		w.t.Errorf("it is refused because of %v, want %v", names, who)
	}
}

func (w *world) idOf(userName string) string {
	w.t.Helper()
	found, err := w.bridge.Explain(w.ctx, userName, "")
	w.do(err)
	return string(found[0].Person)
}

// TestWhatHappensBehindTheSnapshotIsSeen: somebody comes to lose something after the
// directory was looked at again and before the commit.
func TestWhatHappensBehindTheSnapshotIsSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happens func(*world)
		who     []string
	}{
		"a member":        {func(w *world) { w.addMember(banksia, w.groupID("GL Geelong Managers"), w.idOf("new@banksia.example")) }, []string{"new@banksia.example"}},
		"a renamed group": {func(w *world) { w.renameGroup(w.groupID("Nothing"), "GL Hobart Managers") }, []string{"new@banksia.example"}},
		"a joiner":        {func(w *world) { w.addMember(banksia, w.groupID("GL Account Admins"), w.idOf("new@banksia.example")) }, nil},
		"nobody's loss":   {func(w *world) { w.person(banksia, "other@banksia.example", "oid-other") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := managers(t, anything)
			w.group(banksia, "Nothing", w.person(banksia, "new@banksia.example", "oid-new"))
			plan := w.policyPlan(guardedBy(anything, withoutRule("banksia-managers")))
			looks := 0
			w.clock.look = func() {
				if looks++; looks == 2 { // the first begins the plan made again, the second the transaction
					w.clock.look = nil
					c.happens(w)
				}
			}
			_, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{})
			w.clock.look = nil
			if c.who == nil {
				w.do(err)
				return
			}
			w.refusedAs(err, fault.Stale, bridge.ReasonUnreviewed, c.who)
		})
	}
}

func (w *world) groupID(name string) string {
	w.t.Helper()
	found := w.must(200, banksia, "GET", "/Groups?filter=displayName%20eq%20%22"+url.PathEscape(name)+"%22", "")["Resources"].([]any)
	return found[0].(map[string]any)["id"].(string)
}

func (w *world) renameGroup(group, name string) {
	w.t.Helper()
	w.must(204, banksia, "PATCH", "/Groups/"+group, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":%q}]}`, name))
}

// TestGuardsRefuse: what the guard of the policy in force does not allow is approved by
// name, of everybody, with a reason; and approvals are kept.
func TestGuardsRefuse(t *testing.T) {
	t.Parallel()
	three := []string{"kim@banksia.example", "pat@banksia.example", "sam@banksia.example"}
	strict := mapping.Guard{Losing: number(2), WithoutAccess: number(2)}
	takes := guardedBy(anything, withoutRule("banksia-managers")) // a looser guard of its own does not help
	account := "southern/banksia"
	for name, c := range map[string]struct {
		guard     mapping.Guard
		change    func(*mapping.PolicySource)
		approvals bridge.Approvals
		refused   map[string][]string // by guard: who is not approved
	}{
		"few enough":               {mapping.Guard{Losing: number(3), WithoutAccess: number(3)}, takes, bridge.Approvals{}, nil},
		"too many":                 {strict, takes, bridge.Approvals{}, map[string][]string{bridge.GuardLosing: three, bridge.GuardWithoutAccess: three}},
		"too many, by the default": {mapping.Guard{}, takes, bridge.Approvals{}, map[string][]string{bridge.GuardLosing: three, bridge.GuardWithoutAccess: three}},
		"approved in part":         {strict, takes, bridge.Approvals{WithoutAccess: three[:2]}, map[string][]string{bridge.GuardLosing: three[2:], bridge.GuardWithoutAccess: three[2:]}},
		"approved":                 {strict, takes, bridge.Approvals{WithoutAccess: three}, nil},
		"approved to lose only":    {strict, takes, bridge.Approvals{Losing: three}, map[string][]string{bridge.GuardWithoutAccess: three}},
		"by a number":              {strict, takes, bridge.Approvals{WithoutAccess: []string{"3"}}, map[string][]string{bridge.GuardLosing: three, bridge.GuardWithoutAccess: three}},
		"the last administrator":   {mapping.Guard{Losing: number(9), WithoutAccess: number(9)}, withoutRule("banksia-admins"), bridge.Approvals{}, map[string][]string{bridge.GuardAdministrators: {account}}},
		"the last, approved":       {mapping.Guard{Losing: number(9), WithoutAccess: number(9)}, withoutRule("banksia-admins"), bridge.Approvals{Administrators: []string{account}}, nil},
		"none need be kept":        {anything, withoutRule("banksia-admins"), bridge.Approvals{}, nil},
		"two, where there is one":  {mapping.Guard{Losing: number(9), WithoutAccess: number(9), Administrators: new(int64(2))}, withoutRule("banksia-admins"), bridge.Approvals{}, map[string][]string{bridge.GuardAdministrators: {account}}},
		"two, and the one stays":   {mapping.Guard{Losing: number(9), WithoutAccess: number(9), Administrators: new(int64(2))}, takes, bridge.Approvals{}, nil},
		"the last, for a while":    {mapping.Guard{Losing: number(9), WithoutAccess: number(9)}, adminsUntil(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)), bridge.Approvals{}, map[string][]string{bridge.GuardAdministrators: {account}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := managers(t, c.guard)
			plan := w.policyPlan(c.change)
			o := bridge.ApplyOptions{Author: "ops", Approvals: c.approvals, Reason: "CASE-7"}
			_, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, o)
			var r *bridge.Refusal
			refused := map[string][]string{}
			if errors.As(err, &r) {
				for _, g := range r.Guards {
					refused[g.Guard] = g.Names
				}
			}
			if fmt.Sprint(refused) != fmt.Sprint(orNone(c.refused)) || (err == nil) != (c.refused == nil) {
				t.Fatalf("refused are %v, want %v (%v)", refused, c.refused, err)
			}
			if err != nil {
				w.refusedAs(err, fault.Denied, bridge.ReasonGuard, nil)
				return
			}
			all, err := w.bridge.Applications(w.ctx, 0, 1)
			w.do(err)
			if got := all[0]; fmt.Sprint(got.Approvals) != fmt.Sprint(c.approvals) || got.Reason != "CASE-7" {
				t.Errorf("kept are %v for %q", got.Approvals, got.Reason)
			}
		})
	}
}

// TestACustomerIsFewAmongAll: a share is of everybody, and of each connection's people.
func TestACustomerIsFewAmongAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var many []string
	for i := range 40 {
		name := fmt.Sprintf("m%d@banksia.example", i)
		many = append(many, w.person(banksia, name, "oid-"+name))
	}
	w.group(banksia, "GL Geelong Managers", many...)
	w.group(southern, "Service Desk", w.person(southern, "a@southern.example", "oid-a"), w.person(southern, "b@southern.example", "oid-b"))
	w.policy(unchanged)
	takes := withoutRule("southern-support")
	plan := w.policyPlan(takes)
	both := []string{"a@southern.example", "b@southern.example"}
	found := map[string][]string{}
	for _, g := range plan.Guards {
		found[g.Guard] = g.Names
		if g.Limit != 1 || g.Found != 2 {
			t.Errorf("found %+v", g)
		}
	}
	if want := map[string][]string{bridge.GuardLosing: both, bridge.GuardWithoutAccess: both}; fmt.Sprint(found) != fmt.Sprint(want) {
		t.Fatalf("a plan that takes all from a customer is held back by %v, want %v", found, want)
	}
	if _, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{}); fault.ReasonOf(err) != bridge.ReasonGuard {
		t.Fatalf("it is applied, or refused for another reason: %v", err)
	}
	if _, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{Approvals: bridge.Approvals{WithoutAccess: both}, Reason: "the customer left"}); err != nil {
		t.Errorf("approved by name: %v", err)
	}
}

// adminsUntil lets the account's administrators be that for a while only.
func adminsUntil(end time.Time) func(*mapping.PolicySource) {
	return func(p *mapping.PolicySource) {
		for i := range p.Rules {
			if p.Rules[i].ID == "banksia-admins" {
				p.Rules[i].Until = end
			}
		}
	}
}

// TestNobodyIsApprovedOfByAnothersName: a userName of one connection may look like somebody
// of another as they are approved of.
func TestNobodyIsApprovedOfByAnothersName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(banksia, "GL Geelong Managers", w.person(banksia, "sam", "oid-sam"))
	w.group(southern, "Service Desk", w.person(southern, "sam", "oid-other"), w.person(southern, string(banksia)+"/sam", "oid-tricky"))
	w.policy(guardedBy(mapping.Guard{Losing: number(0), WithoutAccess: number(9)}, unchanged))
	plan := w.policyPlan(func(p *mapping.PolicySource) { p.Rules = nil; p.Tests = nil })
	names := plan.Guards[0].Names
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != 3 {
		t.Errorf("three people are approved of as %q", names)
	}
}

func orNone(m map[string][]string) map[string][]string {
	if m == nil {
		return map[string][]string{}
	}
	return m
}

// TestAPlanWhoseTestsFailIsNotApplied: nor is there a plan that nobody made.
func TestAPlanWhoseTestsFailIsNotApplied(t *testing.T) {
	t.Parallel()
	w := managers(t, anything)
	no := "none"
	plan := w.policyPlan(guardedBy(anything, func(p *mapping.PolicySource) {
		p.Tests = []mapping.TestSource{{Name: "nobody manages", As: mapping.TestPerson{From: banksia, Groups: []mapping.TestGroup{{GroupRef: mapping.GroupRef{Group: "GL Geelong Managers"}}}}, Primary: &no}}
	}))
	_, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{})
	w.refusedAs(err, fault.Invalid, bridge.ReasonTestsFail, nil)
	if _, err := w.bridge.ApplyPlan(w.ctx, "0123456789ab", bridge.ApplyOptions{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a plan that nobody made: %v", err)
	}
}

// TestOfTwoPlansOneIsApplied: two people apply at once what they reviewed at once.
func TestOfTwoPlansOneIsApplied(t *testing.T) {
	t.Parallel()
	w := managers(t, anything)
	plans := []bridge.PolicyPlan{w.policyPlan(guardedBy(anything, withoutRule("banksia-managers"))), w.policyPlan(guardedBy(anything, withoutRule("southern-support")))}
	errs := make([]error, len(plans))
	var both sync.WaitGroup
	for i, p := range plans {
		both.Go(func() { _, errs[i] = w.bridge.ApplyPlan(w.ctx, p.Hash, bridge.ApplyOptions{}) })
	}
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("both end alike: %v, %v", errs[0], errs[1])
	}
	if err := errors.Join(errs...); !fault.Is(errs[0], fault.Stale) && !fault.Is(errs[1], fault.Stale) {
		t.Errorf("the second is not told that it is stale: %v", err)
	}
}

// viewed tells of every read of the directory before it begins.
type viewed struct {
	store.Engine
	tell *func()
}

func (e viewed) View(ctx context.Context, fn func(store.Querier) error) error {
	(*e.tell)()
	return e.Engine.View(ctx, fn)
}

// TestAPlanIsNotPutOnTopOfAnother: whenever another policy comes in force while a plan is
// applied, the plan was against what is no more.
func TestAPlanIsNotPutOnTopOfAnother(t *testing.T) {
	t.Parallel()
	tell := func() {}
	w := newWorld(t, func(w *world) { w.aroundStore = func(e store.Engine) store.Engine { return viewed{e, &tell} } })
	w.policy(guardedBy(anything, unchanged))
	noted := func(note string) func(*mapping.PolicySource) {
		return guardedBy(anything, func(p *mapping.PolicySource) { p.Rules = slices.Clone(p.Rules); p.Rules[0].Note = note })
	}
	for n := int64(1); ; n++ {
		plan := w.policyPlan(noted(fmt.Sprint("planned ", n)))
		var reads atomic.Int64
		tell = func() {
			if reads.Add(1) == n {
				w.policy(noted(fmt.Sprint("meanwhile ", n)))
			}
		}
		done, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{})
		all := reads.Load()
		tell = func() {}
		if all < n {
			break
		}
		if err == nil && done.Version != plan.Base+1 {
			t.Fatalf("at read %d: a plan against version %d came to be version %d", n, plan.Base, done.Version)
		}
		if err != nil {
			w.refusedAs(err, fault.Stale, bridge.ReasonMoved, nil)
		}
	}
}

// TestAVersionIsBroughtBack: planned, and applied like anything else; and so is the way
// back again.
func TestAVersionIsBroughtBack(t *testing.T) {
	t.Parallel()
	w := managers(t, anything)
	one, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	w.policy(guardedBy(anything, withoutRule("banksia-managers")))
	w.drain()
	if got := w.holds("sam@banksia.example"); len(got) != 0 {
		t.Fatalf("sam holds %v", got)
	}
	two, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	back := func(version int64, hash string) {
		t.Helper()
		plan, err := w.bridge.PlanRevert(w.ctx, version, bridge.PlanOptions{Author: "ops"})
		w.do(err)
		done, err := w.bridge.ApplyPlan(w.ctx, plan.Hash, bridge.ApplyOptions{Author: "ops"})
		w.do(err)
		if !done.Changed || done.Hash != hash {
			t.Errorf("version %d is brought back as %+v, and had the hash %s", version, done, hash)
		}
		all, err := w.bridge.Applications(w.ctx, 0, 1)
		w.do(err)
		if all[0].Reverts != version {
			t.Errorf("it is kept as %+v", all[0])
		}
		w.drain()
	}
	back(one.Version, one.Hash)
	if got := w.holds("sam@banksia.example"); len(got) != 1 {
		t.Errorf("brought back, sam holds %v", got)
	}
	back(two.Version, two.Hash)
	if got := w.holds("sam@banksia.example"); len(got) != 0 {
		t.Errorf("the way back taken back, sam holds %v", got)
	}
	if _, err := w.bridge.PlanRevert(w.ctx, 99, bridge.PlanOptions{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a version that never was: %v", err)
	}
	d, err := w.bridge.DiffPolicies(w.ctx, one.Version, 0)
	w.do(err)
	if len(d.Changes) != 1 || d.Changes[0].Part != "rule" || d.Changes[0].ID != "banksia-managers" || d.Changes[0].Change != "removed" {
		t.Errorf("different is %+v", d.Changes)
	}
}

// TestAFileIsTakenOnlyWhenItChanges: what was applied by hand is not undone by a start
// with the file of before; a file that changed is planned and held against the guard.
func TestAFileIsTakenOnlyWhenItChanges(t *testing.T) {
	t.Parallel()
	w := managers(t, mapping.Guard{})
	file := func(change func(*mapping.PolicySource)) bridge.PolicyFile {
		src := samplePolicy(t)
		change(&src)
		return bridge.PolicyFile{Source: src, Name: "drawbridge.yaml", Text: []byte("…")}
	}
	reload := func(name string, change func(*mapping.PolicySource), changed, kept bool) {
		t.Helper()
		out, err := w.bridge.Reload(w.ctx, file(change))
		if err != nil || out.Applied.Changed != changed || out.Kept != kept {
			t.Errorf("%s: %+v (%v)", name, out, err)
		}
	}
	first := withoutRule("southern-support")
	reload("the file changed", first, true, false)
	reload("the file again", first, false, false)
	w.policy(withoutRule("southern-installers"))
	w.restart()
	reload("the file of before, over what was applied by hand", first, false, true)
	reload("a file that says what is in force", withoutRule("southern-installers"), false, false)
	reload("it again", withoutRule("southern-installers"), false, false)
	before, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	cuts := withoutRule("banksia-managers")
	out, err := w.bridge.Reload(w.ctx, file(cuts))
	w.refusedAs(err, fault.Denied, bridge.ReasonGuard, nil)
	after, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	if after.Version != before.Version {
		t.Error("a refused file is in force")
	}
	_, err = w.bridge.ApplyPlan(w.ctx, out.Plan, bridge.ApplyOptions{Approvals: bridge.Approvals{WithoutAccess: []string{"sam@banksia.example", "kim@banksia.example", "pat@banksia.example"}}, Reason: "they moved"})
	w.do(err)
	reload("the file that was approved", cuts, false, false)
	all, err := w.bridge.Applications(w.ctx, 0, 10)
	w.do(err)
	if a := all[len(all)-2]; a.Author != bridge.FileAuthor || a.File != "drawbridge.yaml" {
		t.Errorf("the file's own is kept as %+v", a)
	}
}
