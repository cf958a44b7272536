package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// Doctor says how a stream of signals stands, and warns of one that is not enabled or
// whose verification does not come.
func TestDoctorLooksAtStreamsOfSignals(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for want, s := range map[string]inbound.Stream{
		api.LevelOK + " c: signals: the stream s (polled) stands; last verified: never; last event: never": {Method: ssf.Poll, Status: ssf.Enabled},
		api.LevelOK + " c: signals: the stream s (pushed) stands; last verified: never":                    {Method: ssf.Push, Status: ssf.Enabled, Asked: now.Add(-time.Minute)},
		api.LevelWarn + " c: signals: the stream s is paused: maintenance":                                 {Status: ssf.Paused, Reason: "maintenance"},
		api.LevelWarn + " c: signals: the stream s is disabled: no reason was given":                       {Status: ssf.Disabled},
		api.LevelWarn + " c: signals: a verification was asked for":                                        {Status: ssf.Enabled, Asked: now.Add(-time.Hour), Verified: now.Add(-2 * time.Hour)},
	} {
		s.Connection, s.ID = "c", "s"
		var said []string
		examineStream(s, now, func(level, fix, format string, args ...any) {
			said = append(said, level+" "+fmt.Sprintf(format, args...))
			if (level == api.LevelOK) != (fix == "") {
				t.Errorf("%s: what to do is %q", level, fix)
			}
		})
		if len(said) != 1 || !strings.HasPrefix(said[0], want) {
			t.Errorf("said %q, want %q", said, want)
		}
	}
}
