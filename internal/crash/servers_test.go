//go:build failpoints

package crash

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
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

// started are the servers that all passes share, each with a database of its own. TestMain ends them.
var started struct {
	once     sync.Once
	postgres *lanes.Postgres
	redis    *lanes.Redis
	num      int
	dir      string // the node's own folder, prepared
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
	return servers{pg: started.postgres.Address("drawbridge", database), admin: started.postgres.Address("postgres", database), redis: "redis://" + started.redis.Address()}
}

func administer(t *testing.T, text string) {
	t.Helper()
	must(t, started.postgres.Exec("postgres", text))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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
	started.postgres, started.redis = &lanes.Postgres{Dir: dir, Port: freePort(t), Settings: []string{"shared_buffers=32MB"}}, &lanes.Redis{Dir: filepath.Dir(dir), Port: freePort(t)}
	must(t, started.postgres.Make())
	must(t, started.redis.Start())
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

// endServers ends what was started.
func endServers() {
	if started.postgres != nil {
		_ = started.postgres.Stop() //nolint:errcheck // the tests have said what they saw
	}
	if started.redis != nil {
		started.redis.Kill()
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := lanes.FreePort()
	must(t, err)
	return port
}
