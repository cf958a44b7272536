//go:build lanes

package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/lanes"
)

// The sample applications in TypeScript sign a person in, show in the title bar what
// they act as, and show them vehicles of an API that verifies by itself. When the
// person's company disables them, that API refuses the token that it never asked about.
func TestSampleApplicationsLane(t *testing.T) {
	web, api := freePort(t), freePort(t)
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	config := strings.Replace(string(examples.Drawbridge), "\nclients:\n", fmt.Sprintf(`
clients:
  - id: sample-web
    name: Sample
    secret: sample-web-secret-for-loopback-only
    redirect_uris: [ http://127.0.0.1:%d/callback ]
    post_logout_redirect_uris: [ http://127.0.0.1:%d/ ]
    audience: sample-api
  - id: sample-api
    name: Sample API
    secret: sample-api-secret-for-loopback-only
    grant_types: [ client_credentials ]
    service_scopes: [ revocations ]
    audience: sample-api
`, web, web), 1)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDemo(t, t.TempDir(), "--config", file)
	sample(t, "api.js", "the API is ready", "ISSUER="+d.Issuer, "AUDIENCE=sample-api", "CLIENT_ID=sample-api", "CLIENT_SECRET=sample-api-secret-for-loopback-only", fmt.Sprint("PORT=", api))
	sample(t, "web.js", "the application is ready", "ISSUER="+d.Issuer, "CLIENT_ID=sample-web", "CLIENT_SECRET=sample-web-secret-for-loopback-only", fmt.Sprint("PORT=", web), fmt.Sprint("API_URL=http://127.0.0.1:", api))
	app, b := fmt.Sprint("http://127.0.0.1:", web), newBrowser(t)
	wantPage(t, get(t, b, app+"/"), http.StatusOK, "Sign in")
	wantPage(t, get(t, b, app+"/sign-in?connection=banksia-entra&login_hint="+d.connection("banksia-entra").People[0]), http.StatusOK, "<header>")
	before := get(t, b, app+"/vehicles")
	wantPage(t, before, http.StatusOK, "truck-1")
	if code, out := d.command("demo", "disable", d.connection("banksia-entra").People[0]); code != exitDone {
		t.Fatalf("demo disable: %d\n%s", code, out)
	}
	began := time.Now()
	for {
		p := get(t, b, app+"/vehicles")
		if p.status == http.StatusUnauthorized {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the API still answers %d: %s", p.status, p.body)
		}
	}
	t.Logf("refused within %s of the answer to the identity provider", time.Since(began))
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := lanes.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// sample runs a sample application until the test ends, and waits until it says that it
// is ready. Without Node.js this fails; it is never skipped.
func sample(t *testing.T, script, ready string, env ...string) {
	t.Helper()
	cmd := exec.Command("node", filepath.Join("dist", script)) //nolint:gosec // a file of ours
	cmd.Dir = "../../examples/apps/typescript"
	cmd.Env = append(os.Environ(), env...)
	said := &journal{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("this lane needs Node.js and the built samples (make setup-samples): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // killed
		t.Logf("%s said: %s", script, said)
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != ready {
		t.Fatalf("%s said %q (%v)\n%s", script, line, err, said)
	}
}
