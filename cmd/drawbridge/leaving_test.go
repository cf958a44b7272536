package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// `drawbridge demo disable PERSON` makes the identity provider send its own
// deactivation, and from its answer on nothing of that person counts: no token, no
// refresh, no session. Enabling again revives nothing that was.
func TestDisableEndsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	d, b := startDemo(t, t.TempDir()), newBrowser(t)
	wantPage(t, d.signInAtApp(t, b, "southern-entra", "kim@southern.example"), http.StatusOK, "You work as")
	c := d.client("southern-entra")
	held, err := c.SignIn(t.Context(), "kim@southern.example")
	if err != nil {
		t.Fatal(err)
	}
	code, out := d.command("demo", "disable", "kim@southern.example")
	if code != exitDone || !strings.Contains(out, `"path":"active","value":"False"`) {
		t.Fatalf("demo disable: %d\n%s", code, out)
	}
	if said, err := c.Introspect(t.Context(), held.AccessToken); err != nil || len(said) != 1 || said["active"] != false {
		t.Errorf("introspection: %v, %v", said, err)
	}
	_, err = c.Refresh(t.Context(), held.RefreshToken)
	wantOAuth(t, err, "invalid_grant")
	_, err = c.Authorize(t.Context(), url.Values{"prompt": {"none"}})
	wantOAuth(t, err, "login_required")
	if _, err := c.UserInfo(t.Context(), held.AccessToken); err == nil {
		t.Error("userinfo still answers")
	}
	wantPage(t, get(t, b, d.AppURL+"/"), http.StatusForbidden, "ended")
	wantPage(t, get(t, b, d.MeURL), http.StatusOK, "has switched your account off")
	if code, out := d.command("demo", "enable", "kim@southern.example"); code != exitDone {
		t.Fatalf("demo enable: %d\n%s", code, out)
	}
	if said, err := c.Introspect(t.Context(), held.AccessToken); err != nil || said["active"] != false {
		t.Errorf("enabling revived a token: %v, %v", said, err)
	}
	if _, err := c.SignIn(t.Context(), "kim@southern.example"); err != nil {
		t.Errorf("a restored person signs in afresh: %v", err)
	}
}

// The same for Okta, whose deactivation is another request, by the button of the
// identity provider's own page.
func TestDisableOnTheIdentityProvidersOwnPage(t *testing.T) {
	d, b := startDemo(t, t.TempDir()), newBrowser(t)
	c := d.client("tundra-okta")
	held, err := c.SignIn(t.Context(), "liv@tundra.example")
	if err != nil {
		t.Fatal(err)
	}
	idp := d.connection("tundra-okta").IdPIssuer
	home := get(t, b, idp+"/")
	before, _, found := strings.Cut(home.body, `/disable"><button aria-label="Disable Liv Solberg"`)
	action := before[strings.LastIndex(before, `action="`)+len(`action="`):] + "/disable"
	if !found || !strings.HasPrefix(action, "/people/") {
		t.Fatalf("no button for Liv:\n%s", home.body)
	}
	wantPage(t, post(t, b, idp+action, url.Values{}), http.StatusOK, "disabled")
	if said, err := c.Introspect(t.Context(), held.AccessToken); err != nil || said["active"] != false {
		t.Errorf("introspection: %v, %v", said, err)
	}
	_, err = c.Refresh(t.Context(), held.RefreshToken)
	wantOAuth(t, err, "invalid_grant")
}
