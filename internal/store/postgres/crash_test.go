//go:build lanes

package postgres

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/lanes"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

// crashing is a PostgreSQL of one test's own, which loses what is not on the disk.
type crashing struct {
	t *testing.T
	*lanes.Postgres
}

func newCrashing(t *testing.T) *crashing {
	t.Helper()
	c := notYetCrashing(t)
	t.Cleanup(c.kill)
	if err := c.Make(); err != nil {
		t.Fatal(err)
	}
	if err := c.Exec("postgres", "create database drawbridge owner drawbridge"); err != nil {
		t.Fatal(err)
	}
	return c
}

// notYetCrashing is one that has no data.
func notYetCrashing(t *testing.T) *crashing {
	t.Helper()
	dir, err := place("crash")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &crashing{t, &lanes.Postgres{Dir: dir, Settings: []string{"autovacuum=off", "wal_writer_delay=10s"}}}
}

func (c *crashing) url() string { return c.Address("drawbridge", "drawbridge") }

// connect connects, and closes with the test.
func (c *crashing) connect(user, database string) *pgx.Conn {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.Address(user, database))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// start starts it, after a crash too, and waits until it has recovered.
func (c *crashing) start() {
	c.t.Helper()
	for _, left := range []string{"data/postmaster.pid", ".s.PGSQL.5432", ".s.PGSQL.5432.lock"} {
		_ = os.Remove(filepath.Join(c.Dir, left))
	}
	if err := c.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// kill is kill -9 of the server and all its processes.
func (c *crashing) kill() {
	if c.Process == nil {
		return
	}
	children, _ := exec.Command("pgrep", "-P", strconv.Itoa(c.PID())).Output() //nolint:gosec // our own server
	c.Kill()
	for _, pid := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(pid); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
	time.Sleep(200 * time.Millisecond) // the children have let go of its memory
}

// keepUnwritten stops the process that writes what no commit asked for, which it also does early,
// where a page of the log is full.
func (c *crashing) keepUnwritten() {
	c.t.Helper()
	out, err := exec.CommandContext(c.t.Context(), "pgrep", "-P", strconv.Itoa(c.PID()), "-f", "walwriter").Output() //nolint:gosec // our own server
	if err != nil {
		c.t.Fatalf("no process writes the log: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
}

// others are nodes that beat and polls that need numbers: each commits one transaction.
func (c *crashing) others(n int) {
	c.t.Helper()
	conn := c.connect("drawbridge", "drawbridge")
	for range n {
		if _, err := conn.Exec(c.t.Context(), "insert into commits (token, at, lost) values (gen_random_uuid()::text::bytea, 0, false)"); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *crashing) next() (txid int64) {
	c.t.Helper()
	if err := c.connect("drawbridge", "drawbridge").QueryRow(c.t.Context(), "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&txid); err != nil {
		c.t.Fatal(err)
	}
	return txid
}

// alone believes what it remembers, and waits for nobody.
type alone struct{}

func (alone) Fresh() bool                    { return true }
func (alone) Await(time.Time, ...store.News) {}
func (alone) Outwait(time.Time)              {}
func (alone) Lapse()                         {}

// A server that is killed gives numbers again that it had given and not yet written. A node had passed
// them; what another node ends under them afterwards, it refuses with its next poll, whoever of the two
// finds the server first, and a cursor of before is told that it is over.
func TestACrashGivesNumbersAgainAndNobodyMissesAnything(t *testing.T) {
	for name, first := range map[string]bool{"the other node is first": false, "the node polls first": true} {
		t.Run(name, func(t *testing.T) {
			c := newCrashing(t)
			a, b := node(t, c.url()), node(t, c.url())
			storetest.Prepare(t, a)
			a.JoinPeers(alone{})
			b.JoinPeers(alone{})
			touch := storetest.Touches()[4] // a family
			follow := func(begun bool) {
				t.Helper()
				if found, err := b.Follow(t.Context()); err != nil || found.Begun != begun {
					t.Fatalf("%+v (%v)", found, err)
				}
			}
			follow(true)
			if known, err := touch.Known(t.Context(), b); known || err != nil {
				t.Fatal(known, err)
			}
			c.keepUnwritten()
			unwritten := c.connect("drawbridge", "drawbridge")
			for range 60 { // requests that are refused, and roll back
				if _, err := unwritten.Exec(t.Context(), "begin; select pg_current_xact_id(); rollback"); err != nil {
					t.Fatal(err)
				}
			}
			follow(false)
			cursor, err := b.LastChange(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			before := c.next()
			c.kill()
			c.start()
			if after := c.next(); after >= before {
				t.Fatalf("the next number was %d and is %d: this test shows nothing", before, after)
			}
			if first {
				eventually(t, func() error { _, err := b.Follow(t.Context()); return err })
				follow(false)
			}
			eventually(t, func() error { return a.Update(t.Context(), touch.Do) })
			c.others(100) // the node's place is behind the server's again
			if !first {
				eventually(t, func() error { _, err := b.Follow(t.Context()); return err })
			} else {
				follow(false)
			}
			var known bool
			eventually(t, func() (err error) { known, err = touch.Known(t.Context(), b); return err })
			if !known {
				t.Error("a node accepts what another has ended after the crash")
			}
			follow(false)
			if got, err := b.Changes(t.Context(), cursor, 10); err != nil || got.Whole {
				t.Errorf("a cursor of before the crash: %+v (%v)", got, err)
			}
		})
	}
}

// standby is a copy of c that follows it while both run.
func (c *crashing) standby() *crashing {
	c.t.Helper()
	s := notYetCrashing(c.t)
	if err := s.Run("pg_basebackup", "-h", c.Dir, "-U", "postgres", "-D", s.Data(), "-R", "-c", "fast"); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// A standby takes over that has not received the latest: it gives the numbers of those transactions, and
// the ids of their news, out again. What is lost is lost; what is ended afterwards every node refuses.
func TestAStandbyThatTakesOverGivesNumbersAgain(t *testing.T) {
	c := newCrashing(t)
	var primary atomic.Pointer[crashing]
	primary.Store(c)
	dir := before(t, func() string { return primary.Load().Dir }, func([]byte) bool { return true })
	url := strings.Replace(c.url(), c.Dir, dir, 1)
	a, b := node(t, url), node(t, url)
	storetest.Prepare(t, a)
	a.JoinPeers(alone{})
	b.JoinPeers(alone{})
	touch := storetest.Touches()[4] // a family
	if found, err := b.Follow(t.Context()); err != nil || !found.Begun {
		t.Fatalf("%+v (%v)", found, err)
	}
	s := c.standby()
	c.others(100) // which it does not receive
	if found, err := b.Follow(t.Context()); err != nil || found.Begun {
		t.Fatalf("%+v (%v)", found, err)
	}
	if known, err := touch.Known(t.Context(), b); known || err != nil {
		t.Fatal(known, err)
	}
	lost := c.next()
	c.kill()
	s.start()
	t.Cleanup(s.kill)
	if _, err := s.connect("postgres", "postgres").Exec(t.Context(), "select pg_promote()"); err != nil {
		t.Fatal(err)
	}
	primary.Store(s)
	if now := s.next(); now >= lost {
		t.Fatalf("the next number was %d and is %d: this test shows nothing", lost, now)
	}
	eventually(t, func() error { return a.Update(t.Context(), touch.Do) })
	s.others(200)
	var found store.Followed
	eventually(t, func() (err error) { found, err = b.Follow(t.Context()); return err })
	if !found.Begun {
		t.Errorf("it goes on where it was: %+v", found)
	}
	var known bool
	eventually(t, func() (err error) { known, err = touch.Known(t.Context(), b); return err })
	if !known {
		t.Error("a node accepts what another has ended after the failover")
	}
}

// eventually tries again while the server's connections of before are found to be gone.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
		if !fault.Is(err, fault.Unavailable) {
			break
		}
	}
	t.Fatal(err)
}

// A server is killed with a commit that it has not heard of, and gives its number to somebody else,
// who commits. Nobody is told that what was lost is there.
func TestACommitThatACrashLostIsNotAnswered(t *testing.T) {
	c := newCrashing(t)
	killed, cut := make(chan bool, 1), make(chan bool)
	var armed atomic.Bool
	dir := before(t, func() string { return c.Dir }, func(text []byte) bool {
		if !bytes.Contains(text, []byte("commit\x00")) || !armed.CompareAndSwap(true, false) {
			return true
		}
		killed <- true
		<-cut
		return false
	})
	if err := Migrate(t.Context(), c.url()); err != nil {
		t.Fatal(err)
	}
	e, err := OpenEngine(t.Context(), strings.Replace(c.url(), c.Dir, dir, 1), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	armed.Store(true)
	var ran, told atomic.Int32
	answer := make(chan error, 1)
	go func() {
		answer <- e.Update(t.Context(), "", func(q store.Querier) error {
			if ran.Add(1) > 1 {
				return fault.New(fault.Unavailable, "test", "once is enough")
			}
			_, err := q.Exec("insert into clients (id, active, epoch) values ('lost', true, 0)")
			return err
		}, func() { told.Add(1) })
	}()
	<-killed
	c.kill()
	c.start()
	c.others(50)
	close(cut)
	select {
	case err := <-answer:
		if !fault.Is(err, fault.Unavailable) || told.Load() != 0 {
			t.Errorf("it was answered %v, and told %d times; it is not there", err, told.Load())
		}
	case <-time.After(60 * time.Second):
		t.Error("it was not answered")
	}
}

// before stands before a server: what is sent to it goes on while pass allows it.
func before(t *testing.T, server func() string, pass func([]byte) bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	pipe := func(from, to net.Conn, pass func([]byte) bool) {
		defer from.Close()
		defer to.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if err != nil || !pass(b[:n]) {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			behind, err := net.Dial("unix", filepath.Join(server(), ".s.PGSQL.5432"))
			if err != nil {
				_ = client.Close()
				continue
			}
			go pipe(client, behind, pass)
			go pipe(behind, client, func([]byte) bool { return true })
		}
	}()
	return dir
}
