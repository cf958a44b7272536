//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// keycloak is Keycloak, in its development mode and in memory, and its administrator.
type keycloak struct {
	*process
	url   string
	admin *http.Client
}

// kay is the person of testdata/keycloak/realm.json.
const kay, kaysPassword = "6f4f3a1e-6d0a-4c0e-9c55-0c8f0a5b7e01", "of-a-test"

func startKeycloak(t *testing.T) *keycloak {
	t.Helper()
	port := freePort(t)
	k := &keycloak{url: fmt.Sprint("http://127.0.0.1:", port)}
	k.process = start(t, "../../testdata/keycloak/dist", []string{"KC_BOOTSTRAP_ADMIN_USERNAME=admin", "KC_BOOTSTRAP_ADMIN_PASSWORD=admin", "JAVA_OPTS_KC_HEAP=-Xms64m -Xmx512m", "JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1"},
		"bin/kc.sh", "start-dev", "--db=dev-mem", "--http-host=127.0.0.1", fmt.Sprint("--http-port=", port), "--hostname="+k.url)
	k.await("that it listens", func(line string) bool { return strings.Contains(line, "Listening on:") })
	config := oauth2.Config{ClientID: "admin-cli", Endpoint: oauth2.Endpoint{TokenURL: k.url + "/realms/master/protocol/openid-connect/token"}}
	token, err := config.PasswordCredentialsToken(context.WithoutCancel(t.Context()), "admin", "admin")
	if err != nil {
		t.Fatal(err)
	}
	k.admin = config.Client(context.WithoutCancel(t.Context()), token)
	return k
}

// ask sends the administrator's request, and gives the answer's body.
func (k *keycloak) ask(method, path, body string) string {
	k.t.Helper()
	req := request(k.t, method, k.url+"/admin/realms"+path, body)
	req.Header.Set("Content-Type", "application/json")
	got := send(k.t, k.admin, req)
	if got.status/100 != 2 {
		k.t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
	}
	return got.body
}

// sessions are the ids of the person's.
func (k *keycloak) sessions() []string {
	k.t.Helper()
	var all []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(k.ask(http.MethodGet, "/lane/users/"+kay+"/sessions", "")), &all); err != nil {
		k.t.Fatal(err)
	}
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return ids
}

// keycloakWorld is a bridge with Keycloak behind one of its connections.
func keycloakWorld(t *testing.T) (*keycloak, *bridge) {
	t.Helper()
	k, at := startKeycloak(t), freePort(t)
	realm, err := os.ReadFile("../../testdata/keycloak/realm.json")
	if err != nil {
		t.Fatal(err)
	}
	k.ask(http.MethodPost, "", strings.ReplaceAll(string(realm), "BRIDGE", fmt.Sprint("http://127.0.0.1:", at)))
	b := startBridge(t, at, sample("", fmt.Sprintf(`
  keycloak:
    idp: keycloak
    name: Keycloak Freight
    domains: [ keycloak.example ]
    ceiling: { scope: southern/reefline, grants: [ standard ] }
    sign_in:
      issuer: %s/realms/lane
      client_id: drawbridge
      client_secret: a-secret-of-drawbridge
`, k.url), `
  - id: keycloak-drivers
    from: keycloak
    group: Drivers
    give: standard @ southern/reefline
`))
	b.provision("keycloak", "Drivers", kay)
	return k, b
}

// asKay fills in Keycloak's pages; asked counts those that wanted a password.
func asKay(asked *int) func(form) {
	return func(f form) {
		if f.values.Has("password") {
			*asked++
			f.values.Set("username", "kay")
			f.values.Set("password", kaysPassword)
		}
	}
}

// People of Keycloak sign in through its own form, and its ends of sessions are heard.
func TestKeycloak(t *testing.T) {
	t.Parallel()
	k, bridge := keycloakWorld(t)
	app, asked := bridge.fleetWeb(), 0
	signIn := func(b *browser, extra ...string) held {
		q := url.Values{"connection": {"keycloak"}}
		if len(extra) == 2 {
			q.Set(extra[0], extra[1])
		}
		s, p := app.signInAs(b, q, asKay(&asked))
		return app.redeem(s, p)
	}
	b := newBrowser(t)
	h := signIn(b)
	if at, _ := h.claims["auth_time"].(float64); asked != 1 || time.Since(time.Unix(int64(at), 0)) > time.Minute || h.claims["acr"] != "silver" {
		t.Errorf("%d forms, and %v", asked, h.claims)
	}
	t.Run("a way of signing in that is essential is had, or people read that it is not and go back", func(t *testing.T) {
		const essential = `{"id_token":{"acr":{"essential":true,"values":[%q]}}}`
		if h := signIn(b, "claims", fmt.Sprintf(essential, "silver")); h.claims["acr"] != "silver" {
			t.Errorf("acr is %v", h.claims["acr"])
		}
		_, p := app.signInAs(b, url.Values{"connection": {"keycloak"}, "claims": {fmt.Sprintf(essential, "gold")}}, asKay(&asked))
		if back := p.link(t, "error=unmet_authentication_requirements"); p.status != http.StatusForbidden || !strings.HasPrefix(back, app.config.RedirectURL) {
			t.Errorf("for gold it is %d at %s, back to %s", p.status, p.url, back)
		}
	})
	before := asked
	t.Run("prompt=login is proven by a new auth_time", func(t *testing.T) {
		again := signIn(b, "prompt", "login")
		if asked != before+1 || again.claims["auth_time"].(float64) < h.claims["auth_time"].(float64) {
			t.Errorf("%d forms, auth_time %v after %v", asked, again.claims["auth_time"], h.claims["auth_time"])
		}
		h = again
	})
	t.Run("its administrator ends one session", func(t *testing.T) {
		before := k.sessions()
		other := signIn(newBrowser(t))
		for _, id := range k.sessions() {
			if !slices.Contains(before, id) {
				k.ask(http.MethodDelete, "/lane/sessions/"+id, "")
			}
		}
		if app.lives(other.AccessToken) || !app.lives(h.AccessToken) {
			t.Errorf("the session that ended lives: %t; the other: %t", app.lives(other.AccessToken), app.lives(h.AccessToken))
		}
	})
	t.Run("the person signs out there", func(t *testing.T) {
		b.until = ""
		left := b.walk(k.url+"/realms/lane/protocol/openid-connect/logout", func(form) {})
		if app.lives(h.AccessToken) || app.lives(h.RefreshToken) {
			t.Errorf("after %s %d tokens live", left.url, left.status)
		}
	})
	t.Run("the person signs out here, and there by the link", func(t *testing.T) {
		h := signIn(b)
		b.until = ""
		p := b.get(bridge.Issuer + "/oauth2/end_session?id_token_hint=" + h.idToken)
		b.walk(p.link(t, k.url), func(form) {})
		if left := k.sessions(); len(left) > 0 {
			t.Errorf("sessions there: %v", left)
		}
	})
	t.Run("its administrator ends all of a person", func(t *testing.T) {
		first, second := signIn(newBrowser(t)), signIn(newBrowser(t))
		k.ask(http.MethodPost, "/lane/users/"+kay+"/logout", "")
		if app.lives(first.AccessToken) || app.lives(second.AccessToken) {
			t.Error("a session lives on")
		}
	})
	t.Run("without a session nobody is vouched for", func(t *testing.T) {
		_, p := app.signInAs(b, url.Values{"connection": {"keycloak"}, "prompt": {"none"}}, nil)
		if p.url.Query().Get("error") != "login_required" {
			t.Errorf("%s %d", p.url, p.status)
		}
	})
}
