package bridge

import (
	"net/netip"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// attempts bounds how often somebody may prove nothing at the token endpoint before
// they are told to wait. It counts per client at one network, and per network over all
// clients.
type attempts struct{ paces admission.Paces[attemptKey] }

// attemptKey is "" for every client of a network.
type attemptKey struct {
	client  string
	network netip.Addr
}

func pacePerClient() admission.Pace  { return admission.Pace{Every: 3 * time.Second, Burst: 20} }
func pacePerNetwork() admission.Pace { return admission.Pace{Every: time.Second, Burst: 100} }

// fail counts an attempt that proved nothing, and reports whether so many were
// expected. It is asked when the attempt has been looked at: a secret has 256 bits, so
// what counts is not that nobody guesses it, but that nobody's guesses, behind the same
// address or proxy, keep out who knows it.
func (a *attempts) fail(client string, from netip.Addr, now time.Time) bool {
	at := admission.Network(from)
	return a.paces.Take(attemptKey{client, at}, pacePerClient(), now) == 0 && a.paces.Take(attemptKey{"", at}, pacePerNetwork(), now) == 0
}
