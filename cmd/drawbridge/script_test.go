package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drawbridge-id/drawbridge/examples"
	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // no new keys for each test
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// TestMain lets the test binary be the program: scripts run it as a process.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"drawbridge": main})
}

// TestScripts runs testdata/script: what somebody types, and what they read. In
// each, drawbridge.yaml is the sample organisation. Commands of our own:
//
//	exits CODE PROGRAM ARG…  the program ends with exactly this code
//	demo DIR                 a demo with its state in DIR, for as long as the script; with DEMO_ENGINES=own on no other engines, whatever lane runs it
//	answers DIR              waits until the bridge of DIR answers
//	eventually PATTERN PROGRAM ARG…  runs the program again until its output matches, whatever it ends with
//	hangup     sends SIGHUP to the program that was put into the background last
//	port NAME                puts a free port of loopback into the variable
//	provision TOKEN NAME     creates a person over SCIM, with what token create --json printed
//	refused TOKEN NAME       does that where somebody of that name is there already
//	lastrequest VAR          puts the number of the last request that was printed into the variable
//	sleeps DURATION          waits
//	now VAR                  puts the instant of now into the variable
//	secret TOKEN FILE VAR    puts the secret of what token create --json printed into the file, and its SCIM URL into the variable
//	signin PERSON FILE SCOPE…  signs somebody in to the demo, and writes their access token to the file
//	asked VAR                puts the id of the request that was printed into the variable
//	permit VAR               puts the id of the permit that request show printed into the variable
//	started VAR              puts the id of the review that was printed into the variable
//	hash VAR                 puts the hash of a report that was printed into the variable
//	item PERSON VAR          puts what review cards shows of a person's one item into the variable
//	turnedaway PERSON        tries to sign somebody in, whom the bridge turns away
//	closing VAR              puts the hash of the plan that case close printed into the variable
//	planned VAR              puts the hash of the plan that was printed into the variable
//	revoke-all DIR CONNECTION TOKENS   revokes all that token list --json printed
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return os.WriteFile(filepath.Join(e.WorkDir, "drawbridge.yaml"), examples.Drawbridge, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "demo": scriptDemo, "answers": answers, "port": port,
			"provision": provision, "refused": refused, "lastrequest": lastRequest, "sleeps": sleeps, "now": setNow, "revoke-all": revokeAll, "secret": secretOf, "eventually": eventually, "planned": planned, "hangup": hangup, "signin": signIn, "asked": asked, "closing": closing, "permit": permit, "started": started, "item": item, "hash": hash, "turnedaway": turnedAway, "given": givenPermit, "json": isJSON},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err, got := ts.Exec(args[1], args[2:]...), 0
	var e *exec.ExitError
	if errors.As(err, &e) {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%v ended with %d, not %d", args[1:], got, want)
	}
}

func setNow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: now VAR")
	}
	ts.Setenv(args[0], time.Now().UTC().Format(time.RFC3339Nano))
}

// eventually is for what goes on behind requests: last-used times, the audit chain.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN PROGRAM ARG…")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var e *exec.ExitError
		if err := ts.Exec(args[1], args[2:]...); err != nil && !errors.As(err, &e) {
			ts.Check(err)
		}
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("the output of %v never matched %s", args[1:], args[0])
}

func scriptDemo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: demo DIR")
	}
	var flags []string
	if ts.Getenv("DEMO_ENGINES") != "own" {
		var err error
		flags, err = onEngines(ts.MkAbs(args[0]))
		ts.Check(err)
	}
	cmd := exec.Command(program(ts), append([]string{"demo", "--listen", "127.0.0.1:0", "--json", "--data", ts.MkAbs(args[0])}, flags...)...) //nolint:gosec // our own program
	cmd.Dir, cmd.Env = ts.MkAbs("."), append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		_ = cmd.Wait()                       //nolint:errcheck // its end is another script's promise
	})
	var said demoSaid
	ts.Check(json.NewDecoder(out).Decode(&said))
	go io.Copy(io.Discard, out) //nolint:errcheck // nothing follows; it ends with the process
	ts.Setenv("ISSUER", said.Issuer)
	ts.Setenv("API", apiURL(said.Issuer))
	kept, err := json.Marshal(said)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(demoFile), kept, 0o600))
}

// demoFile is where a script's demo is remembered, for signin.
const demoFile = ".demo.json"

// demoSaid is what scripts need of a demo's announcement.
type demoSaid struct {
	Issuer  string `json:"issuer"`
	Clients []struct {
		ID       string `json:"client_id"`
		Secret   string `json:"client_secret"`
		Redirect string `json:"redirect_uri"`
	} `json:"clients"`
}

// signIn signs somebody in to the demo's Fleet Web, by a real sign-in at their identity
// provider, and writes their access token to a file.
func signIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: signin PERSON FILE SCOPE…")
	}
	tokens, err := trySignIn(ts, args[0], args[2:])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(tokens.AccessToken+"\n"), 0o600))
}

func trySignIn(ts *testscript.TestScript, person string, scopes []string) (oidctest.Tokens, error) {
	var d demoSaid
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(demoFile)), &d))
	app := d.Clients[0]
	c := oidctest.Client{Issuer: d.Issuer, ClientID: app.ID, ClientSecret: secret.New(app.Secret), RedirectURI: app.Redirect, OAuthScopes: append([]string{"profile"}, scopes...)}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c.SignIn(ctx, person)
}

// turnedAway is a real sign-in that the bridge refuses.
func turnedAway(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: turnedaway PERSON")
	}
	if _, err := trySignIn(ts, args[0], nil); err == nil || !strings.Contains(err.Error(), "with status 403") {
		ts.Fatalf("%s was not turned away: %v", args[0], err)
	}
}

// program is where the scripts' own PATH has it.
func program(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, "drawbridge"); isFile(path) {
			return path
		}
	}
	ts.Fatalf("drawbridge is not in the script's PATH")
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: answers DIR")
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if body, err := os.ReadFile(filepath.Join(ts.MkAbs(args[0]), addressFile)); err == nil && bridgeAnswers(body) {
			return
		}
	}
	ts.Fatalf("no bridge answers from %s", args[0])
}

func bridgeAnswers(addressJSON []byte) bool {
	var a address
	if json.Unmarshal(addressJSON, &a) != nil {
		return false
	}
	res, err := (&http.Client{Timeout: time.Second}).Get(a.APIURL + "/openapi.json")
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

func port(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, free, err := net.SplitHostPort(l.Addr().String())
	ts.Check(errors.Join(err, l.Close()))
	ts.Setenv(args[0], free)
}

func provision(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: provision TOKEN NAME")
	}
	postPerson(ts, args, http.StatusCreated)
}

func refused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: refused TOKEN NAME")
	}
	postPerson(ts, args, http.StatusConflict)
}

func lastRequest(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Fields(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || len(lines) == 0 {
		ts.Fatalf("usage: lastrequest VAR, after scim log")
	}
	ts.Setenv(args[0], lines[0])
}

func planned(ts *testscript.TestScript, neg bool, args []string) {
	found := regexp.MustCompile(`(?m)^Plan ([0-9a-f]{32}), `).FindStringSubmatch(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || found == nil {
		ts.Fatalf("usage: planned VAR, after plan")
	}
	ts.Setenv(args[0], found[1])
}

// asked puts the id of the request that was printed into a variable.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	found(ts, neg, args, "asked VAR, after request create", `(?m)^Request (req_\w+) for `)
}

// permit puts the id of what a request gave into a variable.
func permit(ts *testscript.TestScript, neg bool, args []string) {
	found(ts, neg, args, "permit VAR, after request show or grant list", `\b(prm_\w+)`)
}

// started puts the id of a review into a variable.
func started(ts *testscript.TestScript, neg bool, args []string) {
	found(ts, neg, args, "started VAR, after review start, or case close", `(?m)^Review +(rev_\w+)`)
}

// hash puts the hash of a report's lines into a variable.
func hash(ts *testscript.TestScript, neg bool, args []string) {
	found(ts, neg, args, "hash VAR, after review report --out", `items_sha256 ([0-9a-f]{64})`)
}

// item puts the first item on somebody's card, in the form that is shown, into a variable.
func item(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: item PERSON VAR, after review cards")
	}
	found(ts, neg, args[1:], "item PERSON VAR, after review cards", `(?m)^[^\n]*\b`+regexp.QuoteMeta(args[0])+`\b.*\n +(\d+-\w+) `)
}

// closing puts the hash of the plan that case close printed into a variable.
func closing(ts *testscript.TestScript, neg bool, args []string) {
	found(ts, neg, args, "closing VAR, after case close", `--plan (\w+)`)
}

// givenPermit puts the id of the first permit that was printed into a variable.
func givenPermit(ts *testscript.TestScript, neg bool, args []string) {
	found(ts, neg, args, "given VAR, after request approve or grant list", `(prm_\w+)`)
}

// isJSON is satisfied if a file is one JSON document.
func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || json.Valid([]byte(ts.ReadFile(args[0]))) == neg {
		ts.Fatalf("%q is JSON: %t", args, neg)
	}
}

func found(ts *testscript.TestScript, neg bool, args []string, usage, pattern string) {
	m := regexp.MustCompile(pattern).FindStringSubmatch(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || m == nil {
		ts.Fatalf("usage: %s", usage)
	}
	ts.Setenv(args[0], m[1])
}

func hangup(ts *testscript.TestScript, neg bool, args []string) {
	running := ts.BackgroundCmds()
	if neg || len(args) > 0 || len(running) == 0 {
		ts.Fatalf("usage: hangup, while a program runs in the background")
	}
	ts.Check(running[len(running)-1].Process.Signal(syscall.SIGHUP))
}

func sleeps(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sleeps DURATION")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	time.Sleep(d)
}

// postPerson creates a person with a token, and expects that answer.
func postPerson(ts *testscript.TestScript, args []string, want int) {
	var token struct {
		Secret  string `json:"secret"`
		SCIMURL string `json:"scim_url"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &token))
	body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"` + args[1] + `","active":true}`
	req, err := http.NewRequest(http.MethodPost, token.SCIMURL+"/Users", strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+token.Secret)
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	ts.Check(err)
	ts.Check(res.Body.Close())
	if res.StatusCode != want {
		ts.Fatalf("POST /Users answered %s", res.Status)
	}
}

func secretOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: secret TOKEN FILE VAR")
	}
	var token struct {
		Secret  string `json:"secret"`
		SCIMURL string `json:"scim_url"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &token))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(token.Secret+"\n"), 0o600))
	ts.Setenv(args[2], token.SCIMURL)
}

func revokeAll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: revoke-all DIR CONNECTION TOKENS")
	}
	var tokens []struct {
		ID string `json:"id"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[2])), &tokens))
	for _, t := range tokens {
		ts.Check(ts.Exec("drawbridge", "token", "revoke", "--data", args[0], args[1], t.ID))
	}
}
