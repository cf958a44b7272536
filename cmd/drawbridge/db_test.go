package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/dump"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// vendor is a living one: the sample organisation and forty people of whom some changed and
// some came back, sessions, deliveries, findings, an audit trail. It ends stopped.
func vendor(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	seed := fmt.Sprint(rand.IntN(1_000_000))
	t.Logf("seed %s", seed)
	d := startDemo(t, folder)
	names, token := filepath.Join(t.TempDir(), "names"), filepath.Join(t.TempDir(), "token")
	c := d.connection("banksia-entra")
	for file, text := range map[string]string{names: "GL Geelong Managers\nGL Hobart Managers\n", token: c.SCIMToken + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, cycle := range []string{"initial", "incremental", "restore"} {
		code, out := d.command("drive", "entra", "--json", "--url", c.SCIMURL, "--token-file", token, "--group-names", names, "--cycle", cycle,
			"--people", "40", "--groups", "4", "--memberships", "40", "--seed", seed, "--share", "20", "--concurrency", "4")
		if code != exitDone {
			t.Fatalf("drive %s: %d\n%s", cycle, code, out)
		}
	}
	for connection, person := range map[string]string{"southern-entra": "kim@southern.example", "tundra-okta": "liv@tundra.example"} {
		if _, err := d.client(connection).SignIn(t.Context(), person); err != nil {
			t.Fatal(err)
		}
	}
	if code, out := d.command("demo", "disable", "kim@southern.example"); code != exitDone {
		t.Fatalf("%d\n%s", code, out)
	}
	d.stop()
	return folder
}

// sampleAt is the sample organisation with its data in a folder, and its database there or at a URL.
func sampleAt(t *testing.T, folder, url string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("drawbridge.yaml", examples.Drawbridge, os.Environ(), config.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Server.Data, cfg.Server.LogLevel = folder, "error"
	if url != "" {
		cfg.Database = config.Database{URL: secret.New(url), Pool: config.UsualPool, Migrate: true}
	}
	return cfg
}

// beside makes a folder with the root key of another.
func beside(t *testing.T, folder string) string {
	t.Helper()
	other := t.TempDir()
	copyFile(t, filepath.Join(folder, "root.key"), filepath.Join(other, "root.key"))
	return other
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	body, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, body, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// everybody is what explain says of all people, who are more than there were in the sample.
func everybody(t *testing.T, cfg *config.Config) []byte {
	t.Helper()
	type one struct {
		id   string
		conn access.ConnectionID
	}
	var all []one
	e, err := openBeside(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = e.View(t.Context(), func(q store.Querier) error {
		return q.Each(func(r store.Row) error {
			var o one
			err := r.Scan(&o.id, &o.conn)
			all = append(all, o)
			return err
		}, `select p.id, c.id from people p join connections c on c.key = p.conn order by p.key`)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if len(all) < 45 {
		t.Fatalf("%d people", len(all))
	}
	a, err := open(t.Context(), cfg, setting{log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}()
	var said []byte
	for _, o := range all {
		found, err := a.bridge.Explain(t.Context(), o.id, o.conn)
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(found)
		if err != nil {
			t.Fatal(err)
		}
		said = append(append(said, line...), '\n')
	}
	return said
}

// quietly runs a command about a database in this process.
func quietly(t *testing.T, cfg *config.Config, do func(*cli, *config.Config) error) string {
	t.Helper()
	var out journal
	if err := do(&cli{out: &out, err: &out}, cfg); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

func exported(t *testing.T, cfg *config.Config) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "export")
	e, err := openWhole(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	quietly(t, cfg, func(c *cli, _ *config.Config) error { return c.writeOut(t.Context(), e, file, "move") })
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func imported(t *testing.T, cfg *config.Config, file string) {
	t.Helper()
	quietly(t, cfg, func(c *cli, cfg *config.Config) error {
		return c.bringBack(context.WithoutCancel(t.Context()), cfg, file, false)
	})
}

// isSound runs db check.
func isSound(t *testing.T, cfg *config.Config) {
	t.Helper()
	e, err := openBeside(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // it was only read
	found, err := dump.Check(t.Context(), e)
	if err != nil || len(found) > 0 {
		t.Fatalf("db check: %v, %+v", err, found)
	}
}

// rowsOf are the lines of an export between its first, which names an instant, and its last.
func rowsOf(t *testing.T, file string) string {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(body), "\n")
	return rows[:strings.LastIndex(strings.TrimSuffix(rows, "\n"), "\n")]
}

// A vendor moves to another database: what explain says of everybody is the same to the byte,
// and the database, its audit chains above all, is sound.
func TestAVendorMoves(t *testing.T) {
	t.Parallel()
	from := vendor(t)
	moves(t, sampleAt(t, from, ""), sampleAt(t, beside(t, from), ""))
}

// moves moves from one to the other, and looks.
func moves(t *testing.T, from, to *config.Config) {
	t.Helper()
	isSound(t, from)
	file := exported(t, from)
	imported(t, to, file)
	isSound(t, to)
	if again := rowsOf(t, exported(t, to)); again != rowsOf(t, file) {
		t.Errorf("what came out again is not what went in: %s", firstDifference(rowsOf(t, file), again))
	}
	before, after := everybody(t, from), everybody(t, to)
	if string(before) != string(after) {
		t.Errorf("explain says something else: %s", firstDifference(string(before), string(after)))
	}
	isSound(t, to)
}

func firstDifference(a, b string) string {
	was, is := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range was {
		if i >= len(is) || was[i] != is[i] {
			return fmt.Sprintf("line %d of %d\n%s\nof %d\n%s", i+1, len(was), was[i], len(is), strings.Join(is[min(i, len(is)-1):min(i+1, len(is))], ""))
		}
	}
	return "the second goes on"
}
