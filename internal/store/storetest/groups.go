package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

func (f *fixture) groupNow(conn access.ConnectionID, id access.GroupID) (g store.Group) {
	f.t.Helper()
	f.read(conn, func(d *store.Directory) (err error) { g, err = d.Group(id); return err })
	return g
}

// Adding who is there and removing who is not change nothing; what changes moves
// version, count and time once.
func testMembers(t *testing.T, f *fixture) {
	a, b := f.person(north, "per_a", "a@north.example"), f.person(north, "per_b", "b@north.example")
	g := f.group(north, "grp_1", "Team")
	later := day.Add(time.Minute)
	add := func(now time.Time, keys ...store.PersonKey) (added []store.PersonKey) {
		f.write(north, func(d *store.DirectoryTx) (err error) { added, err = d.AddMembers(&g, keys, now); return err })
		return added
	}
	remove := func(now time.Time, keys ...store.PersonKey) (removed []store.PersonKey) {
		f.write(north, func(d *store.DirectoryTx) (err error) {
			left, err := d.RemoveMembers(&g, keys, now)
			for _, j := range left {
				if !j.Since.Equal(day) {
					t.Errorf("%d had joined at %v", j.Key, j.Since)
				}
				removed = append(removed, j.Key)
			}
			return err
		})
		return removed
	}
	expect := func(count, version int64, updated time.Time) {
		t.Helper()
		if now := f.groupNow(north, "grp_1"); now.MemberCount != count || now.Version != version || !now.Updated.Equal(updated) {
			t.Errorf("count %d version %d at %v, want %d %d %v", now.MemberCount, now.Version, now.Updated, count, version, updated)
		}
	}
	if got := add(day, a.Key, b.Key, a.Key); !slices.Equal(got, []store.PersonKey{a.Key, b.Key}) {
		t.Errorf("added %v", got)
	}
	expect(2, 2, day)
	if got := add(later, a.Key); got != nil {
		t.Errorf("added again: %v", got)
	}
	expect(2, 2, day)
	if got := remove(later, a.Key, 999); !slices.Equal(got, []store.PersonKey{a.Key}) {
		t.Errorf("removed %v", got)
	}
	expect(1, 3, later)
	f.read(north, func(d *store.Directory) error {
		facts, err := d.Facts(b, nil)
		if err != nil || len(facts.Memberships) != 1 || !facts.Memberships[0].Since.Equal(day) || facts.Memberships[0].Name != "Team" {
			t.Errorf("facts %+v (%v)", facts, err)
		}
		groups, err := d.GroupsOf(a)
		if err != nil || len(groups) != 0 {
			t.Errorf("a is in %v (%v)", groups, err)
		}
		return nil
	})
}

// 64 writers at one group: no acknowledged member is lost, none is counted twice.
func testConcurrentMembers(t *testing.T, f *fixture) {
	const writers, each = 64, 4
	g := f.group(north, "grp_1", "Team")
	people := make([]store.Person, writers*each)
	for i := range people {
		people[i] = f.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i))
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key, g := people[w*each+i].Key, g
				err := f.try(north, func(d *store.DirectoryTx) error {
					_, err := d.AddMembers(&g, []store.PersonKey{key}, day)
					return err
				})
				if err == nil && i%2 == 1 {
					err = f.try(north, func(d *store.DirectoryTx) error {
						_, err := d.RemoveMembers(&g, []store.PersonKey{key}, day)
						return err
					})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	now := f.groupNow(north, "grp_1")
	f.read(north, func(d *store.Directory) error {
		keys, err := d.MemberKeys(g)
		if err != nil || len(keys) != writers*each/2 || now.MemberCount != int64(len(keys)) || now.Version != 1+writers*each*3/2 {
			t.Errorf("%d members, counted %d, version %d (%v)", len(keys), now.MemberCount, now.Version, err)
		}
		return nil
	})
}

func testGroupNames(t *testing.T, f *fixture) {
	first := f.group(north, "grp_1", "Field Crew")
	second := store.Group{ID: "grp_2", DisplayName: "field CREW", Version: 1, Created: day, Updated: day, Doc: []byte("{}")}
	insert := func(d *store.DirectoryTx) error { return d.InsertGroup(&second) }
	if err := f.try(north, insert); !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != "display_name" {
		t.Errorf("a second group of that name: %v", err)
	}
	first.DisplayName, first.Version = "Field Team", 2
	f.write(north, func(d *store.DirectoryTx) error { return d.UpdateGroup(first) })
	f.write(north, insert)
	first.DisplayName = "Field Crew"
	if err := f.try(north, func(d *store.DirectoryTx) error { return d.UpdateGroup(first) }); fault.ReasonOf(err) != "display_name" {
		t.Errorf("renamed onto another: %v", err)
	}
	f.write(north, func(d *store.DirectoryTx) error { return d.DeleteGroup(second) })
	f.write(north, func(d *store.DirectoryTx) error { return d.UpdateGroup(first) })
	f.read(north, func(d *store.Directory) error {
		if counted(f.t, d).Groups != 1 {
			t.Errorf("%d groups are counted", counted(f.t, d).Groups)
		}
		return nil
	})
	f.testFindingNames()
}

// A group is found by its name in any case, among those of its connection, and so are
// the names that stand next to it.
func (f *fixture) testFindingNames() {
	f.group(north, "grp_3", "Alpine Crew")
	f.group(north, "grp_4", "Field Office")
	f.group(south, "grp_5", "Field Crew")
	f.group(south, "grp_6", "Field Kitchen")
	f.read(north, func(d *store.Directory) error {
		if g, err := d.GroupByName("FIELD crew"); err != nil || g.ID != "grp_1" || g.Connection != north {
			f.t.Errorf("%+v, %v", g, err)
		}
		if _, err := d.GroupByName("Field Kitchen"); !fault.Is(err, fault.NotFound) {
			f.t.Errorf("another connection's group is found: %v", err)
		}
		for each, want := range map[int][]string{1: {"Alpine Crew", "Field Crew"}, 9: {"Alpine Crew", "Field Crew", "Field Office"}} {
			if got, err := d.NamesNear("Field Crews", each); err != nil || each == 9 && !slices.Equal(slices.Sorted(slices.Values(got)), want) || each == 1 && len(got) != 2 {
				f.t.Errorf("%d on either side: %q, %v", each, got, err)
			}
		}
		return nil
	})
}

// A group_id that two live groups hold is Shared; when one goes, it no longer is.
func testSharedExternalID(t *testing.T, f *fixture) {
	p := f.person(north, "per_a", "a@north.example")
	one, two := f.group(north, "grp_1", "One", p), f.group(north, "grp_2", "Two")
	for _, g := range []*store.Group{&one, &two} {
		g.ExternalID = "x"
		f.write(north, func(d *store.DirectoryTx) error { return d.UpdateGroup(*g) })
	}
	shared := func() (s bool) {
		f.read(north, func(d *store.Directory) error {
			facts, err := d.Facts(p, nil)
			s = err == nil && len(facts.Memberships) == 1 && facts.Memberships[0].Shared
			return err
		})
		return s
	}
	if !shared() {
		t.Error("two holders are not seen")
	}
	f.write(north, func(d *store.DirectoryTx) error { return d.DissolveGroup(two, day) })
	if shared() {
		t.Error("a dissolving group still counts")
	}
}

// A large group that goes is invisible at once and its name free; its members are
// fenced until decided anew, and their rows go in chunks.
func testDissolving(t *testing.T, f *fixture) {
	people := make([]store.Person, 5)
	for i := range people {
		people[i] = f.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i))
		f.write(north, func(d *store.DirectoryTx) error { return d.SetDecided(people[i].Key, 1, time.Time{}) })
	}
	g := f.group(north, "grp_1", "Team", people...)
	if !f.decided(north, people[0].ID) {
		t.Fatal("decided people count as undecided")
	}
	f.write(north, func(d *store.DirectoryTx) error { return d.DissolveGroup(g, day) })
	if f.decided(north, people[0].ID) {
		t.Error("a member is not fenced")
	}
	f.read(north, func(d *store.Directory) error {
		_, err := d.Group("grp_1")
		all, total, err2 := d.Groups(store.Query{Start: 1, Count: 10})
		of, err3 := d.GroupsOf(people[0])
		if !fault.Is(err, fault.NotFound) || len(all) != 0 || total != 0 || len(of) != 0 {
			t.Errorf("still to be seen: %v %v %v %v %v", err, err2, err3, all, of)
		}
		return nil
	})
	f.group(north, "grp_2", "team")
	f.write(north, func(d *store.DirectoryTx) error { return d.SetDecided(people[0].Key, 1, time.Time{}) })
	if !f.decided(north, people[0].ID) || f.decided(north, people[1].ID) {
		t.Error("a decision lifts the fence over the decided, and over nobody else")
	}
	var dropped []store.PersonKey
	for done := false; !done; {
		f.update(func(tx *store.Tx) error {
			going, err := tx.Dissolving(10)
			if err != nil || len(going) != 1 || going[0].Connection != north {
				t.Fatalf("dissolving: %v (%v)", going, err)
			}
			d, err := tx.In(going[0].Connection)
			if err != nil {
				return err
			}
			var some []store.PersonKey
			some, done, err = d.DropMembers(going[0], 2)
			dropped = append(dropped, some...)
			if err == nil && done {
				err = d.DeleteGroup(going[0])
			}
			return err
		})
	}
	if len(dropped) != 5 || !f.decided(north, people[4].ID) {
		t.Errorf("dropped %v", dropped)
	}
	f.read(north, func(d *store.Directory) error {
		if counted(f.t, d).Groups != 1 {
			t.Errorf("%d groups are counted", counted(f.t, d).Groups)
		}
		return nil
	})
}

// A fence over a live group refuses its members until each is decided, or until
// all have been taken for deciding.
func testFence(t *testing.T, f *fixture) {
	people := make([]store.Person, 5)
	for i := range people {
		people[i] = f.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i))
		f.write(north, func(d *store.DirectoryTx) error { return d.SetDecided(people[i].Key, 1, time.Time{}) })
	}
	g := f.group(north, "grp_1", "Team", people...)
	f.write(north, func(d *store.DirectoryTx) error { return d.FenceGroup(g) })
	if f.decided(north, people[0].ID) || f.groupNow(north, "grp_1").MemberCount != 5 {
		t.Error("the fence does not lie, or the group is gone")
	}
	var taken []store.PersonKey
	for done := false; !done; {
		f.write(north, func(d *store.DirectoryTx) (err error) {
			var some []store.PersonKey
			some, done, err = d.TakeFenced(g, 2)
			taken = append(taken, some...)
			for _, key := range some {
				if err := d.SetDecided(key, 1, time.Time{}); err != nil {
					return err
				}
			}
			return err
		})
	}
	f.view(func(v *store.View) error {
		left, err := v.Fenced(10)
		if err != nil || len(left) != 0 || len(taken) != 5 {
			t.Errorf("taken %v, left %v (%v)", taken, left, err)
		}
		return nil
	})
	for _, p := range people {
		if !f.decided(north, p.ID) {
			t.Errorf("%s is still fenced", p.ID)
		}
	}
}

// A large change is taken in parts, in their order, by one at a time; the group says
// that it is under way, until the last part, and its deletion takes the rest.
func testEdits(t *testing.T, f *fixture) {
	one, two := f.person(north, "per_1", "one@north.example"), f.person(north, "per_2", "two@north.example")
	g := f.group(north, "grp_1", "Team", one)
	edits := []store.MemberEdit{{Remove: []store.PersonKey{one.Key}, Request: "r1"}, {Add: []store.PersonKey{two.Key}}}
	f.write(north, func(d *store.DirectoryTx) error { return d.BeginEdits(&g, edits, day) })
	if now := f.groupNow(north, "grp_1"); !now.Changing.Equal(day) || !g.Changing.Equal(day) {
		t.Errorf("changing since %s, the caller was told %s", now.Changing, g.Changing)
	}
	if err := f.try(north, func(d *store.DirectoryTx) error { return d.BeginEdits(&g, edits, day) }); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second change begins: %v", err)
	}
	open := func() (n int) {
		f.view(func(v *store.View) error {
			all, err := v.Changing(10)
			n = len(all)
			if n == 1 && (all[0].ID != "grp_1" || all[0].Connection != north) {
				t.Errorf("changing: %+v", all)
			}
			return err
		})
		return n
	}
	for i, want := range edits {
		if open() != 1 {
			t.Errorf("before part %d: %d groups are changing", i, open())
		}
		f.write(north, func(d *store.DirectoryTx) error {
			got, ok, err := d.TakeEdit(&g)
			if !ok || !slices.Equal(got.Add, want.Add) || !slices.Equal(got.Remove, want.Remove) || got.Request != want.Request {
				t.Errorf("part %d is %+v (%t)", i, got, ok)
			}
			return err
		})
	}
	if open() != 0 || !g.Changing.IsZero() || !f.groupNow(north, "grp_1").Changing.IsZero() {
		t.Error("the change does not end with its last part")
	}
	f.write(north, func(d *store.DirectoryTx) error {
		_, ok, err := d.TakeEdit(&g)
		among, err2 := d.Among(g, []store.PersonKey{one.Key, two.Key})
		living, err3 := d.Living([]store.PersonKey{one.Key, 1 << 40})
		if ok || !slices.Equal(among, []store.PersonKey{one.Key}) || !slices.Equal(living, []store.PersonKey{one.Key}) {
			t.Errorf("a part too many: %t; among the members %v, living %v", ok, among, living)
		}
		return errors.Join(err, err2, err3, d.BeginEdits(&g, edits, day), d.DeleteGroup(g))
	})
	if open() != 0 {
		t.Error("a change outlives its group")
	}
}

// Ids that are nobody's are remembered once each, the latest of them, until they are
// forgotten or their group goes; each connection sees its own.
func testDrift(t *testing.T, f *fixture) {
	g, other := f.group(north, "grp_1", "Team"), f.group(north, "grp_2", "Crew")
	listed := func(conn access.ConnectionID) (all []string) {
		f.read(conn, func(d *store.Directory) error {
			rows, err := d.Drift(10 * store.DriftOfGroup)
			for _, x := range rows {
				all = append(all, fmt.Sprint(x.Name, " ", x.Member, " ", x.Times))
			}
			return err
		})
		slices.Sort(all)
		return all
	}
	note := func(g *store.Group, now time.Time, members ...string) {
		f.write(north, func(d *store.DirectoryTx) error { return d.NoteDrift(g, members, now) })
	}
	note(&g, day, "a", "b", "ü")
	note(&g, day.Add(time.Hour), "a")
	note(&other, day, "a")
	if got := listed(north); !slices.Equal(got, []string{"Crew a 1", "Team a 2", "Team b 1", "Team ü 1"}) || g.Unknown != 3 || f.groupNow(north, "grp_1").Unknown != 3 {
		t.Errorf("%v, counted as %d", got, g.Unknown)
	}
	if got := listed(south); len(got) != 0 {
		t.Errorf("another connection's: %v", got)
	}
	f.write(north, func(d *store.DirectoryTx) error { return d.ForgetDrift(&g, []string{"b"}, false) })
	f.write(north, func(d *store.DirectoryTx) error { return d.ForgetDrift(&g, []string{"a"}, true) })
	if got := listed(north); !slices.Equal(got, []string{"Crew a 1", "Team a 2"}) || g.Unknown != 1 {
		t.Errorf("%v, counted as %d", got, g.Unknown)
	}
	var many []string
	for i := range store.DriftOfGroup {
		many = append(many, fmt.Sprint("m", i))
	}
	note(&g, day.Add(2*time.Hour), many...)
	if got := listed(north); len(got) != store.DriftOfGroup+1 || slices.Contains(got, "Team a 2") || int(g.Unknown) != store.DriftOfGroup {
		t.Errorf("%d are kept, counted as %d", len(got), g.Unknown)
	}
	f.write(north, func(d *store.DirectoryTx) error {
		n, err := d.AcknowledgeDrift("grp_1")
		if int(n) != store.DriftOfGroup {
			t.Errorf("%d were forgotten", n)
		}
		return errors.Join(err, d.DeleteGroup(other))
	})
	if got := listed(north); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

// A successor is seen by nobody until it takes its group's place, with all that the
// group is known by; who stays keeps the instant they joined and is under one fence.
func testSuccessor(t *testing.T, f *fixture) {
	people := make([]store.Person, 4)
	var keys []store.PersonKey
	for i := range people {
		people[i] = f.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i))
		f.write(north, func(d *store.DirectoryTx) error { return d.SetDecided(people[i].Key, 1, time.Time{}) })
		keys = append(keys, people[i].Key)
	}
	g := f.group(north, "grp_1", "Team", people[:3]...) // the first stays, two leave, the last comes
	later := day.Add(time.Hour)
	f.write(north, func(d *store.DirectoryTx) error {
		return errors.Join(d.NoteDrift(&g, []string{"nobody"}, day), d.PrepareSuccessor(g), d.StageMembers(g, []store.PersonKey{keys[0], keys[3], 1 << 40}, later),
			d.BeginEdits(&g, []store.MemberEdit{{Tell: keys[3:]}}, later))
	})
	if err := f.try(north, func(d *store.DirectoryTx) error { return d.PrepareSuccessor(g) }); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second successor: %v", err)
	}
	shown := func() (ids []access.PersonID, groups int) {
		f.read(north, func(d *store.Directory) error {
			now, err := d.Group("grp_1")
			if err != nil {
				return err
			}
			rows, err := d.Members(now, 0, 10)
			for _, m := range rows {
				ids = append(ids, m.Person)
				if want := map[bool]time.Time{true: day, false: later}[m.Person != "per_3"]; !m.Since.Equal(want) {
					t.Errorf("%s joined at %s, want %s", m.Person, m.Since, want)
				}
			}
			_, groups, err2 := d.Groups(store.Query{Start: 1, Count: 10})
			if int(now.MemberCount) != len(ids) || now.Unknown != 1 || counted(t, d).Groups != 1 || groups != 1 {
				t.Errorf("%+v is shown, of %d groups, %d counted", now, groups, counted(t, d).Groups)
			}
			return errors.Join(err, err2)
		})
		return ids, groups
	}
	if ids, _ := shown(); len(ids) != 3 || !f.decided(north, "per_3") {
		t.Errorf("a successor is seen before its time: %v", ids)
	}
	before := f.groupNow(north, "grp_1")
	f.write(north, func(d *store.DirectoryTx) error { return d.Succeed(&g, true, later) })
	if ids, _ := shown(); !slices.Equal(ids, []access.PersonID{"per_0", "per_3"}) {
		t.Errorf("the successor has %v", ids)
	}
	if g.Version <= before.Version || g.Key == before.Key || g.ID != "grp_1" || !g.Changing.Equal(later) {
		t.Errorf("the group was %+v and is %+v", before, g)
	}
	fences := map[access.PersonID]int64{}
	f.read(north, func(d *store.Directory) error {
		for _, p := range people {
			n, err := d.Fences(p)
			if err != nil {
				return err
			}
			fences[p.ID] = n
		}
		return nil
	})
	for _, p := range people {
		if f.decided(north, p.ID) || fences[p.ID] != 1 {
			t.Errorf("%s is decided %t, under %d fences", p.ID, f.decided(north, p.ID), fences[p.ID])
		}
	}
	testSucceeded(t, f, g, keys)
}

// testSucceeded: what was the group dissolves, and knows who stays in its successor;
// what is left of the change goes on with the successor.
func testSucceeded(t *testing.T, f *fixture, g store.Group, keys []store.PersonKey) {
	t.Helper()
	f.update(func(tx *store.Tx) error {
		going, err := tx.Dissolving(10)
		if err != nil || len(going) != 1 || going[0].Origin() != "grp_1" || going[0].ID == "grp_1" {
			t.Fatalf("dissolving: %+v (%v)", going, err)
		}
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		if _, err := d.AddMembers(&g, keys[1:2], day.Add(time.Hour)); err != nil { // who left comes back
			return err
		}
		leaving, err := d.NextLeaving(going[0], 10)
		sooner := func(l store.Leaving, key store.PersonKey) bool {
			return l.Key == key && l.Staying == (key == keys[0]) && l.Again == (key == keys[1]) && l.Since.Equal(day)
		}
		if !slices.EqualFunc(leaving, keys[:3], sooner) {
			t.Errorf("leaving: %v", leaving)
		}
		edit, ok, err2 := d.TakeEdit(&g)
		if !ok || !slices.Equal(edit.Tell, keys[3:]) {
			t.Errorf("what is left of the change: %+v (%t)", edit, ok)
		}
		return errors.Join(err, err2)
	})
}
