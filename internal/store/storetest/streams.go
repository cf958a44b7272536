package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// An application has one stream, found by its id and by whose it is; a stream that did
// not say what it wants is told from one that wants nothing.
func testStreams(t *testing.T, f *fixture) {
	s := store.Stream{ID: "str_1", Client: "app", Method: "m", Endpoint: "https://e.example", Header: []byte{1, 2}, Requested: []string{"a", "b"}, Description: "d",
		Status: "enabled", Created: day, Changed: day}
	f.update(func(tx *store.Tx) error { return tx.InsertStream(s) })
	again := s
	again.ID = "str_2"
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertStream(again) }); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second stream of one application: %v", err)
	}
	s.Header, s.Requested, s.Status, s.Reason, s.Changed, s.Verified = nil, nil, "paused", "because", day.Add(time.Hour), day.Add(time.Minute)
	s.Active = day.Add(time.Second)
	f.update(func(tx *store.Tx) error { return tx.UpdateStream(s) })
	s.Active = day.Add(2 * time.Hour)
	f.update(func(tx *store.Tx) error { return tx.StreamActive(s.ID, s.Active) })
	f.view(func(v *store.View) error {
		byID, err := v.Stream("str_1")
		of, err2 := v.StreamOf("app")
		all, err3 := v.Streams()
		if err != nil || err2 != nil || err3 != nil || len(all) != 1 {
			t.Fatal(err, err2, err3, all)
		}
		for _, got := range []store.Stream{byID, of, all[0]} {
			if fmt.Sprint(got) != fmt.Sprint(s) || got.Requested != nil || got.Header != nil {
				t.Errorf("read %+v, stored %+v", got, s)
			}
		}
		if _, err := v.StreamOf("other"); !fault.Is(err, fault.NotFound) {
			t.Errorf("another application's stream: %v", err)
		}
		return nil
	})
	s.Requested = []string{}
	f.update(func(tx *store.Tx) error { return tx.UpdateStream(s) })
	f.view(func(v *store.View) error {
		if got, err := v.Stream("str_1"); err != nil || got.Requested == nil {
			t.Errorf("a stream that wants nothing is one that did not say: %v %v", got, err)
		}
		return nil
	})
	f.update(func(tx *store.Tx) error { return tx.Mute("str_1", "x", day) })
	f.update(func(tx *store.Tx) error { return tx.DeleteStream("str_1") })
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateStream(s) }); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stream that is gone was changed: %v", err)
	}
}

func testMuted(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		for _, id := range []string{"str_1", "str_2"} {
			if err := tx.InsertStream(store.Stream{ID: id, Client: access.ClientID(id), Status: "enabled"}); err != nil {
				return err
			}
		}
		for range 2 { // twice is once
			if err := tx.Mute("str_1", `{"a":"\"b"}`, day); err != nil {
				return err
			}
		}
		return nil
	})
	muted := func(stream string, keys ...string) (m bool) {
		f.view(func(v *store.View) (err error) { m, err = v.Muted(stream, keys); return err })
		return m
	}
	if !muted("str_1", "x", `{"a":"\"b"}`) || muted("str_1", "x") || muted("str_2", `{"a":"\"b"}`) || muted("str_1") {
		t.Error("what is muted in one stream is muted elsewhere, or not there")
	}
	f.update(func(tx *store.Tx) error { return tx.Unmute("str_1", `{"a":"\"b"}`) })
	if muted("str_1", `{"a":"\"b"}`) {
		t.Error("what was added again is still muted")
	}
}

// An application knows who signed in to it, until they take back what they agreed to for it,
// and nobody else.
func testKnown(t *testing.T, f *fixture) {
	p, other := f.person(north, "per_1", "ada"), f.person(north, "per_2", "bea")
	s := store.SessionRow{Session: session.Session{ID: "ses_1", Connection: north, Person: p.ID, State: session.Active, Version: 1}}
	f.update(func(tx *store.Tx) error {
		if err := tx.InsertSession(s); err != nil {
			return err
		}
		return tx.AddSessionClient(s.ID, "app")
	})
	f.update(func(tx *store.Tx) error {
		ended := s.Session
		ended.State, ended.Version = session.Ended, 9
		return tx.UpdateSession(ended, nil)
	})
	for _, c := range []struct {
		client access.ClientID
		conn   access.ConnectionID
		person access.PersonID
		want   bool
	}{{"app", north, p.ID, true}, {"app", north, other.ID, false}, {"app", south, p.ID, false}, {"other", north, p.ID, false}} {
		f.view(func(v *store.View) error {
			knows, err := v.Knows(c.client, c.conn, c.person)
			if err != nil || knows != c.want {
				t.Errorf("%s knows %s of %s: %v %v", c.client, c.person, c.conn, knows, err)
			}
			return nil
		})
	}
	f.view(func(v *store.View) error {
		here, err := v.KnowsAnybody("app", north)
		there, err2 := v.KnowsAnybody("app", south)
		if err != nil || err2 != nil || !here || there {
			t.Error(here, there, err, err2)
		}
		return nil
	})
	f.write(north, func(d *store.DirectoryTx) error {
		_, err := d.DropConsent(p.ID, "app")
		return err
	})
	f.view(func(v *store.View) error {
		if knows, err := v.Knows("app", north, p.ID); err != nil || knows {
			t.Errorf("it knows them after they took back what they agreed to: %v", err)
		}
		return nil
	})
}

func testSCIMResults(t *testing.T, f *fixture) {
	put := func(conn access.ConnectionID, txn string, at time.Time) {
		f.update(func(tx *store.Tx) error {
			d, err := tx.In(conn)
			if err != nil {
				return err
			}
			return d.PutSCIMResult(store.SCIMResult{Txn: txn, Body: []byte("of " + string(conn)), At: at})
		})
	}
	put(north, "t1", day)
	put(south, "t1", day.Add(time.Hour))
	get := func(conn access.ConnectionID, txn string) (r store.SCIMResult, err error) {
		f.view(func(v *store.View) error {
			d, e := v.In(conn)
			if e != nil {
				return e
			}
			r, err = d.SCIMResult(txn)
			return nil
		})
		return r, err
	}
	if r, err := get(north, "t1"); err != nil || string(r.Body) != "of north" || !r.At.Equal(day) {
		t.Error(r, err)
	}
	f.update(func(tx *store.Tx) error {
		n, err := tx.TrimSCIMResults(day.Add(time.Minute))
		if n != 1 {
			t.Errorf("%d results trimmed, want 1", n)
		}
		return err
	})
	if _, err := get(north, "t1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an old result is still there: %v", err)
	}
	if r, err := get(south, "t1"); err != nil || string(r.Body) != "of south" {
		t.Error(r, err)
	}
}

// Personal is what an event says of a human, until it is erased.
func testPersonalOf(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "ada")
	f.update(func(tx *store.Tx) error {
		return tx.Append(event.Event{Type: event.PersonChanged, At: day, Connection: north, Person: p.ID, Personal: map[string]string{"email": "ada@north.example"}})
	})
	var id int64
	f.view(func(v *store.View) error {
		rows, err := v.Outbox(0, 1000)
		id = rows[len(rows)-1].ID
		said, err2 := v.PersonalOf(id)
		if err != nil || err2 != nil || said["email"] != "ada@north.example" {
			t.Error(said, err, err2)
		}
		return nil
	})
	f.update(func(tx *store.Tx) error { return tx.ErasePersonal(north, p.ID) })
	f.view(func(v *store.View) error {
		if said, err := v.PersonalOf(id); err != nil || said != nil {
			t.Errorf("what was erased is still said: %v %v", said, err)
		}
		return nil
	})
}
