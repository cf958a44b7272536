package bridge

import (
	"net/netip"
	"sync"
	"time"
)

// attempts bounds how often somebody may prove nothing at the token endpoint. It
// counts per client at one network, so that a stranger who guesses from elsewhere
// locks nobody out, and per network over all clients. A network is an IPv4 address or
// an IPv6 /64, which is what one customer of a provider has.
//
// It is bounded: of what was not asked for lately, the older half is forgotten.
type attempts struct {
	mu         sync.Mutex // guards what follows
	young, old map[attemptKey]time.Time
}

// attemptKey is "" for every client of a network.
type attemptKey struct {
	client  string
	network netip.Addr
}

// pace is a bucket: burst at once, then one more each time every has passed.
type pace struct {
	every time.Duration
	burst int
}

func pacePerClient() pace  { return pace{3 * time.Second, 20} }
func pacePerNetwork() pace { return pace{time.Second, 100} }

// maxAttempts is how many keys one generation holds: some 100 bytes each.
const maxAttempts = 8192

func networkOf(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	return netip.PrefixFrom(a, 64).Masked().Addr()
}

// may reports whether a further attempt is looked at.
func (a *attempts) may(client string, from netip.Addr, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	network := networkOf(from)
	return a.roomLocked(attemptKey{client, network}, pacePerClient(), now) && a.roomLocked(attemptKey{"", network}, pacePerNetwork(), now)
}

// roomLocked: the stored instant is when the bucket would be full again.
func (a *attempts) roomLocked(k attemptKey, p pace, now time.Time) bool {
	return a.getLocked(k).Sub(now) <= time.Duration(p.burst-1)*p.every
}

// failed counts an attempt that proved nothing.
func (a *attempts) failed(client string, from netip.Addr, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	network := networkOf(from)
	a.addLocked(attemptKey{client, network}, pacePerClient(), now)
	a.addLocked(attemptKey{"", network}, pacePerNetwork(), now)
}

func (a *attempts) addLocked(k attemptKey, p pace, now time.Time) {
	full := a.getLocked(k)
	if full.Before(now) {
		full = now
	}
	if a.young == nil || len(a.young) >= maxAttempts {
		a.young, a.old = make(map[attemptKey]time.Time), a.young
	}
	a.young[k] = full.Add(p.every)
}

func (a *attempts) getLocked(k attemptKey) time.Time {
	if t, ok := a.young[k]; ok {
		return t
	}
	return a.old[k]
}
