package oidc

import (
	"strings"
	"testing"
)

// TestAGrantIsSwitchedSilently, and the browser gets the renewed cookie.
func TestAGrantIsSwitchedSilently(t *testing.T) {
	for _, prompt := range []string{"", "none"} {
		w := newWorld()
		cookie := w.person("ada")
		rec := w.authorize(cookie, "scope", "openid grant:asg_visit", "prompt", prompt)
		q := wantSent(t, rec, "")
		set := rec.Result().Cookies()
		if len(set) != 1 || set[0].Name != cookieName || set[0].Value == cookie || !set[0].HttpOnly || !set[0].Secure {
			t.Fatalf("cookies %v", set)
		}
		if row := w.codes[q.Get("code")]; !strings.Contains(string(row.active), `"id":"asg_visit"`) || row.s.Active != "asg_visit" {
			t.Errorf("the code stands for %+v", row)
		}
		wantSent(t, w.authorize(set[0].Value, "prompt", "none"), "")
		wantSent(t, w.authorize(cookie, "prompt", "none"), "login_required")
	}
}

func TestAGrantThatIsNotHeldIsNoTarget(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	wantSent(t, w.authorize(cookie, "scope", "openid grant:asg_unknown"), "invalid_target")
	b := w.browsers[cookie] // another node took it away after the choices were read
	w.browsers[cookie] = Browser{Session: b.Session, Assignment: b.Assignment, Choices: append(b.Choices, ActiveGrant{ID: "asg_late", Grant: "standard"})}
	w.change = func(c *Config) { c.Switcher = lostInBetween{w} }
	wantSent(t, w.authorize(cookie, "scope", "openid grant:asg_late"), "invalid_target")
}
