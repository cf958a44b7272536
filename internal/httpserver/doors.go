package httpserver

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// DefaultSignIns is how many steps of sign-ins one network may make. A sign-in takes four or
// so: a company of fifty thousand people behind one address that all begin to work within
// five minutes stays below it. What it stops is one machine that runs in a circle, or that
// is told to.
func DefaultSignIns() access.Rate { return access.Rate{PerSecond: 500, Burst: 60_000} }

// DefaultFailures is how often a client may fail to prove itself from one network.
func DefaultFailures() access.Rate { return access.Rate{PerSecond: 5, Burst: 300} }

// anyClient is how much more often all clients together may fail from one network: whoever
// guesses chooses the client's id, too.
const anyClient = 5

// DoorConfig is what Doors use. Refused may be nil.
type DoorConfig struct {
	SignIns, Failures access.Rate // zero: DefaultSignIns, DefaultFailures
	From              func(*http.Request) netip.Addr
	Now               func() time.Time
	Refused           func(door string) // DoorSignIn or DoorClient
}

// The doors, as metrics name them.
const (
	DoorSignIn = "sign_in"
	DoorClient = "client"
)

// Doors bounds what strangers may do before anybody knows who they are, by the network that
// they come from: an IPv4 address or an IPv6 /64. It holds a bounded number of networks and
// forgets those that have not come lately. Make it with NewDoors; it is safe for concurrent
// use.
type Doors struct {
	c                 DoorConfig
	signIns, failures admission.Pace
	visits            admission.Paces[netip.Addr]
	failed            admission.Paces[failure]
}

// failure is of one client, or "" of all.
type failure struct {
	network netip.Addr
	client  access.ClientID
}

// NewDoors makes Doors.
func NewDoors(c DoorConfig) *Doors {
	return &Doors{c: c, signIns: pace(c.SignIns, DefaultSignIns()), failures: pace(c.Failures, DefaultFailures())}
}

func pace(r, usual access.Rate) admission.Pace {
	if r == (access.Rate{}) {
		r = usual
	}
	return admission.Pace{Every: time.Second / time.Duration(max(r.PerSecond, 1)), Burst: r.Burst}
}

// Network is the network that a request comes from, as the doors count it: what it leaves
// behind is accounted to that.
func (d *Doors) Network(r *http.Request) string { return admission.Network(d.c.From(r)).String() }

// SignIn counts a step of a sign-in, or says how long to wait until one may be made.
func (d *Doors) SignIn(r *http.Request) (wait time.Duration) {
	wait = d.visits.Take(admission.Network(d.c.From(r)), d.signIns, d.c.Now())
	return d.told(wait, DoorSignIn)
}

// FailedClient counts that a client did not prove itself, or says how long to wait. It
// is asked when that has been found out: nobody's guesses keep out who knows the secret.
func (d *Doors) FailedClient(r *http.Request, id access.ClientID) (wait time.Duration) {
	from, now := admission.Network(d.c.From(r)), d.c.Now()
	wait = d.failed.Take(failure{from, id}, d.failures, now)
	if wait == 0 {
		wait = d.failed.Take(failure{network: from}, admission.Pace{Every: d.failures.Every / anyClient, Burst: d.failures.Burst * anyClient}, now)
	}
	return d.told(wait, DoorClient)
}

func (d *Doors) told(wait time.Duration, door string) time.Duration {
	if wait > 0 && d.c.Refused != nil {
		d.c.Refused(door)
	}
	return wait
}
