package scim

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// DefaultRate is what a connection may ask where nothing else is said. Entra ID asks
// a server for 25 requests a second, sustained; this is forty times as much. What
// may be saved up is an initial cycle of a million people, at any speed.
func DefaultRate() admission.Rate { return admission.Rate{PerSecond: 1000, Burst: 2_500_000} }

// strangerRate is how often somebody at one address may try a credential of one
// connection that does not count.
var strangerRate = admission.Rate{PerSecond: 20, Burst: 200} //nolint:gochecknoglobals // a constant

const (
	mostStrangers = 1024 // kinds of strangers that are told apart
	atOnce        = 32   // requests of one connection that are worked on at once
	inLine        = 1024 // others of it, which wait
	mostBulks     = 4    // bulks under way at once: each may hold many times its own size
	bulksOfOne    = 2    // of one connection
	bulksInLine   = 32   // others of it, which wait
	tokenBytes    = 64 << 10
)

// limits decide when requests are let in: each connection has its own rate and its own
// places, so that one's storm is its own. They are asked once a credential has been
// found good; what wrong ones do costs no connection anything.
type limits struct {
	rate      admission.Rate
	buckets   admission.Buckets
	work      *admission.Turnstile
	bulks     *admission.Turnstile
	strangers admission.Buckets
	seed      maphash.Seed
}

func newLimits(rate admission.Rate) *limits {
	if rate == (admission.Rate{}) {
		rate = DefaultRate()
	}
	return &limits{rate: rate, work: admission.NewTurnstile(0, atOnce, inLine), bulks: admission.NewTurnstile(mostBulks, bulksOfOne, bulksInLine), seed: maphash.MakeSeed()}
}

// admit lets a request in, or says when to come again. Who was let in leaves.
func (s *Server) admit(ctx context.Context, c *call, key string, rate admission.Rate) error {
	if rate == (admission.Rate{}) {
		rate = s.limits.rate
	}
	if wait := s.limits.buckets.Take(key, rate, s.now()); wait > 0 {
		return later(wait, "This connection may send "+strconv.Itoa(rate.PerSecond)+" requests a second; repeat this one after the time in Retry-After.")
	}
	if err := enter(ctx, s.limits.work, key); err != nil {
		return err
	}
	c.inside = key
	return nil
}

// leave makes room for the next one, and charges what the request weighed: a token
// for each further operation of a bulk, and for each 64 KiB sent and answered.
func (s *Server) leave(c *call) {
	if c.inside != "" {
		s.limits.work.Leave(c.inside)
		s.limits.buckets.Charge(c.inside, max(c.operations-1, 0)+c.bytes/tokenBytes)
	}
}

// enter waits for its turn. A line that is too long, or takes too long, is the
// client's own.
func enter(ctx context.Context, at *admission.Turnstile, key string) error {
	err := at.Enter(ctx, key)
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	e := later(time.Second, "Too many requests of this connection are under way; send fewer at once, and repeat this one after the time in Retry-After.")
	e.Err = err
	return e
}

// stranger bounds how fast credentials may be tried: by where they come from and
// whose they are said to be, in so many kinds that neither an attacker nor another
// customer's forgotten token stands in anybody's way.
func (s *Server) stranger(c *call, refused error) error {
	if asError(refused).Status != http.StatusUnauthorized {
		return refused
	}
	from, _ := s.from(c.r).MarshalBinary() // its error is always nil
	kind := maphash.String(s.limits.seed, string(from)+"/"+c.path.connection) % mostStrangers
	if wait := s.limits.strangers.Take(strconv.FormatUint(kind, 10), strangerRate, s.now()); wait > 0 {
		e := later(wait, "Too many requests with a credential that does not count; mend it, and come again after the time in Retry-After.")
		e.Err = refused
		return e
	}
	return refused
}

func later(wait time.Duration, detail string) *Error {
	e := TooManyRequests(wait)
	e.Detail = detail
	return e
}
