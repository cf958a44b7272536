package storetest

import (
	"reflect"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// What is read about several people at once is what is read about each alone: also of
// those who hold nothing, are in a group that dissolves, or whose name another
// connection knows, too.
func testBases(t *testing.T, f *fixture) {
	a, b, c := f.person(north, "per_a", "a@north.example"), f.person(north, "per_b", "b@north.example"), f.person(north, "per_c", "c@north.example")
	stranger := f.person(south, "per_a", "a@south.example")
	department, err := schema.Users().Attribute("department")
	if err != nil {
		t.Fatal(err)
	}
	look := []mapping.Attribute{{Name: "dept", At: department}}
	b.Doc = schema.Object{"userName": b.UserName, schema.EnterpriseURN: schema.Object{"department": "Support"}}.Encode()
	b.Asserted = &access.Certification{Level: "Trainer", Until: day}
	f.write(north, func(d *store.DirectoryTx) error { return d.UpdatePerson(b) })
	one, two, going := f.group(north, "grp_1", "One", a, b), f.group(north, "grp_2", "Two", b), f.group(north, "grp_3", "Going", a, b)
	f.group(south, "grp_1", "One", stranger)
	for _, g := range []*store.Group{&one, &two} {
		g.ExternalID = "x"
		f.write(north, func(d *store.DirectoryTx) error { return d.UpdateGroup(*g) })
	}
	f.write(north, func(d *store.DirectoryTx) error { return d.DissolveGroup(going, day) })
	for _, p := range []store.Person{b, stranger} {
		f.write(p.Connection, func(d *store.DirectoryTx) error {
			guest := byRule("asg_1", access.Elevated, "scp_fleet")
			guest.Standing = access.Guest
			return d.ApplyPlan(p, mapping.Plan{Give: []access.Assignment{guest, byRule("asg_2", access.Standard, "scp_fleet")}})
		})
	}
	f.decide(a, b)
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_1", a)) })
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_2", stranger)) })
	f.read(north, func(d *store.Directory) error {
		people, err := d.PeopleByKey([]store.PersonKey{c.Key, a.Key, b.Key, stranger.Key, 999})
		if err != nil || len(people) != 3 {
			t.Fatalf("%d people (%v)", len(people), err)
		}
		bases, err := d.Bases(people, look)
		if err != nil {
			return err
		}
		names, err := d.GroupNamesOf([]store.PersonKey{c.Key, a.Key, b.Key, stranger.Key})
		if err != nil {
			return err
		}
		for i, p := range people {
			facts, err := d.Facts(p, look)
			if has := facts.Attributes["dept"]; (has == "Support") != (p.ID == "per_b") {
				t.Errorf("%s: looked at %v", p.ID, facts.Attributes)
			}
			if err != nil || !reflect.DeepEqual(bases[i].Facts, facts) {
				t.Errorf("%s: facts %+v, alone %+v (%v)", p.ID, bases[i].Facts, facts, err)
			}
			held, err := d.Assignments(p)
			if err != nil || !reflect.DeepEqual(bases[i].Held, held) {
				t.Errorf("%s holds %+v, alone %+v (%v)", p.ID, bases[i].Held, held, err)
			}
			by, err := d.Decided(p)
			if err != nil || !reflect.DeepEqual(bases[i].Decided, by) || (len(by.Permits) == 2) != (p.ID == "per_b") {
				t.Errorf("%s: people decided %+v, alone %+v (%v)", p.ID, bases[i].Decided, by, err)
			}
			groups, err := d.GroupNames(p)
			if err != nil || !slices.Equal(names[p.Key], groups) {
				t.Errorf("%s is in %v, alone %v (%v)", p.ID, names[p.Key], groups, err)
			}
			live, err := d.Sessions(p)
			if err != nil || !reflect.DeepEqual(bases[i].Sessions, live) {
				t.Errorf("%s has the sessions %+v, alone %+v (%v)", p.ID, bases[i].Sessions, live, err)
			}
		}
		if n := len(bases[1].Facts.Memberships); n != 2 || len(bases[1].Held) != 2 || len(bases[0].Sessions) != 1 {
			t.Errorf("this compares nothing with nothing: %+v", bases)
		}
		return nil
	})
}
