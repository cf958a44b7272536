package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// What is stored is what is read, to the millisecond.
func testPeople(t *testing.T, f *fixture) {
	p := newPerson("per_1", "Ada@North.example")
	p.ExternalID, p.DisplayName, p.Email = "x-1", "Ada", "Ada@north.example"
	p.Claimed = access.Certification{Level: "Trainer", Until: day.Add(time.Hour)}
	p.Asserted = &access.Certification{Level: "Trainer"}
	f.write(north, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
	want := p
	find := map[string]func(*store.Directory) (store.Person, error){
		"id":   func(d *store.Directory) (store.Person, error) { return d.Person("per_1") },
		"name": func(d *store.Directory) (store.Person, error) { return d.PersonByUserName("aDA@nORTH.example") },
	}
	for by, find := range find {
		f.read(north, func(d *store.Directory) error {
			got, err := find(d)
			if err != nil {
				return err
			}
			if !samePerson(got, want) {
				t.Errorf("by %s:\n got %+v\nwant %+v", by, got, want)
			}
			return nil
		})
	}
	err := f.try(north, func(d *store.DirectoryTx) error {
		twin := newPerson("per_2", "ADA@north.EXAMPLE")
		return d.InsertPerson(&twin)
	})
	if !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != "user_name" || fault.DetailOf(err) == "" {
		t.Errorf("a second person of the same name: %v", err)
	}
}

func samePerson(a, b store.Person) bool {
	return a.Key == b.Key && a.ID == b.ID && a.Connection == b.Connection && a.UserName == b.UserName && a.ExternalID == b.ExternalID &&
		a.DisplayName == b.DisplayName && a.Email == b.Email && a.Active == b.Active && a.Epoch == b.Epoch && a.Version == b.Version &&
		a.Policy == b.Policy && a.ValidUntil.Equal(b.ValidUntil) && a.Claimed == b.Claimed && (a.Asserted == nil) == (b.Asserted == nil) &&
		(a.Asserted == nil || *a.Asserted == *b.Asserted) && slices.Equal(a.Doc, b.Doc) && a.Created.Equal(b.Created) && a.Updated.Equal(b.Updated)
}

// Deleting frees the names, ends what lives, and keeps only that the id was used.
func testTombstones(t *testing.T, f *fixture) {
	p := newPerson("per_1", "ada@north.example")
	p.ExternalID = "x-1"
	f.write(north, func(d *store.DirectoryTx) error {
		if err := d.InsertPerson(&p); err != nil {
			return err
		}
		return d.PinSubject(p, "https://idp.example", "sub-1")
	})
	g := f.group(north, "grp_1", "Team", p)
	f.group(north, "grp_2", "Big Team", p)
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_1", p)) })
	f.write(north, func(d *store.DirectoryTx) error {
		return d.ApplyPlan(p, mapping.Plan{Give: []access.Assignment{byRule("asg_1", access.Standard, "scp_fleet")}})
	})
	f.write(north, func(d *store.DirectoryTx) error {
		big, err := d.Group("grp_2")
		if err != nil {
			return err
		}
		if err := d.DissolveGroup(big, day); err != nil {
			return err
		}
		return d.DeletePerson(p, day.Add(time.Hour))
	})
	if now := f.groupNow(north, g.ID); now.MemberCount != 0 || now.Version != 3 {
		t.Errorf("the group counts %d members at version %d", now.MemberCount, now.Version)
	}
	f.read(north, func(d *store.Directory) error {
		for _, ask := range [][3]string{{"x-1", "", ""}, {"", "https://idp.example", "sub-1"}} {
			stones, err := d.Tombstones(ask[0], ask[1], ask[2])
			if err != nil || len(stones) != 1 || stones[0].Person != p.ID || !stones[0].Deleted.Equal(day.Add(time.Hour)) {
				t.Errorf("by %v: %+v (%v)", ask, stones, err)
			}
		}
		if none, err := d.Tombstones("", "", ""); err != nil || len(none) != 0 {
			t.Errorf("by nothing: %v (%v)", none, err)
		}
		if counted(f.t, d).People != 0 {
			t.Errorf("%d people are counted", counted(f.t, d).People)
		}
		return nil
	})
	f.view(func(v *store.View) error {
		s, err := v.Session("ses_1")
		if err != nil || s.State != session.Ended || s.EndReason != session.EndDeleted || s.Version != 2 {
			t.Errorf("the session is %+v (%v)", s, err)
		}
		return nil
	})
	again := f.person(north, "per_2", "ADA@north.example")
	f.read(north, func(d *store.Directory) error {
		held, err := d.Assignments(again)
		if err != nil || len(held) != 0 {
			t.Errorf("a newcomer holds %v (%v)", held, err)
		}
		return nil
	})
	if err := f.try(north, func(d *store.DirectoryTx) error { return d.DeletePerson(p, day) }); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

func testCertification(t *testing.T, f *fixture) {
	claimed, asserted := access.Certification{Level: "Trainer", Until: day}, access.Certification{Level: "Installation Certified Technician G2"}
	p := newPerson("per_1", "ada@north.example")
	p.Claimed = claimed
	f.write(north, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
	expect := func(when string, want access.Certification) {
		t.Helper()
		f.read(north, func(d *store.Directory) error {
			facts, err := d.Facts(p, nil)
			if err != nil || facts.Certification != want || !facts.Active || facts.Person != p.ID || facts.Connection != north {
				t.Errorf("%s: %+v (%v)", when, facts, err)
			}
			return nil
		})
	}
	expect("claimed, not trusted", access.Certification{})
	f.update(func(tx *store.Tx) error {
		_, err := tx.PutConnection(access.Connection{ID: north, TrustsCertification: true}, day)
		return err
	})
	expect("claimed and trusted", claimed)
	p.Asserted = &asserted
	f.write(north, func(d *store.DirectoryTx) error { return d.UpdatePerson(p) })
	expect("asserted", asserted)
}

func testQueues(t *testing.T, f *fixture) {
	var people []store.Person
	for i := range 4 {
		people = append(people, f.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%d@north.example", i)))
	}
	elsewhere := f.person(south, "per_s", "s@south.example")
	ask := func(fn func(*store.View) ([]store.DueKey, error)) (ids []access.PersonID) {
		t.Helper()
		f.view(func(v *store.View) error {
			keys, err := fn(v)
			for _, k := range keys {
				ids = append(ids, k.Person)
			}
			return err
		})
		return ids
	}
	undecided := func(v *store.View) ([]store.DueKey, error) { return v.Undecided(10) }
	dueAt := func(now time.Time) func(*store.View) ([]store.DueKey, error) {
		return func(v *store.View) ([]store.DueKey, error) { return v.Due(now, 10) }
	}
	waiting := func(now time.Time, want int64) {
		t.Helper()
		f.view(func(v *store.View) error {
			if n, err := v.CountWaiting(now); err != nil || n != want {
				t.Errorf("%d are waiting, not %d (%v)", n, want, err)
			}
			return nil
		})
	}
	if got := ask(undecided); len(got) != 5 {
		t.Errorf("new people to decide: %v", got)
	}
	f.write(south, func(d *store.DirectoryTx) error { return d.MarkDue([]store.PersonKey{elsewhere.Key}) })
	waiting(day, 5) // whoever waits for two reasons waits once
	if got := ask(dueAt(day)); !slices.Equal(got, []access.PersonID{"per_s"}) {
		t.Errorf("due elsewhere: %v", got)
	}
	f.update(func(tx *store.Tx) error { return tx.EndConnection(south, day) })
	if got := ask(dueAt(day)); len(got) != 0 {
		t.Errorf("due in an ended connection: %v", got)
	}
	waiting(day, 4)
	for i, p := range people {
		until := day.Add(time.Duration(3-i) * time.Hour)
		f.write(north, func(d *store.DirectoryTx) error { return d.SetDecided(p.Key, 1, until) })
	}
	waiting(day.Add(-time.Second), 0)
	waiting(day.Add(time.Hour), 2)
	if got := ask(undecided); len(got) != 0 {
		t.Errorf("all are decided, but for %s of an ended connection: %v", elsewhere.ID, got)
	}
	if got := ask(dueAt(day.Add(time.Hour))); !slices.Equal(got, []access.PersonID{"per_3", "per_2"}) {
		t.Errorf("due after an hour: %v", got)
	}
	f.write(north, func(d *store.DirectoryTx) error { return d.MarkDue([]store.PersonKey{people[0].Key}) })
	if got := ask(dueAt(day.Add(-time.Hour))); !slices.Equal(got, []access.PersonID{"per_0"}) {
		t.Errorf("marked: %v", got)
	}
	f.unsettled(people, day.Add(-time.Second), "per_0")
	f.unsettled(people, day.Add(time.Hour), "per_0", "per_2", "per_3")
	g := f.group(north, "grp_1", "Team", people[1])
	f.write(north, func(d *store.DirectoryTx) error { return d.FenceGroup(g) })
	f.unsettled(people, day, "per_0", "per_1", "per_3")
	if c := f.current(credential.Subject{Connection: north, Person: "per_0"}); c.ValidUntil.IsZero() || c.ValidUntil.After(day) {
		t.Errorf("who is marked is valid until %v", c.ValidUntil)
	}
	f.update(func(tx *store.Tx) error {
		version, err := tx.PutPolicy("next", []byte("{}"), day)
		if version != 2 {
			t.Errorf("version %d follows 1", version)
		}
		return err
	})
	if got := ask(undecided); len(got) != 4 || f.decided(north, "per_1") {
		t.Errorf("after a new policy: %v", got)
	}
	f.view(func(v *store.View) error {
		p, err := v.Policy()
		if err != nil || p.Version != 2 || p.Hash != "next" || string(p.Source) != "{}" || !p.Applied.Equal(day) {
			t.Errorf("policy %+v (%v)", p, err)
		}
		named, err := v.PeopleNamed("P1@NORTH.example")
		if err != nil || len(named) != 1 || named[0].ID != "per_1" || named[0].Connection != north {
			t.Errorf("named %v (%v)", named, err)
		}
		return nil
	})
}

// A policy lets nobody's decision stand but where it is told to; fences over several groups
// are one change, whatever their number.
func testStanding(t *testing.T, f *fixture) {
	one, two := f.person(north, "per_1", "one@north.example"), f.person(south, "per_2", "two@south.example")
	f.write(north, func(d *store.DirectoryTx) error { return d.SetDecided(one.Key, 1, time.Time{}) })
	f.write(south, func(d *store.DirectoryTx) error { return d.SetDecided(two.Key, 1, time.Time{}) })
	put := func(stand ...access.ConnectionID) {
		f.update(func(tx *store.Tx) error { _, err := tx.PutPolicy("next", []byte("{}"), day, stand...); return err })
	}
	expect := func(name string, a, b int64) {
		t.Helper()
		for p, want := range map[*store.Person]int64{&one: a, &two: b} {
			f.read(p.Connection, func(d *store.Directory) error {
				if got := d.Rules(*p); got != want || f.decided(p.Connection, p.ID) != (want == 0) {
					t.Errorf("%s: %s has %d changes of rules over them, decided %t; want %d", name, p.ID, got, f.decided(p.Connection, p.ID), want)
				}
				return nil
			})
		}
	}
	one.Policy, two.Policy = 1, 1
	put(north, south)
	expect("nothing changed for either", 0, 0)
	put(south)
	expect("changed in the north", 1, 0)
	put(north, south)
	expect("nothing more", 1, 0)
	put()
	expect("changed for all", 2, 1)
	f.write(north, func(d *store.DirectoryTx) error { return d.SetDecided(one.Key, 5, time.Time{}) })
	one.Policy = 5
	expect("decided", 0, 1)
	team, others := f.group(north, "grp_1", "Team", one), f.group(north, "grp_2", "Others", one)
	f.write(north, func(d *store.DirectoryTx) error {
		others.ExternalID = "ext-2"
		return d.UpdateGroup(others)
	})
	f.read(north, func(d *store.Directory) error {
		titles, err := d.GroupTitles(10)
		if len(titles) != 2 || titles[0].DisplayName != "Team" || titles[1].ExternalID != "ext-2" || titles[1].Key != others.Key {
			t.Errorf("the groups are %+v", titles)
		}
		return err
	})
	f.write(north, func(d *store.DirectoryTx) error { return d.FenceGroups([]store.GroupKey{team.Key, others.Key}) })
	f.read(north, func(d *store.Directory) error {
		n, err := d.Fences(one)
		if n != 1 || f.decided(north, one.ID) {
			t.Errorf("a member of both is under %d fences, decided %t", n, f.decided(north, one.ID))
		}
		return err
	})
	f.write(north, func(d *store.DirectoryTx) error { return d.FenceGroup(team) })
	f.read(north, func(d *store.Directory) error {
		n, err := d.Fences(one)
		if n < 2 {
			t.Errorf("two changes are %d", n)
		}
		return err
	})
}

// unsettled checks who must be decided anew at that instant.
func (f *fixture) unsettled(people []store.Person, now time.Time, want ...access.PersonID) {
	f.t.Helper()
	keys := make([]store.PersonKey, len(people))
	for i, p := range people {
		keys[i] = p.Key
	}
	f.read(north, func(d *store.Directory) error {
		var got []access.PersonID
		left, err := d.Unsettled(keys, now)
		for _, p := range left {
			got = append(got, p.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			f.t.Errorf("at %v %v are unsettled, want %v (%v)", now, got, want, err)
		}
		return nil
	})
}

// Walking pages while people come and go shows everybody who stays, once.
func testPages(t *testing.T, f *fixture) {
	for i := range 25 {
		f.person(north, fmt.Sprint("per_", i), fmt.Sprintf("p%02d@north.example", 99-i))
	}
	var seen []access.PersonID
	for start := 1; start <= 25; start += 10 {
		f.read(north, func(d *store.Directory) error {
			people, total, err := d.People(store.Query{Start: start, Count: 10})
			for _, p := range people {
				seen = append(seen, p.ID)
			}
			if want := 25 + start/10; total != want {
				t.Errorf("total %d, want %d", total, want)
			}
			return err
		})
		f.person(north, fmt.Sprint("per_new", start), fmt.Sprintf("new%d@north.example", start))
	}
	for i := range 25 {
		if seen[i] != access.PersonID(fmt.Sprint("per_", i)) {
			t.Fatalf("seen %v", seen)
		}
	}
	f.read(north, func(d *store.Directory) error {
		none, total, err := d.People(store.Query{Start: 1})
		if err != nil || len(none) != 0 || total != 28 {
			t.Errorf("count 0: %v of %d (%v)", none, total, err)
		}
		if _, _, err := d.People(store.Query{Start: 1, Count: store.MaxPage + 1}); !fault.Is(err, fault.Invalid) {
			t.Errorf("too large a page: %v", err)
		}
		return nil
	})
	g := f.group(north, "grp_1", "Team")
	f.write(north, func(d *store.DirectoryTx) error {
		people, _, err := d.People(store.Query{Start: 1, Count: 7})
		if err != nil {
			return err
		}
		for _, p := range people {
			if _, err := d.AddMembers(&g, []store.PersonKey{p.Key}, day); err != nil {
				return err
			}
		}
		return nil
	})
	f.read(north, func(d *store.Directory) error {
		first, err := d.Members(g, 0, 5)
		if err != nil || len(first) != 5 {
			t.Fatal(first, err)
		}
		rest, err := d.Members(g, first[4].Key, 5)
		if err != nil || len(rest) != 2 || rest[0].Person != "per_5" || !rest[0].Since.Equal(day) {
			t.Errorf("rest %+v (%v)", rest, err)
		}
		return nil
	})
}
