package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
	"github.com/drawbridge-id/drawbridge/oidc/resource"
)

// cutOff is a way to the bridge on which nothing can be introspected once it is shut.
type cutOff struct{ shut atomic.Bool }

func (c *cutOff) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.shut.Load() && strings.HasSuffix(r.URL.Path, "/oauth2/introspect") {
		return nil, errors.New("nothing is introspected any more")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// An API with oidc/resource refuses the token of somebody whom their company deactivated
// by SCIM, by what the running program's feed of revocations told it alone.
func TestAnAPIHearsOfADeactivationByTheFeed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	config := strings.Replace(string(examples.Drawbridge), "\nclients:\n", `
clients:
  - id: trucks-web
    name: Trucks
    secret: trucks-web-secret-for-loopback-only
    redirect_uris: [ http://127.0.0.1:9/callback ]
    audience: trucks-api
  - id: trucks-api
    name: Trucks API
    secret: trucks-api-secret-for-loopback-only
    grant_types: [ client_credentials ]
    service_scopes: [ revocations ]
    audience: trucks-api
`, 1)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d, way := startDemo(t, t.TempDir(), "--config", file), &cutOff{}
	api, err := resource.New(resource.Config{Issuer: d.Issuer, Audience: "trucks-api", ClientID: "trucks-api", ClientSecret: "trucks-api-secret-for-loopback-only", HTTP: &http.Client{Transport: way}})
	if err != nil {
		t.Fatal(err)
	}
	follow := func() {
		t.Helper()
		if err := api.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	follow()
	person := d.connection("southern-entra").People[0]
	web := &oidctest.Client{Issuer: d.Issuer, ClientID: "trucks-web", ClientSecret: secret.New("trucks-web-secret-for-loopback-only"), RedirectURI: "http://127.0.0.1:9/callback", Connection: "southern-entra"}
	held, err := web.SignIn(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Check(t.Context(), held.AccessToken); err != nil {
		t.Fatalf("before: %v", err)
	}
	way.shut.Store(true)
	if code, out := d.command("demo", "disable", person); code != exitDone || !strings.Contains(out, `"path":"active","value":"False"`) {
		t.Fatalf("demo disable: %d\n%s", code, out)
	}
	for range 10 { // whatever else is told first
		follow()
		if _, err = api.Check(t.Context(), held.AccessToken); errors.Is(err, resource.ErrInvalid) {
			return
		}
	}
	t.Errorf("after the deactivation: %v", err)
}
