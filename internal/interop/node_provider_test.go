//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// nodeProvider is node oidc-provider as the identity provider of the connection "node".
type nodeProvider struct {
	*process
	issuer string
}

const wrongAudience = "mallory"

func startNodeProvider(t *testing.T, settings map[string]any) *nodeProvider {
	t.Helper()
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "../../testdata/oidc-provider", []string{"SETTINGS=" + string(text)}, "node", "idp.mjs")
	p.await("that it is ready", said("ready"))
	return &nodeProvider{process: p, issuer: fmt.Sprintf("http://127.0.0.1:%v", settings["port"])}
}

// said wants a line about an event whose text has all parts.
func said(event string, parts ...string) func(string) bool {
	return func(line string) bool {
		for _, part := range append(parts, `"event":"`+event+`"`) {
			if !strings.Contains(line, part) {
				return false
			}
		}
		return true
	}
}

// nodeWorld is a bridge with node oidc-provider behind one of its connections, and
// people there who may sign in.
func nodeWorld(t *testing.T) (*nodeProvider, *bridge) {
	t.Helper()
	at, idp := freePort(t), freePort(t)
	base := fmt.Sprintf("http://127.0.0.1:%d/connect/node", at)
	registered := func(id string) map[string]any {
		return map[string]any{"client_id": id, "client_secret": "a-secret-of-" + id, "redirect_uris": []string{base + "/callback"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"backchannel_logout_uri": base + "/backchannel-logout", "backchannel_logout_session_required": true}
	}
	node := startNodeProvider(t, map[string]any{"port": idp, "clients": []any{registered("drawbridge"), registered("another")}, "wrongAudienceFor": wrongAudience})
	b := startBridge(t, at, sample("", fmt.Sprintf(`
  node:
    idp: other
    name: Node Freight
    domains: [ node.example ]
    ceiling: { scope: southern/reefline, grants: [ standard ] }
    sign_in:
      issuer: http://127.0.0.1:%d
      client_id: drawbridge
      client_secret: a-secret-of-drawbridge
      probe: 1m
`, idp), `
  - id: node-drivers
    from: node
    group: Drivers
    give: standard @ southern/reefline
`))
	b.provision("node", "Drivers", "nina", "nils", wrongAudience)
	return node, b
}

// as fills in the pages of node oidc-provider for somebody.
func as(name string) func(form) {
	return func(f form) {
		if f.values.Has("login") {
			f.values.Set("login", name)
			f.values.Set("password", "any")
		}
	}
}

// signInAs goes through all pages, in a browser of its own.
func (a *application) signInAs(b *browser, extra url.Values, fill func(form)) (signIn, page) {
	s := a.begin(extra)
	b.until = a.config.RedirectURL
	return s, b.walk(s.at, fill)
}

// People of node oidc-provider sign in: what it says of them comes to the application,
// and what the bridge asks of it in its own name is answered.
func TestNodeProviderSignsPeopleIn(t *testing.T) {
	t.Parallel()
	node, bridge := nodeWorld(t)
	app, b := bridge.fleetWeb(), newBrowser(t)
	began := time.Now()
	s, p := app.signInAs(b, url.Values{"connection": {"node"}}, as("nina"))
	h := app.redeem(s, p)
	if at, _ := h.claims["auth_time"].(float64); time.Unix(int64(at), 0).Before(began.Add(-time.Minute)) {
		t.Errorf("auth_time is %v", h.claims["auth_time"])
	}
	next := app.refresh(h)
	if !app.lives(next.AccessToken) || next.RefreshToken == h.RefreshToken {
		t.Error("the application cannot go on by its refresh token")
	}
	t.Run("again without a form", func(t *testing.T) {
		s, p := app.signInAs(b, url.Values{"connection": {"node"}, "prompt": {"none"}}, nil)
		if again := app.redeem(s, p); again.claims["sid"] != h.claims["sid"] {
			t.Error("another session")
		}
	})
	t.Run("prompt=login is proven by a new auth_time", func(t *testing.T) {
		forms := 0
		s, p := app.signInAs(b, url.Values{"connection": {"node"}, "prompt": {"login"}}, func(f form) { forms++; as("nina")(f) })
		again := app.redeem(s, p)
		if forms == 0 || again.claims["auth_time"].(float64) < h.claims["auth_time"].(float64) {
			t.Errorf("%d forms, auth_time %v after %v", forms, again.claims["auth_time"], h.claims["auth_time"])
		}
	})
	t.Run("an ID token for another application signs nobody in", func(t *testing.T) {
		_, p := app.signInAs(newBrowser(t), url.Values{"connection": {"node"}}, as(wrongAudience))
		if p.status != http.StatusForbidden || !strings.Contains(p.body, "could not be verified") {
			t.Errorf("%s %d:\n%s", p.url, p.status, p.body)
		}
	})
	node.await("the code's grant", said("grant", "authorization_code"))
}

// Whoever signs out at node oidc-provider is signed out here before it has answered.
func TestNodeProviderSignsPeopleOut(t *testing.T) {
	t.Parallel()
	node, bridge := nodeWorld(t)
	app, b, other := bridge.fleetWeb(), newBrowser(t), newBrowser(t)
	s, p := app.signInAs(b, url.Values{"connection": {"node"}}, as("nina"))
	h := app.redeem(s, p)
	s, p = app.signInAs(other, url.Values{"connection": {"node"}}, as("nina"))
	elsewhere := app.redeem(s, p)
	b.until = ""
	signedOut := b.walk(node.issuer+"/session/end", func(f form) { f.values.Set("logout", "yes") })
	node.await("that the bridge took it", said("told", "drawbridge"))
	if app.lives(h.AccessToken) || app.lives(h.RefreshToken) {
		t.Errorf("who has signed out at %s still has tokens", signedOut.url)
	}
	if !app.lives(elsewhere.AccessToken) {
		t.Error("the session of another browser ended as well")
	}
	_, p = app.signInAs(b, url.Values{"connection": {"node"}, "prompt": {"none"}}, nil)
	if p.url.Query().Get("error") != "login_required" {
		t.Errorf("without a session: %s", p.url)
	}
	t.Run("from the bridge's own page", func(t *testing.T) {
		other.until = ""
		p := other.get(bridge.Issuer + "/oauth2/end_session?id_token_hint=" + elsewhere.idToken)
		if app.lives(elsewhere.AccessToken) {
			t.Error("the session here goes on")
		}
		left := other.walk(p.link(t, node.issuer), func(f form) { f.values.Set("logout", "yes") })
		if left.status != http.StatusOK {
			t.Errorf("%s %d", left.url, left.status)
		}
		forms := 0
		s, p := app.signInAs(other, url.Values{"connection": {"node"}}, func(f form) { forms++; as("nina")(f) })
		if app.redeem(s, p); forms == 0 {
			t.Error("the session there goes on: nobody was asked who they are")
		}
	})
}

// The bridge asks by the refresh token whether a session still stands: it goes on where
// node oidc-provider gives another, and ends where it refuses.
func TestNodeProviderIsAskedAboutSessions(t *testing.T) {
	t.Parallel()
	node, bridge := nodeWorld(t)
	app := bridge.fleetWeb()
	s, p := app.signInAs(newBrowser(t), url.Values{"connection": {"node"}}, as("nina"))
	stays := app.redeem(s, p)
	s, p = app.signInAs(newBrowser(t), url.Values{"connection": {"node"}}, as("nils"))
	goes := app.redeem(s, p)
	node.tell("nils")
	node.await("that it is over", said("over", "nils"))
	if !app.lives(goes.RefreshToken) {
		t.Fatal("it ended before anybody asked")
	}
	node.await("a refresh by the bridge", said("grant", "refresh_token", "nina"))
	node.await("the refusal of one", said("refused", "refresh_token", "invalid_grant"))
	eventually(t, "the session ends that is refused there", func() bool { return !app.lives(goes.RefreshToken) })
	if !app.lives(stays.RefreshToken) {
		t.Error("the session that stands there ended, too")
	}
}
