package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot/embedded"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
	"github.com/drawbridge-id/drawbridge/scim"
)

// TestReplays holds the conversations of testdata/idp against the real bridge: what
// each identity provider sends, what it is answered, and what becomes of
// assignments and sessions. The format is in testdata/idp/README.md.
func TestReplays(t *testing.T) {
	files, err := filepath.Glob("../../testdata/idp/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(file string) bool { return filepath.Base(filepath.Dir(file)) == "wire" })
	playAll(t, files, func(file string) string { return filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file) })
}

// TestWire holds what every identity provider needs, a conversation for each line of
// the list in testdata/idp/README.md.
func TestWire(t *testing.T) {
	files, err := filepath.Glob("../../testdata/idp/wire/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	playAll(t, files, filepath.Base)
}

func playAll(t *testing.T, files []string, named func(file string) string) {
	t.Helper()
	if len(files) == 0 {
		t.Fatal("no conversations")
	}
	for _, file := range files {
		name := strings.TrimSuffix(named(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conversation, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			newReplay(t, string(conversation.Comment)).run(conversation.Files)
		})
	}
}

// replay is one conversation under way.
type replay struct {
	t          *testing.T
	bridge     *bridge.Bridge
	store      *store.Store
	server     *httptest.Server
	connection access.ConnectionID
	token      string
	now        time.Time
	vars       map[string]string        // ${…} in requests and responses
	sessions   map[string]replaySession // by the name of the sign-in
	answers    []replayAnswer           // of the last request
	policy     mapping.PolicySource     // in force
}

type replaySession struct {
	id     session.ID
	cookie string
}

type replayAnswer struct {
	status int
	header http.Header
	body   string
}

var connectionLine = regexp.MustCompile(`(?m)^connection: (\S+)$`)

// newReplay starts a bridge on the sample organisation. Its clock stands still
// until a "wait".
func newReplay(t *testing.T, comment string) *replay {
	t.Helper()
	named := connectionLine.FindStringSubmatch(comment)
	if named == nil {
		t.Fatal("the conversation does not say \"connection: …\"")
	}
	r := &replay{t: t, connection: access.ConnectionID(named[1]), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		vars: map[string]string{}, sessions: map[string]replaySession{}}
	r.start()
	return r
}

func (r *replay) start() {
	r.t.Helper()
	ctx, dir := context.Background(), r.t.TempDir()
	files, err := newFiles()
	r.must(err)
	for name, content := range files {
		r.must(os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	rows, err := sqlite.Open(ctx, filepath.Join(dir, "bridge.db"))
	r.must(err)
	r.t.Cleanup(func() { r.must(rows.Close()) })
	hot, err := embedded.Open(ctx, filepath.Join(dir, "hot.db"), embedded.Limits{})
	r.must(err)
	r.t.Cleanup(func() { r.must(hot.Close()) })
	sample, err := example()
	r.must(err)
	issuer := credential.NewIssuer(sample.Server.PublicURL, func() *credential.Keyring { return nil }) // nobody mints here
	clock := func() time.Time { return r.now }
	r.store = rows
	r.bridge, err = bridge.New(bridge.Config{Store: rows, Hot: hot, Issuer: issuer, URL: sample.Server.PublicURL,
		Lives: bridge.DefaultLives(), Now: clock, Observe: func(op string, err error) { r.t.Errorf("%s: %v", op, err) }})
	r.must(err)
	r.policy = examplePolicy(r.t)
	r.apply()
	r.server = httptest.NewServer(scim.New(scim.Config{Gate: r.bridge, PublicURL: sample.Server.PublicURL, Now: clock}))
	r.t.Cleanup(r.server.Close)
	r.vars["server"] = sample.Server.PublicURL
	r.speakFor(r.connection)
}

// newFiles are the engines' files of a bridge that is new.
var newFiles = sync.OnceValues(func() (files map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "new-bridge-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rows, err := sqlite.OpenEngine(context.Background(), filepath.Join(dir, "bridge.db"))
	if err != nil {
		return nil, err
	}
	hot, err := embedded.Open(context.Background(), filepath.Join(dir, "hot.db"), embedded.Limits{})
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	if err := errors.Join(hot.Close(), rows.Close()); err != nil {
		return nil, err
	}
	files = map[string][]byte{}
	for _, name := range []string{"bridge.db", "hot.db"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

func (r *replay) apply() {
	r.t.Helper()
	_, err := r.bridge.ApplyPolicy(context.Background(), r.policy)
	r.must(err)
}

// extend gives the speaking connection the schemas that are listed, and no others.
func (r *replay) extend(text string) {
	r.t.Helper()
	var own access.SCIM
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 {
			r.t.Fatalf("%q is not \"user FILE\", \"user FILE required\" or \"group FILE\"", line)
		}
		data, err := os.ReadFile(filepath.Join("..", "..", "examples", "schemas", words[1]))
		r.must(err)
		e := access.Extension{Schema: data, Required: len(words) > 2}
		if words[0] == "user" {
			own.UserExtensions = append(own.UserExtensions, e)
		} else {
			own.GroupExtensions = append(own.GroupExtensions, e)
		}
	}
	r.redefine(own)
}

func (r *replay) redefine(own access.SCIM) {
	r.t.Helper()
	r.policy.Connections = slices.Clone(r.policy.Connections)
	for i, c := range r.policy.Connections {
		if c.ID == r.connection {
			r.policy.Connections[i].SCIM = own
		}
	}
	r.apply()
}

// speakFor makes the following steps another connection's, with a token of its own.
func (r *replay) speakFor(connection access.ConnectionID) {
	r.t.Helper()
	known := "token:" + string(connection)
	if r.vars[known] == "" {
		token, _, err := r.bridge.CreateSCIMToken(context.Background(), connection, "replay", 365*24*time.Hour)
		r.must(err)
		r.vars[known] = token.Reveal()
	}
	r.connection, r.token = connection, r.vars[known]
	r.vars["token"], r.vars["base"] = r.token, r.vars["server"]+scim.Prefix+string(connection)
}

func (r *replay) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// run does the steps in order. A step that nobody knows is a mistake, not a comment.
func (r *replay) run(steps []txtar.File) {
	for _, step := range steps {
		text := strings.TrimSpace(string(step.Data))
		verb, rest, _ := strings.Cut(step.Name, " ")
		ok := r.t.Run(strings.ReplaceAll(step.Name, " ", "_"), func(t *testing.T) {
			outer := r.t
			r.t = t
			defer func() { r.t = outer }()
			r.step(verb, rest, text)
		})
		if !ok {
			r.t.Fatalf("stopped at %q", step.Name)
		}
	}
}

func (r *replay) step(verb, rest, text string) {
	switch verb {
	case "request":
		a, err := r.send(r.expand(text))
		r.must(err)
		r.answers = []replayAnswer{a}
	case "requests":
		r.answers = r.sendAtOnce(strings.Split(r.expand(text), "\n====\n"))
	case "response", "responses":
		for _, a := range r.answers {
			r.response(a, text)
		}
	case "assignments":
		r.assignments(text)
	case "sessions":
		r.liveSessions(text)
	case "sign":
		r.signIn(strings.TrimPrefix(rest, "in "), text)
	case "connection":
		r.speakFor(access.ConnectionID(rest))
	case "extensions":
		r.extend(text)
	case "without":
		r.redefine(access.SCIM{})
	case "wait":
		d, err := time.ParseDuration(rest)
		r.must(err)
		r.now = r.now.Add(d)
	default:
		r.t.Fatalf("no step is called %q", verb)
	}
}

// send makes one request: a line "METHOD /path", headers, an empty line, the body.
func (r *replay) send(text string) (replayAnswer, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	req, err := http.NewRequestWithContext(context.Background(), method, r.server.URL+scim.Prefix+string(r.connection)+target, strings.NewReader(body))
	if err != nil {
		return replayAnswer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Set(name, strings.TrimSpace(value))
	}
	resp, err := r.server.Client().Do(req)
	if err != nil {
		return replayAnswer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	got, err := io.ReadAll(resp.Body)
	return replayAnswer{status: resp.StatusCode, header: resp.Header, body: string(got)}, err
}

// sendAtOnce makes several requests at the same time, as a provider that pushes a
// large group does.
func (r *replay) sendAtOnce(requests []string) []replayAnswer {
	answers := make([]replayAnswer, len(requests))
	faults := make([]error, len(requests))
	var all sync.WaitGroup
	for i, text := range requests {
		all.Go(func() { answers[i], faults[i] = r.send(text) })
	}
	all.Wait()
	r.must(errors.Join(faults...))
	return answers
}

var variable = regexp.MustCompile(`\$\{[^}]+\}`)

// expand puts in what earlier answers gave.
func (r *replay) expand(text string) string {
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		value, known := r.vars[v[2:len(v)-1]]
		if !known {
			r.t.Fatalf("nothing has given %s yet", v)
		}
		return value
	})
}

// response compares status, headers and the part of the body that is written.
func (r *replay) response(got replayAnswer, text string) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if want := strings.Fields(lines[0])[0]; strconv.Itoa(got.status) != want {
		r.t.Fatalf("status %d, want %s: %s", got.status, want, got.body)
	}
	for _, line := range lines[1:] {
		name, want, _ := strings.Cut(line, ": ")
		if have := got.header.Get(name); have != r.expand(want) {
			r.t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	if body == "" {
		return
	}
	var want, have any
	r.must(json.Unmarshal([]byte(body), &want))
	if err := json.Unmarshal([]byte(got.body), &have); err != nil {
		r.t.Fatalf("the body is not JSON: %v: %s", err, got.body)
	}
	r.within("", want, have)
	if r.t.Failed() {
		r.t.Logf("the answer was %s", got.body)
	}
}

// within reports what of want is not in have. Null means absent; an array is
// compared element by element; a text "${name}" that is new takes the value.
func (r *replay) within(at string, want, have any) {
	switch want := want.(type) {
	case map[string]any:
		object, ok := have.(map[string]any)
		if !ok {
			r.t.Errorf("%s is %v, want an object", at, have)
		}
		for name, w := range want {
			r.within(at+"/"+name, w, object[name])
		}
	case []any:
		array, ok := have.([]any)
		if !ok || len(array) != len(want) {
			r.t.Errorf("%s is %v, want %d elements", at, have, len(want))
			return
		}
		for i, w := range want {
			r.within(at+"/"+strconv.Itoa(i), w, array[i])
		}
	case string:
		r.text(at, want, have)
	default:
		if want != have {
			r.t.Errorf("%s is %v, want %v", at, have, want)
		}
	}
}

func (r *replay) text(at, want string, have any) {
	got, isText := have.(string)
	if variable.FindString(want) == want && want != "" {
		if name := want[2 : len(want)-1]; r.vars[name] == "" {
			r.vars[name] = got
		}
	}
	if !isText || got == "" || got != r.expand(want) {
		r.t.Errorf("%s is %v, want %q", at, have, want)
	}
}

// assignments compares all that each named person holds. "none" is a person who
// holds nothing, "gone" one who does not exist.
func (r *replay) assignments(text string) {
	want := map[string][]string{}
	for line := range strings.Lines(text) {
		who, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[who] = append(want[who], strings.Join(strings.Fields(what), " "))
	}
	for who, lines := range want {
		slices.Sort(lines)
		if got := r.holds(who); !slices.Equal(got, lines) {
			r.t.Errorf("%s holds\n  %s\nwant\n  %s", who, strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
		}
	}
}

func (r *replay) holds(who string) []string {
	found, err := r.bridge.Explain(context.Background(), who, r.connection)
	if fault.Is(err, fault.NotFound) {
		return []string{"gone"}
	}
	r.must(err)
	if len(found) != 1 {
		r.t.Fatalf("%d people are called %s", len(found), who)
	}
	var lines []string
	for _, h := range found[0].Holds {
		lines = append(lines, r.describe(h))
	}
	if len(lines) == 0 {
		return []string{"none"}
	}
	slices.Sort(lines)
	return lines
}

func (r *replay) describe(h bridge.Holding) string {
	line := string(h.Standing) + " " + h.Is
	if h.Flags.Events != access.EventsNone {
		line += " events=" + h.Flags.Events.String()
	}
	if h.Flags.Video {
		line += " video"
	}
	if !h.Until.IsZero() {
		line += fmt.Sprintf(" until +%gd", h.Until.Sub(r.now).Hours()/24)
	}
	return line
}

// signIn is a sign-in at the identity provider. The body names the stable subject,
// and "refused CODE" if it must not succeed.
func (r *replay) signIn(name, text string) {
	subject, refusal, _ := strings.Cut(r.expand(text), "\n")
	_, want, mustFail := strings.Cut(refusal, "refused ")
	cookie, browser, err := r.bridge.SignIn(context.Background(), upstream.Identity{Connection: r.connection,
		Issuer: "https://login.example/" + string(r.connection), Subject: subject, AuthTime: r.now})
	if mustFail {
		if !fault.Is(err, fault.Denied) || fault.ReasonOf(err) != want {
			r.t.Fatalf("the sign-in ended in %v, want refused %s", err, want)
		}
		return
	}
	r.must(err)
	r.sessions[name] = replaySession{id: browser.Session.ID, cookie: cookie.Reveal()}
}

// liveSessions compares the state of each named sign-in's session.
func (r *replay) liveSessions(text string) {
	for line := range strings.Lines(text) {
		name, want, _ := strings.Cut(strings.TrimSpace(line), " ")
		s, known := r.sessions[name]
		if !known {
			r.t.Fatalf("nobody signed in as %q", name)
		}
		if got := r.stateOf(s); got != strings.Join(strings.Fields(want), " ") {
			r.t.Errorf("%s's session is %q, want %q", name, got, want)
		}
	}
}

// stateOf asks the way the cookie does; only the reason of an end is read from the row.
func (r *replay) stateOf(s replaySession) string {
	ctx := context.Background()
	browser, err := r.bridge.Browser(ctx, s.cookie)
	if err == nil {
		if browser.Session.State == session.Active {
			return "active " + string(browser.Assignment.Grant) + " @ " + browser.Assignment.Scope.Path
		}
		return browser.Session.State.String()
	}
	if !fault.Is(err, fault.Unauthenticated) {
		r.t.Fatal(err)
	}
	var row store.SessionRow
	r.must(r.store.View(ctx, func(v *store.View) error {
		var err error
		row, err = v.Session(s.id)
		return err
	}))
	if row.EndReason == "" {
		return "refused"
	}
	return "ended " + row.EndReason
}
