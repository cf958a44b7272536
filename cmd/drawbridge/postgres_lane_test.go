//go:build lanes

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/lanes"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// The demo passes on PostgreSQL and Redis what it passes without. Without their servers this
// fails; it is never skipped.
func TestTheDemoOnPostgresAndRedisLane(t *testing.T) {
	server, address := startPostgres(t), startRedis(t)
	for name, value := range map[string]string{demosOn: "redis://" + address, demosOnPostgres: server} {
		if err := os.Setenv(name, value); err != nil { //nolint:usetesting // what runs below is parallel
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, name := range []string{demosOn, demosOnPostgres} {
			_ = os.Unsetenv(name) //nolint:errcheck // it was set
		}
		if n := databasesOf(t, server); n < 10 {
			t.Errorf("only %d demos left a trace in PostgreSQL", n)
		}
	})
	for name, test := range map[string]func(*testing.T){
		"scripts":                                         TestScripts,
		"people of both vendors sign in":                  TestPeopleOfBothVendorsSignIn,
		"an application switches grant":                   TestAnApplicationSwitchesGrant,
		"switch on the own page":                          TestSwitchOnTheOwnPage,
		"the chooser leads back to the application":       TestTheChooserLeadsBackToTheApplication,
		"whoever has no access reads why and whom to ask": TestWhoeverHasNoAccessReadsWhyAndWhomToAsk,
		"a client that was not written for the bridge":    TestOpenIDClientLane,
	} {
		t.Run(name, test)
	}
}

// databasesOf counts the databases of demos that hold a person.
func databasesOf(t *testing.T, server string) (n int) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, strings.Replace(server, "{}", "postgres", 1))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer conn.Close(ctx) //nolint:errcheck // it has told all it knows
	if err := conn.QueryRow(ctx, "select count(*) from pg_database where datname like 'demo\\_%'").Scan(&n); err != nil {
		t.Error(err)
	}
	return n
}

// startPostgres starts a PostgreSQL on a socket in a folder of its own. The address has {} for
// the name of a database, and is of a user whom row-level security binds.
func startPostgres(t *testing.T) (address string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "drawbridge-pg-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) //nolint:errcheck // a temporary folder
	s := &lanes.Postgres{Dir: dir, Settings: []string{"max_connections=300", "shared_buffers=64MB"}}
	t.Cleanup(func() { _ = s.Stop() }) //nolint:errcheck // the test has said what it saw
	if err := s.Make(); err != nil {
		t.Fatal(err)
	}
	return s.Address("drawbridge", "{}")
}

// A vendor moves from one machine to many, and back: nothing is lost on the way.
func TestAVendorMovesToPostgresAndBackLane(t *testing.T) {
	server := startPostgres(t)
	if err := createDatabase(server, "moved"); err != nil {
		t.Fatal(err)
	}
	from := vendor(t)
	one, many, back := sampleAt(t, from, ""), sampleAt(t, beside(t, from), strings.Replace(server, "{}", "moved", 1)), sampleAt(t, beside(t, from), "")
	moves(t, one, many)
	s, err := openStore(t.Context(), many)
	if err != nil {
		t.Fatal(err)
	}
	early := store.Position{}.String() // whoever followed revocations before begins anew
	if c, err := s.Changes(t.Context(), "news."+early, 10); err != nil || c.Whole {
		t.Errorf("a cursor of before the move is taken: %+v, %v", c, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	moves(t, many, back)
	if file := exported(t, many); !strings.Contains(refusal(t, many, file), "the database is not empty") {
		t.Error("it was imported twice")
	}

	// A backup of it is restored, not imported, and ends all that was given.
	backup := filepath.Join(t.TempDir(), "backup")
	quietly(t, many, func(c *cli, cfg *config.Config) error { return c.backup(t.Context(), cfg, backup) })
	if err := createDatabase(server, "restored"); err != nil {
		t.Fatal(err)
	}
	for _, to := range []*config.Config{sampleAt(t, beside(t, from), strings.Replace(server, "{}", "restored", 1)), sampleAt(t, beside(t, from), "")} {
		if said := refusal(t, to, backup); !strings.Contains(said, "drawbridge db restore brings it back") {
			t.Errorf("an import of a backup: %s", said)
		}
		said := quietly(t, to, func(c *cli, cfg *config.Config) error { return c.bringBack(t.Context(), cfg, backup, true) })
		if !strings.Contains(said, "Everybody signs in again") {
			t.Errorf("a restore says\n%s", said)
		}
		isSound(t, to)
	}
}

// refusal is what an import says that must not work.
func refusal(t *testing.T, cfg *config.Config, file string) string {
	t.Helper()
	var out journal
	err := (&cli{out: &out, err: &out}).bringBack(t.Context(), cfg, file, false)
	if err == nil {
		t.Fatalf("it worked:\n%s", out.String())
	}
	return err.Error()
}
