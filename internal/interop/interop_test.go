//go:build interop

package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/demo"
)

// patience is how long anything may take that is waited for. Nothing is measured by it.
const patience = 5 * time.Minute

// process is a program that runs until the test ends.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	in   io.Writer // its standard input

	mu    sync.Mutex // guards the rest
	lines []string   // of standard output
	said  strings.Builder
	more  chan struct{} // closed when there is another line, or the output has ended
	ended bool
}

// start runs a program in a folder ("" is this one) with more environment. It is asked
// to end, and killed if it does not heed that.
func start(t *testing.T, dir string, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: filepath.Base(name), cmd: exec.Command(name, args...), more: make(chan struct{})} //nolint:gosec // what a lane is for
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, append(os.Environ(), env...), &words{p}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("this lane needs %s (make interop installs it): %v", name, err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.hear(lines.Text(), false)
		}
		p.hear("", true)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		kill := time.AfterFunc(patience/4, func() { _ = p.cmd.Process.Kill() })
		<-read
		_ = p.cmd.Wait() // ended by a signal
		kill.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, p.text())
		}
	})
	return p
}

// words is what a process writes to standard error.
type words struct{ *process }

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.Write(b)
}

func (p *process) hear(line string, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended = ended; !ended {
		p.lines = append(p.lines, line)
		p.said.WriteString(line + "\n")
	}
	close(p.more)
	p.more = make(chan struct{})
}

// tell writes a line to its standard input.
func (p *process) tell(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// await gives the first line of standard output that is wanted, which may have come already.
func (p *process) await(what string, wanted func(line string) bool) string {
	p.t.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		at, more, ended := slices.IndexFunc(p.lines, wanted), p.more, p.ended
		line := ""
		if at >= 0 {
			line = p.lines[at]
		}
		p.mu.Unlock()
		switch {
		case at >= 0:
			return line
		case ended:
			p.t.Fatalf("%s ended without %s:\n%s", p.name, what, p.text())
		}
		select {
		case <-more:
		case <-late:
			p.t.Fatalf("%s did not say %s:\n%s", p.name, what, p.text())
		}
	}
}

// bridge is the built program, running its demo.
type bridge struct {
	demo.Announcement
	*process
	data string
}

// program is the built binary under test.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("INTEROP_PROGRAM")
	if path == "" {
		t.Fatal("INTEROP_PROGRAM names no built program: run make interop, or a lane of it")
	}
	return path
}

// startBridge runs the demo at an address that is known beforehand, with a configuration.
func startBridge(t *testing.T, port int, config string) *bridge {
	t.Helper()
	b := &bridge{data: t.TempDir()}
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	b.process = start(t, "", nil, program(t), "demo", "--listen", fmt.Sprint("127.0.0.1:", port), "--json", "--config", file, "--data", b.data)
	line := b.await("where it is", func(string) bool { return true })
	if err := json.Unmarshal([]byte(line), &b.Announcement); err != nil {
		t.Fatal(err)
	}
	return b
}

// sample is the sample organisation with more clients, connections and rules, each a
// piece of YAML as it stands below its key, and more lines of sessions.
func sample(clients, connections, rules string, sessions ...string) string {
	out := string(examples.Drawbridge)
	all := map[string]string{"clients": clients, "connections": connections, "rules": rules}
	for _, line := range sessions {
		all["sessions"] += "  " + line + "\n"
	}
	for key, more := range all {
		out = strings.Replace(out, "\n"+key+":\n", "\n"+key+":\n"+strings.TrimPrefix(more, "\n"), 1)
	}
	return out
}

// command runs another command of the program against the demo, which must do it.
func (b *bridge) command(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t), append(args, "--data", b.data)...).CombinedOutput() //nolint:gosec // our own program
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// connection finds one by its id.
func (b *bridge) connection(id string) demo.AnnouncedConnection {
	b.t.Helper()
	at := slices.IndexFunc(b.Connections, func(c demo.AnnouncedConnection) bool { return c.ID == id })
	if at < 0 {
		b.t.Fatalf("the bridge has no connection %s", id)
	}
	return b.Connections[at]
}

// provision sends people over SCIM, who are known by these subjects, all in one group.
func (b *bridge) provision(connection, group string, subjects ...string) {
	b.t.Helper()
	c := b.connection(connection)
	var members []map[string]string
	for _, s := range subjects {
		name := s
		if !strings.Contains(s, "@") {
			name += "@" + connection + ".example"
		}
		members = append(members, map[string]string{"value": b.scim(c, "/Users", map[string]any{
			"schemas":  []string{"urn:ietf:params:scim:schemas:core:2.0:User"},
			"userName": name, "externalId": s, "active": true, "emails": []map[string]any{{"value": name, "primary": true}},
		})})
	}
	b.scim(c, "/Groups", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": group, "members": members})
}

// scim creates a resource and gives its id.
func (b *bridge) scim(c demo.AnnouncedConnection, path string, resource map[string]any) string {
	b.t.Helper()
	body, err := json.Marshal(resource)
	if err != nil {
		b.t.Fatal(err)
	}
	req := request(b.t, http.MethodPost, c.SCIMURL+path, string(body))
	req.Header.Set("Content-Type", "application/scim+json")
	req.Header.Set("Authorization", "Bearer "+c.SCIMToken)
	got := send(b.t, http.DefaultClient, req)
	var made struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || got.status != http.StatusCreated {
		b.t.Fatalf("POST %s: %d %s", path, got.status, got.body)
	}
	return made.ID
}

// freePort gives a port of loopback that is free and stays so, as are those behind it that
// a demo takes: blocks of eight below the ports that systems give to connections. Whoever
// listens on a block's last port has the block until the test ends.
func freePort(t *testing.T) int {
	t.Helper()
	const first, blocks, size = 20000, 1500, 8
	for range blocks {
		port := first + size*rand.IntN(blocks)
		claim, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+size-1))
		if err != nil {
			continue // somebody else's
		}
		t.Cleanup(func() { claim.Close() }) //nolint:errcheck // nobody came
		if allFree(port, size-1) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func allFree(first, n int) bool {
	for port := range n {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", first+port))
		if err != nil {
			return false
		}
		l.Close() //nolint:errcheck // nobody came
	}
	return true
}

// eventually waits for what happens after an answer.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

func request(t *testing.T, method, to, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}
