package bridge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// alarming is the sample policy with low thresholds: 3 people, half of a group, 4 members.
func (w *world) alarming() {
	w.t.Helper()
	w.policy(func(p *mapping.PolicySource) {
		p.Guard.Alarm = mapping.Alarm{Gaining: &mapping.Share{People: 3}, Shrunk: &mapping.Share{People: 3}, Deleted: &mapping.Share{People: 4}, Within: time.Hour}
	})
}

// raised counts and tells the alarms of a connection, the oldest first.
func (w *world) raised(c access.ConnectionID) string {
	w.t.Helper()
	w.do(w.bridge.Watch(w.ctx))
	all, err := w.bridge.Raised(w.ctx, c)
	w.do(err)
	var said []string
	for _, a := range slices.Backward(all) {
		said = append(said, fmt.Sprintf("%s %d/%d", a.Kind, a.Count, a.Base))
	}
	return strings.Join(said, ", ")
}

func (w *world) several(c access.ConnectionID, n int, name string) (ids []string) {
	for i := range n {
		ids = append(ids, w.person(c, fmt.Sprintf("%s%d@banksia.example", name, i), fmt.Sprintf("oid-%s%d", name, i)))
	}
	return ids
}

// TestAMassGainRaisesAnAlarmOnceWithinItsTime, and nobody is kept from what they gain.
func TestAMassGainRaisesAnAlarmOnceWithinItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alarming()
	p := w.several(banksia, 6, "p")
	g := w.group(banksia, "GL Geelong Managers", p[0], p[1])
	other := w.group(banksia, "Nobody Asks For This", p...)
	w.removeMember(banksia, g, p[0])
	w.addMember(banksia, g, p[0]) // the same person counts once
	if got := w.raised(banksia); got != "" {
		t.Errorf("two people who gain raised %s", got)
	}
	w.addMember(banksia, g, p[2])
	if got := w.raised(banksia); got != "mass_gain 3/6" {
		t.Errorf("the third raised %q", got)
	}
	w.clock.Add(time.Minute)
	w.addMember(banksia, g, p[3], p[4], p[5])
	if got := w.raised(banksia); got != "mass_gain 3/6" {
		t.Errorf("within the time it is told once, not %q", got)
	}
	w.clock.Add(61 * time.Minute)
	w.must(204, banksia, "DELETE", "/Groups/"+other, "")
	w.group(banksia, "GL Hobart Managers", p...)
	if got := w.raised(banksia); got != "mass_gain 3/6, mass_gain 6/6" {
		t.Errorf("an hour later %q; a group that no rule looks at raises nothing", got)
	}
	if holds := w.holds("p5@banksia.example"); len(holds) != 2 {
		t.Errorf("an alarm kept somebody from what the groups give: %v", holds)
	}
	if got := w.raised(southern); got != "" {
		t.Errorf("another customer's: %s", got)
	}
}

// TestALeaverIsNeverHeld: losses beyond every threshold are done at once.
func TestALeaverIsNeverHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alarming()
	p := w.several(banksia, 5, "p")
	g := w.group(banksia, "GL Geelong Managers", p...)
	s := w.session(banksia, "oid-p0")
	w.must(204, banksia, "PATCH", "/Groups/"+g, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members"}]}`)
	w.allDead(s, "after its whole group was emptied")
	if got := w.raised(banksia); got != "mass_gain 5/5, group_shrunk 5/5" && got != "group_shrunk 5/5, mass_gain 5/5" {
		t.Errorf("raised %q", got)
	}
	g = w.group(banksia, "GL Hobart Managers", p...)
	s = w.session(banksia, "oid-p1")
	w.must(204, banksia, "DELETE", "/Groups/"+g, "")
	w.allDead(s, "after its whole group was deleted")
	if got := w.raised(banksia); !strings.HasSuffix(got, "group_deleted 5/5") || strings.Count(got, "group_shrunk") != 1 {
		t.Errorf("raised %q: a deleted group has not shrunk as well", got)
	}
}

// TestAGroupThatIsSentAnewHasNotShrunk: who leaves and comes back did not leave; who is
// replaced did.
func TestAGroupThatIsSentAnewHasNotShrunk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(func(p *mapping.PolicySource) {
		p.Guard.Alarm = mapping.Alarm{Gaining: &mapping.Share{People: 100}, Shrunk: &mapping.Share{Percent: 50}}
	})
	p := w.several(banksia, 24, "p")
	g := w.group(banksia, "GL Geelong Managers", p[:20]...)
	put := func(members []string) {
		w.must(200, banksia, "PUT", "/Groups/"+g, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"GL Geelong Managers","members":`+memberList(members)+`}`)
	}
	w.clock.Add(2 * time.Hour)
	put(p[10:20])
	put(p[:20])
	if got := w.raised(banksia); got != "" {
		t.Errorf("ten left and came back: %s", got)
	}
	put(p[9:])
	if got := w.raised(banksia); got != "" {
		t.Errorf("nine of twenty left, others came: %s", got)
	}
	put(p[10:])
	if got := w.raised(banksia); got != "group_shrunk 10/20" {
		t.Errorf("the tenth of twenty left: %q", got)
	}
}

// TestAlarmsCountAcrossRestarts: what had been counted before the process died counts,
// and nothing is told twice.
func TestAlarmsCountAcrossRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alarming()
	p := w.several(banksia, 5, "p")
	g := w.group(banksia, "GL Geelong Managers", p[:2]...)
	w.raised(banksia)
	w.restart()
	w.addMember(banksia, g, p[2])
	w.restart()
	if got := w.raised(banksia); got != "mass_gain 3/5" {
		t.Errorf("raised %q", got)
	}
	w.restart()
	w.addMember(banksia, g, p[3])
	if got := w.raised(banksia); got != "mass_gain 3/5" {
		t.Errorf("after a restart it is told again: %q", got)
	}
}

// TestAnotherPolicyIsNoMassGain: what people apply is not what an identity provider did.
func TestAnotherPolicyIsNoMassGain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.several(banksia, 4, "p")
	w.group(banksia, "GL Geelong Managers", p...)
	w.policy(func(s *mapping.PolicySource) { withoutRule("banksia-managers")(s) })
	w.settled()
	w.clock.Add(2 * time.Hour)
	w.alarming()
	w.settled()
	if len(w.holds("p0@banksia.example")) != 1 {
		t.Fatal("the rule gives nothing again")
	}
	if got := w.raised(banksia); got != "" {
		t.Errorf("raised %s", got)
	}
}

// settled lets the background work decide all who are due.
func (w *world) settled() {
	w.t.Helper()
	for n := 1; n > 0; {
		var err error
		n, err = w.bridge.Recompute(w.ctx)
		w.do(err)
	}
}

// TestAnAlarmIsAnEventOfCountsAndIds.
func TestAnAlarmIsAnEventOfCountsAndIds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alarming()
	p := w.several(banksia, 4, "p")
	g := w.group(banksia, "GL Geelong Managers", p...)
	w.must(204, banksia, "DELETE", "/Groups/"+g, "")
	w.raised(banksia)
	var said []string
	for _, e := range w.facts(banksia) {
		if strings.HasPrefix(string(e.Type), "alarm.") {
			said = append(said, fmt.Sprintf("%s by %s %v", e.Type, e.Actor, e.Data))
		}
	}
	want := []string{fmt.Sprintf("alarm.group_deleted by bridge map[group:%s of:4 people:4]", g), "alarm.mass_gain by bridge map[of:4 people:4 within_seconds:3600]"}
	if !slices.Equal(said, want) {
		t.Errorf("said %q", said)
	}
}

// facts are all events of a connection, in order.
func (w *world) facts(c access.ConnectionID) (all []event.Event) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		for after, more := int64(0), true; more; {
			rows, err := v.Outbox(after, 1000)
			if err != nil {
				return err
			}
			for _, row := range rows {
				after = row.ID
				if row.Connection != c {
					continue
				}
				var e event.Event
				if err := json.Unmarshal(row.Body, &e); err != nil {
					return err
				}
				all = append(all, e)
			}
			more = len(rows) > 0
		}
		return nil
	}))
	return all
}

// TestManySmallGroupsDeletedAreTold: what is too small for an alarm of its own is added
// up within the time, but for groups that no rule looks at.
func TestManySmallGroupsDeletedAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alarming()
	p := w.several(banksia, 3, "p")
	w.must(204, banksia, "DELETE", "/Groups/"+w.group(banksia, "Nobody Asks For This", p...), "")
	w.must(204, banksia, "DELETE", "/Groups/"+w.group(banksia, "GL Geelong Managers", p...), "")
	if got := w.raised(banksia); strings.Contains(got, bridge.KindGroupDeleted) {
		t.Errorf("three members raised %s", got)
	}
	w.must(204, banksia, "DELETE", "/Groups/"+w.group(banksia, "GL Hobart Managers", p[0]), "")
	if got := w.raised(banksia); !strings.Contains(got, "group_deleted 4/3") {
		t.Errorf("the fourth raised %q", got)
	}
	w.must(204, banksia, "DELETE", "/Groups/"+w.group(banksia, "GL Account Admins", p...), "")
	if got := w.raised(banksia); strings.Count(got, bridge.KindGroupDeleted) != 1 {
		t.Errorf("within the time it is told once, not %q", got)
	}
}

// TestARestoreIsNoMassGain: an administrator put back what was there.
func TestARestoreIsNoMassGain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alarming()
	g := w.group(banksia, "GL Geelong Managers", w.several(banksia, 5, "p")...)
	w.raised(banksia)
	w.clock.Add(2 * time.Hour)
	then := w.clock.Now()
	w.clock.Add(time.Minute)
	w.must(204, banksia, "DELETE", "/Groups/"+g, "")
	w.clock.Add(2 * time.Hour)
	before := w.raised(banksia)
	w.restore(banksia, then)
	if got := w.raised(banksia); got != before || len(w.holds("p4@banksia.example")) != 1 {
		t.Errorf("a restore raised %q after %q", got, before)
	}
}
