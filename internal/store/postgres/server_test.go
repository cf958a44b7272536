//go:build lanes

package postgres

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a PostgreSQL of our own: in a temporary folder, on a socket in it.
var server struct {
	dir string
	pid int
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	stop, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "this lane needs PostgreSQL (make setup-postgres):", err)
		return 1
	}
	defer stop()
	return m.Run()
}

// start starts the server as somebody who is not root, whom it refuses.
func start() (stop func(), err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	if server.dir, err = os.MkdirTemp(place(), "drawbridge-pg-"); err != nil {
		return nil, err
	}
	remove := func() { _ = os.RemoveAll(server.dir) }
	as, err := somebody(server.dir)
	if err != nil {
		remove()
		return nil, err
	}
	data := filepath.Join(server.dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C") //nolint:gosec // our own server
	initdb.SysProcAttr, initdb.Dir = as, server.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		remove()
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(server.dir, "log"))
	if err != nil {
		remove()
		return nil, err
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", server.dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "autovacuum=off", //nolint:gosec // our own server
		"-c", "shared_buffers=128MB", "-c", "deadlock_timeout=100ms")
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = as, server.dir, log, log
	if err := cmd.Start(); err != nil {
		remove()
		return nil, err
	}
	server.pid = cmd.Process.Pid
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		_ = cmd.Wait()
		_ = log.Close()
		remove()
	}
	if err := ready(); err != nil {
		text, _ := os.ReadFile(log.Name())
		stop()
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return stop, nil
}

// place is where the server's data lies: in memory, but for benchmarks. Tests do not ask
// what survives a power cut, and every commit would wait for the disk.
func place() string {
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		return ""
	}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	return filepath.Dir(path), err
}

func somebody(dir string) (*syscall.SysProcAttr, error) {
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	if os.Getuid() != 0 {
		return as, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // of the system
	return as, os.Chown(dir, uid, gid)
}

func address(user, database string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s", server.dir, user, database)
}

// ready waits for the server and makes the user, who owns databases and no more.
func ready() (err error) {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = admin("postgres", "create role drawbridge login createdb"); err == nil || strings.Contains(err.Error(), "already exists") {
			return nil
		}
	}
	return err
}

func admin(database, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, address("postgres", database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, text)
	return err
}

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
	name := empty(t)
	if err := Migrate(t.Context(), address("drawbridge", name)); err != nil {
		t.Fatal(err)
	}
	return lend(t, name)
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
