package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

func clientSecret(id string) store.ClientSecret {
	return store.ClientSecret{PublicID: id, Digest: credential.Digest{1, id[0]}, Note: "note", Tail: "abcd", Created: day, Expires: day.AddDate(1, 0, 0)}
}

func testSCIMClients(t *testing.T, f *fixture) {
	want := store.SCIMClient{ID: "client", Connection: north, Name: "Entra", Created: day, Secrets: []store.ClientSecret{clientSecret("a"), clientSecret("b")}}
	f.update(func(tx *store.Tx) error {
		if err := tx.PutSCIMClient(store.SCIMClient{ID: "client", Connection: north, Name: "Entra", Created: day}); err != nil {
			return err
		}
		if err := tx.PutClientSecret("client", clientSecret("a")); err != nil {
			return err
		}
		return tx.PutClientSecret("client", clientSecret("b"))
	})
	same := func(when string) {
		t.Helper()
		f.view(func(v *store.View) error {
			got, err := v.SCIMClient("client")
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: stored is %+v (%v), want %+v", when, got, err, want)
			}
			all, err := v.SCIMClients(north)
			if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], want) {
				t.Errorf("%s: listed is %+v (%v)", when, all, err)
			}
			every, err := v.AllSCIMClients()
			if err != nil || len(every) != 1 || !reflect.DeepEqual(every[north], all) {
				t.Errorf("%s: of all connections %+v (%v)", when, every, err)
			}
			foreign, err := v.SCIMClients(south)
			if err != nil || len(foreign) != 0 {
				t.Errorf("south has %v (%v)", foreign, err)
			}
			return nil
		})
	}
	door := func(when string, revoked ...time.Time) {
		t.Helper()
		c, conn, host, known, err := f.ClientDoor(t.Context(), "client")
		if err != nil || !known || conn.ID != north || conn.State != store.ConnectionActive || host < 1 || len(c.Secrets) != 2 {
			t.Fatalf("%s: the door is %+v of %+v at %d, %t (%v)", when, c, conn, host, known, err)
		}
		for i, r := range []time.Time{c.Revoked, c.Secrets[0].Revoked, c.Secrets[1].Revoked} {
			if !r.Equal(revoked[i]) {
				t.Errorf("%s: the window has revocations %v, want %v", when, r, revoked[i])
			}
		}
	}
	same("new")
	door("new", time.Time{}, time.Time{}, time.Time{})
	if _, _, _, known, _ := f.ClientDoor(t.Context(), "nobody"); known {
		t.Error("nobody is known")
	}

	used := day.AddDate(0, 0, 1)
	f.update(func(tx *store.Tx) error {
		return tx.TouchSCIMClients(map[store.ClientUse]time.Time{{Client: "client", Kind: "secret", Secret: "b"}: used, {Client: "gone", Kind: "key"}: used})
	})
	want.LastUsed, want.LastUsedBy, want.Secrets[1].LastUsed = used, "secret", used
	f.update(func(tx *store.Tx) error {
		return tx.TouchSCIMClients(map[store.ClientUse]time.Time{{Client: "client", Kind: "key"}: day}) // it came late
	})
	same("used")

	ended := day.AddDate(0, 0, 2)
	f.update(func(tx *store.Tx) error { return tx.RevokeClientSecret("client", "a", ended) })
	f.update(func(tx *store.Tx) error { return tx.RevokeClientSecret("client", "a", ended.AddDate(1, 0, 0)) })
	want.Secrets[0].Revoked = ended
	same("a secret revoked")
	door("a secret revoked", time.Time{}, ended, time.Time{})
	f.update(func(tx *store.Tx) error { return tx.RevokeSCIMClient("client", ended) })
	want.Revoked = ended
	same("revoked")
	door("revoked", ended, ended, time.Time{})
	if d := f.Doors()[north]; len(d.Clients) != 1 || len(d.Tokens) != 0 {
		t.Errorf("north's door is %+v", d)
	}
}

func testUnknownSCIMClients(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		return tx.PutSCIMClient(store.SCIMClient{ID: "client", Connection: north, Name: "Entra", Created: day})
	})
	f.update(func(tx *store.Tx) error { return tx.PutClientSecret("client", clientSecret("a")) })
	for name, do := range map[string]func(tx *store.Tx) error{
		"a client":          func(tx *store.Tx) error { return tx.RevokeSCIMClient("nobody", day) },
		"a secret":          func(tx *store.Tx) error { return tx.RevokeClientSecret("client", "c", day) },
		"another's secret":  func(tx *store.Tx) error { return tx.RevokeClientSecret("nobody", "a", day) },
		"of no connection":  func(tx *store.Tx) error { return tx.PutSCIMClient(store.SCIMClient{ID: "x", Connection: "nowhere"}) },
		"an unknown client": func(tx *store.Tx) error { _, err := tx.SCIMClient("nobody"); return err },
	} {
		if err := f.Update(t.Context(), do); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.PutClientSecret("nobody", clientSecret("z")) }); err == nil {
		t.Error("a secret belongs to nobody")
	}
}

func testAssertions(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		for _, id := range []string{"one", "two"} {
			if err := tx.PutSCIMClient(store.SCIMClient{ID: id, Connection: north, Created: day}); err != nil {
				return err
			}
		}
		return nil
	})
	use := func(client string, n byte, ends, now time.Time) (first bool, err error) {
		err = f.Update(t.Context(), func(tx *store.Tx) error {
			first, err = tx.UseAssertion(client, credential.Digest{n, 1}, ends, now)
			return err
		})
		return first, err
	}
	later := day.Add(time.Minute)
	for _, c := range []struct {
		what   string
		client string
		n      byte
		now    time.Time
		first  bool
	}{
		{"the first use", "one", 1, day, true},
		{"the second", "one", 1, day, false},
		{"just before its end", "one", 1, later.Add(-time.Millisecond), false},
		{"another assertion", "one", 2, day, true},
		{"another client's", "two", 1, day, true},
		{"when it has ended", "one", 1, later, true},
	} {
		if first, err := use(c.client, c.n, later, c.now); err != nil || first != c.first {
			t.Errorf("%s: first %t (%v), want %t", c.what, first, err, c.first)
		}
	}
	f.update(func(tx *store.Tx) error {
		for i := range store.MaxLiveAssertions {
			if _, err := tx.UseAssertion("two", credential.Digest{byte(i), byte(i >> 8), 2}, later, day); err != nil && !fault.Is(err, fault.Limited) {
				return err
			}
		}
		return nil
	})
	if _, err := use("two", 9, later, day); !fault.Is(err, fault.Limited) {
		t.Errorf("a client may fill the table: %v", err)
	}
	if first, err := use("two", 9, later.Add(time.Hour), later); err != nil || !first {
		t.Errorf("what has ended is not forgotten: %t, %v", first, err)
	}
}
