//go:build lanes

package main

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
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

// startRedis starts a Redis on loopback, in a folder of its own.
func startRedis(t *testing.T) (address string) {
	t.Helper()
	s := &lanes.Redis{Dir: t.TempDir(), Port: freePort(t)}
	t.Cleanup(func() { s.Kill() })
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s.Address()
}
