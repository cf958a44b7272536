package bridge_test

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// TestI9_WhatIsNotCommittedHasEndedNothing: a deactivation that the directory could not
// commit is refused, and leaves everything as it was, also in the hot store.
func TestI9_WhatIsNotCommittedHasEndedNothing(t *testing.T) {
	t.Parallel()
	b := &breaking{}
	s := newScene(t, stepping(&b.steps))
	b.reach = func(_, what string) error {
		if what == "commit" {
			return errBroken
		}
		return nil
	}
	err := s.scim("PATCH", "/Users/"+s.person, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
	b.reach = nil
	if err == nil {
		t.Error("the deactivation is acknowledged, and was not committed")
	}
	if b, a, r := s.w.alive(s.held); !b || !a || !r {
		t.Errorf("after a deactivation that was not committed: browser %t, access token %t, refresh token %t; all are good still", b, a, r)
	}
}

// TestTA4_NobodyIsLinkedByWhatTheyAreCalled: a subject that is somebody's userName, or
// their address, is a subject like any other: it is nobody's until it is theirs.
func TestTA4_NobodyIsLinkedByWhatTheyAreCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	for _, subject := range []string{"kim@southern.example", "KIM@southern.example", "Kim Installer"} {
		if _, _, err := w.signIn(southern, subject); fault.ReasonOf(err) != "not_provisioned" {
			t.Errorf("who signs in as %s: %v", subject, err)
		}
	}
}
