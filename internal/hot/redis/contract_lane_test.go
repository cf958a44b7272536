//go:build lanes

package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/hot/hottest"
)

func TestContract(t *testing.T) {
	s := start(t)
	hottest.Run(t, func(t *testing.T) hot.Engine { return engine(t, s.where(), Limits{}) })
	f := engine(t, s.where(), Limits{}).Feed("news")
	publish(t, f, 0, 3)
	everythingGoesByItself(t, s)
	namesOnly(t, s)
}

// A full engine keeps the same contract.
func TestContractWhereRoomIsScarce(t *testing.T) {
	s := start(t)
	hottest.Run(t, func(t *testing.T) hot.Engine {
		return engine(t, s.where(), Limits{Requests: 8 << 20, Pushed: 8 << 20, Codes: 2 << 20})
	})
}

// Families go on when a bridge restarts.
func TestContractAcrossRestartsOfTheBridge(t *testing.T) {
	s := start(t)
	key, err := laneKey.HotKey()
	if err != nil {
		t.Fatal(err)
	}
	hottest.RunDurable(t, func(t *testing.T, dir string) hot.Engine {
		e, err := Open(t.Context(), Config{Server: s.where(), Prefix: fmt.Sprintf("%x", credential.DigestOf(dir)), Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

// Threats: T-B9.
func TestI4_OneLiveLeafPerFamily(t *testing.T) {
	s := start(t)
	hottest.OneLiveLeafPerFamily(t, engine(t, s.where(), Limits{}))
}

// everythingGoesByItself: but for the marks, whose number is fixed, every key has an end.
func everythingGoesByItself(t *testing.T, s *server) {
	t.Helper()
	c := s.Client()
	defer c.Close() //nolint:errcheck // a client of the test
	seen := 0
	for all := c.Scan(t.Context(), 0, "*", 1000).Iterator(); all.Next(t.Context()); seen++ {
		key := all.Val()
		ttl, err := c.PTTL(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if ttl < 0 && !strings.HasSuffix(key, ":mark") {
			t.Errorf("%s is kept for ever", key)
		}
	}
	if seen < 1000 {
		t.Errorf("only %d keys were looked at", seen)
	}
}

// namesOnly: a dump of Redis tells neither who signs in nor by what. The words are long enough that
// what is sealed does not spell them by chance.
func namesOnly(t *testing.T, s *server) {
	t.Helper()
	c := s.Client()
	defer c.Close() //nolint:errcheck // a client of the test
	for all := c.Scan(t.Context(), 0, "*", 1000).Iterator(); all.Next(t.Context()); {
		key := all.Val()
		kind, err := c.Type(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		text := key
		if kind == "string" {
			text += c.Get(t.Context(), key).Val()
		}
		for _, word := range []string{"per_mara", "salt of", "verifier", "fleet.example", "203.0.113.7"} {
			if strings.Contains(text, word) {
				t.Fatalf("%s shows %q", fmt.Sprintf("%.60q", key), word)
			}
		}
	}
}

// Two deployments in one database know nothing of each other, though all ids are the same.
func TestTwoDeploymentsInOneDatabase(t *testing.T) {
	s := start(t)
	deployment := func() *Engine {
		key, err := credential.NewDataKey().HotKey()
		ok(t, err)
		e, err := Open(t.Context(), Config{Server: s.where(), Key: key})
		ok(t, err)
		t.Cleanup(func() { ok(t, e.Close()) })
		return e
	}
	one, other := deployment(), deployment()
	world(t, one)
	world(t, other)
	change(t, other)
	change(t, one)
	from, err := one.Feed("news").End(t.Context())
	ok(t, err)
	publish(t, other.Feed("news"), 0, 3)
	if got, _ := follow(t, one.Feed("news"), from); len(got) != 0 {
		t.Errorf("one hears of the other: %s", got)
	}
}
