// Package admission says who may ask now: so much in a time for each who is known
// (Buckets) and for strangers (Paces), so many at once for each, and who goes next where
// several wait (Turnstile). It reads no clock.
package admission

import (
	"math"
	"sync"
	"time"
)

// Rate is how much somebody may ask.
type Rate struct {
	PerSecond int // for as long as they like
	Burst     int // at once, after they have been silent long enough
}

// Buckets are the token buckets of many keys. They are safe for concurrent use, and
// hold only those that are not full.
type Buckets struct {
	mu  sync.Mutex
	all map[string]*bucket
}

type bucket struct {
	tokens float64 // may be below nothing: a request is weighed when it has been served
	at     time.Time
}

// sweepAt is how many buckets are held before those that are full are looked for.
const sweepAt = 1024

// Take takes one token, or says how long to wait until there is one.
func (b *Buckets) Take(key string, r Rate, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.all[key]
	if at == nil {
		at = b.add(key, r, now)
	}
	at.fill(r, now)
	if at.tokens < 1 {
		return time.Duration(math.Ceil((1 - at.tokens) / float64(r.PerSecond) * float64(time.Second)))
	}
	at.tokens--
	return 0
}

// Charge takes more for a request that was let in and turned out to weigh more.
func (b *Buckets) Charge(key string, tokens int) {
	if tokens <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := b.all[key]; at != nil {
		at.tokens -= float64(tokens)
	}
}

func (b *Buckets) add(key string, r Rate, now time.Time) *bucket {
	if b.all == nil {
		b.all = map[string]*bucket{}
	}
	if len(b.all) >= sweepAt {
		for other, at := range b.all {
			if at.fill(r, now); at.tokens >= float64(r.Burst) { // of about the same rate: one that is forgotten too early was nearly full
				delete(b.all, other)
			}
		}
	}
	at := &bucket{tokens: float64(r.Burst), at: now}
	b.all[key] = at
	return at
}

// fill adds what has come since; a clock that goes back adds nothing.
func (b *bucket) fill(r Rate, now time.Time) {
	if since := now.Sub(b.at); since > 0 {
		b.tokens, b.at = b.tokens+since.Seconds()*float64(r.PerSecond), now
	}
	b.tokens = min(b.tokens, float64(r.Burst))
}
