//go:build lanes

package torture

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// pgServer is a PostgreSQL of the lane's own.
type pgServer struct {
	t    testing.TB
	bin  string
	dir  string // with data in it
	port int
	as   *syscall.SysProcAttr
	more []string // settings
	in   []string // what programs of it are begun by: it may live in a namespace of its own
	*process
}

func newPostgres(t testing.TB, dir string) *pgServer {
	t.Helper()
	s := &pgServer{t: t, bin: pgBinaries(t), dir: dir, port: freePort(t), as: unprivileged(t, dir)}
	s.make()
	return s
}

func (s *pgServer) make() {
	s.t.Helper()
	s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	s.start()
	s.admin("postgres", "create role drawbridge login")
	s.admin("postgres", "create database drawbridge owner drawbridge")
}

// pgBinaries is where Debian, or whoever, keeps initdb. Without it the lane fails; it is never skipped.
func pgBinaries(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		t.Fatalf("this lane needs PostgreSQL (make setup-postgres): %v", err)
	}
	return filepath.Dir(path)
}

func (s *pgServer) data() string { return filepath.Join(s.dir, "data") }

func (s *pgServer) run(program string, args ...string) {
	s.t.Helper()
	line := append(append(slices.Clone(s.in), filepath.Join(s.bin, program)), args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.SysProcAttr, cmd.Dir = s.as, s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// start starts it and waits until it answers.
func (s *pgServer) start() {
	s.t.Helper()
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=127.0.0.1", "-c", fmt.Sprint("port=", s.port), "-c", "max_connections=120",
		"-c", "shared_buffers=64MB", "-c", "deadlock_timeout=200ms", "-c", "wal_level=replica", "-c", "max_wal_senders=4", "-c", "wal_sender_timeout=5s"}
	for _, m := range s.more {
		args = append(args, "-c", m)
	}
	var err error
	line := append(append(slices.Clone(s.in), filepath.Join(s.bin, "postgres")), args...)
	if s.process, err = launch(s.dir, "postgres", s.as, nil, line[0], line[1:]...); err != nil {
		s.t.Fatal(err)
	}
	started := s.process
	s.t.Cleanup(func() { _ = started.end(syscall.SIGINT, 10*time.Second) }) //nolint:errcheck // it may be gone
	if err := awaited(patience, func() error { return s.try("postgres", "select 1") }); err != nil {
		s.t.Fatalf("PostgreSQL does not answer: %v\n%s", err, s.said())
	}
}

func (s *pgServer) address(user, database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", user, s.port, database)
}

// try runs a statement beside the nodes, as the server's owner.
func (s *pgServer) try(database, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.address("postgres", database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // of the test
	_, err = conn.Exec(ctx, text)
	return err
}

func (s *pgServer) admin(database, text string) {
	s.t.Helper()
	if err := s.try(database, text); err != nil {
		s.t.Fatalf("%s: %v\n%s", text, err, s.said())
	}
}

// restart is a fast shutdown (SIGINT) or an immediate one (SIGQUIT), which recovers afterwards.
func (s *pgServer) restart(how syscall.Signal) {
	s.t.Helper()
	if err := s.end(how, 20*time.Second); err != nil {
		s.t.Error(err)
	}
	s.start()
}

// standby starts a second server that follows this one, and makes this one wait for it:
// what is acknowledged is on both.
func (s *pgServer) standby(dir string) *pgServer {
	s.t.Helper()
	other := &pgServer{t: s.t, bin: s.bin, dir: dir, port: freePort(s.t), as: unprivileged(s.t, dir)}
	conninfo := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres application_name=standby", s.port)
	other.run("pg_basebackup", "-d", conninfo, "-D", other.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
	other.start()
	s.admin("postgres", "alter system set synchronous_standby_names = 'standby'")
	s.admin("postgres", "select pg_reload_conf()")
	within(s.t, patience, "the standby follows", func() error {
		return s.try("postgres", `do $$ begin if not exists (select from pg_stat_replication where sync_state = 'sync') then raise 'not yet'; end if; end $$`)
	})
	return other
}

// promote makes a standby the server.
func (s *pgServer) promote() {
	s.t.Helper()
	within(s.t, patience, "the standby is promoted", func() error { return s.try("postgres", "select pg_promote()") })
	within(s.t, patience, "the promoted standby writes", func() error {
		return s.try("postgres", "alter system reset synchronous_standby_names")
	})
	s.admin("postgres", "select pg_reload_conf()")
}
