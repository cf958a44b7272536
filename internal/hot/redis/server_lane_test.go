//go:build lanes

package redis

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/lanes"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// server is a Redis that the lane started.
type server struct {
	t testing.TB
	*lanes.Redis
}

// password is what the lane's servers ask for.
const password = "pass of the lane"

// start starts a Redis.
func start(t testing.TB, with ...string) *server {
	t.Helper()
	s := &server{t, &lanes.Redis{Dir: t.TempDir(), Port: port(t), Password: password, Settings: with}}
	t.Cleanup(func() { s.Kill() })
	s.launch()
	return s
}

func (s *server) launch() {
	s.t.Helper()
	if err := s.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// eventually waits for something that servers do by themselves.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	notYet := errors.New("not yet")
	err := lanes.Until(lanes.Patience, func() error {
		if is() {
			return nil
		}
		return notYet
	})
	if err != nil {
		t.Fatalf("it takes too long until %s", what)
	}
}

// do runs one command beside the engine.
func (s *server) do(args ...any) any {
	s.t.Helper()
	answer, err := s.Do(args...)
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return answer
}

// keep copies what the server has saved, restore puts it back.
func (s *server) keep() {
	s.t.Helper()
	s.do("SAVE")
	copyFile(s.t, filepath.Join(s.Dir, "dump.rdb"), filepath.Join(s.Dir, "kept.rdb"))
}

func (s *server) restore() {
	s.t.Helper()
	s.Kill()
	copyFile(s.t, filepath.Join(s.Dir, "kept.rdb"), filepath.Join(s.Dir, "dump.rdb"))
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
	n, err := lanes.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *server) where() Server {
	return Server{Addresses: []string{s.Address()}, Password: secret.New(password), Timeout: 5 * time.Second}
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
