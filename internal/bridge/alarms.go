package bridge

import (
	"context"
	"encoding/json"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Alarms are what a connection's administrator should look at.
type Alarms struct {
	Raised  []store.Alarm      // of the blast guard, of the last days, the newest first
	Recent  map[event.Type]int // alarming events among the last looked at
	Doubled []string           // externalIds that several active people carry: none of them is signed in
	Drift   []Drift            // member ids that name nobody here, the latest first
}

// DriftGroups counts the groups that the drift is about.
func (a Alarms) DriftGroups() int {
	groups := map[access.GroupID]bool{}
	for _, x := range a.Drift {
		groups[x.Group] = true
	}
	return len(groups)
}

// alarming are the events that somebody should look at, and lookedAt is how far back
// the audit trail is read for them.
var alarming = map[event.Type]bool{event.SubjectChanged: true, event.CodeReplayed: true, event.RefreshReused: true}

const lookedAt = 2000

// Alarms reads the end of a connection's audit trail and its doubled identifiers.
func (b *Bridge) Alarms(ctx context.Context, conn access.ConnectionID) (Alarms, error) {
	found := Alarms{Recent: map[event.Type]int{}}
	now := b.now()
	var err error
	if found.Drift, err = b.Drift(ctx, conn); err != nil {
		return found, err
	}
	err = b.store.View(ctx, func(v *store.View) error {
		dir, err := v.In(conn)
		if err != nil {
			return err
		}
		if found.Raised, err = raised(v, conn, now); err != nil {
			return err
		}
		if found.Doubled, err = dir.DoubledExternalIDs(10); err != nil {
			return err
		}
		head, _, err := v.AuditHead(conn)
		if err != nil {
			return err
		}
		rows, err := v.AuditTrail(conn, max(0, head-lookedAt), lookedAt)
		if err != nil {
			return err
		}
		for _, row := range rows {
			var e event.Event
			if err := json.Unmarshal(row.Body, &e); err != nil {
				return fault.Wrap(fault.Internal, "bridge.Alarms", err)
			}
			if alarming[e.Type] {
				found.Recent[e.Type]++
			}
		}
		return nil
	})
	return found, err
}
