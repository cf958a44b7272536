//go:build lanes

package torture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
)

// redisServer is a Redis of the lane's own.
type redisServer struct {
	t testing.TB
	*lanes.Redis
}

func newRedis(t testing.TB, dir string, settings ...string) *redisServer {
	t.Helper()
	settings = append(settings, "--repl-diskless-sync-delay", "0")
	s := &redisServer{t, &lanes.Redis{Dir: dir, Port: freePort(t), Settings: settings}}
	t.Cleanup(func() { s.Kill() })
	s.start()
	return s
}

func (s *redisServer) start() {
	s.t.Helper()
	if err := s.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *redisServer) do(args ...any) any {
	s.t.Helper()
	answer, err := s.Do(args...)
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, s.Said())
	}
	return answer
}

// keep saves what is there now, back starts from it.
func (s *redisServer) keep() {
	s.t.Helper()
	s.do("SAVE")
	s.copy("dump.rdb", "kept.rdb")
}

func (s *redisServer) back() {
	s.t.Helper()
	s.Kill()
	s.copy("kept.rdb", "dump.rdb")
	s.start()
}

// anew starts with nothing.
func (s *redisServer) anew() {
	s.t.Helper()
	s.Kill()
	if err := os.Remove(filepath.Join(s.Dir, "dump.rdb")); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	s.start()
}

func (s *redisServer) copy(from, to string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Dir, from))
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Dir, to), b, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// replica starts a server that follows this one.
func (s *redisServer) replica(dir string) *redisServer {
	s.t.Helper()
	other := newRedis(s.t, dir, "--replicaof", fmt.Sprintf("127.0.0.1 %d", s.Port))
	within(s.t, patience, "the replica follows", func() error {
		said, err := other.Do("INFO", "replication")
		if err == nil && !strings.Contains(fmt.Sprint(said), "master_link_status:up") {
			err = errors.New("not yet")
		}
		return err
	})
	return other
}
