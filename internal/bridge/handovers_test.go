package bridge_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/authzen"
)

// seen is what was observed with a permit.
func (w *world) seen(id access.PermitID) (said []string) {
	w.t.Helper()
	w.rest()
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		all, err := v.Seen(id)
		for _, s := range all {
			said = append(said, fmt.Sprintf("%s %s", s.Kind, s.What))
		}
		return err
	}))
	return said
}

// What somebody does with what people gave them is observed for the hand-over: tokens,
// workflows that opened, and what was refused. What rules gave is not.
func TestWhatIsDoneWithAPermitIsObserved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const conn = "banksia-entra"
	sam := w.person(conn, "sam@banksia.example", "oid-sam")
	hobart := w.scope("southern/banksia/hobart").ID
	w.permit(conn, access.Permit{ID: "prm_sam", Person: access.PersonID(sam), Grant: access.Standard, Scope: hobart, Standing: access.Primary, Request: "req_1", Flags: access.Flags{Events: access.EventsStandard}})
	v := w.session(conn, "oid-sam", "live_view", "events.view", "users.manage")
	if got := w.seen("prm_sam"); !slices.Equal(got, []string{"opened events.view", "opened live_view", "refused users.manage", "token "}) {
		t.Errorf("%q", got)
	}
	ask := authzen.Question{SubjectType: authzen.TypeUser, SubjectID: sam, Session: string(v.browser.Session.ID), Action: "settings.manage", ResourceType: authzen.TypeScope, ResourceID: string(hobart)}
	for _, q := range []authzen.Question{ask, {SubjectType: ask.SubjectType, SubjectID: sam, Session: ask.Session, Action: "live_view", ResourceType: ask.ResourceType, ResourceID: "southern/banksia/geelong"}} {
		if may, err := w.bridge.MayDo(w.ctx, w.web, q); may || err != nil {
			t.Errorf("%+v: %t, %v", q, may, err)
		}
	}
	if got := w.seen("prm_sam"); !slices.Contains(got, "refused settings.manage") || !slices.Contains(got, "outside ") {
		t.Errorf("%q", got)
	}
	w.clock.Add(store.HandoverKept)
	w.session(conn, "oid-sam", "playback")
	if got := w.seen("prm_sam"); slices.Contains(got, "opened playback") {
		t.Errorf("long afterwards it is still observed: %q", got)
	}
}
