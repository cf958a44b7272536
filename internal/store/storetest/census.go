package storetest

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// A census meets everybody of every connection once, whatever the size of its parts,
// and says of each what their own directory says.
func testCensus(t *testing.T, f *fixture) {
	a, b := f.person(north, "per_a", "a@north.example"), f.person(south, "per_a", "a@south.example")
	c, d := f.person(north, "per_c", "c@north.example"), f.person(south, "per_d", "d@south.example")
	c.Asserted, c.Active = &access.Certification{Level: "Trainer", Until: day}, false
	f.write(north, func(d *store.DirectoryTx) error { return d.UpdatePerson(c) })
	one, going := f.group(north, "grp_1", "One", a, c), f.group(north, "grp_2", "Going", a)
	f.group(south, "grp_1", "One", b, d)
	f.write(north, func(d *store.DirectoryTx) error { return d.DissolveGroup(going, day) })
	for _, p := range []store.Person{a, b, d} {
		f.write(p.Connection, func(d *store.DirectoryTx) error {
			guest := byRule(access.AssignmentID("asg_1"+p.ID), access.Elevated, "scp_fleet")
			guest.Standing = access.Guest
			return d.ApplyPlan(p, mapping.Plan{Give: []access.Assignment{guest, byRule(access.AssignmentID("asg_2"+p.ID), access.Standard, "scp_fleet")}})
		})
	}
	f.decide(a, b)
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_1", a)) })
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_2", b)) })
	var whole []store.CensusPerson
	for _, size := range []int{1, 2, 3, 100} {
		met := readAll(f, size)
		if whole == nil {
			whole = met
		}
		if len(met) != 4 || !reflect.DeepEqual(met, whole) {
			t.Errorf("in parts of %d: %+v, want %+v", size, met, whole)
		}
	}
	for _, x := range whole {
		f.read(x.Connection, func(d *store.Directory) error { return sameInCensus(t, d, x) })
	}
	f.view(func(v *store.View) error {
		all, err := v.Census()
		if err != nil {
			return err
		}
		some, err := all.Of(v, north, []access.PersonID{"per_c", "per_d", "per_a"}, []access.ConnectionID{north})
		if err != nil || len(some) != 2 || some[0].ID != "per_a" || len(some[0].Doc) == 0 || len(some[0].Held) != 2 || len(some[1].Groups) != 1 {
			t.Errorf("of north: %+v, %v", some, err)
		}
		groups, err := all.Groups(v, 0, 2)
		if err != nil || len(groups) != 2 || groups[0].Name != "One" || groups[0].Connection != north || groups[0].Members != 2 || !groups[1].Dissolving {
			t.Errorf("groups %+v, %v", groups, err)
		}
		again, err := all.GroupsOf(v, []store.GroupKey{one.Key, 999})
		if err != nil || !slices.Equal(again, groups[:1]) {
			t.Errorf("the group of a key: %+v, %v", again, err)
		}
		live, err := all.Sessions(v, north, []access.PersonID{"per_a", "per_c"})
		if err != nil || len(live) != 1 || len(live["per_a"]) != 1 || live["per_a"][0].ID != "ses_1" {
			t.Errorf("sessions %+v, %v", live, err)
		}
		return nil
	})
}

func readAll(f *fixture, size int) (met []store.CensusPerson) {
	f.t.Helper()
	f.view(func(v *store.View) error {
		all, err := v.Census()
		if err != nil {
			return err
		}
		for after := store.PersonKey(0); ; {
			upTo, err := all.Next(v, after, size)
			if err != nil || upTo == 0 {
				return err
			}
			people, err := all.People(v, after, upTo, nil)
			if err != nil {
				return err
			}
			met, after = append(met, people...), upTo
		}
	})
	return met
}

func sameInCensus(t *testing.T, d *store.Directory, x store.CensusPerson) error {
	p, err := d.Person(x.ID)
	if err != nil {
		return err
	}
	if p.Key != x.Key || p.UserName != x.UserName || p.Active != x.Active || !reflect.DeepEqual(p.Asserted, x.Asserted) || p.Claimed != x.Claimed || p.Policy != x.Policy || !p.ValidUntil.Equal(x.ValidUntil) {
		t.Errorf("%s of %s is %+v, in the census %+v", p.ID, p.Connection, p, x)
	}
	by, err := d.Decided(p)
	x.By.Certification = by.Certification
	if err != nil || p.Decided != x.Decided || !reflect.DeepEqual(by, x.By) {
		t.Errorf("about %s people decided %+v, in the census %+v (%v)", p.ID, by, x.By, err)
	}
	held, err := d.Assignments(p)
	if err != nil {
		return err
	}
	var counted []access.Assignment
	for _, a := range x.Held {
		read, err := a.Assignment(nil)
		if err != nil {
			return err
		}
		read.Person = x.ID
		counted = append(counted, read)
	}
	slices.SortFunc(counted, access.CompareAssignments)
	if !reflect.DeepEqual(held, counted) {
		t.Errorf("%s of %s holds %+v, in the census %+v", p.ID, p.Connection, held, counted)
	}
	return nil
}

// A plan is found by its hash when it is finished, with all its parts, and until
// something newer takes its place.
func testPlansOfPolicies(t *testing.T, f *fixture) {
	add := func(hash string, at time.Time) store.PlanRow {
		row := store.PlanRow{Hash: hash, Base: 3, Policy: "p", File: "f.yaml", Author: "ann", Audit: 7, Created: at, Summary: []byte(`{"x":1}`)}
		f.update(func(tx *store.Tx) error { return tx.BeginPlan(&row) })
		for seq, some := range []string{"one ", "two ", "three"} {
			f.update(func(tx *store.Tx) error { return tx.AddPlanPart(row.Key, store.PlanSource, seq, []byte(some)) })
		}
		f.update(func(tx *store.Tx) error { return tx.AddPlanPart(row.Key, store.PlanLosses, 0, []byte{0, 255}) })
		return row
	}
	find := func(hash string) (p store.PlanRow, err error) {
		f.view(func(v *store.View) error { p, err = v.Plan(hash); return nil })
		return p, err
	}
	row := add("h1", day)
	if _, err := find("h1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unfinished plan is found: %v", err)
	}
	f.update(func(tx *store.Tx) error { return tx.FinishPlan(row.Key) })
	if got, err := find("h1"); err != nil || !reflect.DeepEqual(got, row) {
		t.Errorf("found %+v, %v, want %+v", got, err, row)
	}
	f.view(func(v *store.View) error {
		source, err := v.PlanPart(row.Key, store.PlanSource)
		losses, err2 := v.PlanPart(row.Key, store.PlanLosses)
		text, err3 := v.PlanPart(row.Key, store.PlanText)
		if string(source) != "one two three" || !bytes.Equal(losses, []byte{0, 255}) || text != nil || err != nil || err2 != nil || err3 != nil {
			t.Errorf("parts %q, %v, %q: %v, %v, %v", source, losses, text, err, err2, err3)
		}
		return nil
	})
	again := add("h1", day.Add(time.Minute))
	f.update(func(tx *store.Tx) error { return tx.FinishPlan(again.Key) })
	if got, err := find("h1"); err != nil || got.Key != again.Key {
		t.Errorf("the newer of two alike: %+v, %v", got, err)
	}
	other := add("h2", day.Add(2*time.Minute))
	f.update(func(tx *store.Tx) error { return tx.FinishPlan(other.Key) })
	stale := func(before time.Time, keep int) (keys []int64) {
		f.view(func(v *store.View) (err error) { keys, err = v.StalePlans(before, keep); return err })
		return keys
	}
	if got := stale(day, 5); !slices.Equal(got, []int64{row.Key}) {
		t.Errorf("one of two alike is stale: %v", got)
	}
	if got := stale(day, 1); !slices.Equal(got, []int64{row.Key, again.Key}) {
		t.Errorf("one is kept: %v", got)
	}
	if got := stale(day.Add(time.Hour), 5); len(got) != 3 {
		t.Errorf("all are too old: %v", got)
	}
	for more := true; more; {
		f.update(func(tx *store.Tx) (err error) { more, err = tx.DropPlan(other.Key, 2); return err })
	}
	if _, err := find("h2"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a dropped plan is found: %v", err)
	}
	f.view(func(v *store.View) error {
		if left, err := v.PlanPart(other.Key, store.PlanSource); err != nil || left != nil {
			t.Errorf("parts of a dropped plan: %q, %v", left, err)
		}
		return nil
	})
}
