package oidc

import (
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
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

// TestARefusedRequestSwitchesNothing, whatever it is refused for: any site can send
// a browser here.
func TestARefusedRequestSwitchesNothing(t *testing.T) {
	const visit = "openid grant:asg_visit"
	notAgreed := failing{fault.New(fault.Denied, "world.Issue", "not agreed").Because(ReasonConsent)}
	client := func(change func(*Client)) func(*world) {
		return func(w *world) {
			c := w.clients["fleet-web"]
			change(&c)
			w.clients["fleet-web"] = c
		}
	}
	for _, row := range []struct {
		name, want string
		change     []string
		before     func(*world)
	}{
		{"people must agree, and have not", "interaction_required", []string{"prompt", "none"}, func(w *world) {
			w.mustAgree()
			w.change = func(c *Config) { c.Codes = notAgreed }
		}},
		{"people must agree, and have", "interaction_required", []string{"prompt", "none"}, (*world).mustAgree},
		{"a grant that the application does not accept", "invalid_target", nil, client(func(c *Client) { c.Grants = []access.Grant{access.Standard} })},
		{"a grant that demands another sign-in", "login_required", []string{"prompt", "none"}, func(w *world) {
			b := w.browsers["cookie-ada"]
			b.Choices, b.Guarded = b.Choices[:1], b.Choices[1:]
			w.browsers["cookie-ada"] = b
		}},
		{"an old sign-in", "login_required", []string{"prompt", "none", "max_age", "1"}, nil},
		{"a sign-in of another kind", ReasonUnmet, []string{"prompt", "none", "claims", `{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`}, nil},
		{"somebody else", "login_required", []string{"prompt", "none", "claims", `{"id_token":{"sub":{"value":"per_bob"}}}`}, nil},
		{"another customer", "login_required", []string{"prompt", "none", "connection", "elsewhere"}, nil},
		{"prompts that exclude each other", "invalid_request", []string{"prompt", "none login"}, nil},
		{"no PKCE", "invalid_request", []string{"code_challenge", "", "code_challenge_method", ""}, nil},
		{"two grants", "invalid_scope", []string{"scope", visit + " grant:asg_home"}, nil},
		{"details of another grant", "invalid_authorization_details", []string{"authorization_details", `[{"type":"active_grant","id":"asg_home"}]`}, nil},
		{"a resource of others", "invalid_target", []string{"resource", "https://other.example"}, nil},
		{"not pushed", "invalid_request", nil, client(func(c *Client) { c.RequirePAR = true })},
		{"another response type", "unsupported_response_type", []string{"response_type", "token"}, nil},
	} {
		w := newWorld()
		cookie := w.person("ada")
		if row.before != nil {
			row.before(w)
		}
		rec := w.authorize(cookie, append([]string{"scope", visit}, row.change...)...)
		if got := sent(rec).Get("error"); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
		if b := w.browsers[cookie]; b.Session.Active != "asg_home" || b.Session.Version != 1 || len(rec.Result().Cookies()) != 0 {
			t.Errorf("%s: the session stands on %q now, cookies %v", row.name, b.Session.Active, rec.Result().Cookies())
		}
	}
}

// TestAGrantForAnApplicationThatPeopleMustAgreeToIsPickedOnAPage, whatever page the request
// begins with; one that the session stands on is no choice.
func TestAGrantForAnApplicationThatPeopleMustAgreeToIsPickedOnAPage(t *testing.T) {
	w := newWorld()
	w.mustAgree()
	cookie := w.person("ada")
	for _, row := range []struct {
		cookie string
		change []string
		want   string
	}{
		{cookie, nil, PromptSelectAccount},
		{"", nil, PromptSelectAccount},
		{cookie, []string{"prompt", "login"}, PromptLogin + " " + PromptSelectAccount},
		{cookie, []string{"max_age", "1"}, PromptLogin + " " + PromptSelectAccount},
		{cookie, []string{"prompt", "consent"}, PromptConsent + " " + PromptSelectAccount},
	} {
		w.begun = nil
		w.authorize(row.cookie, append([]string{"scope", "openid grant:asg_visit"}, row.change...)...)
		if len(w.begun) != 1 || strings.Join(w.begun[0].Prompt, " ") != row.want {
			t.Errorf("%v with cookie %q began %+v, want %s", row.change, row.cookie, w.begun, row.want)
		}
	}
	wantSent(t, w.authorize(cookie, "scope", "openid grant:asg_home", "prompt", "none"), "")
}
