//go:build lanes

package redis

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/lanes"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// linked reports whether a replica has all that its primary has.
func (s *server) linked() bool {
	return strings.Contains(fmt.Sprint(s.do("INFO", "replication")), "master_link_status:up")
}

// freeze stops the process where it is: what is sent to it waits.
func (s *server) freeze(t *testing.T) {
	t.Helper()
	if err := s.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// cut makes a replica one that hears nothing more of its primary, dead or alive.
func cut(primary, replica *server) {
	primary.do("WAIT", 1, 2000)
	replica.do("CONFIG", "SET", "masterauth", "another")
	primary.do("CLIENT", "KILL", "TYPE", "replica")
}

// has is a record as the server has it.
func (s *server) has(t *testing.T, e *Engine, kind, id string) string {
	t.Helper()
	at, err := e.place(t.Context(), "test", kind, id)
	ok(t, err)
	return fmt.Sprint(s.do("GET", at.key))
}

// sentinel watches a primary alone: one voice is enough to fail over.
func sentinel(t *testing.T, primary *server) string {
	t.Helper()
	dir, number := t.TempDir(), port(t)
	host, at, _ := strings.Cut(primary.Address(), ":")
	conf := fmt.Sprintf("port %d\nbind 127.0.0.1\nrequirepass \"of the Sentinel\"\ndir %s\nsentinel monitor lane %s %s 1\nsentinel auth-pass lane %s\nsentinel down-after-milliseconds lane 500\nsentinel failover-timeout lane 4000\n",
		number, dir, host, at, strings.ReplaceAll(password, " ", "_"))
	conf = strings.ReplaceAll(conf, strings.ReplaceAll(password, " ", "_"), `"`+password+`"`)
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := lanes.RedisProgram()
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := lanes.Launch(dir, "sentinel", nil, nil, program, file, "--sentinel")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		watcher.Kill()
		if t.Failed() {
			t.Log(watcher.Said())
		}
	})
	return fmt.Sprintf("127.0.0.1:%d", number)
}

// M-3: a replica that is cut off misses what was acknowledged; the primary dies and the replica
// becomes one.
func TestAStaleReplicaBehindSentinelsRevivesNothing(t *testing.T) {
	primary := start(t)
	host, number, _ := strings.Cut(primary.Address(), ":")
	replica := start(t, "--replicaof", host+" "+number)
	eventually(t, "the replica has all", replica.linked)
	watch := sentinel(t, primary)
	where := Server{Addresses: []string{watch}, Master: "lane", Password: secret.New(password), SentinelPassword: secret.New("of the Sentinel"), Timeout: 2 * time.Second}
	var e *Engine
	eventually(t, "the Sentinel knows the replica", func() bool {
		c := goredis.NewClient(&goredis.Options{Addr: watch, Password: "of the Sentinel"})
		defer c.Close() //nolint:errcheck // a client of the test
		info, err := c.Info(t.Context(), "sentinel").Result()
		return err == nil && strings.Contains(info, "slaves=1")
	})
	e = engine(t, where, Limits{})
	world(t, e)
	d, _ := codeOf(0)
	before := primary.has(t, e, kindCode, codeID(d))
	cut(primary, replica)
	change(t, e)
	primary.Kill()
	eventually(t, "the replica is a primary", func() bool {
		return strings.Contains(fmt.Sprint(replica.do("INFO", "replication")), "role:master")
	})
	if replica.has(t, e, kindCode, codeID(d)) != before {
		t.Fatal("the replica is not stale")
	}
	eventually(t, "the client has found it", func() bool { return e.Answers(t.Context()) == nil })
	nothingTwice(t, e)
	answers(t, e)
	nothingTwice(t, engine(t, where, Limits{}))
}

// pair is a primary and its replica, without Sentinels: the test decides who is what.
func pair(t *testing.T) (primary, replica *server) {
	t.Helper()
	primary = start(t)
	host, number, _ := strings.Cut(primary.Address(), ":")
	replica = start(t, "--replicaof", host+" "+number)
	eventually(t, "the replica has all", replica.linked)
	return primary, replica
}

// Two primaries at once, each with a node that believes in it: what one accepts the other does not.
func TestOfTwoPrimariesOneKnowsTheCode(t *testing.T) {
	primary, replica := pair(t)
	one := engine(t, primary.where(), Limits{})
	world(t, one)
	primary.do("WAIT", 1, 2000)
	replica.do("REPLICAOF", "NO", "ONE")
	two := engine(t, replica.where(), Limits{})
	nothing := func() {
		t.Helper()
		d, _ := codeOf(0)
		if _, outcome, err := two.ConsumeCode(t.Context(), d, owner, at(1)); outcome != hot.Unknown || err != nil {
			t.Errorf("the other primary: %d, %v", outcome, err)
		}
		if _, outcome, err := two.Rotate(t.Context(), rotationOf("rotated", 1)); outcome != hot.Unknown || err != nil {
			t.Errorf("the other primary: %d, %v", outcome, err)
		}
	}
	nothing()
	change(t, one)
	nothing()
}

// A primary that was made a replica and then a primary again, while nobody asked, has lost what the
// other had not heard of, although its process is the same.
func TestAPrimaryThatWasAReplicaMeanwhileRevivesNothing(t *testing.T) {
	primary, replica := pair(t)
	e := engine(t, primary.where(), Limits{})
	world(t, e)
	d, _ := codeOf(0)
	before := primary.has(t, e, kindCode, codeID(d))
	cut(primary, replica)
	change(t, e)
	replica.do("REPLICAOF", "NO", "ONE")
	host, number, _ := strings.Cut(replica.Address(), ":")
	primary.do("REPLICAOF", host, number)
	eventually(t, "it has what the other has", primary.linked)
	primary.do("REPLICAOF", "NO", "ONE")
	if primary.has(t, e, kindCode, codeID(d)) != before {
		t.Fatal("it has not lost what the replica had not heard of")
	}
	nothingTwice(t, e)
	answers(t, e)
}

// The first replica makes the server call its data by another name; nothing is lost by that.
func TestAReplicaThatComesLosesNothing(t *testing.T) {
	primary := start(t)
	e := engine(t, primary.where(), Limits{})
	world(t, e)
	before := fmt.Sprint(primary.do("INFO", "replication"))
	host, number, _ := strings.Cut(primary.Address(), ":")
	replica := start(t, "--replicaof", host+" "+number)
	eventually(t, "the replica has all", replica.linked)
	if id := "master_replid:"; strings.SplitN(before, id, 2)[1][:40] == strings.SplitN(fmt.Sprint(primary.do("INFO", "replication")), id, 2)[1][:40] {
		t.Log("this server keeps its name")
	}
	change(t, e)
	if _, outcome, err := e.Rotate(t.Context(), rotationOf("still", 1)); outcome != hot.OK || err != nil {
		t.Errorf("a family is %d, %v", outcome, err)
	}
	nothingTwice(t, e)
}

// Who is no primary is no place to write: a node that is led to a replica refuses.
func TestAReplicaIsNoServerForANode(t *testing.T) {
	_, replica := pair(t)
	key, err := laneKey.HotKey()
	ok(t, err)
	if _, err := Open(t.Context(), Config{Server: replica.where(), Prefix: "x", Key: key}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a replica: %v", err)
	}
}
