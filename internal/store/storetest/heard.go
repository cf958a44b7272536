package storetest

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// What an identity provider said is remembered for its connection, until it no longer
// matters, and is said once unless it may be said again.
func testHeard(t *testing.T, f *fixture) {
	what, other := credential.DigestOf("a message"), credential.DigestOf("another")
	hear := func(c access.ConnectionID, d credential.Digest, now time.Time, want bool) {
		t.Helper()
		f.update(func(tx *store.Tx) error {
			dir, err := tx.In(c)
			if err != nil {
				return err
			}
			first, err := dir.Hear(d, now, now.Add(time.Hour))
			if first != want {
				t.Errorf("first is %t", first)
			}
			return err
		})
	}
	heard := func(c access.ConnectionID) (when time.Time) {
		f.view(func(v *store.View) error {
			dir, err := v.In(c)
			if err == nil {
				when, err = dir.HeardAt(what)
			}
			return err
		})
		return when
	}
	hear(north, what, day, true)
	hear(north, what, day.Add(59*time.Minute), false)
	hear(south, what, day.Add(time.Minute), true)
	if !heard(north).Equal(day) || !heard(south).Equal(day.Add(time.Minute)) {
		t.Errorf("heard at %s and %s", heard(north), heard(south))
	}
	f.update(func(tx *store.Tx) error {
		dir, err := tx.In(north)
		if err != nil {
			return err
		}
		return dir.HearAgain(what, day.Add(30*time.Minute), day.Add(2*time.Hour))
	})
	hear(north, other, day.Add(time.Hour), true)
	if !heard(north).Equal(day.Add(30 * time.Minute)) {
		t.Errorf("said again, it was heard at %s", heard(north))
	}
	hear(north, other, day.Add(2*time.Hour), true)
	if !heard(north).IsZero() || heard(south).IsZero() {
		t.Error("what is over is remembered, or what is another's is forgotten")
	}
}

// Sessions are found by what the identity provider calls them and their person, in one
// connection alone; and a person must be fresh after an instant until they are deleted.
func testSessionsOfTheIdP(t *testing.T, f *fixture) {
	p, q := f.person(north, "per_1", "one@north.example"), f.person(south, "per_2", "two@south.example")
	for i, u := range []session.Upstream{{Issuer: "i", Subject: "oid", Sub: "sub", Session: "sid"}, {Issuer: "i", Subject: "oid", Sub: "sub"},
		{Issuer: "j", Subject: "sub", Session: "sid"}, {Issuer: "i", Subject: "sub", Session: "sid"}} {
		who := p
		if i == 3 {
			who = q
		}
		s := newSession(session.ID([]string{"ses_a", "ses_b", "ses_c", "ses_d"}[i]), who)
		s.Upstream = u
		f.update(func(tx *store.Tx) error { return tx.InsertSession(s) })
	}
	found := func(c access.ConnectionID, issuer, sid, sub string) (ids string) {
		t.Helper()
		f.view(func(v *store.View) error {
			dir, err := v.In(c)
			if err != nil {
				return err
			}
			rows, err := dir.SessionsFrom(issuer, sid, sub)
			for _, r := range rows {
				ids += string(r.ID[4:])
			}
			return err
		})
		return ids
	}
	for _, c := range []struct{ issuer, sid, sub, want string }{
		{"i", "sid", "", "a"}, {"i", "sid", "sub", "a"}, {"i", "sid", "oid", ""}, {"i", "", "sub", "ab"}, {"i", "", "oid", ""},
		{"j", "sid", "", "c"}, {"j", "", "sub", "c"}, {"i", "", "", ""}, {"k", "sid", "sub", ""},
	} {
		if got := found(north, c.issuer, c.sid, c.sub); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if got := found(south, "i", "sid", "sub"); got != "d" {
		t.Errorf("in the other connection: %q", got)
	}
	f.update(func(tx *store.Tx) error {
		dir, err := tx.In(north)
		if err != nil {
			return err
		}
		for _, after := range []time.Time{day, day.Add(time.Hour)} {
			if err := dir.MustBeFresh(p, after); err != nil {
				return err
			}
		}
		after, err := dir.FreshAfter(p)
		if !after.Equal(day.Add(time.Hour)) {
			t.Errorf("fresh after %s", after)
		}
		if none, err := dir.FreshAfter(q); err != nil || !none.IsZero() {
			t.Errorf("another must be fresh after %s (%v)", none, err)
		}
		named, errNamed := dir.PeopleByEmail("ONE@north.example")
		if errNamed != nil || len(named) > 1 || len(named) == 1 && named[0].ID != p.ID {
			t.Errorf("by address: %+v (%v)", named, errNamed)
		}
		if err != nil {
			return err
		}
		return dir.DeletePerson(p, day)
	})
}
