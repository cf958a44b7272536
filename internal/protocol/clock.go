package protocol

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lease"
)

// began is the wall clocks' time when a history begins.
var began = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

// Bound is by how much a wall clock may be wrong, if nobody has set it.
const Bound = 200 * ms

// clocks are a machine's two. Both go a little too fast or too slow, within what lease.Margin allows.
type clocks struct {
	rate  int64 // in thousandths faster than the time
	ahead time.Duration
	stood time.Duration // how long the monotonic clock has stood still
	since time.Duration // since when it stands still; < 0: it goes
	unset time.Duration // when it last stood still, or was set back: not both within a lease
}

func (c *clocks) run(d time.Duration) time.Duration { return d + d/1000*time.Duration(c.rate) }

// takes is how long it takes until the monotonic clock has gone on by d.
func (c *clocks) takes(d time.Duration) time.Duration { return d * 1000 / time.Duration(1000+c.rate) }

// mono is the monotonic clock.
func (c *clocks) mono(now time.Duration) time.Duration {
	if c.since >= 0 {
		now = c.since
	}
	return c.run(now - c.stood)
}

func (c *clocks) wall(now time.Duration) time.Time { return began.Add(now + c.ahead) }

func (c *clocks) look(now time.Duration, f Fault) lease.Instant {
	i := lease.Instant{Mono: c.mono(now), Wall: c.wall(now)}
	switch f {
	case MonotonicOnly:
		i.Wall = began.Add(i.Mono)
	case WallOnly:
		i.Mono = i.Wall.Sub(began)
	}
	return i
}

// stop stops the monotonic clock, unless the wall clock was set back lately: then nothing in
// the machine would know what time has passed, and no protocol can help.
func (c *clocks) stop(now time.Duration) bool {
	if c.since >= 0 || c.unset > 0 && now < c.unset+2*lease.Longest {
		return false
	}
	c.since = now
	return true
}

func (c *clocks) start(now time.Duration) {
	if c.since >= 0 {
		c.stood += now - c.since
		c.since, c.unset = -1, now
	}
}

// set sets the wall clock, but back only while the monotonic one goes and has gone.
func (c *clocks) set(now, by time.Duration) {
	if by < 0 {
		if c.since >= 0 || c.unset > 0 && now < c.unset+2*lease.Longest {
			return
		}
		c.unset = now
	}
	c.ahead += by
}
