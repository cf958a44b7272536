//go:build lanes

package postgres

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
)

// server is a PostgreSQL of our own, on a socket.
var server *lanes.Postgres

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	dir, err := place("pg")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server = &lanes.Postgres{Dir: dir, Settings: []string{"max_connections=200", "autovacuum=off", "shared_buffers=128MB", "deadlock_timeout=100ms"}}
	if err := server.Make(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = server.Stop() }()
	return m.Run()
}

// place is a folder for a server: in memory, but for benchmarks. Tests do not ask what
// survives a power cut, and every commit would wait for the disk.
func place(name string) (string, error) {
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		return os.MkdirTemp("", "drawbridge-"+name+"-")
	}
	return lanes.InMemory(name)
}

func address(user, database string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s", server.Dir, user, database)
}

func admin(database, text string) error { return server.Exec(database, text) }

// databases that nobody uses, each with the schema and nothing else in it.
var databases struct {
	mu   sync.Mutex
	free []string
	made int
}

// migrated is a database with the schema in it and nothing else, for as long as the test runs.
func migrated(t testing.TB) string {
	t.Helper()
	databases.mu.Lock()
	defer databases.mu.Unlock()
	if last := len(databases.free) - 1; last >= 0 {
		name := databases.free[last]
		databases.free = databases.free[:last]
		return lend(t, name)
	}
	return lend(t, anew(t))
}

// fresh is migrated, of a database in which nothing ever was: the server plans by the size of what
// it has, also of what is empty again.
func fresh(t testing.TB) string {
	t.Helper()
	databases.mu.Lock()
	defer databases.mu.Unlock()
	return lend(t, anew(t))
}

func anew(t testing.TB) string {
	t.Helper()
	name := empty(t)
	if err := Migrate(t.Context(), address("drawbridge", name)); err != nil {
		t.Fatal(err)
	}
	return name
}

// empty makes a database. The server's end is its end.
func empty(t testing.TB) string {
	t.Helper()
	databases.made++
	name := fmt.Sprintf("t%d", databases.made)
	if err := admin("postgres", "create database "+name+" owner drawbridge template template0"); err != nil {
		t.Fatal(err)
	}
	return name
}

func lend(t testing.TB, name string) string {
	t.Cleanup(func() {
		if err := admin(name, clearSQL); err != nil {
			t.Error(err)
			return
		}
		databases.mu.Lock()
		defer databases.mu.Unlock()
		databases.free = append(databases.free, name)
	})
	return address("drawbridge", name)
}

// clearSQL makes a database as new, some thirty times faster than a new one is made.
const clearSQL = `do $$
declare
	t record;
begin
	set local session_replication_role = replica;
	for t in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'goose_db_version' loop
		execute 'delete from ' || quote_ident(t.relname);
	end loop;
	for t in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'S' and relname <> 'goose_db_version_id_seq' loop
		execute 'alter sequence ' || quote_ident(t.relname) || ' restart';
	end loop;
	insert into host (one, epoch) values (1, 1);
	insert into audit_sealed (one, id) values (1, 0);
	insert into audit_indexed (one, id) values (1, 0);
	insert into relay (one, mark) values (1, 0);
	insert into exceptions_pass (id, found, working, conn, person, looked) values (1, 0, 0, 0, 0, 0);
	insert into reconciled (one, person, began_at, people, ended_at, last_people, differences) values (1, 0, 0, 0, 0, 0, 0);
end $$`
