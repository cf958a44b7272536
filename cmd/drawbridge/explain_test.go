package main

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// An assignment that somebody's joining of a group did not make what it is, but the
// group's new name or another policy, says so.
func TestHowAnAssignmentCameToBe(t *testing.T) {
	given := time.Date(2026, 11, 27, 10, 41, 0, 0, time.Local)
	joined := []bridge.Link{{Kind: access.SourceRule, ID: "managers", Group: &bridge.Belonging{Group: "grp_1", Request: "JOINED"}}}
	for _, c := range []struct {
		name string
		bridge.Holding
		want string
	}{
		{"by joining", bridge.Holding{Given: given, Request: "JOINED", Chain: joined}, ""},
		{"by a new name", bridge.Holding{Given: given, Request: "RENAMED", Chain: joined}, "as it is since 2026-11-27 10:41 by request RENAMED"},
		{"by a policy", bridge.Holding{Given: given, Chain: joined}, "as it is since 2026-11-27 10:41"},
		{"nothing is recorded", bridge.Holding{Chain: joined}, ""},
		{"by people", bridge.Holding{Given: given, Request: "ASKED", Chain: []bridge.Link{{Kind: access.SourceRequest, ID: "r9"}}}, ""},
	} {
		if got := otherwise(c.Holding); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
