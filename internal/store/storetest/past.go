package storetest

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Rows of the audit trail are found by what they are about, in commit order and in
// parts; each connection's apart. Who was deleted is found by id and externalId, and
// groups by id, name and externalId.
func testPast(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		return tx.Append(event.Event{Type: event.PersonProvisioned, At: day, Connection: north, Person: "per_1"}, event.Event{Type: event.PolicyApplied, At: day},
			event.Event{Type: event.PersonChanged, At: day, Connection: north, Person: "per_1"}, event.Event{Type: event.PersonProvisioned, At: day, Connection: south, Person: "per_1"})
	})
	one := event.Subject{Kind: event.KindPerson, ID: "per_1"}
	var rows []store.AuditRow
	f.view(func(v *store.View) (err error) { rows, err = v.AuditAfter(0, 3); return err })
	if len(rows) != 3 || rows[0].Connection != north || rows[1].Connection != "" {
		t.Fatalf("the first three: %+v", rows)
	}
	marks := []store.AuditMark{{Row: rows[0].ID, Connection: north, Subject: one}, {Row: rows[1].ID, Subject: event.Subject{Kind: event.KindPolicy}}, {Row: rows[2].ID, Connection: north, Subject: one}}
	f.update(func(tx *store.Tx) error { return tx.IndexAudit(0, rows[2].ID, marks) })
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.IndexAudit(0, rows[2].ID, marks) }); !fault.Is(err, fault.Stale) {
		t.Errorf("indexed twice: %v", err)
	}
	f.view(func(v *store.View) error {
		if upto, err := v.AuditIndexed(); err != nil || upto != rows[2].ID {
			t.Errorf("indexed up to %d (%v)", upto, err)
		}
		for _, c := range []struct {
			conn  access.ConnectionID
			about event.Subject
			after int64
			want  []int64
		}{
			{north, one, 0, []int64{rows[0].ID, rows[2].ID}}, {north, one, rows[0].ID, []int64{rows[2].ID}}, {south, one, 0, nil},
			{"", event.Subject{Kind: event.KindPolicy}, 0, []int64{rows[1].ID}}, {north, event.Subject{Kind: event.KindGroup, ID: "per_1"}, 0, nil},
		} {
			got, err := v.AuditAbout(c.conn, c.about, c.after, 10)
			if err != nil || len(got) != len(c.want) {
				t.Errorf("%+v: %d rows (%v)", c, len(got), err)
				continue
			}
			for i, id := range c.want {
				if got[i].ID != id {
					t.Errorf("%+v: row %d is %d", c, i, got[i].ID)
				}
			}
		}
		if some, err := v.AuditAbout(north, one, 0, 1); err != nil || len(some) != 1 {
			t.Errorf("one of two: %d (%v)", len(some), err)
		}
		return nil
	})
	testDeparted(t, f)
}

func testDeparted(t *testing.T, f *fixture) {
	p, q := f.person(north, "per_gone", "gone@north.example"), f.person(south, "per_here", "here@south.example")
	p.ExternalID = "oid-gone"
	f.write(north, func(d *store.DirectoryTx) error { return d.DeletePerson(p, day) })
	f.view(func(v *store.View) error {
		for name, want := range map[string]int{"per_gone": 1, "oid-gone": 1, "per_here": 0, "gone@north.example": 0} {
			gone, err := v.DepartedNamed(name)
			if err != nil || len(gone) != want {
				t.Errorf("%q: %+v (%v)", name, gone, err)
			}
			if len(gone) == 1 && (gone[0].Connection != north || gone[0].Person != p.ID || !gone[0].Deleted.Equal(day)) {
				t.Errorf("%q: %+v", name, gone)
			}
		}
		return nil
	})
	g := f.group(south, "grp_1", "One", q)
	f.read(south, func(d *store.Directory) error {
		gone, err := d.DeletedOf([]access.PersonID{p.ID, q.ID})
		if err != nil || len(gone) != 0 { // p is another connection's
			t.Errorf("deleted: %v (%v)", gone, err)
		}
		for _, name := range []string{"grp_1", "one", "ONE"} {
			if found, err := d.GroupsNamed(name); err != nil || len(found) != 1 || found[0].Key != g.Key {
				t.Errorf("%s: %+v (%v)", name, found, err)
			}
		}
		return nil
	})
	f.read(north, func(d *store.Directory) error {
		if gone, err := d.DeletedOf([]access.PersonID{p.ID, q.ID}); err != nil || len(gone) != 1 || !gone[p.ID].Equal(day) {
			t.Errorf("deleted: %v (%v)", gone, err)
		}
		return nil
	})
}
