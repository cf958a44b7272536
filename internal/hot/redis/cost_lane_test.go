//go:build lanes

package redis

import (
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// calls is how many commands the server has run, but for INFO.
func calls(t *testing.T, c *goredis.Client) (sum int) {
	t.Helper()
	for command, n := range counted(t, c) {
		if command != "info" {
			sum += n
		}
	}
	return sum
}

func called(t *testing.T, c *goredis.Client, command string) int {
	t.Helper()
	return counted(t, c)[command]
}

// counted is how often the server has run each command.
func counted(t *testing.T, c *goredis.Client) map[string]int {
	t.Helper()
	all := map[string]int{}
	said, err := c.Info(t.Context(), "commandstats").Result()
	ok(t, err)
	for line := range strings.Lines(said) {
		name, rest, ours := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ours {
			continue
		}
		text, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(text)
		ok(t, err)
		all[name] = n
	}
	return all
}

// A sign-in's code is made, redeemed and gives a family in as few questions as there are records, and
// none of them has the server tell more of itself than its replication.
func TestWhatACodeAsks(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	redeem := func(n int) {
		t.Helper()
		d, g := codeOf(n)
		ok(t, e.PutCode(t.Context(), d, g, at(0)))
		if _, outcome, err := e.ConsumeCode(t.Context(), d, owner, at(1)); outcome != hot.OK || err != nil {
			t.Fatal(outcome, err)
		}
		ok(t, e.PutFamily(t.Context(), familyOf(g.Family, "ses")))
	}
	redeem(0) // the scripts are loaded
	c := s.Client()
	defer c.Close() //nolint:errcheck // a client of the test
	asked, infos := e.Counts().Answered, called(t, c, "info")
	const times = 10
	for n := range times {
		redeem(1 + n)
	}
	asked, infos = e.Counts().Answered-asked, called(t, c, "info")-infos-1 // the count itself
	t.Logf("%d questions, of which the server was asked about itself %d times", asked, infos)
	if asked != 8*times { // two for the code and whose it is; four to redeem it, the list and the family's mark among them; two for the family
		t.Errorf("%d codes took %d questions", times, asked)
	}
	if most := 8 * times; infos > most { // once a question, but for what only makes room; twice where a family is put
		t.Errorf("the server was asked about itself %d times, more than %d", infos, most)
	}
}

// A rotation reads its family and changes it: two round trips, in which the server does little.
func TestARotationAsksTwice(t *testing.T) {
	s := start(t)
	e := engine(t, s.where(), Limits{})
	ok(t, e.PutFamily(t.Context(), familyOf("fam", "ses")))
	rotate := func(n int64) {
		t.Helper()
		if _, outcome, err := e.Rotate(t.Context(), rotationOf("fam", n)); outcome != hot.OK || err != nil {
			t.Fatal(outcome, err)
		}
	}
	rotate(1) // its scripts are loaded
	c := s.Client()
	defer c.Close() //nolint:errcheck // a client of the test
	asked, before := e.Counts().Answered, calls(t, c)
	const times = 10
	for n := range int64(times) {
		rotate(2 + n)
	}
	asked = e.Counts().Answered - asked
	done := calls(t, c) - before
	t.Logf("%d questions, %d commands", asked, done)
	if asked != 2*times {
		t.Errorf("%d rotations asked the server %d times", times, asked)
	}
	if most := 7 * times; done > most { // two scripts, the mark and the record twice, and what is written
		t.Errorf("the server has run %d commands, more than %d", done, most)
	}
}
