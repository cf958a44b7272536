package lanes

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Redis is a Redis, which saves nothing unless it is told to.
type Redis struct {
	Dir      string // in which its log is, and what it saves
	Port     int    // of loopback
	Password string // which it asks for; "": none
	Settings []string

	*Process
}

// RedisProgram is where redis-server is.
func RedisProgram() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", needs("Redis", "make setup-redis", err)
	}
	return path, nil
}

// Start starts it, and waits until it answers.
func (s *Redis) Start() error {
	program, err := RedisProgram()
	if err != nil {
		return err
	}
	args := []string{"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--loglevel", "notice"}
	if s.Password != "" {
		args = append(args, "--requirepass", s.Password, "--masterauth", s.Password)
	}
	if s.Process, err = Launch(s.Dir, "redis", nil, nil, program, append(args, s.Settings...)...); err != nil {
		return err
	}
	if err := Until(Patience, func() error { _, err := s.Do("PING"); return err }); err != nil {
		return fmt.Errorf("Redis does not answer: %w\n%s", err, s.Said())
	}
	return nil
}

// Address is its host and port.
func (s *Redis) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// Client is one of its own, which tries nothing again.
func (s *Redis) Client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: s.Address(), Password: s.Password, MaxRetries: -1, DialerRetries: 1})
}

// Do runs one command.
func (s *Redis) Do(args ...any) (any, error) {
	c := s.Client()
	defer c.Close() //nolint:errcheck // it has answered
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.Do(ctx, args...).Result()
}
