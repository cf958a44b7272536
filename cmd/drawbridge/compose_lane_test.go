//go:build lanes

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// topology is docker-compose.yml run as processes: the same commands, variables and files, but
// for ports, which are free ones, and folders, which are temporary.
type topology struct {
	t       *testing.T
	compose compose
	dir     string            // in which everything is
	ports   map[string]string // what stands there, to what is used
	folders map[string]string // by the path in a container
	running map[string]*exec.Cmd
	said    map[string]*journal
}

// The topology of docker-compose.yml: people sign in behind the one address; who is deactivated
// at one bridge is refused at both; and when one bridge is killed the other goes on. Without the
// servers' programs this fails; it is never skipped.
func TestComposeLane(t *testing.T) {
	p := newTopology(t)
	for _, name := range []string{owner, "postgres", "redis", "bridge-1", "bridge-2", "front", "providers"} {
		p.start(name)
	}
	if len(p.running)+1 != len(p.compose.Services) { // build has been done
		t.Fatalf("started %d of %d services", len(p.running), len(p.compose.Services))
	}
	secrets := p.secrets()
	kim := p.signIn("southern-entra", "kim@southern.example")
	for _, bridge := range []string{"8451", "8452"} {
		if !p.active(bridge, kim) {
			t.Fatalf("the bridge at %s does not accept who has signed in", bridge)
		}
	}
	p.deactivate("8451", "southern-entra", "kim@southern.example", secrets)
	for _, bridge := range []string{"8451", "8452"} {
		if p.active(bridge, kim) {
			t.Errorf("the bridge at %s accepts who was deactivated at 8451", bridge)
		}
	}
	liv := p.signIn("tundra-okta", "liv@tundra.example")
	p.kill("bridge-1")
	p.signIn("banksia-entra", "sam@banksia.example")
	p.deactivate("8443", "tundra-okta", "liv@tundra.example", secrets)
	if p.active("8443", liv) {
		t.Error("with one bridge killed, who was deactivated is accepted")
	}
	p.start("bridge-1")
	for _, bridge := range []string{"8451", "8452"} {
		for name, token := range map[string]string{"kim": kim, "liv": liv} {
			if p.active(bridge, token) {
				t.Errorf("at %s %s is accepted again", bridge, name)
			}
		}
	}
}

func newTopology(t *testing.T) *topology {
	t.Helper()
	dir, err := os.MkdirTemp("", "drawbridge-compose-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) //nolint:errcheck // a temporary folder
	p := &topology{t: t, compose: readCompose(t), dir: dir, ports: map[string]string{}, folders: map[string]string{}, running: map[string]*exec.Cmd{}, said: map[string]*journal{}}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // for servers that run as others
		t.Fatal(err)
	}
	p.choosePorts()
	for _, s := range p.compose.Services {
		for _, v := range s.Volumes {
			from, rest, _ := strings.Cut(v, ":")
			at, _, _ := strings.Cut(rest, ":")
			if _, known := p.folders[at]; known || from == "." {
				continue
			}
			p.folders[at] = filepath.Join(dir, "volumes", strings.ReplaceAll(strings.Trim(at, "/"), "/", "+"))
			if !strings.HasPrefix(from, ".") {
				p.folder(p.folders[at])
			}
		}
	}
	p.folders["/tmp/"] = p.folder(filepath.Join(dir, "tmp")) + "/"
	p.checkOut()
	p.build()
	return p
}

func (p *topology) folder(at string) string {
	p.t.Helper()
	if err := os.MkdirAll(at, 0o755); err != nil { //nolint:gosec // for servers that run as others
		p.t.Fatal(err)
	}
	return at
}

var portNamed = regexp.MustCompile(`(?:127\.0\.0\.1|0\.0\.0\.0|localhost):(\d{4})\b`)

// choosePorts takes a free port for each that is named anywhere.
func (p *topology) choosePorts() {
	p.t.Helper()
	texts := []string{p.text("docker-compose.yml"), p.text("examples/compose/drawbridge.yaml"), p.text("examples/compose/nginx.conf")}
	for _, m := range portNamed.FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
		if _, known := p.ports[m[1]]; !known {
			p.ports[m[1]] = fmt.Sprint(freePort(p.t))
		}
	}
}

func (p *topology) text(file string) string {
	p.t.Helper()
	body, err := os.ReadFile(filepath.Join(checkout, file))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

// mapped is a text with the lane's ports and folders, and with no address but loopback.
func (p *topology) mapped(text string) string {
	words := slices.Concat(slices.Collect(maps.Keys(p.folders)), slices.Collect(maps.Keys(p.ports)))
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	for i, w := range words {
		if words[i] = regexp.QuoteMeta(w); !strings.HasPrefix(w, "/") {
			words[i] = `\b` + w + `\b`
		}
	}
	text = regexp.MustCompile(strings.Join(words, "|")).ReplaceAllStringFunc(text, func(w string) string { return p.ports[w] + p.folders[w] })
	return strings.ReplaceAll(text, "0.0.0.0", "127.0.0.1")
}

// checkOut copies what the services mount of this checkout, mapped.
func (p *topology) checkOut() {
	p.t.Helper()
	source := filepath.Join(checkout, "examples", "compose")
	err := filepath.WalkDir(source, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := os.ReadFile(path) //nolint:gosec // of this checkout
		if err != nil {
			return err
		}
		to := filepath.Join(p.folder(filepath.Join(p.dir, "src", "examples", "compose")), e.Name())
		return os.WriteFile(to, []byte(p.mapped(string(body))), 0o644) //nolint:gosec // for servers that run as others
	})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, s := range p.compose.Services {
		for _, v := range s.Volumes {
			from, rest, _ := strings.Cut(v, ":")
			at, _, _ := strings.Cut(rest, ":")
			if strings.HasPrefix(from, "./") {
				p.folders[at] = filepath.Join(p.dir, "src", from)
			}
		}
	}
}

// build does what the service of that name does.
func (p *topology) build() {
	p.t.Helper()
	var command []string
	for _, w := range p.compose.Services["build"].Command {
		command = append(command, p.mapped(w))
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec,noctx // of this checkout
	cmd.Dir = checkout
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
}

// start runs a service and waits until its own check finds it healthy.
func (p *topology) start(name string) {
	p.t.Helper()
	s := p.compose.Services[name]
	cmd := p.command(s, s.Command)
	if name == "postgres" {
		p.initialise(s, cmd)
	}
	p.said[name] = &journal{}
	cmd.Stdout, cmd.Stderr = p.said[name], p.said[name]
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("%s, which this lane needs: %v", name, err)
	}
	p.running[name] = cmd
	p.t.Cleanup(func() { p.end(name, cmd) })
	if len(s.Healthcheck.Test) > 0 {
		p.healthy(name, s)
	}
	if name == "postgres" {
		p.prepare(s)
	}
}

// command is what a service runs.
func (p *topology) command(s service, words []string) *exec.Cmd {
	mapped := []string{}
	for _, w := range words {
		mapped = append(mapped, p.mapped(w))
	}
	bin, err := lanes.PostgresPrograms()
	if err != nil {
		p.t.Fatal(err)
	}
	program := mapped[0]
	if there, err := os.Stat(filepath.Join(bin, program)); err == nil && !there.IsDir() {
		program = filepath.Join(bin, program)
	}
	cmd := exec.Command(program, mapped[1:]...) //nolint:gosec,noctx // what docker-compose.yml names
	cmd.Dir, cmd.SysProcAttr = filepath.Join(p.dir, "src"), &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second // what it has started itself may hold its output
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir}
	for k, v := range s.Environment {
		cmd.Env = append(cmd.Env, k+"="+p.mapped(v))
	}
	return cmd
}

// end stops a process as compose does.
func (p *topology) end(name string, cmd *exec.Cmd) {
	if p.t.Failed() {
		p.t.Logf("%s said:\n%.4000s", name, p.said[name])
	}
	_ = cmd.Process.Signal(map[bool]os.Signal{true: syscall.SIGINT, false: syscall.SIGKILL}[name == "postgres" || name == "front"]) //nolint:errcheck // it may be gone
	_ = cmd.Wait()                                                                                                                  //nolint:errcheck // it was told to end
}

func (p *topology) kill(name string) {
	p.t.Helper()
	if err := p.running[name].Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.running[name].Wait() //nolint:errcheck // it was killed
}

// healthy waits until the service's own check succeeds.
func (p *topology) healthy(name string, s service) {
	p.t.Helper()
	var out []byte
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var err error
		if out, err = p.command(s, s.Healthcheck.Test[1:]).CombinedOutput(); err == nil {
			return
		}
	}
	p.t.Fatalf("%s is not healthy: %s", name, out)
}

const postgresData = "/var/lib/postgresql/data"

// initialise makes the cluster as the image does at its first start.
func (p *topology) initialise(s service, cmd *exec.Cmd) {
	p.t.Helper()
	who, err := lanes.Unprivileged(p.folders[postgresData])
	if err != nil {
		p.t.Fatal(err)
	}
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT, Credential: who}
	password := filepath.Join(p.dir, "superuser")
	if err := os.WriteFile(password, []byte(s.Environment["POSTGRES_PASSWORD"]+"\n"), 0o644); err != nil { //nolint:gosec // the demo's
		p.t.Fatal(err)
	}
	args := append(strings.Fields(s.Environment["POSTGRES_INITDB_ARGS"]), "-D", p.folders[postgresData], "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, "--no-sync")
	bin, err := lanes.PostgresPrograms()
	if err != nil {
		p.t.Fatal(err)
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), args...) //nolint:gosec,noctx // Debian's
	initdb.SysProcAttr, initdb.Dir = as, p.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		p.t.Fatalf("initdb: %v\n%s", err, out)
	}
	cmd.Args = append(cmd.Args, "-D", p.folders[postgresData], "-k", p.folders[postgresData])
	cmd.SysProcAttr, cmd.Dir = as, p.folders[postgresData]
}

// prepare runs what is mounted for the first start.
func (p *topology) prepare(s service) {
	p.t.Helper()
	ctx := context.Background()
	db, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%s/postgres?sslmode=disable", s.Environment["POSTGRES_PASSWORD"], p.ports["5432"]))
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close(ctx) //nolint:errcheck // it has done its work
	for at, file := range p.folders {
		if !strings.HasPrefix(at, "/docker-entrypoint-initdb.d/") {
			continue
		}
		body, err := os.ReadFile(file) //nolint:gosec // of this checkout
		if err != nil {
			p.t.Fatal(err)
		}
		for statement := range strings.SplitSeq(string(body), ";\n") { // a database is made by a statement alone
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := db.Exec(ctx, statement); err != nil {
				p.t.Fatalf("%s: %v", at, err)
			}
		}
	}
}

// secrets are the SCIM tokens that the providers keep.
func (p *topology) secrets() demoSecrets {
	p.t.Helper()
	s, err := readDemoSecrets(p.folders["/demo"])
	if err != nil || len(s.SCIMTokens) < 4 {
		p.t.Fatalf("the providers keep %d tokens: %v", len(s.SCIMTokens), err)
	}
	return s
}

const demoClientSecret = "fleet-web-of-the-demo-only"

// signIn signs somebody in behind the one address, as soon as they have been sent.
func (p *topology) signIn(connection, person string) (accessToken string) {
	p.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		c := &oidctest.Client{Issuer: "http://127.0.0.1:" + p.ports["8443"], ClientID: fleetWeb, ClientSecret: secret.New(demoClientSecret),
			RedirectURI: "http://127.0.0.1:" + p.ports["8444"] + "/callback", Connection: connection}
		var in oidctest.Tokens
		if in, err = c.SignIn(p.t.Context(), person); err == nil {
			return in.AccessToken
		}
	}
	p.t.Fatalf("%s cannot sign in: %v", person, err)
	return ""
}

// active asks a bridge, or the proxy, about a token.
func (p *topology) active(port, token string) bool {
	p.t.Helper()
	form := url.Values{"token": {token}, "client_id": {fleetWeb}, "client_secret": {demoClientSecret}}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://127.0.0.1:"+p.ports[port]+"/oauth2/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var said struct{ Active bool }
	p.asked(req, http.StatusOK, &said)
	return said.Active
}

// deactivate sends what a provider sends when somebody leaves, at a bridge or the proxy.
func (p *topology) deactivate(port, connection, person string, s demoSecrets) {
	p.t.Helper()
	base := "http://127.0.0.1:" + p.ports[port] + "/scim/v2/" + connection + "/Users"
	var found struct{ Resources []struct{ ID string } }
	p.scim(http.MethodGet, base+"?filter="+url.QueryEscape(fmt.Sprintf("userName eq %q", person)), "", s.SCIMTokens[connection], &found)
	if len(found.Resources) != 1 {
		p.t.Fatalf("%d people are called %s", len(found.Resources), person)
	}
	var is struct{ Active bool }
	p.scim(http.MethodPatch, base+"/"+found.Resources[0].ID,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`, s.SCIMTokens[connection], &is)
	if is.Active {
		p.t.Fatalf("%s is active still", person)
	}
}

func (p *topology) scim(method, at, body, token string, into any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, at, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/scim+json")
	p.asked(req, http.StatusOK, into)
}

func (p *topology) asked(req *http.Request, want int, into any) {
	p.t.Helper()
	got := visit(p.t, http.DefaultClient, req)
	if got.status != want {
		p.t.Fatalf("%s %s: %d %s", req.Method, req.URL.Path, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), into); err != nil {
		p.t.Fatal(err)
	}
}
