//go:build lanes

package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// redisServer is a Redis of the lane's own, which saves nothing unless it is told to.
type redisServer struct {
	t    testing.TB
	dir  string
	port int
	more []string
	*process
}

func newRedis(t testing.TB, dir string, more ...string) *redisServer {
	t.Helper()
	s := &redisServer{t: t, dir: dir, port: freePort(t), more: more}
	s.start()
	return s
}

func (s *redisServer) start() {
	s.t.Helper()
	program, err := exec.LookPath("redis-server") // without it the lane fails; it is never skipped
	if err != nil {
		s.t.Fatalf("this lane needs Redis (make setup-redis): %v", err)
	}
	args := append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--loglevel", "notice", "--repl-diskless-sync-delay", "0"}, s.more...)
	if s.process, err = launch(s.dir, "redis", nil, nil, program, args...); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.process.kill)
	if err := awaited(patience, func() error { _, err := s.try("PING"); return err }); err != nil {
		s.t.Fatalf("Redis does not answer: %v\n%s", err, s.said())
	}
}

// try runs a command beside the nodes.
func (s *redisServer) try(args ...any) (any, error) {
	c := goredis.NewClient(&goredis.Options{Addr: fmt.Sprint("127.0.0.1:", s.port), MaxRetries: -1, DialerRetries: 1})
	defer c.Close() //nolint:errcheck // of the test
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.Do(ctx, args...).Result()
}

func (s *redisServer) do(args ...any) any {
	s.t.Helper()
	answer, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, s.said())
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
	s.kill()
	s.copy("kept.rdb", "dump.rdb")
	s.start()
}

// anew starts with nothing.
func (s *redisServer) anew() {
	s.t.Helper()
	s.kill()
	if err := os.Remove(filepath.Join(s.dir, "dump.rdb")); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	s.start()
}

func (s *redisServer) copy(from, to string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, from))
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, to), b, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// replica starts a server that follows this one.
func (s *redisServer) replica(dir string) *redisServer {
	s.t.Helper()
	other := newRedis(s.t, dir, "--replicaof", fmt.Sprintf("127.0.0.1 %d", s.port))
	within(s.t, patience, "the replica follows", func() error {
		said, err := other.try("INFO", "replication")
		if err == nil && !strings.Contains(fmt.Sprint(said), "master_link_status:up") {
			err = errors.New("not yet")
		}
		return err
	})
	return other
}
