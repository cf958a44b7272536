package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// standing is what everybody holds and where every live session stands, by the rows.
type standing struct {
	policy *mapping.Policy
	tree   refTree
	held   map[string][]access.Assignment // by connection and userName
	state  map[session.ID]session.State
	audit  int64
}

// stands reads it. People of a connection that has ended hold nothing.
func (w *world) stands() standing {
	w.t.Helper()
	s := standing{held: map[string][]access.Assignment{}, state: map[session.ID]session.State{}}
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		row, err := v.Policy()
		if err != nil {
			return err
		}
		var src mapping.PolicySource
		if err := json.Unmarshal(row.Source, &src); err != nil {
			return err
		}
		if s.policy, err = mapping.Compile(src); err != nil {
			return err
		}
		s.tree = treeOf(src.Scopes)
		if s.audit, err = v.AuditPosition(); err != nil {
			return err
		}
		conns, err := v.Connections()
		if err != nil {
			return err
		}
		for _, c := range conns {
			if err := w.standsIn(v, c, &s); err != nil {
				return err
			}
		}
		return nil
	}))
	return s
}

func (w *world) standsIn(v *store.View, c store.ConnectionRow, s *standing) error {
	dir, err := v.In(c.ID)
	if err != nil {
		return err
	}
	people, _, err := dir.People(store.Query{Start: 1, Count: store.MaxPage})
	if err != nil {
		return err
	}
	for _, p := range people {
		rows, err := dir.Sessions(p)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.LiveAt(w.clock.Now()) && c.State == store.ConnectionActive && r.Epochs.Connection == c.Epoch {
				s.state[r.ID] = r.State
			}
		}
		held, err := dir.Assignments(p)
		if err != nil {
			return err
		}
		if c.State == store.ConnectionActive {
			s.held[string(c.ID)+" "+p.UserName] = held
		}
	}
	return nil
}

// became writes what differs between two standings as plans tell it.
func became(before, after standing) []string {
	var out []string
	names := slices.Sorted(maps.Keys(before.held))
	for name := range after.held {
		if _, known := before.held[name]; !known {
			names = append(names, name)
		}
	}
	for _, name := range names {
		was, is := byPair(before.held[name]), byPair(after.held[name])
		for at, a := range was {
			b, kept := is[at]
			if !kept {
				out = append(out, name+" - "+before.policy.Describe(a.Grant, a.Scope))
				continue
			}
			for _, differs := range []bool{!a.SameUse(b), a.Grant.MaySignIn() && before.seesOther(after, a.Scope)} {
				if differs {
					out = append(out, fmt.Sprintf("%s ~ %s %s %v %v", name, after.policy.Describe(b.Grant, b.Scope), b.Standing, b.Flags, b.Until.Unix()))
				}
			}
		}
		for at, b := range is {
			if _, had := was[at]; !had {
				out = append(out, fmt.Sprintf("%s + %s %s %v %v", name, after.policy.Describe(b.Grant, b.Scope), b.Standing, b.Flags, b.Until.Unix()))
			}
		}
		if len(was) > 0 && len(is) == 0 {
			out = append(out, name+" ! nothing")
		}
	}
	slices.Sort(out)
	return out
}

// seesOther reports whether a scope covers others later than it did, among those that
// live in both trees.
func (s standing) seesOther(later standing, scope access.ScopeID) bool {
	for id := range s.tree {
		if s.tree.live(id) && later.tree.live(id) && s.tree.in(scope, id) != later.tree.in(scope, id) {
			return true
		}
	}
	return false
}

func byPair(as []access.Assignment) map[mapping.Pair]access.Assignment {
	out := map[mapping.Pair]access.Assignment{}
	for _, a := range as {
		out[mapping.Pair{Grant: a.Grant, Scope: a.Scope}] = a
	}
	return out
}

// foretold writes a plan in the same way.
func foretold(plan bridge.PolicyPlan) []string {
	var out []string
	for _, p := range plan.People {
		name := string(p.Connection) + " " + p.UserName
		for _, h := range p.Loses {
			out = append(out, name+" - "+h.Is)
		}
		for mark, hs := range map[string][]bridge.PlannedHolding{"~": p.Alters, "+": p.Gains} {
			for _, h := range hs {
				out = append(out, fmt.Sprintf("%s %s %s %s %v %v", name, mark, h.Is, h.Standing, h.Flags, h.Until.Unix()))
			}
		}
		if p.WithoutAccess {
			out = append(out, name+" ! nothing")
		}
	}
	slices.Sort(out)
	return out
}

// foretells plans a policy, applies it, and holds the plan against what came of it.
func (w *world) foretells(src mapping.PolicySource, when string) bridge.PolicyPlan {
	w.t.Helper()
	w.drain()
	before := w.stands()
	plan, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{})
	if fault.Is(err, fault.Invalid) {
		return plan
	}
	w.do(err)
	if now := w.stands(); now.audit != before.audit || len(became(before, now)) > 0 {
		w.t.Errorf("%s: planning changed something: %v", when, became(before, now))
	}
	_, err = w.bridge.ApplyPolicy(w.ctx, src)
	w.do(err)
	w.drain()
	after := w.stands()
	if got, want := foretold(plan), became(before, after); !slices.Equal(got, want) {
		w.t.Errorf("%s: the plan said\n  %s\nand it came to\n  %s", when, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	moved := int64(0)
	for id, was := range before.state {
		if is, live := after.state[id]; !live || is != was {
			moved++
		}
	}
	if plan.Summary.Sessions != moved {
		w.t.Errorf("%s: the plan said that %d sessions end or must choose; %d of %d did", when, plan.Summary.Sessions, moved, len(before.state))
	}
	return plan
}

// TestAPlanIsWhatApplyingDoes: whatever happened before, whatever the policy says.
func TestAPlanIsWhatApplyingDoes(t *testing.T) {
	t.Parallel()
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			h := &history{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 11))}
			h.settleIn(8)
			told, moved := int64(0), int64(0)
			for step := range 40 {
				h.step(step)
				if step%4 == 3 {
					for range 4 {
						h.visit()
					}
					s := h.foretells(h.validPolicy(), fmt.Sprintf("step %d, after %s", step, h.last)).Summary
					told, moved = told+s.Changing, moved+s.Sessions
				}
				if t.Failed() {
					return
				}
			}
			if told < 10 || moved == 0 {
				t.Errorf("the plans told of %d people and %d sessions only", told, moved)
			}
		})
	}
}

// settleIn brings people who are in groups, and signed in.
func (h *history) settleIn(n int) {
	for i := range n {
		h.people = append(h.people, h.person(southern, fmt.Sprintf("first-%d@southern.example", i), fmt.Sprint("oid-first-", i)))
	}
	for i, name := range historyNames {
		h.groups = append(h.groups, h.group(southern, name, h.people[i%n], h.people[(i+1)%n], h.people[(i+3)%n]))
	}
	for i := range n {
		if cookie, _, err := h.signIn(southern, fmt.Sprint("oid-first-", i)); err == nil {
			h.cookies = append(h.cookies, cookie)
		}
	}
}

func (h *history) validPolicy() mapping.PolicySource {
	for {
		src := h.randomPolicy()
		if _, err := mapping.Compile(src); err == nil {
			return src
		}
	}
}

// TestAConnectionThatEndsTakesEverythingFromItsPeople, and nothing from anybody else's;
// when it opens again, they gain what the rules give them.
func TestAConnectionThatEndsTakesEverythingFromItsPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(banksia, "GL Geelong Managers", w.person(banksia, "sam@banksia.example", "oid-sam"))
	w.group(southern, "Service Desk", w.person(southern, "sam@banksia.example", "oid-sam"))
	w.session(banksia, "oid-sam")
	src := samplePolicy(t)
	withoutConnection(banksia)(&src)
	plan := w.foretells(src, "banksia ends")
	if len(plan.People) != 1 || plan.People[0].Connection != banksia || !plan.People[0].WithoutAccess || plan.Summary.Sessions != 1 ||
		!slices.Equal(plan.Connections, []bridge.ConnectionChange{{Connection: banksia, Change: bridge.ConnectionEnds, People: 1}}) {
		t.Errorf("the end of banksia is told as %+v", plan)
	}
	plan = w.foretells(samplePolicy(t), "banksia opens again")
	if len(plan.People) != 1 || len(plan.People[0].Gains) != 1 || plan.Connections[0].Change != bridge.ConnectionOpens {
		t.Errorf("its opening is told as %+v", plan)
	}
}

// TestAPlanTellsOfScopesThatMoveBelowOthers: nobody's assignments change, and yet those of
// both customers come to mean something else.
func TestAPlanTellsOfScopesThatMoveBelowOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(banksia, "GL Account Admins", w.person(banksia, "ada@banksia.example", "oid-ada"))
	w.group(tundra, "gl-safety", w.person(tundra, "liv@tundra.example", "oid-liv"))
	l := &life{world: w}
	l.src = l.inForce()
	src := l.src
	src.Scopes = slices.Clone(src.Scopes)
	for i := range src.Scopes {
		if s := &src.Scopes[i]; s.ID == l.at("southern/banksia/geelong") {
			s.Parent = l.at("boreal/tundra")
		}
	}
	src.Tests, src.Guard = nil, anything
	if s := w.foretells(src, "geelong is tundra's").Summary; s.Altered != 2 || s.Losing != 1 {
		t.Errorf("two see something else, and one of them less: %+v", s)
	}
}

// TestAPlanTellsApartWhoJoinedWhatFirst: the same groups in another order are another
// primary, and the time since joining is everybody's own.
func TestAPlanTellsApartWhoJoinedWhatFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam, kim, lee := w.person(banksia, "sam@banksia.example", "1"), w.person(banksia, "kim@banksia.example", "2"), w.person(banksia, "lee@banksia.example", "3")
	geelong := w.group(banksia, "GL Geelong Managers", sam)
	w.clock.Add(time.Hour)
	hobart := w.group(banksia, "GL Hobart Managers", kim, sam)
	w.clock.Add(time.Hour)
	w.addMember(banksia, geelong, kim)
	w.clock.Add(time.Hour)
	w.addMember(banksia, geelong, lee)
	w.addMember(banksia, hobart, lee)
	src := samplePolicy(t)
	for i := range src.Rules {
		src.Rules[i].Flags.Video = false
	}
	if s := w.foretells(src, "less").Summary; s.Altered != 3 || s.Losing != 3 {
		t.Errorf("three are altered and lose something: %+v", s)
	}
	for i := range src.Rules {
		src.Rules[i].For = 3*time.Hour + 30*time.Minute
	}
	if s := w.foretells(src, "for a time").Summary; s.Losing != 3 {
		t.Errorf("three lose something: %+v", s)
	}
	withoutRule("banksia-managers")(&src)
	src.Rules = append(src.Rules, ruleSource{ID: "other", From: banksia, Group: "GL {fleet} Managers", Give: "standard @ southern/banksia/{fleet}"})
	w.foretells(src, "by another rule")
}

// TestAPlanSaysWhatThereIsToSayOfRulesAndGroups.
func TestAPlanSaysWhatThereIsToSayOfRulesAndGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam, kim := w.person(banksia, "sam@banksia.example", "oid-sam"), w.person(banksia, "kim@banksia.example", "oid-kim")
	w.group(banksia, "GL Geelong Managers", sam, kim)
	w.group(banksia, "GL Darwin Managers", sam)
	w.group(banksia, "Social Club", kim)
	src := samplePolicy(t)
	src.Rules = append(src.Rules,
		ruleSource{ID: "again", From: banksia, Group: "GL Geelong Managers", Give: "standard @ southern/banksia/geelong"},
		ruleSource{ID: "second", From: banksia, Group: "GL Geelong Managers", Give: "standard @ southern/banksia/hobart"},
		ruleSource{ID: "wider", From: banksia, Group: "GL Geelong Managers", Guest: []string{"standard @ southern/banksia/hobart"}, Flags: access.Flags{Video: true}},
		ruleSource{ID: "over", From: banksia, Group: "GL Geelong Managers", Give: "associate @ southern/banksia", Expires: w.clock.Now()},
		ruleSource{ID: "counts", From: banksia, Group: "Social Club", Give: "associate @ southern/banksia", Mode: mapping.Shadow})
	plan, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{})
	w.do(err)
	var got []string
	for _, f := range plan.Findings {
		if f.Connection == banksia {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %d", f.Code, f.Rule, f.Group, f.People)))
		}
	}
	want := []string{"matches_nobody banksia-admins  0", "matches_nobody banksia-contacts  0", "matches_nobody hobart-admins  0", "shadowed again  2", "shadowed second  2", "expired over  0",
		"scope_unknown banksia-managers GL Darwin Managers 1"}
	if !slices.Equal(got, want) {
		t.Errorf("found\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if i := slices.IndexFunc(plan.Shadow, func(c bridge.RuleCount) bool { return c.Rule == "counts" }); i < 0 || plan.Shadow[i].People != 1 {
		t.Errorf("rules that only count: %+v", plan.Shadow)
	}
}

// TestAPlanIsNamedByWhatIsLost: who plans the same again gets the same name; who would
// lose more, or compares with another version, another.
func TestAPlanIsNamedByWhatIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam, kim := w.person(banksia, "sam@banksia.example", "oid-sam"), w.person(banksia, "kim@banksia.example", "oid-kim")
	group := w.group(banksia, "GL Geelong Managers", sam)
	src := samplePolicy(t)
	withoutRule("banksia-managers")(&src)
	src.Scopes = append(src.Scopes, access.Scope{ID: mapping.ProvisionalID("southern/banksia/darwin"), Slug: "darwin", Level: access.Fleet, Name: "Darwin", Parent: "path:southern/banksia", TimeZone: "Australia/Darwin"})
	name := func() string {
		t.Helper()
		plan, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{File: "f.yaml", Author: "ann", Text: []byte("rules: []")})
		w.do(err)
		return plan.Hash
	}
	first := name()
	if again := name(); again != first || len(first) != 32 {
		t.Errorf("the same plan is called %s and %s", first, again)
	}
	w.clock.Add(time.Hour)
	w.person(banksia, "joiner@banksia.example", "oid-joiner")
	if again := name(); again != first {
		t.Errorf("somebody who joins and loses nothing makes %s of %s", again, first)
	}
	w.addMember(banksia, group, kim)
	more := name()
	if more == first {
		t.Error("a plan that takes from two is called as one that takes from one")
	}
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		row, err := v.Plan(more)
		w.do(err)
		losses, err := v.PlanPart(row.Key, store.PlanLosses)
		w.do(err)
		text, err := v.PlanPart(row.Key, store.PlanText)
		if row.Author != "ann" || row.File != "f.yaml" || len(losses) != 4*8 || string(text) != "rules: []" {
			t.Errorf("kept: %+v, %d bytes of losses, %q", row, len(losses), text)
		}
		return err
	}))
	w.policy(func(p *mapping.PolicySource) { p.Rules[0].Flags.Video = false })
	if again := name(); again == more {
		t.Error("a plan compared with another version has the same name")
	}
}

// TestTenThousandRulesAreOnlyMore: as many as a policy may have in practice, with a
// group for each, are planned like few.
func TestTenThousandRulesAreOnlyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(banksia, "Crew 9900", w.person(banksia, "sam@banksia.example", "oid-sam"))
	src := samplePolicy(t)
	for i := range 10_000 - len(src.Rules) {
		src.Rules = append(src.Rules, ruleSource{ID: fmt.Sprint("crew-", i), From: banksia, Group: fmt.Sprint("Crew ", i), Give: "standard @ southern/banksia/geelong"})
	}
	plan, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{})
	w.do(err)
	if len(plan.People) != 1 || plan.People[0].Gains[0].Rules[0] != "crew-9900" || len(plan.Findings) > 300 {
		t.Errorf("%d people, %d findings", len(plan.People), len(plan.Findings))
	}
}

// TestAPolicyThatDoesNotHoldIsToldWhy: also who did not look at a file first.
func TestAPolicyThatDoesNotHoldIsToldWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	src := samplePolicy(t)
	src.Rules[0].Give = "standard @ southern/banksai"
	_, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.DetailOf(err), `did you mean "banksia"`) {
		t.Errorf("refused with %q", fault.DetailOf(err))
	}
}

// TestAPlanCanBeBrokenOff: whoever hangs up leaves nothing behind, and the next plan
// does not wait for theirs.
func TestAPlanCanBeBrokenOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(banksia, "GL Geelong Managers", w.person(banksia, "sam@banksia.example", "oid-sam"))
	src := samplePolicy(t)
	withoutRule("banksia-managers")(&src)
	ctx, hangUp := context.WithCancel(w.ctx)
	_, err := w.bridge.PlanPolicy(ctx, src, bridge.PlanOptions{Each: func(bridge.PersonChange) error { hangUp(); return nil }})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("a plan that was broken off: %v", err)
	}
	broken := errors.New("nobody listens")
	if _, err = w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{Each: func(bridge.PersonChange) error { return broken }}); err == nil {
		t.Error("a plan that nobody listens to goes on")
	}
	plan, err := w.bridge.PlanPolicy(w.ctx, src, bridge.PlanOptions{})
	w.do(err)
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		row, err := v.Plan(plan.Hash)
		if row.Key != 1 {
			t.Errorf("plans that were broken off were kept: this is number %d", row.Key)
		}
		return err
	}))
}
