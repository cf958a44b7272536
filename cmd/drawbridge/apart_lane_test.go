//go:build lanes

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A process on the database of others does not start with another Redis than theirs, and says so.
func TestANodeWithAnotherRedisLane(t *testing.T) {
	server, address := startPostgres(t), startRedis(t)
	if err := createDatabase(server, "apart"); err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(server, "{}", "apart", 1)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	first, second := t.TempDir(), t.TempDir()
	startBinary(t, program, first, "--store", url, "--hot", "redis://"+address+"/1")
	key, err := os.ReadFile(filepath.Join(first, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(second, "root.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "demo", "--listen", "127.0.0.1:0", "--data", second, "--store", url, "--hot", "redis://"+address+"/2") //nolint:gosec // our own program
	cmd.Args[0] = "drawbridge"
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "with another Redis") {
		t.Errorf("%v\n%s", err, out)
	}
}
