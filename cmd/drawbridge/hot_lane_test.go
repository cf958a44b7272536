//go:build lanes

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// The demo with Redis and no PostgreSQL: people sign in. All else is asked of both together. Without redis-server this fails; it is never
// skipped.
func TestTheDemoOnRedisLane(t *testing.T) {
	address := startRedis(t)
	if err := os.Setenv(demosOn, "redis://"+address); err != nil { //nolint:usetesting // what runs below is parallel
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Unsetenv(demosOn)                                                                                        //nolint:errcheck // it was set
		out, err := exec.CommandContext(context.Background(), "redis-cli", "-u", "redis://"+address, "DBSIZE").Output() //nolint:gosec // Debian's
		if err != nil || string(out) == "0\n" {
			t.Errorf("the demos left no trace in Redis: %s, %v", out, err)
		}
	})
	t.Run("people of both vendors sign in", TestPeopleOfBothVendorsSignIn)
}

// startRedis starts a Redis on loopback, in a folder of its own, and ends it by its process.
func startRedis(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this lane needs Redis (make setup-redis): %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)                                                                                         //nolint:errcheck // it is one
	cmd := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--loglevel", "warning") //nolint:gosec,noctx // Debian's, ended below
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() //nolint:errcheck // it may be gone
		_ = cmd.Wait()         //nolint:errcheck // it was killed
	})
	for range 200 {
		var d net.Dialer
		if c, err := d.DialContext(context.Background(), "tcp", address); err == nil {
			_ = c.Close() //nolint:errcheck // it answered
			return address
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal(fmt.Errorf("Redis does not answer at %s", address))
	return ""
}
