//go:build lanes

package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A client that was not written for the bridge signs in, refreshes, introspects,
// switches grant and signs out. Without Node.js this fails; it is never skipped.
func TestOpenIDClientLane(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("this lane needs Node.js (make setup-node): %v", err)
	}
	d := startDemo(t, t.TempDir())
	for connection, person := range map[string]string{"southern-entra": "kim@southern.example", "tundra-okta": "liv@tundra.example"} {
		t.Run(connection, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			c := d.Clients[0]
			cmd := exec.CommandContext(ctx, node, "lane.mjs") //nolint:gosec // a file of ours
			cmd.Dir = "../../testdata/openid-client"
			cmd.Env = append(os.Environ(), "ISSUER="+d.Issuer, "CLIENT_ID="+c.ClientID, "CLIENT_SECRET="+c.ClientSecret, "REDIRECT_URI="+c.RedirectURI,
				"LOGIN_HINT="+person, "CONNECTION="+connection, "POST_LOGOUT_REDIRECT_URI="+d.AppURL+"/", "GRANTS_URL="+d.MeURL+"grants")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "all steps passed") {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
