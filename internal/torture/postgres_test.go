//go:build lanes

package torture

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
)

// pgServer is a PostgreSQL of the lane's own.
type pgServer struct {
	t testing.TB
	*lanes.Postgres
}

func newPostgres(t testing.TB, dir string, settings ...string) *pgServer {
	t.Helper()
	s := notYetPostgres(t, dir, settings...)
	s.make()
	return s
}

// notYetPostgres is one that has not been made.
func notYetPostgres(t testing.TB, dir string, settings ...string) *pgServer {
	t.Helper()
	settings = append(settings, "max_connections=120", "shared_buffers=64MB", "deadlock_timeout=200ms", "wal_level=replica", "max_wal_senders=4", "wal_sender_timeout=5s")
	return &pgServer{t, &lanes.Postgres{Dir: dir, Port: freePort(t), Settings: settings}}
}

func (s *pgServer) make() {
	s.t.Helper()
	s.must(s.Make())
	s.t.Cleanup(func() { _ = s.End(syscall.SIGINT, 10*time.Second) }) //nolint:errcheck // it may be gone
	s.admin("postgres", "create database drawbridge owner drawbridge")
}

func (s *pgServer) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.Said())
	}
}

func (s *pgServer) start() {
	s.t.Helper()
	s.must(s.Start())
}

func (s *pgServer) admin(database, text string) {
	s.t.Helper()
	s.must(s.Exec(database, text))
}

// restart is a fast shutdown (SIGINT) or an immediate one (SIGQUIT), which recovers afterwards.
func (s *pgServer) restart(how syscall.Signal) {
	s.t.Helper()
	if err := s.End(how, 20*time.Second); err != nil {
		s.t.Error(err)
	}
	s.start()
}

// standby starts a second server that follows this one, and makes this one wait for it:
// what is acknowledged is on both.
func (s *pgServer) standby(dir string) *pgServer {
	s.t.Helper()
	other := notYetPostgres(s.t, dir)
	conninfo := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres application_name=standby", s.Port)
	if err := other.Run("pg_basebackup", "-d", conninfo, "-D", other.Data(), "-R", "-X", "stream", "-c", "fast", "--no-sync"); err != nil {
		s.t.Fatal(err)
	}
	other.start()
	s.t.Cleanup(func() { _ = other.End(syscall.SIGINT, 10*time.Second) }) //nolint:errcheck // it may be gone
	s.admin("postgres", "alter system set synchronous_standby_names = 'standby'")
	s.admin("postgres", "select pg_reload_conf()")
	within(s.t, patience, "the standby follows", func() error {
		return s.Exec("postgres", `do $$ begin if not exists (select from pg_stat_replication where sync_state = 'sync') then raise 'not yet'; end if; end $$`)
	})
	return other
}

// promote makes a standby the server.
func (s *pgServer) promote() {
	s.t.Helper()
	within(s.t, patience, "the standby is promoted", func() error { return s.Exec("postgres", "select pg_promote()") })
	within(s.t, patience, "the promoted standby writes", func() error {
		return s.Exec("postgres", "alter system reset synchronous_standby_names")
	})
	s.admin("postgres", "select pg_reload_conf()")
}
