package main

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// What a person sees: the demo's promise over HTTP. Every test starts what
// `drawbridge demo` starts.

// activeGrant is the claim as applications read it; scope ids and assignment ids
// are checked for their form, everything else by value.
func activeGrant(t *testing.T, claims map[string]any) map[string]any {
	t.Helper()
	g, ok := claims["active_grant"].(map[string]any)
	if !ok {
		t.Fatalf("active_grant is %v", claims["active_grant"])
	}
	return g
}

var assignmentID, scopeID = regexp.MustCompile(`^asg_[0-9a-z]{10,}$`), regexp.MustCompile(`^scp_[0-9a-z]{10,}$`)

// checkGrant compares a claim with what is wanted, after taking the ids out of it.
func checkGrant(t *testing.T, claim, want map[string]any, ancestors int, limited bool) {
	t.Helper()
	got := map[string]any{}
	for k, v := range claim {
		got[k] = v
	}
	if id, _ := got["id"].(string); !assignmentID.MatchString(id) {
		t.Errorf("id %v", got["id"])
	}
	if until, ok := got["until"].(float64); ok != limited || ok && until < 1e9 {
		t.Errorf("until %v, limited %t", got["until"], limited)
	}
	scope, _ := got["scope"].(map[string]any)
	checkScopeIDs(t, scope, ancestors)
	bare := map[string]any{}
	for _, k := range []string{"level", "path", "names"} {
		bare[k] = scope[k]
	}
	if len(scope) != 5 {
		t.Errorf("the scope says %v", scope)
	}
	got["scope"] = bare
	delete(got, "id")
	delete(got, "until")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("active_grant\n got %v\nwant %v", got, want)
	}
}

func checkScopeIDs(t *testing.T, scope map[string]any, ancestors int) {
	t.Helper()
	if id, _ := scope["id"].(string); !scopeID.MatchString(id) {
		t.Errorf("scope.id %v", scope["id"])
	}
	above, _ := scope["ancestor_ids"].([]any)
	if len(above) != ancestors {
		t.Errorf("ancestor_ids %v", above)
	}
	for _, a := range above {
		if id, _ := a.(string); !scopeID.MatchString(id) || id == scope["id"] {
			t.Errorf("ancestor %v", a)
		}
	}
}

func flags(events string, video bool) map[string]any {
	return map[string]any{"events": events, "video": video}
}

func at(level, path string, names ...any) map[string]any {
	return map[string]any{"level": level, "path": path, "names": names}
}

// A person of an Entra-like and one of an Okta-like provider sign in; ID token,
// introspection and userinfo agree on the active grant, member by member.
func TestPeopleOfBothVendorsSignIn(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	for _, p := range []struct {
		connection, person string
		want               map[string]any
		ancestors          int
		limited            bool
	}{
		{"southern-entra", "kim@southern.example", map[string]any{"grant": "technician", "standing": "primary", "flags": flags("none", false),
			"scope": at("account", "southern/banksia", "Southern Telematics", "Banksia Freight")}, 2, true},
		{"tundra-okta", "liv@tundra.example", map[string]any{"grant": "standard", "standing": "primary", "flags": flags("restricted", false),
			"scope": at("fleet", "boreal/tundra/tromso", "Boreal Road Safety", "Tundra Transport", "Tromsø")}, 3, false},
	} {
		t.Run(p.person, func(t *testing.T) {
			c := d.client(p.connection)
			tokens, err := c.SignIn(t.Context(), p.person)
			if err != nil {
				t.Fatal(err)
			}
			grant := activeGrant(t, tokens.Claims)
			checkGrant(t, grant, p.want, p.ancestors, p.limited)
			said, err := c.Introspect(t.Context(), tokens.AccessToken)
			if err != nil || said["active"] != true || said["sub"] != tokens.Claims["sub"] || said["sid"] != tokens.Claims["sid"] || !reflect.DeepEqual(said["active_grant"], any(grant)) {
				t.Errorf("introspection: %v, %v", said, err)
			}
			info, err := c.UserInfo(t.Context(), tokens.AccessToken)
			if err != nil || info["email"] != p.person || info["sub"] != tokens.Claims["sub"] || !reflect.DeepEqual(info["active_grant"], any(grant)) {
				t.Errorf("userinfo: %v, %v", info, err)
			}
			next, err := c.Refresh(t.Context(), tokens.RefreshToken)
			if err != nil || next.RefreshToken == tokens.RefreshToken || next.AccessToken == tokens.AccessToken {
				t.Fatalf("refresh: %v", err)
			}
			if said, err := c.Introspect(t.Context(), next.AccessToken); err != nil || said["active"] != true || said["sid"] != tokens.Claims["sid"] {
				t.Errorf("after refresh: %v, %v", said, err)
			}
		})
	}
}

// choices lists what the person may switch to, by scope path.
func choices(t *testing.T, d *running, c *oidctest.Client, accessToken string) (active string, others map[string]string) {
	t.Helper()
	var list struct {
		Grants []struct {
			ID     string `json:"id"`
			Active bool   `json:"active"`
			Scope  struct {
				Path string `json:"path"`
			} `json:"scope"`
		} `json:"grants"`
	}
	if err := c.Get(t.Context(), d.Issuer+"/me/grants", accessToken, &list); err != nil {
		t.Fatal(err)
	}
	others = map[string]string{}
	for _, g := range list.Grants {
		if g.Active {
			active = g.Scope.Path
			continue
		}
		others[g.Scope.Path] = g.ID
	}
	return active, others
}

// An application switches with scope=grant:<id>: the guest place becomes the active
// grant of the same session, and the tokens of the place that was left are dead.
func TestAnApplicationSwitchesGrant(t *testing.T) {
	d := startDemo(t, t.TempDir())
	c := d.client("southern-entra")
	left, err := c.SignIn(t.Context(), "kim@southern.example")
	if err != nil {
		t.Fatal(err)
	}
	active, others := choices(t, d, c, left.AccessToken)
	guest := others["southern/reefline/cairns"]
	if active != "southern/banksia" || guest == "" || len(others) != 1 {
		t.Fatalf("active %s, others %v", active, others)
	}
	now, err := c.Authorize(t.Context(), url.Values{"scope": {"openid offline_access reports ivs_dashboard grant:" + guest}})
	if err != nil {
		t.Fatal(err)
	}
	checkGrant(t, activeGrant(t, now.Claims), map[string]any{"grant": "technician", "standing": "guest", "flags": flags("none", false),
		"scope": at("fleet", "southern/reefline/cairns", "Southern Telematics", "Reefline Coaches", "Cairns")}, 3, true)
	if now.Claims["sid"] != left.Claims["sid"] || strings.Contains(now.OAuthScope, "grant:") || strings.Contains(now.OAuthScope, "reports") {
		t.Errorf("sid %v then %v, scope %q", left.Claims["sid"], now.Claims["sid"], now.OAuthScope)
	}
	if said, err := c.Introspect(t.Context(), left.AccessToken); err != nil || len(said) != 1 || said["active"] != false {
		t.Errorf("the token that was left: %v, %v", said, err)
	}
	_, err = c.Refresh(t.Context(), left.RefreshToken)
	wantOAuth(t, err, "invalid_grant")
	_, err = c.Authorize(t.Context(), url.Values{"scope": {"openid grant:asg_of_somebody_else"}})
	if err == nil {
		t.Error("a grant that is not held was switched to")
	}
}

func wantOAuth(t *testing.T, err error, code string) {
	t.Helper()
	var e *oidctest.OAuthError
	if !errors.As(err, &e) || e.Code != code || len(strings.Fields(e.Description)) < 3 {
		t.Errorf("want %s with a sentence, got %v", code, err)
	}
}

// signInAtApp walks a browser from Fleet Web through the bridge and the identity
// provider and back.
func (d *running) signInAtApp(t *testing.T, b *http.Client, connection, person string) page {
	t.Helper()
	return get(t, b, d.AppURL+"/signin?"+url.Values{"connection": {connection}, "login_hint": {person}}.Encode())
}

func wantPage(t *testing.T, p page, status int, parts ...string) {
	t.Helper()
	if p.status != status {
		t.Errorf("%s answered %d", p.url, p.status)
	}
	for _, part := range parts {
		if !strings.Contains(p.body, part) {
			t.Errorf("%s lacks %q:\n%s", p.url, part, p.body)
		}
	}
}

// Somebody switches on the bridge's own page: the application shows the other
// grant on its next page, without asking anybody to sign in.
func TestSwitchOnTheOwnPage(t *testing.T) {
	t.Parallel()
	d, b := startDemo(t, t.TempDir()), newBrowser(t)
	wantPage(t, d.signInAtApp(t, b, "tundra-okta", "liv@tundra.example"), http.StatusOK, "You work as", "Tromsø", "Tundra Transport", "primary")
	me := get(t, b, d.MeURL)
	wantPage(t, me, http.StatusOK, "You are using", "You may switch to", "Tromsø")
	form := regexp.MustCompile(`name="assignment" value="(asg_[^"]+)"`).FindStringSubmatch(me.body)
	if form == nil {
		t.Fatalf("no button to switch:\n%s", me.body)
	}
	wantPage(t, post(t, b, d.Issuer+"/me/switch", url.Values{"assignment": {form[1]}}), http.StatusOK, "You are using")
	wantPage(t, get(t, b, d.AppURL+"/"), http.StatusOK, "You work as", "guest", "reports are not included")
}

func post(t *testing.T, b *http.Client, to string, form url.Values) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return visit(t, b, req)
}

// prompt=select_account shows the chooser with both places; choosing one goes on to
// the application with it.
func TestTheChooserLeadsBackToTheApplication(t *testing.T) {
	t.Parallel()
	d, b := startDemo(t, t.TempDir()), newBrowser(t)
	d.signInAtApp(t, b, "banksia-entra", "joe@banksia.example")
	chooser := get(t, b, d.AppURL+"/signin?prompt=select_account")
	wantPage(t, chooser, http.StatusOK, "Geelong Depot", "Hobart Depot")
	request := regexp.MustCompile(`name="request" value="([^"]+)"`).FindStringSubmatch(chooser.body)
	hobart := regexp.MustCompile(`value="(asg_[^"]+)">Use this`).FindStringSubmatch(chooser.body)
	if request == nil || hobart == nil {
		t.Fatalf("no form:\n%s", chooser.body)
	}
	chosen := post(t, b, d.Issuer+"/me/choose", url.Values{"request": {request[1]}, "assignment": {hobart[1]}})
	wantPage(t, chosen, http.StatusOK, "Hobart Depot", "guest")
}

// A person without access reads why, and whom to ask.
func TestWhoeverHasNoAccessReadsWhyAndWhomToAsk(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	for _, p := range []struct{ connection, person, why, ask string }{
		{"banksia-entra", "noor@banksia.example", "Contacts do not sign in", "it@banksia.example"},
		{"banksia-entra", "pia@banksia.example", "none of your groups", "it@banksia.example"},
		{"southern-entra", "lee@southern.example", "technician certificate has ended", "identity@southern.example"},
		{"tundra-okta", "ola@tundra.example", "none of your groups", "servicedesk@tundra.example"},
	} {
		got := d.signInAtApp(t, newBrowser(t), p.connection, p.person)
		wantPage(t, got, http.StatusForbidden, p.why, p.ask, "Lantern Support", "Reference")
		if !strings.HasPrefix(got.url, d.Issuer) {
			t.Errorf("%s ended at %s", p.person, got.url)
		}
	}
}

// A connection whose identity provider is on this machine keeps it: the demo plays none
// for it, sends nobody, and says where that provider finds the bridge.
func TestTheDemoLeavesIdentityProvidersOfThisMachineAlone(t *testing.T) {
	t.Parallel()
	const own = "http://127.0.0.1:9/realms/own"
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	config := strings.Replace(string(examples.Drawbridge), "issuer: https://login.example/tundra", "issuer: "+own, 1)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDemo(t, t.TempDir(), "--config", file)
	c := d.connection("tundra-okta")
	if c.IdPIssuer != own || len(c.People) > 0 || len(d.Connections) != 4 {
		t.Errorf("it announced %+v among %d", c, len(d.Connections))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.SCIMURL+"/Users", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.SCIMToken)
	wantPage(t, visit(t, http.DefaultClient, req), http.StatusOK, `"totalResults":0`)
}
