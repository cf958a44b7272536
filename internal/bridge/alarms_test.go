package bridge_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/event"
)

// TestAlarmsNameWhatSomebodyShouldLookAt: drift, a moved identifier and a doubled one
// are shown, of this connection alone.
func TestAlarmsNameWhatSomebodyShouldLookAt(t *testing.T) {
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	group := w.group(banksia, "GL Geelong Managers", sam)
	w.addMember(banksia, group, "per_nobody")
	w.session(banksia, "oid-sam")
	w.patchUser(banksia, sam, `{"op":"replace","path":"externalId","value":"oid-other"}`)
	w.person(banksia, "twin@banksia.example", "oid-other")
	if _, err := audit.NewSealer(w.store, time.Second, nil).Seal(w.ctx); err != nil {
		t.Fatal(err)
	}
	found, err := w.bridge.Alarms(w.ctx, banksia)
	if err != nil || len(found.Drift) != 1 || found.Recent[event.SubjectChanged] != 1 || !slices.Equal(found.Doubled, []string{"oid-other"}) {
		t.Errorf("%+v (%v)", found, err)
	}
	if other, err := w.bridge.Alarms(w.ctx, tundra); err != nil || len(other.Recent)+len(other.Doubled)+len(other.Drift) != 0 {
		t.Errorf("another customer's: %+v (%v)", other, err)
	}
}
