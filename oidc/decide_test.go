package oidc

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// TestDecideSaysWhatBecomesOfEveryRequest is the whole decision table of /authorize.
func TestDecideSaysWhatBecomesOfEveryRequest(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	standard := ActiveGrant{ID: "asg_s", Grant: access.Standard}
	visit := ActiveGrant{ID: "asg_t", Grant: access.Technician}
	browsers := map[string]Browser{
		"none": {},
		"active": {Session: session.Session{Connection: "mine", Person: "per_a", State: session.Active, Active: "asg_s", AuthTime: now.Add(-100 * time.Second)},
			Assignment: standard, Choices: []ActiveGrant{standard, visit}},
		"must choose": {Session: session.Session{Person: "per_a", State: session.MustChoose, AuthTime: now.Add(-100 * time.Second)},
			Choices: []ActiveGrant{visit}},
		"active, and guarded": {Session: session.Session{Person: "per_a", State: session.Active, Active: "asg_s", AuthTime: now.Add(-100 * time.Second)},
			Assignment: standard, Choices: []ActiveGrant{visit}, Guarded: []ActiveGrant{standard}},
		"beside a guarded one": {Session: session.Session{Person: "per_a", State: session.Active, Active: "asg_s", AuthTime: now.Add(-100 * time.Second)},
			Assignment: standard, Choices: []ActiveGrant{standard}, Guarded: []ActiveGrant{visit}},
	}
	any5, techs := Client{}, Client{Grants: []access.Grant{access.Technician}}
	for _, row := range []struct {
		name, browser, prompt, grant string
		maxAge                       time.Duration // 0: not asked
		hint                         access.PersonID
		client                       Client
		conn                         access.ConnectionID
		want                         string
	}{
		{name: "first visit", browser: "none", want: "begin"},
		{name: "oidcc-prompt-none-not-logged-in", browser: "none", prompt: "none", want: "refuse login_required"},
		{name: "a grant is asked before sign-in", browser: "none", grant: "asg_t", want: "begin"},
		{name: "a grant is asked silently before sign-in", browser: "none", prompt: "none", grant: "asg_t", want: "refuse login_required"},
		{name: "chooser is asked before sign-in", browser: "none", prompt: "select_account", want: "begin"},

		{name: "signed in", browser: "active", want: "issue"},
		{name: "oidcc-prompt-none-logged-in", browser: "active", prompt: "none", want: "issue"},
		{name: "signed in at another customer than the one named", browser: "active", conn: "other", want: "begin"},
		{name: "the same silently", browser: "active", conn: "other", prompt: "none", want: "refuse login_required"},
		{name: "signed in at the customer named", browser: "active", conn: "mine", want: "issue"},
		{name: "consent", browser: "active", prompt: "consent", want: "begin consent"},
		{name: "oidcc-prompt-login", browser: "active", prompt: "login", want: "begin login"},
		{name: "oidcc-max-age-1", browser: "active", maxAge: time.Second, want: "begin login"},
		{name: "exactly max_age", browser: "active", maxAge: 100 * time.Second, want: "begin login"},
		{name: "oidcc-max-age-10000", browser: "active", maxAge: 10000 * time.Second, want: "issue"},
		{name: "too old and silent", browser: "active", prompt: "none", maxAge: time.Second, want: "refuse login_required"},
		{name: "oidcc-id-token-hint", browser: "active", prompt: "none", hint: "per_a", want: "issue"},
		{name: "hint of somebody else", browser: "active", hint: "per_b", want: "begin login"},
		{name: "hint of somebody else, silent", browser: "active", prompt: "none", hint: "per_b", want: "refuse login_required"},
		{name: "the chooser is asked for", browser: "active", prompt: "select_account", want: "begin select_account"},
		{name: "sign-in and chooser", browser: "active", prompt: "login select_account", want: "begin login"},

		{name: "the client takes other grants", browser: "active", client: techs, want: "begin select_account"},
		{name: "the client takes other grants, silent", browser: "active", prompt: "none", client: techs, want: "refuse interaction_required"},

		{name: "must choose", browser: "must choose", want: "begin select_account"},
		{name: "must choose, silent", browser: "must choose", prompt: "none", want: "refuse interaction_required"},
		{name: "must choose, signs in again", browser: "must choose", prompt: "login", want: "begin login"},

		{name: "the active grant is asked for", browser: "active", grant: "asg_s", want: "issue"},
		{name: "the active grant, which the client does not take", browser: "active", grant: "asg_s", client: techs, want: "refuse invalid_target"},
		{name: "a held grant", browser: "active", grant: "asg_t", want: "switch"},
		{name: "a held grant, silent", browser: "active", prompt: "none", grant: "asg_t", want: "switch"},
		{name: "a held grant out of must choose", browser: "must choose", prompt: "none", grant: "asg_t", want: "switch"},
		{name: "a held grant which the client does not take", browser: "active", grant: "asg_t", client: Client{Grants: []access.Grant{access.Elevated}}, want: "refuse invalid_target"},
		{name: "a grant not held", browser: "active", grant: "asg_x", want: "refuse invalid_target"},
		{name: "a grant just lost", browser: "must choose", grant: "asg_s", want: "refuse invalid_target"},
		{name: "a grant, but the person signs in first", browser: "active", prompt: "login", grant: "asg_t", want: "begin login"},
		{name: "the active grant demands another sign-in", browser: "active, and guarded", want: "begin"},
		{name: "the active grant demands another sign-in, silent", browser: "active, and guarded", prompt: "none", want: "refuse login_required"},
		{name: "the same, asked for", browser: "active, and guarded", grant: "asg_s", want: "begin"},
		{name: "the same, asked for silently", browser: "active, and guarded", grant: "asg_s", prompt: "none", want: "refuse login_required"},
		{name: "out of it to a grant that demands nothing", browser: "active, and guarded", grant: "asg_t", prompt: "none", want: "switch"},
		{name: "out of it to the chooser", browser: "active, and guarded", prompt: "select_account", want: "begin select_account"},
		{name: "a held grant that demands another sign-in", browser: "beside a guarded one", grant: "asg_t", want: "begin"},
		{name: "the same silently", browser: "beside a guarded one", grant: "asg_t", prompt: "none", want: "refuse login_required"},
		{name: "the same, which the client does not take", browser: "beside a guarded one", grant: "asg_t", client: Client{Grants: []access.Grant{access.Elevated}}, want: "refuse invalid_target"},
		{name: "what another grant demands concerns nobody", browser: "beside a guarded one", prompt: "none", want: "issue"},

		{name: "a grant, but the person shall choose", browser: "active", prompt: "select_account", grant: "asg_t", want: "begin select_account"},
	} {
		t.Run(row.name, func(t *testing.T) {
			req := hot.AuthRequest{Connection: row.conn, Prompt: strings.Fields(row.prompt), Grant: access.AssignmentID(row.grant), MaxAge: -1}
			if row.maxAge > 0 {
				req.MaxAge = row.maxAge
			}
			client := any5
			if row.client.Grants != nil {
				client = row.client
			}
			a := decide(facts{req: req, client: client, hint: Hint{Person: row.hint}, browser: browsers[row.browser]}, now)
			got := strings.TrimSpace(a.do.String() + " " + a.code + a.ask)
			if got != row.want {
				t.Errorf("decided %q, want %q", got, row.want)
			}
			if a.do == refuse && a.why == "" {
				t.Error("a refusal says what to do")
			}
		})
	}
}

// TestNothingKnownIsRefusedOrAsked: the zero values lead to no code.
func TestNothingKnownIsRefusedOrAsked(t *testing.T) {
	if a := decide(facts{}, time.Time{}); a.do == issue || a.do == switchTo {
		t.Errorf("the zero facts give %s", a.do)
	}
	if (action{}).do != refuse {
		t.Error("the zero action must refuse")
	}
	active := Browser{Session: session.Session{State: session.Active}} // no assignment read
	if a := decide(facts{req: hot.AuthRequest{MaxAge: -1}, browser: active}, time.Time{}); a.do != begin {
		t.Errorf("an active session without its assignment gives %s", a.do)
	}
	leftOver := Browser{Session: session.Session{State: session.MustChoose}, Assignment: ActiveGrant{ID: "asg", Grant: access.Standard}}
	if a := decide(facts{req: hot.AuthRequest{MaxAge: -1}, browser: leftOver}, time.Time{}); a.do != begin {
		t.Errorf("a session that must choose gives %s", a.do)
	}
}
