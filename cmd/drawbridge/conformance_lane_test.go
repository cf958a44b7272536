//go:build lanes

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The modules of the OpenID Foundation's conformance suite, each as a test of ours by the
// same name, over HTTP against the built program. docs/conformance.md lists them; what
// the suite itself has found is another matter, which that page tells of.

// suiteURL is where the suite runs in examples/conformance/drawbridge.yaml.
const suiteURL = "https://www.certification.openid.net"

// suite stands in for the conformance suite: a relying party at an address of its own,
// beside the built program with the configuration that an operator would give it.
type suite struct {
	*running
	kill   func()
	own    *httptest.Server // where the program sends what it sends to applications
	keys   jose.JSONWebKeySet
	listed map[string]any // the discovery document

	mu      sync.Mutex // guards the rest
	logouts []url.Values
	pushes  []pushed
}

// pushed is a security event token as it came.
type pushed struct {
	path   string
	header http.Header
	set    string
}

// plan is a test plan of the suite.
type plan struct {
	name    string
	modules []module
}

// module is one of the suite's test modules. docs/conformance.md says what ours asserts,
// and what is different when the suite itself runs it.
type module struct {
	name    string
	asserts string
	there   string
	test    func(*trial)
}

// trial is a module that is being run, with the relying parties that are registered.
type trial struct {
	*suite
	t          *testing.T
	app, other relyingParty
}

func TestOIDCConformance(t *testing.T) {
	t.Parallel()
	s := startSuite(t)
	for _, p := range slices.Concat(basicPlans(), logoutPlans()) {
		t.Run(p.name, func(t *testing.T) {
			for _, m := range p.modules {
				t.Run(m.name, func(t *testing.T) {
					t.Parallel()
					m.test(s.trial(t))
				})
			}
		})
	}
}

// Every module of the suite's SSF plans, one after the other: an application has one stream.
func TestSSFConformance(t *testing.T) {
	t.Parallel()
	s := startSuite(t)
	for _, p := range signalPlans() {
		t.Run(p.name, func(t *testing.T) {
			for _, m := range p.modules {
				t.Run(m.name, func(t *testing.T) {
					r := s.trial(t)
					r.withoutStreams()
					m.test(r)
				})
			}
		})
	}
}

func (s *suite) trial(t *testing.T) *trial {
	callback := s.own.URL + "/test/a/drawbridge/callback"
	r := &trial{suite: s, t: t, app: relyingParty{id: "conformance-1", secret: "of-the-first", redirect: callback}}
	r.other = relyingParty{id: "conformance-2", secret: "of-the-second", redirect: callback}
	return r
}

// startSuite builds the program and runs it with examples/conformance/drawbridge.yaml,
// the suite's address in it replaced by one of this test.
func startSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{}
	s.own = httptest.NewServer(http.HandlerFunc(s.hear))
	t.Cleanup(s.own.Close)
	s.running, s.kill = startBinary(t, build(t), t.TempDir(), s.configured(t)...)
	s.read(t, "/.well-known/openid-configuration", &s.listed)
	s.read(t, "/oauth2/keys", &s.keys)
	if !slices.Contains(s.Connections[0].People, ash) {
		t.Fatalf("%s cannot sign in: %v\n%s", ash, s.Connections, s.log)
	}
	s.completes(t)
	return s
}

// configured writes the configuration with the suite's address replaced, and gives the
// arguments that name it.
func (s *suite) configured(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "conformance", "drawbridge.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer(suiteURL, s.own.URL, "https://id.lantern.example", "http://127.0.0.1:8443", "secret_env: CONFORMANCE_SECRET_1", "secret: of-the-first",
		"secret_env: CONFORMANCE_SECRET_2", "secret: of-the-second", "secret_env: CONFORMANCE_SECRET_3", "secret: of-the-third", "secret_env: CONFORMANCE_UPSTREAM_SECRET", "secret: replaced-by-the-demo")
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	if err := os.WriteFile(file, []byte(here.Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", file}
}

// ash is the person who signs in.
const ash = "ash@conformance.example"

// completes gives ash, over SCIM, what the demo's identity provider does not send.
func (s *suite) completes(t *testing.T) {
	t.Helper()
	c := s.connection("conformance")
	var found struct{ Resources []struct{ ID string } }
	at := c.SCIMURL + "/Users?" + url.Values{"filter": {`userName eq "` + ash + `"`}}.Encode()
	if status := scimCall(t, http.MethodGet, at, c.SCIMToken, nil, &found); status != http.StatusOK || len(found.Resources) != 1 {
		t.Fatalf("%s is not there: %d %v", ash, status, found)
	}
	patch := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{
		map[string]any{"op": "add", "path": "phoneNumbers", "value": []any{map[string]any{"type": "work", "value": "+47 77 00 00 00", "primary": true}}},
		map[string]any{"op": "add", "path": "addresses", "value": []any{map[string]any{"type": "work", "streetAddress": "Storgata 1", "locality": "Tromsø", "country": "NO", "primary": true}}},
	}}
	if status := scimCall(t, http.MethodPatch, c.SCIMURL+"/Users/"+found.Resources[0].ID, c.SCIMToken, patch, nil); status/100 != 2 {
		t.Fatalf("PATCH: %d", status)
	}
}

// read gives a document of the program that everybody may read.
func (s *suite) read(t *testing.T, path string, into any) {
	t.Helper()
	res, err := http.Get(s.Issuer + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		t.Fatalf("%s: %s %v", path, res.Status, err)
	}
}

// hear is the suite's own endpoints that the program calls.
func (s *suite) hear(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/push/") {
		s.pushes = append(s.pushes, pushed{r.URL.Path, r.Header.Clone(), string(body)})
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if form, err := url.ParseQuery(string(body)); err == nil && r.URL.Path == "/test/a/drawbridge/backchannel_logout" {
		s.logouts = append(s.logouts, form)
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

// patience is how long something that must come is waited for.
const patience = 20 * time.Second

// awaited waits until found says that what must come is there.
func awaited[T any](t *testing.T, what string, found func() (T, bool)) T {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(20 * time.Millisecond) {
		if v, ok := found(); ok {
			return v
		}
	}
	t.Fatalf("%s never came", what)
	panic("unreachable")
}

// Every module that is listed has a test, and every test is listed.
func TestTheConformanceModulesAreThoseThatAreListed(t *testing.T) {
	listed, err := os.ReadFile(filepath.Join("..", "..", "testdata", "oidc-conformance", "modules.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var is, want strings.Builder
	for _, p := range slices.Concat(basicPlans(), logoutPlans(), signalPlans()) {
		fmt.Fprintf(&is, "%s\n", p.name)
		for _, m := range p.modules {
			fmt.Fprintf(&is, "  %s\n", m.name)
		}
	}
	for line := range strings.Lines(string(listed)) {
		if !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			want.WriteString(line)
		}
	}
	if is.String() != want.String() {
		t.Errorf("the tests are\n%s\nlisted are\n%s", &is, &want)
	}
}

// build makes the real program.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drawbridge")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput() //nolint:gosec // our own program
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}
