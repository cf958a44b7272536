//go:build lanes

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
)

// The program from before the newest migration goes on when the schema becomes today's, as the
// nodes of a rolling upgrade do: people sign in and out by it, and whoever is disabled is out.
func TestTheProgramOfBeforeGoesOnLane(t *testing.T) {
	program := programOfBefore(t)
	server := startPostgres(t)
	if err := createDatabase(server, "rolling"); err != nil {
		t.Fatal(err)
	}
	url, folder := strings.Replace(server, "{}", "rolling", 1), t.TempDir()
	d, _ := startBinary(t, program, folder, "--store", url)
	kim := d.client("southern-entra")
	early, err := kim.SignIn(t.Context(), "kim@southern.example")
	if err != nil {
		t.Fatalf("before: %v\n%s", err, d.log)
	}

	cfg := sampleAt(t, folder, url)
	steps, err := pending(t.Context(), cfg)
	if err != nil || len(steps) == 0 {
		t.Fatalf("nothing is new: %v, %v", steps, err)
	}
	said := quietly(t, cfg, func(c *cli, cfg *config.Config) error { return c.migrate(t.Context(), cfg, false) })
	t.Logf("%s", said)

	if _, err := d.client("tundra-okta").SignIn(t.Context(), "liv@tundra.example"); err != nil {
		t.Errorf("a sign-in on the new schema: %v\n%s", err, d.log)
	}
	next, err := kim.Refresh(t.Context(), early.RefreshToken)
	if err != nil {
		t.Errorf("a refresh: %v\n%s", err, d.log)
	}
	if code, out := d.command("demo", "disable", "kim@southern.example"); code != exitDone { // its identity provider sends a PATCH
		t.Fatalf("disable: %d\n%s\n%s", code, out, d.log)
	}
	for _, token := range []string{early.AccessToken, next.AccessToken} {
		if said, err := kim.Introspect(t.Context(), token); err != nil || said["active"] != false {
			t.Errorf("after the PATCH: %v, %v", said, err)
		}
	}
	d.stop()
	isSound(t, cfg)
}

// programOfBefore builds the first parent of the commit that the newest migration came with.
func programOfBefore(t *testing.T) string {
	t.Helper()
	git := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "git", args...).Output() //nolint:gosec // our own repository
		if err != nil {
			t.Fatalf("this lane needs the repository's history: git %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	root := git("rev-parse", "--show-toplevel")
	newest := git("-C", root, "log", "-1", "--first-parent", "--diff-filter=A", "--format=%H", "--", "internal/store/postgres/migrations")
	source, archive := t.TempDir(), filepath.Join(t.TempDir(), "source.tar")
	git("-C", root, "archive", "-o", archive, newest+"^")
	program := filepath.Join(t.TempDir(), "drawbridge")
	for _, cmd := range []*exec.Cmd{exec.CommandContext(t.Context(), "tar", "-xf", archive, "-C", source), exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/drawbridge")} { //nolint:gosec // likewise
		cmd.Dir = source
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal(err)
	}
	return program
}
