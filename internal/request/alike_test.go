package request

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// "For 14 days", said again a minute later, is the same; the day after it is not.
func TestAlikeTermsDifferByNoMoreThanPeopleTell(t *testing.T) {
	until := func(d time.Duration) Terms {
		return Terms{Grant: access.Standard, Scope: "pacific", Until: noon.Add(d)}
	}
	open := Terms{Grant: access.Standard, Scope: "pacific"}
	for _, c := range []struct {
		a, b Terms
		want bool
	}{
		{until(0), until(time.Minute), true}, {until(time.Minute), until(0), true}, {until(0), until(alike), false},
		{open, open, true}, {open, until(0), false}, {until(0), open, false},
		{until(0), Terms{Grant: access.Elevated, Scope: "pacific", Until: noon}, false},
	} {
		if got := c.a.Alike(c.b); got != c.want {
			t.Errorf("%+v, %+v: %v", c.a, c.b, got)
		}
	}
}
