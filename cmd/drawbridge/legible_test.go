package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// obeys says that a terminal would do something else with a text than show it.
func obeys(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && obeyed(r) })
}

// Whatever a customer's identity provider calls people and groups, no command shows it
// to a host operator so that the terminal obeys, and no name looks like a line of ours.
func TestNothingThatIsSentIsObeyedByATerminal(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	c := d.connection("tundra-okta")
	const hostile = "\\u001b[31mX\\u001b]0;t\\u0007\u009b31m\u202e\u2066\x7f\u2028\\r\\nFORGED"
	send := func(path, body string) (id string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.SCIMURL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.SCIMToken)
		r.Header.Set("Content-Type", "application/scim+json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var made struct{ ID string }
		if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || answer.StatusCode != http.StatusCreated {
			t.Fatalf("POST %s is answered with %d (%v)", path, answer.StatusCode, err)
		}
		return made.ID
	}
	person := send("/Users", `{"userName":"`+hostile+`","emails":[{"value":"x@tundra.example"}]}`)
	send("/Groups", `{"displayName":"`+hostile+`","members":[{"value":"`+person+`"},{"value":"`+hostile+`"}]}`)
	for recorded := ""; !strings.Contains(recorded, "FORGED"); { // it is written down behind the answer
		_, recorded = d.command("scim", "log")
	}
	for _, args := range [][]string{
		{"explain", "x@tundra.example"}, {"scim", "log"}, {"scim", "log", "--full"}, {"scim", "log", "--person", "x@tundra.example"},
		{"connection", "drift"}, {"connection", "show", "tundra-okta"}, {"connection", "list"}, {"doctor"},
	} {
		for _, args := range [][]string{args, append(args, "--json")} {
			_, out := d.command(args...)
			if obeys(out) || strings.Contains(out, "\nFORGED") || args[0] != "doctor" && args[1] != "show" && args[1] != "list" && !strings.Contains(out, "FORGED") {
				t.Errorf("%v says %q", args, out)
			}
		}
	}
}

func TestLegible(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"Zoë O'Brien 漢字 👩\u200d🚒": "Zoë O'Brien 漢字 👩\u200d🚒",
		"نیم\u200cفاصله":          "نیم\u200cفاصله",
		"a\x1b[2Jb\r\nc\td":       `a\x1b[2Jb\r\nc\td`,
		"\u009b\u202e\u2028\x7f":  `\u009b\u202e\u2028\x7f`,
		"\U000e0041":              `\U000e0041`,
	} {
		if got := legible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
		for _, indent := range []string{"", "  "} {
			out, err := printable(map[string]string{"a": text}, indent)
			var back map[string]string
			if err == nil {
				err = json.Unmarshal(out, &back)
			}
			if err != nil || back["a"] != text || obeys(string(out)) {
				t.Errorf("%q is printed as %q and read as %q (%v)", text, out, back["a"], err)
			}
		}
	}
}
