package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Who holds a grant is found by its scope and by its connection, given by rules or by
// people, in pages, and counted; what is over or begins later is left out where that is asked.
func testHolders(t *testing.T, f *fixture) {
	a, b, c := f.person(north, "per_a", "a@north.example"), f.person(north, "per_b", "b@north.example"), f.person(south, "per_c", "c@south.example")
	later := f.permitted(b, "asg_3", access.Standard, "scp_fleet")
	later.NotBefore, later.Until = day.Add(time.Hour), time.Time{}
	over := f.permitted(a, "asg_4", access.Elevated, "scp_fleet") // until day + 1h
	for p, held := range map[string][]access.Assignment{"per_a": {byRule("asg_1", access.Standard, "scp_fleet"), over}, "per_b": {later}, "per_c": {byRule("asg_5", access.Standard, "scp_fleet")}} {
		for _, who := range []store.Person{a, b, c} {
			if string(who.ID) == p {
				if err := f.apply(who, planOf(held...)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	f.write(north, func(d *store.DirectoryTx) error { return d.SetDecided(a.Key, 1, time.Time{}) }) // per_a alone
	f.view(func(v *store.View) error {
		dir, err := v.In(north)
		if err != nil {
			return err
		}
		if n, err := dir.CountHolding(day.Add(2 * time.Hour)); err != nil || n != 2 {
			t.Errorf("%d people of the connection hold something (%v)", n, err)
		}
		at, err := v.SeatsAt("scp_fleet", []access.Grant{access.Standard, access.Elevated})
		if err != nil {
			return err
		}
		of, err := v.SeatsOf(north, access.Standard)
		if err != nil {
			return err
		}
		for _, c := range []struct {
			what  string
			seats []store.Seat
			held  store.Held
			want  []string
		}{
			{"all at the scope", at, store.Held{Now: day}, []string{"asg_1", "asg_3", "asg_4", "asg_5"}},
			{"when one is over", at, store.Held{Now: day.Add(2 * time.Hour)}, []string{"asg_1", "asg_3", "asg_5"}},
			{"that have begun", at, store.Held{Now: day, Begun: true}, []string{"asg_1", "asg_4", "asg_5"}},
			{"of one connection", at, store.Held{Now: day, Connection: north}, []string{"asg_1", "asg_3", "asg_4"}},
			{"of a connection's grant", of, store.Held{Now: day}, []string{"asg_1", "asg_3"}},
		} {
			var got []string
			counted := int64(0)
			for _, seat := range c.seats {
				for last := int64(0); ; {
					var page []store.Holder
					if page, last, err = v.Holders(seat, c.held, last, 1); err != nil {
						return err
					}
					if len(page) == 0 {
						break
					}
					if page[0].Counts != (page[0].Person == "per_a") {
						t.Errorf("%s: what %s holds counts: %t", c.what, page[0].Person, page[0].Counts)
					}
					if page[0].UserName == "" || page[0].Person == "" || len(page[0].Sources) != 1 {
						t.Errorf("%s: %+v", c.what, page[0])
					}
					got = append(got, string(page[0].ID))
				}
				n, err := v.CountHolders(seat, c.held)
				if err != nil {
					return err
				}
				counted += n["scp_fleet"]
			}
			if slices.Sort(got); !slices.Equal(got, c.want) || counted != int64(len(c.want)) {
				t.Errorf("%s: %v, %d counted, want %v", c.what, got, counted, c.want)
			}
		}
		return nil
	})
}
