package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Alarms are those of a connection, the newest first, until they are removed.
func testAlarms(t *testing.T, f *fixture) {
	put := func(conn access.ConnectionID, minutes int, n int64) {
		f.update(func(tx *store.Tx) error {
			return tx.PutAlarm(store.Alarm{Connection: conn, At: day.Add(time.Duration(minutes) * time.Minute), Kind: "mass_gain", Group: "grp_1", Count: n, Base: 9, Within: time.Hour})
		})
	}
	list := func(conn access.ConnectionID, since time.Time) (counts []int64) {
		f.view(func(v *store.View) error {
			all, err := v.Alarms(conn, since, 1000)
			for _, a := range all {
				counts = append(counts, a.Count)
				if a.Kind != "mass_gain" || a.Group != "grp_1" || a.Base != 9 || a.Within != time.Hour || conn != "" && a.Connection != conn {
					t.Errorf("%+v", a)
				}
			}
			return err
		})
		return counts
	}
	put(north, 0, 1)
	put(south, 1, 2)
	put(north, 2, 3)
	if got := list(north, day); !slices.Equal(got, []int64{3, 1}) {
		t.Errorf("north's are %v", got)
	}
	if got := list("", day.Add(time.Minute)); !slices.Equal(got, []int64{3, 2}) {
		t.Errorf("all since a minute are %v", got)
	}
	f.update(func(tx *store.Tx) error { _, err := tx.TrimAlarms(day.Add(time.Minute)); return err })
	if got := list("", day); !slices.Equal(got, []int64{3, 2}) {
		t.Errorf("after the oldest were removed: %v", got)
	}
}

// What is behind an instant in the outbox is found without reading it all.
func testOutboxBefore(t *testing.T, f *fixture) {
	behind := func(at time.Time) (n int) {
		f.view(func(v *store.View) error {
			after, err := v.OutboxBefore(at)
			if err != nil {
				return err
			}
			rows, err := v.Outbox(after, 1000)
			n = len(rows)
			return err
		})
		return n
	}
	start := behind(time.Time{})
	if behind(day) != start {
		t.Error("an empty window is found elsewhere")
	}
	for i := range 40 {
		f.update(func(tx *store.Tx) error {
			return tx.Append(event.Event{Type: event.GroupChanged, Connection: north, At: day.Add(time.Duration(i) * time.Minute)})
		})
	}
	for _, m := range []int{0, 1, 17, 39} {
		if got, want := behind(day.Add(time.Duration(m)*time.Minute)), 40-m; got != want && !(m == 0 && got >= 40) {
			t.Errorf("behind minute %d lie %d, want %d", m, got, want)
		}
	}
	if got := behind(day.Add(time.Hour)); got != 0 {
		t.Errorf("%d lie in the future", got)
	}
}

// What a group was is known until it is forgotten, of its connection alone.
func testFormer(t *testing.T, f *fixture) {
	g := f.group(north, "grp_1", "Team")
	keep := func(conn access.ConnectionID, g store.Group, deleted bool, at time.Time) {
		f.write(conn, func(d *store.DirectoryTx) error { return d.KeepFormer(g, deleted, at) })
	}
	known := func(conn access.ConnectionID, since time.Time) (said []string) {
		f.read(conn, func(d *store.Directory) error {
			all, err := d.FormerGroups(since, 1000)
			for _, x := range all {
				said = append(said, fmt.Sprintf("%s %s %q %t %d", x.ID, x.DisplayName, x.ExternalID, x.Deleted, x.Version))
				if string(x.Doc) != string(g.Doc) || !x.Created.Equal(g.Created) || x.Connection != conn {
					t.Errorf("%+v", x)
				}
			}
			return err
		})
		return said
	}
	keep(north, g, false, day)
	g.DisplayName, g.ExternalID, g.Version = "Crew", "x", 2
	keep(north, g, true, day.Add(time.Minute))
	keep(north, g, true, day.Add(time.Minute)) // once more is the same
	if got := known(north, day.Add(-1)); !slices.Equal(got, []string{`grp_1 Team "" false 1`, `grp_1 Crew "x" true 2`}) {
		t.Errorf("%q", got)
	}
	if got := known(north, day); len(got) != 1 || len(known(south, time.Time{})) != 0 {
		t.Errorf("%q", got)
	}
	trimmed := int64(1)
	for trimmed > 0 {
		f.update(func(tx *store.Tx) (err error) { trimmed, err = tx.TrimFormer(day.Add(time.Second)); return err })
	}
	if got := known(north, time.Time{}); len(got) != 1 {
		t.Errorf("after it was forgotten: %q", got)
	}
}

// Who is restored is a member since the instant given, whether they were one or not.
func testRestoreMembers(t *testing.T, f *fixture) {
	a, b, c := f.person(north, "per_a", "a@north.example"), f.person(north, "per_b", "b@north.example"), f.person(north, "per_c", "c@north.example")
	g := f.group(north, "grp_1", "Team")
	early, later := day.Add(-time.Hour), day.Add(time.Hour)
	f.write(north, func(d *store.DirectoryTx) error {
		_, err := d.AddMembers(&g, []store.PersonKey{a.Key, c.Key}, day)
		if err != nil {
			return err
		}
		were, err := d.RestoreMembers(&g, []store.Joined{{Key: a.Key, Since: early}, {Key: b.Key, Since: early}}, later)
		if len(were) != 1 || were[0].Key != a.Key || !were[0].Since.Equal(day) {
			t.Errorf("were members: %v", were)
		}
		return err
	})
	if now := f.groupNow(north, "grp_1"); now.MemberCount != 3 || g.MemberCount != 3 || now.Version != g.Version || !now.Updated.Equal(later) {
		t.Errorf("%+v, told %+v", now, g)
	}
	f.read(north, func(d *store.Directory) error {
		all, err := d.Memberships(g)
		some, err2 := d.JoinedAmong(g, []store.PersonKey{a.Key, b.Key, 999})
		if len(all) != 3 || len(some) != 2 || !all[0].Since.Equal(early) || !some[1].Since.Equal(early) || !all[2].Since.Equal(day) {
			t.Errorf("all %v, some %v", all, some)
		}
		found, err3 := d.GroupNamed("TEAM")
		if found.ID != "grp_1" {
			t.Errorf("found %+v", found)
		}
		_, none := d.GroupNamed("Crew")
		if !fault.Is(none, fault.NotFound) {
			t.Errorf("no such group: %v", none)
		}
		return errors.Join(err, err2, err3)
	})
}

// What happened to a connection after an instant is found without reading the rest.
func testAuditOf(t *testing.T, f *fixture) {
	for i := range 20 {
		f.update(func(tx *store.Tx) error {
			conn := north
			if i%2 == 1 {
				conn = south
			}
			return tx.Append(event.Event{Type: event.GroupChanged, Connection: conn, At: day.Add(time.Duration(i) * time.Minute)})
		})
	}
	f.view(func(v *store.View) error {
		after, err := v.AuditBefore(day.Add(10 * time.Minute))
		if err != nil {
			return err
		}
		rows, err := v.AuditOf(north, after, 100)
		if len(rows) != 5 || rows[0].Connection != north || rows[0].ID <= after {
			t.Errorf("%d rows: %+v", len(rows), rows)
		}
		return err
	})
}
