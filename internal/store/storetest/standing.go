package storetest

import (
	"reflect"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// What tokens stand on is what reading it one by one gives, and nothing of another connection.
func testTokensStandOn(t *testing.T, f *fixture) {
	p, q := f.person(north, "per_1", "one@north.example"), f.person(south, "per_2", "two@south.example")
	guest := f.permitted(p, "asg_2", access.Elevated, "scp_far")
	guest.Standing = access.Guest
	if err := f.apply(p, mapping.Plan{Give: []access.Assignment{byRule("asg_1", access.Standard, "scp_fleet"), guest}}); err != nil {
		t.Fatal(err)
	}
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_1", p)) })
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_2", q)) })
	stand := func(id session.ID, who access.PersonID) (s store.Standing, err error) {
		f.view(func(v *store.View) error {
			d, in := v.In(north)
			if in == nil {
				s, err = d.Standing(id, who)
			}
			return in
		})
		return s, err
	}
	same := func(held int) {
		t.Helper()
		got, err := stand("ses_1", p.ID)
		if err != nil {
			t.Fatal(err)
		}
		f.view(func(v *store.View) error {
			d, err := v.In(north)
			if err != nil {
				return err
			}
			var want store.Standing
			if want.Session, err = v.Session("ses_1"); err != nil {
				return err
			}
			if want.Person, err = d.Person(p.ID); err != nil {
				return err
			}
			want.Held, err = d.Assignments(want.Person)
			if !reflect.DeepEqual(got, want) || len(want.Held) != held {
				t.Errorf("together %+v\none by one %+v\nwith %d assignments, want %d", got, want, len(want.Held), held)
			}
			return err
		})
	}
	same(2)
	f.write(north, func(d *store.DirectoryTx) error {
		_, err := d.EndPermit("prm_asg_2", "ended", day)
		return err
	})
	same(1)
	for _, c := range []struct {
		session session.ID
		person  access.PersonID
	}{{"ses_2", p.ID}, {"ses_1", q.ID}, {"ses_2", q.ID}, {"ses_none", p.ID}, {"ses_1", "per_none"}} {
		if s, err := stand(c.session, c.person); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s of %s: %+v (%v)", c.session, c.person, s, err)
		}
	}
}
