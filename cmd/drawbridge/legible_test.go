package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
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
	until(t, "what was sent is recorded behind the answer", func() bool {
		_, recorded := d.command("scim", "log", "--connection", c.ID) // requests of several connections may be written in another order
		return strings.Contains(recorded, "FORGED")
	})
	for _, args := range [][]string{
		{"explain", "x@tundra.example"}, {"scim", "log", "--connection", c.ID}, {"scim", "log", "--full", "--connection", c.ID}, {"scim", "log", "--person", "x@tundra.example"},
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

// TestACommandToPasteObeysNobody: what somebody is told to run may hold names that a
// customer's identity provider chose; a shell takes each as one word, and the flag as
// one name.
func TestACommandToPasteObeysNobody(t *testing.T) {
	names := []string{"sam@a.example", "$(touch pwned)", "it's", "a,b", `say "hi"`, "; touch pwned", "--accept-administrators", "`touch pwned`", "two\nlines"}
	command := "set --" + approving([]bridge.GuardFinding{{Guard: bridge.GuardLosing, Names: names}}) + ` && printf '%s' "$2"`
	dir := t.TempDir()
	sh := exec.CommandContext(t.Context(), "sh", "-c", command)
	sh.Dir = dir
	word, err := sh.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	var f applyFlags
	cmd := &cobra.Command{RunE: func(*cobra.Command, []string) error { return nil }}
	f.add(cmd)
	cmd.SetArgs([]string{"--accept-losing", string(word)})
	if err := cmd.Execute(); err != nil || !slices.Equal(f.losing, names) {
		t.Errorf("%s approves %q (%v)", command, f.losing, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%s did something else: %v %v", command, left, err)
	}
	if got := approving([]bridge.GuardFinding{{Guard: bridge.GuardLosing, Names: []string{"sam@a.example", "kim@b.example"}}}); got != " --accept-losing sam@a.example,kim@b.example --reason TEXT" {
		t.Errorf("usual names are told as%s", got)
	}
}

// TestAFileWritesNothingButText: a configuration that somebody else wrote does nothing to
// the terminal of whoever checks it.
func TestAFileWritesNothingButText(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a\x1b[2Jb.yaml")
	text := "version: 1\nvendor: { name: L, \"na\\e[2Jme\": x }\nscopes: { \"a\\e[2J\": { name: S } }\nrules:\n  - id: a # \x1b[2J\n    mode: \"\x1b]0;t\x07\"\n    when: \"\\e[2J == 1\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "test", "serve", "fmt", "apply"} {
		args := []string{command, file}
		if command == "serve" {
			args = []string{command, "--config", file}
		}
		var out bytes.Buffer
		if run(t.Context(), args, nil, strings.NewReader(""), &out, &out); obeys(out.String()) {
			t.Errorf("%s says %q", command, out.String())
		}
	}
}
