//go:build lanes

package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"

	"github.com/drawbridge-id/drawbridge/internal/demo"
)

// The walk that the README proposes: sign in by address, look, switch in the
// application, switch on the own page, leave by the identity provider's act.
func TestBrowserWalk(t *testing.T) {
	d := startDemo(t, t.TempDir())
	tb := openWindow(t, d).open(d.AppURL + "/")
	tb.rest(d.AppURL, "It knows nobody")
	tb.look("app-welcome")
	tb.click("a.button", "Sign in")
	tb.rest(d.Issuer+"/sign-in", "Work e-mail")
	tb.look("bridge-address")
	tb.address("kim@southern.example")
	tb.rest(d.AppURL, "You work as", "Southern Telematics", "Banksia Freight", "primary")
	tb.look("app-home")
	tb.click(".choices a", "guest")
	tb.rest(d.AppURL, "You work as", "Cairns", "guest", "reports are not included")
	tb.visit(d.MeURL)
	tb.rest(d.MeURL, "You are using", "Cairns")
	tb.look("bridge-me")
	tb.click("button", "Switch")
	tb.rest(d.MeURL, "You are using")
	tb.visit(d.AppURL + "/")
	tb.rest(d.AppURL, "You work as", "primary")
	if code, out := d.command("demo", "disable", "kim@southern.example"); code != exitDone {
		t.Fatal(out)
	}
	tb.visit(d.AppURL + "/")
	tb.rest(d.AppURL, "ended")
	tb.look("app-ended")
	tb.visit(d.MeURL)
	tb.rest(d.Issuer, "switched your account off")
	tb.look("bridge-ended")
}

// Somebody whom nothing opens the door for reads why, and whom to ask.
func TestBrowserNoAccess(t *testing.T) {
	d := startDemo(t, t.TempDir())
	for _, p := range []struct{ person, why, ask string }{
		{"pia@banksia.example", "none of your groups", "it@banksia.example"},
		{"noor@banksia.example", "Contacts do not sign in", "it@banksia.example"},
		{"lee@southern.example", "certificate has ended", "identity@southern.example"},
	} {
		t.Run(p.person, func(t *testing.T) {
			tb := openWindow(t, d).open(d.AppURL + "/signin")
			tb.address(p.person)
			tb.rest(d.Issuer, p.why, p.ask, "Lantern Support")
			tb.look("bridge-no-access")
			tb.click("a.button", "Back to Fleet Web")
			tb.rest(d.AppURL)
			tb.look("app-declined")
		})
	}
}

// Everything works without script, and no page has any.
func TestBrowserWithoutScript(t *testing.T) {
	d := startDemo(t, t.TempDir())
	tb := openWindow(t, d).open("about:blank")
	if err := (proto.EmulationSetScriptExecutionDisabled{Value: true}).Call(tb.page); err != nil {
		t.Fatal(err)
	}
	tb.signIn("joe@banksia.example")
	tb.click(".choices a", "Hobart")
	tb.rest(d.AppURL, "You work as", "Hobart Depot", "guest")
	tb.click("a", "Switch grant at the bridge")
	tb.rest(d.Issuer+"/me/choose", "Geelong")
	tb.click("button", "Use this")
	tb.rest(d.AppURL, "You work as", "Geelong Depot", "primary")
	tb.click("button", "Sign out")
	tb.rest(d.AppURL, "It knows nobody")
	tb.visit(d.MeURL)
	tb.rest(d.Issuer+"/sign-in", "Work e-mail")
	tb.quiet("without script")
}

// tabTo presses Tab until what has the focus shows the text.
func (tb *tab) tabTo(text string) {
	tb.t.Helper()
	for range 40 {
		if err := tb.page.Keyboard.Type(input.Tab); err != nil {
			tb.t.Fatal(err)
		}
		at, err := tb.eval(focused)
		if err != nil {
			tb.t.Fatal(err)
		}
		if at == "" || at[0] == '!' {
			tb.t.Fatalf("on the way to %q the focus cannot be seen: %s", text, at)
		}
		if strings.Contains(at, text) {
			return
		}
	}
	tb.t.Fatalf("Tab never came to %q", text)
}

// focused is the text of what has the focus, after a "!" if nobody can see that.
const focused = `(() => {
	const e = document.activeElement, s = getComputedStyle(e);
	if (e === document.body) return "(the page)";
	const seen = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== "none";
	return (seen ? "" : "!") + (e.innerText || e.value || e.id || e.tagName);
})()`

// enter presses Enter, which leads to another page.
func (tb *tab) enter() {
	tb.t.Helper()
	tb.leave()
	if err := tb.page.Keyboard.Type(input.Enter); err != nil {
		tb.t.Fatal(err)
	}
}

// Sign-in, switch and sign-out by Tab and Enter alone, and the focus is seen at
// every step.
func TestBrowserKeyboardAlone(t *testing.T) {
	d := startDemo(t, t.TempDir())
	tb := openWindow(t, d).open(d.AppURL + "/")
	tb.rest(d.AppURL, "It knows nobody")
	tb.tabTo("Sign in")
	tb.enter()
	tb.rest(d.Issuer+"/sign-in", "Work e-mail")
	if at, err := tb.eval("document.activeElement.id"); err != nil || at != "email" {
		t.Errorf("the focus waits at %q, %v", at, err)
	}
	if err := tb.page.InsertText("liv@tundra.example"); err != nil {
		t.Fatal(err)
	}
	tb.enter()
	tb.rest(d.AppURL, "You work as", "Tromsø")
	tb.tabTo("guest")
	tb.enter()
	tb.rest(d.AppURL, "You work as", "guest", "reports are not included")
	tb.visit(d.MeURL)
	tb.rest(d.MeURL, "You are using")
	tb.tabTo("Switch")
	tb.enter()
	tb.rest(d.MeURL, "You are using", "Tromsø")
	tb.tabTo("Sign out")
	tb.enter()
	tb.rest(d.Issuer+"/me/end", "You have signed out here")
	tb.quiet("by keyboard")
}

// Two tabs of one browser sign in at once: neither takes the other's place.
func TestBrowserTwoTabs(t *testing.T) {
	d := startDemo(t, t.TempDir())
	w := openWindow(t, d)
	one, two := w.open(d.AppURL+"/signin"), w.open(d.AppURL+"/signin")
	one.rest(d.Issuer+"/sign-in", "Work e-mail")
	two.rest(d.Issuer+"/sign-in", "Work e-mail")
	two.address("joe@banksia.example")
	two.rest(d.AppURL, "You work as", "Geelong")
	if _, err := one.page.Activate(); err != nil {
		t.Fatal(err)
	}
	one.address("joe@banksia.example")
	one.rest(d.AppURL, "You work as", "Geelong")
	two.visit(d.AppURL + "/")
	two.rest(d.AppURL, "You work as", "Geelong")
	w.quiet("two tabs")
}

// Every other page of the bridge, the application and an identity provider.
func TestBrowserEveryPage(t *testing.T) {
	d := startDemo(t, t.TempDir())
	tb := openWindow(t, d).open(d.AppURL + "/callback?state=nobodys")
	tb.rest(d.AppURL)
	tb.look("app-lost")
	tb.visit(d.Issuer + "/nowhere")
	tb.rest(d.Issuer, "no such page")
	tb.look("bridge-not-found")
	tb.visit(d.Issuer + "/oauth2/authorize?client_id=nobody")
	tb.rest(d.Issuer)
	tb.look("bridge-wrong-request")
	tb.unknownAddress()
	tb.signIn("joe@banksia.example")
	tb.visit(d.AppURL + "/signin?prompt=select_account")
	tb.rest(d.Issuer+"/me/choose", "Geelong", "Hobart")
	tb.look("bridge-choose")
	tb.visit(d.Issuer + "/oauth2/end_session")
	tb.rest(d.Issuer, "Sign out")
	tb.look("bridge-confirm")
	tb.click("main button", "Sign out")
	tb.rest(d.Issuer, "signed out")
	tb.look("bridge-signed-out")
	for _, c := range d.Connections {
		tb.identityProvider(c)
	}
}

func (tb *tab) unknownAddress() {
	tb.t.Helper()
	tb.visit(tb.d.AppURL + "/signin")
	tb.address("somebody@nowhere.example")
	tb.rest(tb.d.Issuer+"/sign-in", "could not find your sign-in page")
	tb.look("bridge-unknown-address")
}

// identityProvider looks at its own page, its list of people and its refusal.
func (tb *tab) identityProvider(c demo.AnnouncedConnection) {
	tb.t.Helper()
	var found struct {
		Authorize string `json:"authorization_endpoint"`
	}
	p := get(tb.t, http.DefaultClient, c.IdPIssuer+"/.well-known/openid-configuration")
	if err := json.Unmarshal([]byte(p.body), &found); err != nil {
		tb.t.Fatal(err)
	}
	u, err := url.Parse(c.IdPIssuer)
	if err != nil {
		tb.t.Fatal(err)
	}
	home := u.Scheme + "://" + u.Host + "/"
	tb.visit(home)
	tb.rest(home, "People and groups")
	tb.look("idp-home-" + c.ID)
	tb.visit(found.Authorize + "?client_id=nobody")
	tb.rest(home, "not registered")
	tb.look("idp-refusal-" + c.ID)
	tb.visit(tb.d.AppURL + "/signin?prompt=login&connection=" + c.ID)
	tb.rest(home, "Who are you?")
	tb.look("idp-people-" + c.ID)
}
