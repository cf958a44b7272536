package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// An entry is found by its name in any case, by its person, or waits for one; each has one.
func testRegister(t *testing.T, f *fixture) {
	a, b := f.person(north, "per_a", "Kim@north.example"), f.person(north, "per_b", "lee@north.example")
	put := func(conn access.ConnectionID, who string, p access.PersonID, until time.Time) {
		f.write(conn, func(d *store.DirectoryTx) error {
			return d.PutRegistered(store.Registered{Who: who, Person: p, Level: "Trainer", Until: until, Note: "n", Source: "s", Set: day, By: "asha"})
		})
	}
	all := func(conn access.ConnectionID) (said []string) {
		f.view(func(v *store.View) error {
			for after := store.RegisterKey(0); ; {
				some, err := v.Register(conn, after, 1)
				if err != nil || len(some) == 0 {
					return err
				}
				e := some[0]
				after = e.Key
				if e.Level != "Trainer" || e.Note != "n" || e.Source != "s" || !e.Set.Equal(day) || e.By != "asha" || e.Certification() != (access.Certification{Level: "Trainer", Until: e.Until}) {
					t.Errorf("%+v", e)
				}
				said = append(said, fmt.Sprintf("%s %s %q", e.Connection, e.Who, e.Person))
			}
		})
		return said
	}
	put(north, "kim@NORTH.example", a.ID, day)
	put(south, "kim@north.example", "", time.Time{})
	put(north, "new@north.example", "", day.Add(time.Hour))
	put(north, "KIM@north.example", a.ID, day.Add(time.Hour)) // the same name
	if got := all(""); !slices.Equal(got, []string{`north KIM@north.example "per_a"`, `south kim@north.example ""`, `north new@north.example ""`}) {
		t.Errorf("%q", got)
	}
	put(north, "per_a", a.ID, day) // the same person
	if got := all(north); !slices.Equal(got, []string{`north new@north.example ""`, `north per_a "per_a"`}) {
		t.Errorf("%q", got)
	}
	f.read(north, func(d *store.Directory) error {
		e, err := d.RegisteredAs("PER_A")
		of, err2 := d.RegisteredOf("per_a")
		if e.Key == 0 || e != of {
			t.Errorf("%+v, %+v", e, of)
		}
		_, none := d.RegisteredOf("")
		_, none2 := d.RegisteredAs("kim@north.example")
		if !fault.Is(none, fault.NotFound) || !fault.Is(none2, fault.NotFound) {
			t.Errorf("%v, %v", none, none2)
		}
		w, ok, err3 := d.Awaited("who", "New@north.example")
		_, taken, err4 := d.Awaited("per_a", "")
		if !ok || w.Who != "new@north.example" || taken {
			t.Errorf("%+v %t %t", w, ok, taken)
		}
		return errors.Join(err, err2, err3, err4)
	})
	testLapses(t, f)
	testCalled(t, f, a, b)
	f.write(north, func(d *store.DirectoryTx) error {
		e, err := d.RegisteredAs("new@north.example")
		was, err2 := d.DropRegistered(e.Key)
		again, err3 := d.DropRegistered(e.Key)
		if !was || again {
			t.Errorf("%t %t", was, again)
		}
		return errors.Join(err, err2, err3, d.DeletePerson(a, day))
	})
	if got := all(north); len(got) != 0 {
		t.Errorf("an entry outlives its person: %q", got)
	}
}

func testLapses(t *testing.T, f *fixture) {
	over := func(now time.Time) (n int) {
		f.view(func(v *store.View) error {
			all, err := v.Lapsing(now, 10)
			n = len(all)
			return err
		})
		return n
	}
	if over(day.Add(-1)) != 0 || over(day) != 1 || over(day.Add(2*time.Hour)) != 2 {
		t.Errorf("%d %d %d", over(day.Add(-1)), over(day), over(day.Add(2*time.Hour)))
	}
	f.write(north, func(d *store.DirectoryTx) error {
		e, err := d.RegisteredAs("per_a")
		other, err2 := d.MarkLapsed(e.Key, day.Add(1e9))
		first, err3 := d.MarkLapsed(e.Key, day)
		again, err4 := d.MarkLapsed(e.Key, day)
		if other || !first || again {
			t.Errorf("%t %t %t", other, first, again)
		}
		return errors.Join(err, err2, err3, err4)
	})
	if over(day) != 0 {
		t.Error("it is noticed twice")
	}
}

// Somebody is called by userName, address or id, and two may be called the same.
func testCalled(t *testing.T, f *fixture, a, b store.Person) {
	f.write(north, func(d *store.DirectoryTx) error {
		b.Email = "kim@north.example"
		b.Doc = []byte(`{"emails":[{"value":"kim@north.example"},{"value":"Lee.More@north.example"}]}`)
		return d.UpdatePerson(b)
	})
	f.read(north, func(d *store.Directory) error {
		var errs []error
		for name, want := range map[string][]access.PersonID{"KIM@north.example": {a.ID, b.ID}, "lee.more@north.example": {b.ID}, "per_a": {a.ID}, "nobody": nil} {
			all, err := d.Called(name)
			var got []access.PersonID
			for _, p := range all {
				got = append(got, p.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q", name, got)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// Who set a limit is known until who lifted it is, too.
func testLimitNotes(t *testing.T, f *fixture) {
	n := store.LimitNote{Limit: "lim_1", SetBy: "asha", SetScope: "scp_1", SetReason: "why"}
	put := func() { f.update(func(tx *store.Tx) error { return tx.PutLimitNote(n) }) }
	put()
	n.LiftedBy, n.LiftedReason = "lee", "settled"
	put()
	f.view(func(v *store.View) error {
		all, err := v.LimitNotes([]access.LimitID{"lim_2", "lim_1"})
		if len(all) != 1 || all["lim_1"] != n {
			t.Errorf("%+v", all)
		}
		none, err2 := v.LimitNotes(nil)
		return errors.Join(err, err2, map[bool]error{true: errors.New("of none there is something")}[len(none) > 0])
	})
}
