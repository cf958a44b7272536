//go:build lanes

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The nginx configuration of docs/applications.md, but for its addresses, in front of an
// API that knows nothing of tokens. Without nginx this fails; it is never skipped.
func TestNginxLane(t *testing.T) {
	d := startDemo(t, t.TempDir())
	c := d.client("southern-entra")
	person := "kim@southern.example"
	held, err := c.SignIn(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 10)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header.Get("X-Auth-Subject") }))
	t.Cleanup(api.Close)
	at := nginx(t, strings.NewReplacer("https://id.example", d.Issuer, "audience=fleet-api&workflow=live_view", "audience=https://api.lantern.example", "http://fleet", api.URL).Replace(documented(t, "nginx")))
	send := func(token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/live/truck-1?audience=other", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Subject", "somebody else")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		return visit(t, http.DefaultClient, req).status
	}
	if status := send(held.AccessToken); status != http.StatusOK {
		t.Fatalf("with a token: %d", status)
	}
	if who := <-asked; who == "" || who == "somebody else" {
		t.Errorf("the API is told that %q asks", who)
	}
	for name, token := range map[string]string{"without a token": "", "with something else": "x"} {
		if status := send(token); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
	if code, out := d.command("demo", "disable", person); code != exitDone {
		t.Fatalf("demo disable: %d\n%s", code, out)
	}
	if status := send(held.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("of somebody who has left: %d", status)
	}
	if len(asked) > 0 {
		t.Error("a request that was refused reached the API")
	}
}

// documented is the first block of a language in docs/applications.md.
func documented(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/applications.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n```"+language+"\n")
	block, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("docs/applications.md has no block of %s", language)
	}
	return block
}

// nginx serves with these locations until the test ends.
func nginx(t *testing.T, locations string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen 127.0.0.1:%[2]d; %[3]s }
}`, dir, port, locations)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	said := &journal{}
	cmd := exec.Command("nginx", "-c", file, "-p", dir) //nolint:gosec // what was written above
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatalf("this lane needs nginx (make setup-nginx): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // killed
	})
	at := fmt.Sprint("http://127.0.0.1:", port)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(at) //nolint:noctx // a test's own server
		if err == nil {
			res.Body.Close() //nolint:errcheck // not read
			return at
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("nginx does not listen: %v\n%s", err, said)
		}
	}
}
