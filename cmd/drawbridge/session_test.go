package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// What `drawbridge session end` ends is dead everywhere when it returns: at
// introspection, at the token endpoint and in the browser, which is told why.
func TestEndingSessionsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	for name, row := range map[string]struct {
		args    []string // "SESSION" stands for the session's id
		says    string
		browser bool // its session lives on
	}{
		"a session":      {[]string{"SESSION", "--reason", "the laptop was stolen"}, "1 session", false},
		"a person":       {[]string{"--person", "kim@southern.example"}, "Ended: ", false},
		"a connection":   {[]string{"--connection", "southern-entra"}, "Ended: ", false},
		"everything":     {[]string{"--all", "--confirm", "everything"}, "nothing that anybody was given", false},
		"an application": {[]string{"--client", "fleet-web"}, "fleet-web was given is refused", true},
	} {
		c := d.client("southern-entra")
		held, err := c.SignIn(t.Context(), "kim@southern.example")
		if err != nil {
			t.Fatal(err)
		}
		said, err := c.Introspect(t.Context(), held.AccessToken)
		if err != nil || said["active"] != true {
			t.Fatalf("introspection: %v, %v", said, err)
		}
		args := []string{"session", "end"}
		for _, a := range row.args {
			args = append(args, strings.Replace(a, "SESSION", said["sid"].(string), 1))
		}
		if code, out := d.command(args...); code != exitDone || !strings.Contains(out, row.says) {
			t.Errorf("%s: %d %s", name, code, out)
		}
		if said, err := c.Introspect(t.Context(), held.AccessToken); err != nil || len(said) != 1 || said["active"] != false {
			t.Errorf("%s: introspection: %v, %v", name, said, err)
		}
		_, err = c.Refresh(t.Context(), held.RefreshToken)
		wantOAuth(t, err, "invalid_grant")
		_, err = c.Authorize(t.Context(), url.Values{"prompt": {"none"}})
		if row.browser {
			if err != nil {
				t.Errorf("%s: the browser's session ended: %v", name, err)
			}
		} else {
			wantOAuth(t, err, "login_required")
		}
		if name != "a session" {
			continue
		}
		shown := bridge.SessionEntry{}
		if _, out := d.command("session", "show", args[2], "--json"); json.Unmarshal([]byte(out), &shown) != nil || shown.Reason != "administrator" || shown.State != "ended" {
			t.Errorf("%s: show: %+v", name, shown)
		}
	}
	for name, row := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing named":         {[]string{"session", "end"}, exitUsage, "name a session"},
		"no word for all":       {[]string{"session", "end", "--all"}, exitNo, "nothing was ended"},
		"the wrong word":        {[]string{"session", "end", "--all", "--confirm", "yes"}, exitNo, "nothing was ended"},
		"no such session":       {[]string{"session", "end", "ses_nobody"}, exitNo, "no such session"},
		"nobody of that name":   {[]string{"session", "list", "--person", "nobody@else.example"}, exitNo, "nobody here is called"},
		"no such application":   {[]string{"session", "end", "--client", "nobody"}, exitNo, "application"},
		"no such connection":    {[]string{"session", "list", "--connection", "nowhere"}, exitNo, "no such connection"},
		"a list of whom":        {[]string{"session", "list"}, exitUsage, "at least one"},
		"who is not signed in":  {[]string{"session", "list", "--person", "liv@tundra.example"}, exitDone, "SESSION"},
		"two things to end":     {[]string{"session", "end", "--client", "fleet-web", "--connection", "southern-entra"}, exitUsage, "name one of"},
		"a person not of there": {[]string{"session", "end", "--person", "kim@southern.example", "--connection", "tundra-okta"}, exitNo, "nobody here is called"},
	} {
		if code, out := d.command(row.args...); code != row.code || !strings.Contains(out, row.says) {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
}
