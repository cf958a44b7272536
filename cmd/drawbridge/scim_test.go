package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/scimtest"
)

// Whatever the identity provider, our own server gets no finding, not even of what
// the RFC leaves open.
func TestTheRunningBridgeGetsNoFinding(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	for _, id := range []string{"banksia-entra", "tundra-okta"} {
		c := d.connection(id)
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(c.SCIMToken), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out := d.command("scim", "check", c.SCIMURL, "--token-file", file, "--fail-on", "may", "--json")
		var report struct {
			Grade    string
			Left     []string
			Findings []scimFinding
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitDone || report.Grade != "A" || len(report.Left) > 0 {
			t.Errorf("%s: %v, exit code %d, grade %q, left %v", id, err, code, report.Grade, report.Left)
		}
		for _, f := range report.Findings {
			if f.Verdict != scimtest.Holds && f.Verdict != scimtest.Skipped {
				t.Errorf("%s: %s %s: %s\n%s\n%s", id, f.ID, f.Verdict, f.Found, f.Sent, f.Received)
			}
		}
		if n := len(report.Findings); n != len(scimtest.Checks()) {
			t.Errorf("%s: %d findings", id, n)
		}
	}
}

// scimFinding is a finding as --json prints it.
type scimFinding struct {
	ID, Found, Sent, Received string
	Verdict                   scimtest.Verdict
}
