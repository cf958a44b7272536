package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// planned plans to restore a connection to an instant, and tells the groups.
func (w *world) planned(c access.ConnectionID, at time.Time, groups ...access.GroupID) (*bridge.RestorePlan, string) {
	w.t.Helper()
	w.settled()
	p, err := w.bridge.PlanRestore(w.ctx, c, at, groups)
	w.do(err)
	var said []string
	for _, g := range p.Groups {
		text := fmt.Sprintf("%s +%d -%d =%d", g.Name, g.Joins, g.Leaves, g.Resumes)
		if g.Returns {
			text += " returns"
		}
		if g.Renamed != "" {
			text += " from " + g.Renamed
		}
		if g.Note != "" {
			text += " (" + g.Note + ")"
		}
		said = append(said, text)
	}
	slices.Sort(said)
	return p, strings.Join(said, "; ")
}

// restore plans and carries out.
func (w *world) restore(c access.ConnectionID, at time.Time, groups ...access.GroupID) *bridge.RestorePlan {
	w.t.Helper()
	p, _ := w.planned(c, at, groups...)
	done, err := w.bridge.Restore(w.ctx, bridge.RestoreOrder{Connection: c, At: at, Groups: groups, Plan: p.Hash, Approvals: approved(p.Guards), Reason: "CASE-9"})
	w.do(err)
	w.settled()
	return done
}

// approved approves of all that guards found.
func approved(found []bridge.GuardFinding) (a bridge.Approvals) {
	for _, g := range found {
		names := g.Names
		if g.Counted() {
			names = []string{fmt.Sprint(g.Found)}
		}
		switch g.Guard {
		case bridge.GuardLosing:
			a.Losing = names
		case bridge.GuardWithoutAccess:
			a.WithoutAccess = names
		case bridge.GuardAdministrators:
			a.Administrators = names
		}
	}
	return a
}

// later moves the clock on and gives the instant before.
func (w *world) later() time.Time {
	at := w.clock.Now()
	w.clock.Add(time.Minute)
	return at
}

// TestRestorePutsMembershipsBack: who left comes back, who came since goes, and nobody
// else is touched; the plan says it before.
func TestRestorePutsMembershipsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.several(banksia, 4, "p")
	g := w.group(banksia, "GL Geelong Managers", p[0], p[1], p[3])
	stays := w.session(banksia, "oid-p3")
	at := w.later()
	w.removeMember(banksia, g, p[0])
	w.addMember(banksia, g, p[2])
	w.later()
	since := w.group(banksia, "GL Hobart Managers", p[3])
	plan, said := w.planned(banksia, at)
	if said != "GL Geelong Managers +1 -1 =0" || len(plan.Left) != 1 || string(plan.Left[0].Group) != since {
		t.Errorf("planned %q, left alone %v", said, plan.Left)
	}
	if s := plan.Summary; s.People != 2 || s.Gaining != 1 || s.Losing != 1 || s.WithoutAccess != 1 || len(plan.People) != 2 ||
		plan.People[0].UserName != "p0@banksia.example" || plan.People[0].Gains[0].Is != "standard @ southern/banksia/geelong" || len(plan.People[1].Loses) != 1 {
		t.Errorf("%+v %+v", s, plan.People)
	}
	if got := w.holds("p0@banksia.example"); len(got) != 0 {
		t.Fatalf("a plan gave %v", got)
	}
	w.restore(banksia, at)
	if got := w.members(banksia, g); !slices.Equal(got, sorted(p[0], p[1], p[3])) {
		t.Errorf("members %v of %v", got, p)
	}
	if got := w.holds("p0@banksia.example"); !slices.Equal(got, []string{"primary standard @ southern/banksia/geelong"}) || len(w.holds("p2@banksia.example")) != 0 {
		t.Errorf("hold %v and %v", got, w.holds("p2@banksia.example"))
	}
	if b, a, _ := w.alive(stays); !b || !a {
		t.Errorf("who was not touched: browser %t, access token %t", b, a)
	}
	if _, said := w.planned(banksia, at); said != "" {
		t.Errorf("restored again it would still do %q", said)
	}
}

func sorted(ids ...string) []string { return slices.Sorted(slices.Values(ids)) }

// TestRestoreNeverActivatesAnybody (architecture, decision 17): who was deactivated
// since then is a member again, and stays out.
func TestRestoreNeverActivatesAnybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	g := w.group(banksia, "GL Geelong Managers", sam)
	s := w.session(banksia, "oid-sam")
	at := w.later()
	w.patchUser(banksia, sam, `{"op":"replace","path":"active","value":false}`)
	w.removeMember(banksia, g, sam)
	w.later()
	if p := w.restore(banksia, at); p.Summary.Gaining != 0 {
		t.Errorf("planned %+v", p.Summary)
	}
	if got := w.must(200, banksia, "GET", "/Users/"+sam, "")["active"]; got != false {
		t.Errorf("active is %v", got)
	}
	w.allDead(s, "after restore")
	if _, _, err := w.signIn(banksia, "oid-sam"); err == nil || len(w.holds("sam@banksia.example")) != 0 || len(w.members(banksia, g)) != 1 {
		t.Errorf("signed in: %v, holds %v", err, w.holds("sam@banksia.example"))
	}
}

// TestRestoreNeverUndeletesAPerson (architecture, decision 17): who was deleted since
// then is named, and left out.
func TestRestoreNeverUndeletesAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.several(banksia, 2, "p")
	g := w.group(banksia, "GL Geelong Managers", p...)
	at := w.later()
	w.removeMember(banksia, g, p[0])
	w.must(204, banksia, "DELETE", "/Groups/"+g, "")
	w.must(204, banksia, "DELETE", "/Users/"+p[0], "")
	w.later()
	again := w.person(banksia, "p0@banksia.example", "oid-p0") // somebody new
	plan := w.restore(banksia, at)
	if plan.GoneCount != 1 || !slices.Equal(plan.Gone, []access.PersonID{access.PersonID(p[0])}) {
		t.Errorf("gone: %v", plan.Gone)
	}
	w.must(404, banksia, "GET", "/Users/"+p[0], "")
	if got := w.members(banksia, g); !slices.Equal(got, []string{p[1]}) || again == p[0] {
		t.Errorf("members %v", got)
	}
}

// TestRestoredMembershipsKeepTheInstantTheyBegan: a time limit neither starts anew nor
// gives more time, whoever left and however the group went.
func TestRestoredMembershipsKeepTheInstantTheyBegan(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(w *world, group, kim string){
		"removed":       func(w *world, group, kim string) { w.removeMember(southern, group, kim) },
		"group deleted": func(w *world, group, _ string) { w.must(204, southern, "DELETE", "/Groups/"+group, "") },
		"joined again": func(w *world, group, kim string) {
			w.removeMember(southern, group, kim)
			w.addMember(southern, group, kim)
		},
		"put without kim": func(w *world, group, kim string) {
			w.must(200, southern, "PUT", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Field Installers","members":[]}`)
		},
	} {
		w := newWorld(t)
		kim, group := w.kim()
		joined := w.joined(southern, group)[kim]
		w.clock.Add(5 * 24 * time.Hour)
		at := w.later()
		away(w, group, kim)
		w.later()
		w.restore(southern, at)
		if got := w.joined(southern, group)[kim]; !got.Equal(joined) {
			t.Errorf("%s: joined at %s, was %s", name, got, joined)
		}
		s := w.session(southern, "oid-kim")
		w.clock.Add(joined.Add(14 * 24 * time.Hour).Add(-time.Millisecond).Sub(w.clock.Now()))
		if _, err := w.bridge.Browser(w.ctx, s.cookie); fault.ReasonOf(err) == "undecided" {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := w.signIn(southern, "oid-kim"); err != nil {
			t.Errorf("%s: the last millisecond is refused: %v", name, err)
		}
		w.clock.Add(time.Millisecond)
		if _, _, err := w.signIn(southern, "oid-kim"); err == nil {
			t.Errorf("%s: more time than there was", name)
		}
	}
}

// TestRestoreBringsADeletedGroupBackUnderItsOwnID: the identity provider still
// addresses it so. Its version goes on, so that no entity tag means two things.
func TestRestoreBringsADeletedGroupBackUnderItsOwnID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.several(banksia, 2, "p")
	g := w.group(banksia, "GL Geelong Managers", p...)
	before := w.must(200, banksia, "GET", "/Groups/"+g, "")
	at := w.later()
	w.must(204, banksia, "DELETE", "/Groups/"+g, "")
	w.later()
	if _, said := w.planned(banksia, at); said != "GL Geelong Managers +2 -0 =0 returns" {
		t.Errorf("planned %q", said)
	}
	w.restore(banksia, at)
	after := w.must(200, banksia, "GET", "/Groups/"+g, "")
	meta := func(m map[string]any, k string) any { return m["meta"].(map[string]any)[k] }
	if after["displayName"] != before["displayName"] || meta(after, "created") != meta(before, "created") || meta(after, "version") == meta(before, "version") || len(w.members(banksia, g)) != 2 {
		t.Errorf("before %v\nafter %v", before, after)
	}
	w.removeMember(banksia, g, p[0])
	if got := w.holds("p1@banksia.example"); len(got) != 1 || len(w.holds("p0@banksia.example")) != 0 {
		t.Errorf("the group does not work: %v", got)
	}
}

// TestRestoreTakesNobodysName: a group whose name or externalId is another's by now
// stays away, and the plan says why.
func TestRestoreTakesNobodysName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.several(banksia, 1, "p")
	g := w.group(banksia, "GL Geelong Managers", p...)
	r := w.group(banksia, "Other", p...)
	at := w.later()
	w.must(204, banksia, "DELETE", "/Groups/"+g, "")
	w.rename(banksia, r, "gl geelong managers")
	w.later()
	if _, said := w.planned(banksia, at); said != `GL Geelong Managers +0 -0 =0 returns (it stays away: its name "GL Geelong Managers" is now that of group `+r+`); Other +0 -0 =0 from gl geelong managers` {
		t.Errorf("planned %q", said)
	}
	w.restore(banksia, at, access.GroupID(r)) // which frees the name
	w.restore(banksia, at)
	if got := w.members(banksia, g); len(got) != 1 || w.must(200, banksia, "GET", "/Groups/"+r, "")["displayName"] != "Other" {
		t.Errorf("members %v", got)
	}
}

func (w *world) rename(c access.ConnectionID, group, name string) {
	w.t.Helper()
	w.must(204, c, "PATCH", "/Groups/"+group, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":%q}]}`, name))
}

// TestRestoreDoesWhatWasReviewed, or nothing: another hash, an older plan, a guard.
func TestRestoreDoesWhatWasReviewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(func(p *mapping.PolicySource) { p.Guard.Losing = &mapping.Share{People: 1} })
	p := w.several(banksia, 4, "p")
	g := w.group(banksia, "GL Geelong Managers", p[0])
	at := w.later()
	w.addMember(banksia, g, p[1])
	w.later()
	plan, _ := w.planned(banksia, at)
	order := bridge.RestoreOrder{Connection: banksia, At: at, Plan: plan.Hash}
	w.addMember(banksia, g, p[2])
	if _, err := w.bridge.Restore(w.ctx, order); !fault.Is(err, fault.Stale) {
		t.Errorf("somebody would lose what the plan did not show: %v", err)
	}
	plan, _ = w.planned(banksia, at)
	order.Plan = plan.Hash
	order.Reason = "CASE-9"
	for _, losing := range [][]string{nil, {"p1@banksia.example"}, {"2"}} {
		order.Approvals = bridge.Approvals{WithoutAccess: losing}
		if _, err := w.bridge.Restore(w.ctx, order); !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != bridge.ReasonGuard {
			t.Errorf("approved %v of 2: %v", losing, err)
		}
	}
	if len(w.members(banksia, g)) != 3 {
		t.Fatal("what was refused was done")
	}
	order.Approvals, order.Reason = approved(plan.Guards), ""
	if _, err := w.bridge.Restore(w.ctx, order); !fault.Is(err, fault.Invalid) {
		t.Errorf("approved without a reason: %v", err)
	}
	order.Reason = "CASE-9"
	if _, err := w.bridge.Restore(w.ctx, order); err != nil || len(w.members(banksia, g)) != 1 {
		t.Errorf("%v", err)
	}
	for name, at := range map[string]time.Time{"the future": w.clock.Now().Add(time.Hour), "too long ago": w.clock.Now().AddDate(0, 0, -31)} {
		if _, err := w.bridge.PlanRestore(w.ctx, banksia, at, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.bridge.PlanRestore(w.ctx, banksia, at, []access.GroupID{"grp_nobody"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown group: %v", err)
	}
}

// TestRestoreKeepsTheLastAdministrator: one guard judges policies and restores. Ada came
// to administer the account since; what is restored would leave it without anybody,
// unless somebody whom the restore does not touch administers it as well.
func TestRestoreKeepsTheLastAdministrator(t *testing.T) {
	t.Parallel()
	for name, another := range map[string]bool{"the last": false, "one of two": true} {
		w := newWorld(t)
		w.policy(func(p *mapping.PolicySource) { p.Guard.Losing, p.Guard.WithoutAccess = number(9), number(9) })
		ada, bo := w.person(banksia, "ada@banksia.example", "oid-ada"), w.person(banksia, "bo@banksia.example", "oid-bo")
		g := w.group(banksia, "GL Account Admins")
		if another {
			w.addMember(banksia, g, bo)
		}
		at := w.later()
		w.addMember(banksia, g, ada)
		w.later()
		plan, _ := w.planned(banksia, at)
		order := bridge.RestoreOrder{Connection: banksia, At: at, Plan: plan.Hash}
		_, err := w.bridge.Restore(w.ctx, order)
		if another {
			if err != nil || len(plan.Guards) != 0 {
				t.Errorf("%s: %v %v", name, plan.Guards, err)
			}
			continue
		}
		var r *bridge.Refusal
		if !errors.As(err, &r) || len(r.Guards) != 1 || r.Guards[0].Guard != bridge.GuardAdministrators || !slices.Equal(r.Guards[0].Names, []string{"southern/banksia"}) {
			t.Fatalf("%s: %v", name, err)
		}
		order.Approvals, order.Reason = bridge.Approvals{Administrators: r.Guards[0].Names}, "CASE-9"
		if _, err := w.bridge.Restore(w.ctx, order); err != nil || len(w.members(banksia, g)) != 0 {
			t.Errorf("%s: approved: %v", name, err)
		}
	}
}

// TestALargeRestoreSurvivesACrash: the deletion of a large group is taken back in
// chunks; the process dies between them, and the next goes on.
func TestALargeRestoreSurvivesACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.people(banksia, 230)
	g := w.group(banksia, "GL Geelong Managers", ids...)
	w.settled()
	was := w.joined(banksia, g)
	at := w.later()
	w.must(204, banksia, "DELETE", "/Groups/"+g, "")
	if _, err := w.bridge.PlanRestore(w.ctx, banksia, at, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("planned while the group is being taken apart: %v", err)
	}
	w.later()
	p, _ := w.planned(banksia, at)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	looks := 0
	w.clock.look = func() { // at the clock: for the plan, for the order, for each chunk
		if looks++; looks == 4 {
			cancel()
		}
	}
	_, err := w.bridge.Restore(ctx, bridge.RestoreOrder{Connection: banksia, At: at, Plan: p.Hash})
	w.clock.look = nil
	if n := len(w.joined(banksia, g)); err == nil || n == 0 || n == 230 {
		t.Fatalf("not interrupted between two chunks: %v, %d are back", err, n)
	}
	w.restart()
	w.settled()
	if got := w.joined(banksia, g); len(got) != len(was) || len(got) != 230 {
		t.Fatalf("%d of %d are back", len(got), len(was))
	}
	for id, since := range w.joined(banksia, g) {
		if !since.Equal(was[id]) {
			t.Fatalf("%s joined at %s, was %s", id, since, was[id])
		}
	}
	if got := w.holds(userName(7)); len(got) != 1 {
		t.Errorf("holds %v", got)
	}
}
