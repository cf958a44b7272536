//go:build lanes

package redis

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// server is a Redis that the lane started: its own folder, its own port of loopback, ended by its
// own process id.
type server struct {
	t       testing.TB
	dir     string
	address string
	with    []string
	cmd     *exec.Cmd
	said    bytes.Buffer
}

// password is what the lane's servers ask for.
const password = "pass of the lane"

// start starts a Redis that saves nothing unless told to. Without Debian's redis-server the lane
// fails; it is never skipped.
func start(t testing.TB, with ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), address: fmt.Sprintf("127.0.0.1:%d", port(t)), with: with}
	t.Cleanup(func() { s.kill() })
	s.launch()
	return s
}

// running starts a process of Redis; without Debian's redis-server the lane fails.
func running(t testing.TB, said *bytes.Buffer, args ...string) *exec.Cmd {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this lane needs Redis (make setup-redis): %v", err)
	}
	cmd := exec.Command(program, args...) //nolint:gosec // Debian's, with arguments of ours
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// eventually waits for something that servers do by themselves.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it takes too long until %s", what)
}

func (s *server) launch() {
	s.t.Helper()
	_, number, err := net.SplitHostPort(s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	args := append([]string{"--port", number, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--requirepass", password, "--masterauth", password, "--loglevel", "notice"}, s.with...)
	s.cmd = running(s.t, &s.said, args...)
	c := s.client()
	defer c.Close() //nolint:errcheck // a client of the test
	for range 200 {
		if err = c.Ping(context.Background()).Err(); err == nil {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	s.t.Fatalf("Redis does not answer: %v\n%s", err, s.said.String())
}

// kill is kill -9.
func (s *server) kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() //nolint:errcheck // it may be gone
	_ = s.cmd.Wait()         //nolint:errcheck // it was killed
	s.cmd = nil
}

// client speaks to the server beside the engine.
func (s *server) client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: s.address, Password: password, MaxRetries: -1, DialerRetries: 1})
}

// do runs one command beside the engine.
func (s *server) do(args ...any) any {
	s.t.Helper()
	c := s.client()
	defer c.Close() //nolint:errcheck // a client of the test
	answer, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return answer
}

// keep copies what the server has saved, restore puts it back.
func (s *server) keep() {
	s.t.Helper()
	s.do("SAVE")
	copyFile(s.t, filepath.Join(s.dir, "dump.rdb"), filepath.Join(s.dir, "kept.rdb"))
}

func (s *server) restore() {
	s.t.Helper()
	s.kill()
	copyFile(s.t, filepath.Join(s.dir, "kept.rdb"), filepath.Join(s.dir, "dump.rdb"))
	s.launch()
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// port is a free one of loopback.
func port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) where() Server {
	return Server{Addresses: []string{s.address}, Password: secret.New(password), Timeout: 5 * time.Second}
}

var laneKey = credential.NewDataKey()

// engine opens an engine; prefixes keep tests apart that share a server.
func engine(t testing.TB, where Server, l Limits) *Engine {
	t.Helper()
	key, err := laneKey.HotKey()
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), Config{Server: where, Prefix: strings.ReplaceAll(t.Name(), " ", "_"), Key: key, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
	})
	return e
}
