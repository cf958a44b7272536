// Package lease says how long a node may believe what it remembers, and whom a commit waits
// for: the arithmetic of the promise that no node accepts what another has ended. Instants
// are arguments.
package lease

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/planted"
)

const (
	// Life is how long a node believes what it remembers after a poll of the directory,
	// counted from the instant before the poll was sent.
	Life = time.Second
	// Margin is what clocks may differ in their speed within a Life, and what it takes to look
	// at them.
	Margin = 250 * time.Millisecond
	// Every is how often the directory is polled.
	Every = 250 * time.Millisecond
	// Longest is how long a commit waits at most: whoever believes their memory after it has
	// polled after the commit.
	Longest = Life + Margin
)

// Instant is one look at both clocks of a machine. The monotonic one stands still while the
// machine is frozen, and the other may be set.
type Instant struct {
	Mono time.Duration // since the process began
	Wall time.Time
}

// Since is what the clocks say has passed since an earlier instant: the longer of both, and more
// than any Life if the wall clock was set back.
func (i Instant) Since(earlier Instant) time.Duration {
	if planted.Bug(planted.LeaseByMonotonicOnly) {
		return i.Mono - earlier.Mono
	}
	wall := i.Wall.Round(0).Sub(earlier.Wall.Round(0))
	if wall < 0 {
		return 1<<63 - 1
	}
	return max(wall, i.Mono-earlier.Mono)
}

// Lease is the right to believe one's memory. The zero Lease gives none.
type Lease struct {
	from   Instant
	given  bool
	lapsed time.Duration // no poll that was sent before gives it again
}

// Renewed is the lease after a poll whose news were all applied, sent after that instant was
// looked at. An older poll changes nothing.
func (l Lease) Renewed(sent Instant) Lease {
	if sent.Mono < l.lapsed || l.given && sent.Mono < l.from.Mono {
		return l
	}
	l.from, l.given = sent, true
	return l
}

// Lapsed ends the lease: only a poll that is sent from now on gives it again.
func (l Lease) Lapsed(now Instant) Lease {
	return Lease{lapsed: max(l.lapsed, now.Mono+1)}
}

// Valid reports whether what is remembered may be believed: only if both clocks say so.
func (l Lease) Valid(now Instant) bool { return l.Left(now) > 0 }

// Left is how much of the lease is left; 0 if nothing.
func (l Lease) Left(now Instant) time.Duration {
	if !l.given {
		return 0
	}
	return max(0, Life-now.Since(l.from))
}
