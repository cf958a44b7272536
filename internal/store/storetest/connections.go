package storetest

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Two connections with the same names, ids and external ids never see, name or
// count each other's.
func testIsolation(t *testing.T, f *fixture) {
	made := map[access.ConnectionID]store.Person{}
	teams := map[access.ConnectionID]store.Group{}
	for _, conn := range []access.ConnectionID{north, south} {
		p := newPerson("per_same", "same@corp.example")
		p.ExternalID = "x-same"
		f.write(conn, func(d *store.DirectoryTx) error {
			if err := d.InsertPerson(&p); err != nil {
				return err
			}
			return d.PinSubject(p, "https://idp.example", "sub-same")
		})
		made[conn] = p
		teams[conn] = f.group(conn, "grp_same", "Same Team", p)
	}
	other := f.person(south, "per_other", "other@corp.example")
	for conn, rows := range map[access.ConnectionID]int{north: 1, south: 2} {
		f.read(conn, func(d *store.Directory) error {
			people, total, err := d.People(store.Query{Start: 1, Count: 10})
			if err != nil || len(people) != rows || total != rows {
				t.Errorf("%s lists %d of %d people, want %d (%v)", conn, len(people), total, rows, err)
			}
			same, err := d.PeopleByExternalID("x-same")
			if err != nil || len(same) != 1 || same[0].Key != made[conn].Key {
				t.Errorf("%s finds %v by externalId (%v)", conn, same, err)
			}
			p, err := d.PersonBySubject("https://idp.example", "sub-same")
			if err != nil || p.Key != made[conn].Key {
				t.Errorf("%s finds %v by subject (%v)", conn, p.Key, err)
			}
			members, err := d.Members(teams[conn], 0, 10)
			if err != nil || len(members) != 1 || members[0].Key != made[conn].Key {
				t.Errorf("%s has members %v (%v)", conn, members, err)
			}
			return nil
		})
	}
	foreignKeysSeeNothing(t, f, made[south], teams[south], other)
}

// Even a key of another connection, which no request can carry, finds nothing and
// cannot be pointed at.
func foreignKeysSeeNothing(t *testing.T, f *fixture, p store.Person, g store.Group, other store.Person) {
	f.read(north, func(d *store.Directory) error {
		if _, err := d.Person("per_other"); !fault.Is(err, fault.NotFound) {
			t.Errorf("per_other: %v", err)
		}
		if people, err := d.PeopleByKey([]store.PersonKey{p.Key}); err != nil || len(people) != 0 {
			t.Errorf("people by a foreign key: %v (%v)", people, err)
		}
		if ids, err := d.IDs([]store.PersonKey{p.Key}); err != nil || len(ids) != 0 {
			t.Errorf("ids by a foreign key: %v (%v)", ids, err)
		}
		if m, err := d.MemberKeys(g); err != nil || len(m) != 0 {
			t.Errorf("members of a foreign group: %v (%v)", m, err)
		}
		if held, err := d.Assignments(p); err != nil || len(held) != 0 {
			t.Errorf("assignments of a foreign person: %v (%v)", held, err)
		}
		return nil
	})
	own := f.group(north, "grp_own", "Own Team")
	for what, do := range map[string]func(*store.DirectoryTx) error{
		"a foreign member": func(d *store.DirectoryTx) error {
			_, err := d.AddMembers(&own, []store.PersonKey{p.Key}, day)
			return err
		},
		"a foreign group": func(d *store.DirectoryTx) error {
			_, err := d.AddMembers(&g, []store.PersonKey{other.Key}, day)
			return err
		},
		"a foreign subject":  func(d *store.DirectoryTx) error { return d.PinSubject(p, "https://idp.example", "new") },
		"a foreign decision": func(d *store.DirectoryTx) error { return d.SetDecided(p.Key, 1, day) },
		"a foreign delete":   func(d *store.DirectoryTx) error { return d.DeleteGroup(g) },
		"a foreign grant": func(d *store.DirectoryTx) error {
			return d.ApplyPlan(p, mapping.Plan{Give: []access.Assignment{byRule("asg_f", access.Standard, "scp_fleet")}})
		},
	} {
		if err := f.try(north, do); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

func testConnections(t *testing.T, f *fixture) {
	state := func() (c store.ConnectionRow) {
		f.read(north, func(d *store.Directory) error {
			c = counted(f.t, d)
			if now := d.Row(); now.State != c.State || now.Epoch != c.Epoch || now.Name != c.Name {
				t.Errorf("the window says %+v, the row %+v", now, c)
			}
			return nil
		})
		return c
	}
	if c := state(); c.State != store.ConnectionActive || c.Epoch != 1 || !c.Created.Equal(day) || c.Name != "Customer north" {
		t.Errorf("new: %+v", c)
	}
	for _, step := range []struct {
		do    func(*store.Tx) error
		state store.ConnectionState
		epoch int64
	}{
		{func(tx *store.Tx) error { return tx.EndConnection(north, day) }, store.ConnectionEnded, 2},
		{func(tx *store.Tx) error { return tx.EndConnection(north, day) }, store.ConnectionEnded, 2},
		{func(tx *store.Tx) error {
			created, err := tx.PutConnection(access.Connection{ID: north, Name: "Renamed"}, day)
			if created {
				t.Error("created twice")
			}
			return err
		}, store.ConnectionEnded, 2},
		{func(tx *store.Tx) error { return tx.ResumeConnection(north, day) }, store.ConnectionActive, 3},
	} {
		f.update(step.do)
		if c := state(); c.State != step.state || c.Epoch != step.epoch {
			t.Errorf("want %s at %d, got %s at %d", step.state, step.epoch, c.State, c.Epoch)
		}
	}
	if c := state(); c.Name != "Renamed" {
		t.Errorf("name %q", c.Name)
	}
	err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.EndConnection("nowhere", day) })
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown connection: %v", err)
	}
}

func testTokens(t *testing.T, f *fixture) {
	token := store.SCIMToken{PublicID: "tok1", Connection: north, Digest: credential.Digest{1, 2, 3}, Note: "first", Tail: "abcd", Created: day, Expires: day.AddDate(1, 0, 0)}
	f.update(func(tx *store.Tx) error { return tx.PutSCIMToken(token) })
	used, revoked := day.AddDate(0, 0, 1), day.AddDate(0, 0, 2)
	f.update(func(tx *store.Tx) error {
		return tx.TouchSCIMTokens(map[string]time.Time{"tok1": used, "gone": used})
	})
	f.write(north, func(d *store.DirectoryTx) error {
		return errors.Join(d.TouchSCIM(used), d.TouchSCIM(used.AddDate(0, 0, -1)))
	})
	f.update(func(tx *store.Tx) error { return tx.RevokeSCIMToken("tok1", revoked) })
	f.update(func(tx *store.Tx) error { return tx.RevokeSCIMToken("tok1", revoked.AddDate(1, 0, 0)) })
	token.LastUsed, token.Revoked = used, revoked
	f.view(func(v *store.View) error {
		got, err := v.SCIMToken("tok1")
		if err != nil || got != token {
			t.Errorf("got %+v (%v)", got, err)
		}
		if _, err := v.SCIMToken("tok2"); !fault.Is(err, fault.NotFound) {
			t.Errorf("an unknown token: %v", err)
		}
		all, err := v.SCIMTokens(north)
		if err != nil || len(all) != 1 {
			t.Errorf("north has %v (%v)", all, err)
		}
		foreign, err := v.SCIMTokens(south)
		if err != nil || len(foreign) != 0 {
			t.Errorf("south has %v (%v)", foreign, err)
		}
		d, err := v.In(north)
		if err != nil || !counted(f.t, d).LastSCIM.Equal(used) {
			t.Errorf("last SCIM request %v (%v)", counted(f.t, d).LastSCIM, err)
		}
		return err
	})
}

func testKeys(t *testing.T, f *fixture) {
	k := store.SigningKey{ID: "k1", Algorithm: "ES256", Sealed: []byte{1}, Public: []byte{2}, State: "next", Created: day, Signs: day.Add(time.Hour)}
	f.update(func(tx *store.Tx) error { return tx.PutSigningKey(k) })
	held := func() (all []store.SigningKey) {
		f.view(func(v *store.View) (err error) {
			all, err = v.SigningKeys()
			return err
		})
		return all
	}
	k.Since = day // a key that says nothing is where it is since it was made
	if all := held(); len(all) != 1 || !reflect.DeepEqual(all[0], k) {
		t.Errorf("got %+v, want %+v", all, k)
	}
	k.State, k.Since, k.Signs = "active", day.Add(2*time.Hour), time.Time{}
	f.update(func(tx *store.Tx) error { return tx.PutSigningKey(k) })
	if all := held(); len(all) != 1 || !reflect.DeepEqual(all[0], k) {
		t.Errorf("got %+v, want %+v", all, k)
	}
	for range 2 {
		f.update(func(tx *store.Tx) error { return tx.RemoveSigningKey("k1") })
	}
	if all := held(); len(all) != 0 {
		t.Errorf("still there: %+v", all)
	}
}

// There is one envelope: what is put takes the place of what was there.
func testEnvelope(t *testing.T, f *fixture) {
	held := func() (text []byte) {
		f.view(func(v *store.View) (err error) {
			text, err = v.Envelope()
			return err
		})
		return text
	}
	if got := held(); got != nil {
		t.Errorf("an empty store holds %q", got)
	}
	for _, text := range []string{"first", "second"} {
		f.update(func(tx *store.Tx) error { return tx.PutEnvelope([]byte(text)) })
		if got := held(); string(got) != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

// A transaction is all or nothing: rows, audit trail and outbox.
func testAtomicity(t *testing.T, f *fixture) {
	before := f.outbox()
	refused := fault.New(fault.Denied, "test", "no")
	err := f.Update(t.Context(), func(tx *store.Tx) error {
		d, err := tx.In(north)
		if err != nil {
			return err
		}
		p := newPerson("per_1", "one@north.example")
		if err := d.InsertPerson(&p); err != nil {
			return err
		}
		if err := tx.Append(event.Event{Type: event.PersonProvisioned, At: day, Connection: north, Person: p.ID}); err != nil {
			return err
		}
		return refused
	})
	if !fault.Is(err, fault.Denied) {
		t.Errorf("the error came back as %v", err)
	}
	f.read(north, func(d *store.Directory) error {
		if _, err := d.Person("per_1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the person is there: %v", err)
		}
		if counted(f.t, d).People != 0 {
			t.Errorf("%d people are counted", counted(f.t, d).People)
		}
		return nil
	})
	f.view(func(v *store.View) error {
		rows, err := recordedOf(v, north, "per_1")
		if err != nil || len(rows) != 0 {
			t.Errorf("the audit trail says %v (%v)", rows, err)
		}
		return nil
	})
	if after := f.outbox(); len(after) != len(before) {
		t.Errorf("the outbox grew from %d to %d", len(before), len(after))
	}
}

func testEvents(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		return tx.Append(
			event.Event{Type: event.PersonProvisioned, Actor: event.ByScim, At: day, Connection: north, Person: "per_1", Data: map[string]string{"k": "v"}, Personal: map[string]string{"name": "Ada"}},
			event.Event{Type: event.PolicyApplied, Actor: event.ByAdministrator, At: day.AddDate(0, 0, 1)},
		)
	})
	out := f.outbox()
	if len(out) != 2 || out[0].Connection != north || out[1].Connection != "" || !out[0].At.Equal(day) || out[0].ID >= out[1].ID {
		t.Fatalf("outbox: %+v", out)
	}
	f.view(func(v *store.View) error {
		rows, err := recordedOf(v, north, "per_1")
		if err != nil || len(rows) != 1 || string(rows[0].Personal) != `{"name":"Ada"}` || string(rows[0].Body) != string(out[0].Body) ||
			string(rows[0].PersonalDigest) != string(store.PersonalDigest(rows[0].Salt, rows[0].Personal)) {
			t.Errorf("audit: %+v (%v)", rows, err)
		}
		return nil
	})
	f.update(func(tx *store.Tx) error { return tx.ErasePersonal(north, "per_1") })
	f.view(func(v *store.View) error {
		rows, err := recordedOf(v, north, "per_1")
		if err != nil || len(rows) != 1 || rows[0].Personal != nil || rows[0].Salt != nil || rows[0].PersonalDigest == nil {
			t.Errorf("after erasing: %+v (%v)", rows, err)
		}
		return nil
	})
	f.update(func(tx *store.Tx) error {
		if err := tx.MoveRelayMark(0, out[1].ID); err != nil {
			return err
		}
		n, err := tx.TrimOutbox(day.AddDate(0, 0, 1))
		if n != 1 {
			t.Errorf("trimmed %d", n)
		}
		return err
	})
	if out := f.outbox(); len(out) != 1 {
		t.Errorf("outbox after trimming: %+v", out)
	}
}

func (f *fixture) outbox() (rows []store.OutboxRow) {
	f.t.Helper()
	f.view(func(v *store.View) (err error) { rows, err = v.Outbox(0, 1000); return err })
	return rows
}

// recordedOf is what is recorded about one person and not sealed yet, oldest first.
func recordedOf(v *store.View, conn access.ConnectionID, person access.PersonID) ([]store.AuditRow, error) {
	rows, err := v.Unsealed(100)
	return slices.DeleteFunc(rows, func(r store.AuditRow) bool {
		return r.Connection != conn || !bytes.Contains(r.Body, []byte(`"person":"`+person+`"`))
	}), err
}
