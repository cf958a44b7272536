package bridge

import (
	"net/netip"
	"sync"
	"time"
)

// attempts bounds how often somebody may prove nothing at the token endpoint before
// they are told to wait. It counts per client at one network, and per network over all
// clients. A network is an IPv4 address or
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

// fail counts an attempt that proved nothing, and reports whether so many were
// expected. It is asked when the attempt has been looked at: a secret has 256 bits, so
// what counts is not that nobody guesses it, but that nobody's guesses, behind the same
// address or proxy, keep out who knows it.
func (a *attempts) fail(client string, from netip.Addr, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, all := attemptKey{client, networkOf(from)}, attemptKey{"", networkOf(from)}
	if !a.roomLocked(one, pacePerClient(), now) || !a.roomLocked(all, pacePerNetwork(), now) {
		return false
	}
	a.addLocked(one, pacePerClient(), now)
	a.addLocked(all, pacePerNetwork(), now)
	return true
}

// roomLocked: the stored instant is when the bucket would be full again.
func (a *attempts) roomLocked(k attemptKey, p pace, now time.Time) bool {
	return a.getLocked(k).Sub(now) <= time.Duration(p.burst-1)*p.every
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
