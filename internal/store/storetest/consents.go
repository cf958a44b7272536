package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// What somebody has agreed to is theirs, in their connection, and goes with them.
func testConsents(t *testing.T, f *fixture) {
	mara, sam := f.person(north, "per_mara", "mara"), f.person(north, "per_sam", "sam")
	first := store.Consent{Client: "atlas", OAuthScopes: []string{"email", "openid"}, At: day}
	more := store.Consent{Client: "atlas", OAuthScopes: []string{"email", "live_view", "openid"}, At: day.Add(time.Hour)}
	other := store.Consent{Client: "zeta", OAuthScopes: []string{"openid"}, At: day}
	f.write(north, func(d *store.DirectoryTx) error {
		for _, c := range []store.Consent{first, other, more} {
			if err := d.PutConsent(mara.ID, c); err != nil {
				return err
			}
		}
		return d.PutConsent(sam.ID, first)
	})
	f.read(north, func(d *store.Directory) error {
		if all, err := d.Consents(mara.ID); err != nil || !reflect.DeepEqual(all, []store.Consent{more, other}) {
			t.Errorf("%+v, %v", all, err)
		}
		if c, found, err := d.Consent(mara.ID, "atlas"); err != nil || !found || !reflect.DeepEqual(c, more) {
			t.Errorf("%+v %v, %v", c, found, err)
		}
		_, found, err := d.Consent(sam.ID, "zeta")
		if found {
			t.Error("one person's agreement counts for another")
		}
		return err
	})
	f.read(south, func(d *store.Directory) error {
		_, found, err := d.Consent(mara.ID, "atlas")
		if found {
			t.Error("it is seen in another connection")
		}
		return err
	})
	f.write(north, func(d *store.DirectoryTx) error {
		for _, want := range []bool{true, false} {
			if was, err := d.DropConsent(mara.ID, "zeta"); err != nil || was != want {
				t.Errorf("dropped %v, %v; want %v", was, err, want)
			}
		}
		return d.DeletePerson(mara, day)
	})
	f.read(north, func(d *store.Directory) error {
		all, err := d.Consents(mara.ID)
		if len(all) != 0 {
			t.Errorf("it outlives its person: %+v", all)
		}
		return err
	})
}
