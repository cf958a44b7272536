package audit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// found lists the types of the events that are about something, in commit order.
func found(t *testing.T, s *store.Store, conn access.ConnectionID, kind event.Kind, id string) (types []event.Type) {
	t.Helper()
	err := s.View(t.Context(), func(v *store.View) error {
		rows, err := v.AuditAbout(conn, event.Subject{Kind: kind, ID: id}, 0, 1000)
		for _, r := range rows {
			e, err := audit.Event(r)
			if err != nil {
				return err
			}
			types = append(types, e.Type)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return types
}

// What happened to a person, a group or at a scope is found without reading the trail:
// as soon as it is sealed, and also where it was sealed by a program that knew no
// index. What cannot be read keeps nothing else from being found.
func TestWhatHappenedIsFoundByWhomItWasAbout(t *testing.T) {
	s, tamper := open(t)
	update(t, s, func(tx *store.Tx) error {
		return tx.Append(
			event.Event{Type: event.PersonProvisioned, At: day, Connection: "north", Person: "per_1"},
			event.Event{Type: event.MemberAdded, At: day, Connection: "north", Person: "per_1", Data: map[string]string{"group": "grp_1"}},
			event.Event{Type: event.AssignmentGiven, At: day, Connection: "north", Person: "per_1", Data: map[string]string{"scope": "scp_1", "group": "grp_1"}},
			event.Event{Type: event.SessionStarted, At: day, Connection: "north", Person: "per_1"},
			event.Event{Type: event.PersonProvisioned, At: day, Connection: "south", Person: "per_1"},
			event.Event{Type: event.GroupRenamed, At: day, Connection: "north", Data: map[string]string{"group": "grp_1"}},
			event.Event{Type: event.PolicyApplied, At: day},
		)
	})
	look := func(when string) {
		t.Helper()
		for _, c := range []struct {
			conn access.ConnectionID
			kind event.Kind
			id   string
			want []event.Type
		}{
			{"north", event.KindPerson, "per_1", []event.Type{event.PersonProvisioned, event.MemberAdded, event.AssignmentGiven}},
			{"south", event.KindPerson, "per_1", []event.Type{event.PersonProvisioned}},
			{"north", event.KindGroup, "grp_1", []event.Type{event.MemberAdded, event.GroupRenamed}},
			{"north", event.KindScope, "scp_1", []event.Type{event.AssignmentGiven}},
			{"north", event.KindRename, "grp_9", nil},
			{"", event.KindPolicy, "", []event.Type{event.PolicyApplied}},
			{"north", event.KindGroup, "grp_2", nil},
		} {
			if got := found(t, s, c.conn, c.kind, c.id); !slices.Equal(got, c.want) {
				t.Errorf("%s: %s %d %q: %v, want %v", when, c.conn, c.kind, c.id, got, c.want)
			}
		}
	}
	seal(t, s)
	look("sealed")
	tamper(`delete from audit_index`)
	tamper(`update audit_indexed set id = 0`)
	tamper(`insert into audit (conn, body) values (1, 'no JSON')`)
	seal(t, s)
	if got := found(t, s, "north", event.KindPerson, "per_1"); got != nil {
		t.Errorf("found before it was looked for: %v", got)
	}
	if err := audit.NewSealer(s, time.Second, nil).Index(t.Context()); err != nil {
		t.Fatal(err)
	}
	look("looked through afterwards")
}
