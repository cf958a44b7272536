//go:build failpoints

package crash

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/drawbridge-id/drawbridge/internal/store/postgres"
)

// servers are PostgreSQL, Redis, and a folder for what belongs to the node alone.
type servers struct {
	folder
	pg, redis string // addresses
	admin     string // of the same database, past its row-level security
}

func (s servers) args() []string { return append(s.folder.args(), "--store", s.pg, "--hot", s.redis) }

// onlyPostgres is one node on PostgreSQL: what is short-lived is in its folder.
type onlyPostgres struct{ servers }

func (o onlyPostgres) args() []string { return append(o.folder.args(), "--store", o.pg) }

// onlyRedis is one node on SQLite beside a Redis.
type onlyRedis struct {
	folder
	redis string
}

func freshRedis(t *testing.T) onlyRedis {
	t.Helper()
	run(t)
	return onlyRedis{freshFolder(t), serversOf("").redis}
}

func (o onlyRedis) args() []string { return append(o.folder.args(), "--hot", o.redis) }

func (s servers) events(t *testing.T, kind, person string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // read only
	if err := conn.QueryRow(t.Context(), `select count(*) from audit where person = $1 and body like '{"type":"' || $2 || '"%'`, person, kind).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (s servers) verify(t *testing.T) {
	t.Helper()
	st, err := postgres.Open(t.Context(), s.pg, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	verified(t, st)
}

// started are the servers that all passes share, each with a database of its own.
var started struct {
	once             sync.Once
	port, redis, num int
	dir              string   // the node's own folder, prepared
	end              []func() // run by TestMain
}

const template = "prepared"

// freshServers is a copy of a database in which the sample organisation is provisioned.
func freshServers(t *testing.T) servers {
	t.Helper()
	s := newServers(t, template)
	copied(t, started.dir, s.dir)
	return s
}

// run starts the servers, once.
func run(t *testing.T) {
	t.Helper()
	started.once.Do(func() { startServers(t) })
	if started.dir == "" {
		t.Fatal("there are no servers: the test that started them failed")
	}
}

// newServers is a copy of a database, and an empty folder.
func newServers(t *testing.T, of string) servers {
	t.Helper()
	run(t)
	started.num++
	database := "pass" + strconv.Itoa(started.num)
	administer(t, "create database "+database+" template "+of+" owner drawbridge")
	s := serversOf(database)
	s.dir = t.TempDir()
	return s
}

func serversOf(database string) servers {
	at := func(who string) string {
		return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", who, started.port, database)
	}
	return servers{pg: at("drawbridge"), admin: at("postgres"), redis: fmt.Sprintf("redis://127.0.0.1:%d", started.redis)}
}

func administer(t *testing.T, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), serversOf("postgres").admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // of the test
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func startServers(t *testing.T) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(program(t)), "servers")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // another user's server works there
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // likewise
		t.Fatal(err)
	}
	started.port, started.redis = freePort(t), freePort(t)
	startPostgres(t, dir)
	startRedis(t, dir)
	administer(t, "create role drawbridge login")
	administer(t, "create database "+template+" owner drawbridge")
	s := serversOf(template)
	s.dir = t.TempDir()
	b, err := start(t, s)
	if err != nil {
		t.Fatal(err)
	}
	b.stop(t)
	kept := filepath.Join(filepath.Dir(dir), "node")
	copied(t, s.dir, kept)
	started.dir = kept
}

func startPostgres(t *testing.T, dir string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Fatalf("this lane needs PostgreSQL (make setup-postgres): %v", err)
	}
	bin, data, as := filepath.Dir(found[len(found)-1]), filepath.Join(dir, "pg"), unprivileged(t, dir)
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync") //nolint:gosec // found above
	initdb.SysProcAttr, initdb.Dir = as, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	background(t, dir, as, filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", fmt.Sprint("port=", started.port), "-c", "shared_buffers=32MB")
	answered(t, "PostgreSQL", func() error {
		conn, err := pgx.Connect(t.Context(), serversOf("postgres").admin)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

func startRedis(t *testing.T, dir string) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this lane needs Redis (make setup-redis): %v", err)
	}
	at := strconv.Itoa(started.redis)
	background(t, dir, nil, path, "--port", at, "--bind", "127.0.0.1", "--dir", filepath.Dir(dir), "--save", "")
	answered(t, "Redis", func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+at)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// background runs a server until the tests end.
func background(t *testing.T, dir string, as *syscall.SysProcAttr, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...) //nolint:gosec // a server of ours
	cmd.Dir, cmd.SysProcAttr = dir, as
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started.end = append(started.end, func() {
		_ = cmd.Process.Signal(syscall.SIGINT) //nolint:errcheck // it may be gone
		_ = cmd.Wait()                         //nolint:errcheck // it was ended
	})
}

func answered(t *testing.T, who string, try func() error) {
	t.Helper()
	var err error
	if !waited(t.Context(), func() bool { err = try(); return err == nil }) {
		t.Fatalf("%s does not answer: %v", who, err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was never used
	return l.Addr().(*net.TCPAddr).Port
}

// unprivileged is whom PostgreSQL runs as, which refuses to be root's.
func unprivileged(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("this lane needs PostgreSQL (make setup-postgres): %v", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}} //nolint:gosec // of the system
}
