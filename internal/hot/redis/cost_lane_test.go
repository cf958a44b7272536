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
	said, err := c.Info(t.Context(), "commandstats").Result()
	ok(t, err)
	for line := range strings.Lines(said) {
		_, rest, counted := strings.Cut(line, ":calls=")
		if !counted || strings.HasPrefix(line, "cmdstat_info:") {
			continue
		}
		n, _, _ := strings.Cut(rest, ",")
		more, err := strconv.Atoi(n)
		ok(t, err)
		sum += more
	}
	return sum
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
