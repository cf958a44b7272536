package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/dump"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// After a restore nothing is accepted that anybody was given before: not of before the backup,
// not of after it, not of somebody who was disabled after it, and not where everybody's epoch
// had been raised since. People sign in again, by what the backup says.
func TestI27_ARestoreRevivesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	d := startDemo(t, folder)
	signIn := func(d *running, connection, person string) oidctest.Tokens {
		tokens, err := d.client(connection).SignIn(t.Context(), person)
		if err != nil {
			t.Fatal(err)
		}
		return tokens
	}
	given := map[string]oidctest.Tokens{"somebody who was disabled since": signIn(d, "southern-entra", "kim@southern.example"),
		"before the backup": signIn(d, "tundra-okta", "liv@tundra.example")}
	backup := filepath.Join(t.TempDir(), "backup")
	quietly(t, sampleAt(t, folder, ""), func(c *cli, cfg *config.Config) error { return c.backup(t.Context(), cfg, backup) })
	given["after the backup"] = signIn(d, "tundra-okta", "liv@tundra.example")
	for _, args := range [][]string{{"demo", "disable", "kim@southern.example"}, {"session", "end", "--all", "--confirm", "everything"}} {
		if code, out := d.command(args...); code != exitDone {
			t.Fatalf("%v: %d\n%s", args, code, out)
		}
	}
	given["after everybody was signed out"] = signIn(d, "tundra-okta", "liv@tundra.example")
	d.stop()

	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(folder, "drawbridge.db"+end)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	cfg := sampleAt(t, folder, "")
	said := quietly(t, cfg, func(c *cli, cfg *config.Config) error { return c.bringBack(t.Context(), cfg, backup, true) })
	if !strings.Contains(said, "Everybody signs in again") {
		t.Errorf("it does not say what it did:\n%s", said)
	}
	isSound(t, cfg)
	again := startDemo(t, folder)
	for when, tokens := range given {
		c := again.client("tundra-okta")
		if said, err := c.Introspect(t.Context(), tokens.AccessToken); err != nil || said["active"] != false {
			t.Errorf("a token of %s: %v, %v", when, said, err)
		}
		if _, err := c.Refresh(t.Context(), tokens.RefreshToken); err == nil {
			t.Errorf("a refresh token of %s was taken", when)
		}
	}
	fresh := signIn(again, "tundra-okta", "liv@tundra.example")
	if said, err := again.client("tundra-okta").Introspect(t.Context(), fresh.AccessToken); err != nil || said["active"] != true {
		t.Errorf("who signs in again: %v, %v", said, err)
	}
}

// What contradicts itself is found, and said so that somebody finds the place.
func TestADatabaseThatContradictsItselfIsFound(t *testing.T) {
	t.Parallel()
	folder := vendor(t)
	path := filepath.Join(folder, "drawbridge.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		`update connections set people = people + 1 where id = 'tundra-okta'`:                             "counters: connection tundra-okta says people=",
		`update groups set member_count = 77 where key = (select max(key) from groups)`:                   "says member_count=77, there are",
		`delete from memberships where person = (select min(person) from memberships)`:                    "counters: group ",
		`update assignments set ceiling_scope = 'x' where key = (select min(key) from assignments)`:       "access: assignment ",
		`update assignments set scope = 'x' where key = (select min(key) from assignments)`:               "access: assignment ",
		`delete from people where key = (select min(person) from assignments)`:                            "engine: ",
		`update audit set body = replace(body, '"type"', '"tipe"') where id = 3`:                          "audit: the ",
		`delete from audit where id = 4`:                                                                  "marks: row 4 of the outbox tells of nothing",
		`update audit_heads set seq = seq + 1`:                                                            "audit: ",
		`update relay set mark = 1000000`:                                                                 "marks: the relay has read to 1000000",
		`delete from outbox where id = (select max(id) from outbox); update relay set mark = 0`:           "is not in the outbox",
		`update sqlite_sequence set seq = 1 where name = 'people'`:                                        "counters: people goes on behind key 1",
		`delete from scope_ancestors where scope = ancestor and scope <> (select id from scopes limit 1)`: "does not cover itself",
		`delete from host`: "the row of the host, or a mark, is missing",
	} {
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		tamper(t, path, sql)
		cfg := sampleAt(t, folder, "")
		e, err := openBeside(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		found, err := dump.Check(t.Context(), e)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		var out journal
		if code := (&cli{out: &out, err: &out}).tellFindings(found, err); code == nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v\n%s", sql, code, out.String())
		}
	}
}

// While nodes run, nothing is moved away from under them.
func TestADatabaseThatIsServedIsNotMoved(t *testing.T) {
	t.Parallel()
	folder := vendor(t)
	const node = `insert into nodes (id, name, version, alone, started_at, draining, beat, beat_at, applied, lag, lease)
		values ('n1', 'first', 'v', 0, 1, 0, 1, cast(round((julianday('now') - 2440587.5) * 86400000) as integer) - %s, 0, 0, 0)`
	for age, want := range map[string]string{"0": "nodes run on this database: first", "60000": ""} {
		tamper(t, filepath.Join(folder, "drawbridge.db"), `delete from nodes;`+strings.ReplaceAll(node, "%s", age))
		e, err := openBeside(t.Context(), sampleAt(t, folder, ""))
		if err != nil {
			t.Fatal(err)
		}
		err = nobodyRuns(t.Context(), e)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("a node that polled %s ms ago: %v", age, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// tamper changes a database behind everybody's back, references or not.
func tamper(t *testing.T, path, statements string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test
	if err := sqlitex.ExecuteScript(conn, statements, nil); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}
