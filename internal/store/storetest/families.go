package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// testFamilies: a family that ended is refused by the next call, and whoever follows
// changes hears of it; others of the session live.
func testFamilies(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	f.update(func(tx *store.Tx) error {
		if err := tx.PutClient("app", true); err != nil {
			return err
		}
		return tx.InsertSession(newSession("ses_1", p))
	})
	of := func(family string) credential.Subject {
		return credential.Subject{Connection: north, Client: "app", Person: p.ID, Session: "ses_1", Family: family}
	}
	why := func(family, want string) {
		t.Helper()
		if c := f.current(of(family)); c.Why != want || c.Alive != (want == "") {
			t.Errorf("of %q: %+v", family, c)
		}
	}
	why("fam_1", "")
	before, err := f.LastChange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	end := func(want bool) {
		t.Helper()
		f.update(func(tx *store.Tx) error {
			first, err := tx.EndFamily(store.EndedFamily{ID: "fam_1", Client: "app"}, day.Add(time.Minute))
			if first != want {
				t.Errorf("the first: %t, want %t", first, want)
			}
			return err
		})
	}
	end(true)
	end(false)
	why("fam_1", store.WhyFamilyEnded)
	why("fam_2", "")
	why("", "")
	changes, err := f.Changes(t.Context(), before, 10)
	if want := (store.Change{Kind: store.ChangedFamily, Client: "app", Family: "fam_1", Ended: true}); err != nil || !slices.Equal(changes.List, []store.Change{want}) {
		t.Errorf("what changed: %+v (%v)", changes, err)
	}
	f.forgetFamilies(day.Add(time.Minute-time.Millisecond), 0)
	why("fam_1", store.WhyFamilyEnded)
	f.forgetFamilies(day.Add(time.Minute), 1)
	why("fam_1", "")
}

func (f *fixture) forgetFamilies(now time.Time, want int) {
	f.t.Helper()
	f.update(func(tx *store.Tx) error {
		over, err := tx.FamiliesOver(now, 10)
		if err != nil || len(over) != want {
			f.t.Errorf("%v are over (%v), want %d", over, err, want)
		}
		return tx.ForgetFamilies(over)
	})
}
