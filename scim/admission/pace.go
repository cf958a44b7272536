package admission

import (
	"net/netip"
	"sync"
	"time"
)

// Pace is how often something may happen: Burst times at once, then once more each
// time Every has passed. The zero Pace lets everything pass.
type Pace struct {
	Every time.Duration
	Burst int
}

// maxKept is how many keys one generation of Paces holds: some 100 bytes each.
const maxKept = 8192

// Paces remembers for each key when it may again (the generic cell rate algorithm). It is
// bounded: of what was not asked for lately, the older half is forgotten, and what is
// forgotten may. It is for strangers, who choose their keys themselves: the keys must be
// short. The zero Paces is ready, and safe for concurrent use.
type Paces[K comparable] struct {
	mu         sync.Mutex      // guards what follows
	young, old map[K]time.Time // when the key's bucket would be full again
}

// Take counts one more, or says how long to wait until one more may be, and counts nothing.
func (p *Paces[K]) Take(k K, at Pace, now time.Time) (wait time.Duration) {
	if at == (Pace{}) {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	full := p.getLocked(k)
	if full.Before(now) {
		full = now
	}
	if over := full.Sub(now) - time.Duration(at.Burst-1)*at.Every; over > 0 {
		return over
	}
	if p.young == nil || len(p.young) >= maxKept {
		p.young, p.old = make(map[K]time.Time), p.young
	}
	p.young[k] = full.Add(at.Every)
	return 0
}

func (p *Paces[K]) getLocked(k K) time.Time {
	if t, ok := p.young[k]; ok {
		return t
	}
	return p.old[k]
}

// Network is what counts as one stranger: an IPv4 address, or an IPv6 /64, which is
// what one customer of a provider has.
func Network(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	return netip.PrefixFrom(a, 64).Masked().Addr()
}
