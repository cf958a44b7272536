package drive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// mostWaits is how often one request is sent again after 429 before it counts as
// refused: what Okta does.
const mostWaits = 10

// sender sends the vendor's requests, and respects 429: everybody pauses, as one
// client would, and the request is sent again. The server has not acted on it, so
// nothing can be done twice.
type sender struct {
	wire    *idp.Wire
	now     func() time.Time
	backoff time.Duration
	again   atomic.Int64 // requests that were sent again after 429

	mu     sync.Mutex // guards the rest
	until  time.Time  // nobody sends before
	waited time.Duration
}

// Send implements idp.Sender.
func (s *sender) Send(ctx context.Context, method, path string, body, into any) error {
	for n := 0; ; n++ {
		if err := s.pause(ctx); err != nil {
			return err
		}
		err := s.wire.Send(ctx, method, path, body, into)
		var refused *idp.SCIMError
		if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests || n == mostWaits {
			return err
		}
		s.again.Add(1)
		s.hold(max(refused.RetryAfter, s.backoff<<min(n, 6)))
	}
}

// hold lets nobody send for that long.
func (s *sender) hold(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if until := now.Add(d); until.After(s.until) {
		s.waited += until.Sub(later(now, s.until))
		s.until = until
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *sender) pause(ctx context.Context) error {
	s.mu.Lock()
	left := s.until.Sub(s.now())
	s.mu.Unlock()
	return sleep(ctx, left)
}

// sleep waits, or less if ctx ends: then its cause is the error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func newSender(o Options, m *meter) *sender {
	base, flag := o.target()
	manner := idp.OktaManner()
	if o.Vendor == VendorEntra {
		manner = idp.EntraManner(flag)
	}
	const largest = 256 << 20 // bytes: a group of a million members, read to check it
	return &sender{now: o.Now, backoff: o.Backoff, wire: &idp.Wire{Base: base, Token: o.Token, Client: client(o), Now: o.Now,
		Manner: manner, Observe: m.observe, Limit: largest}}
}

// client keeps one connection for each request at a time, follows no redirect and
// uses no proxy: the token goes to the server that was named, and nowhere else.
func client(o Options) *http.Client {
	dial := &net.Dialer{Timeout: 10 * time.Second}
	if !o.IOwnThisServer {
		dial.Control = loopbackOnly
	}
	return &http.Client{
		Timeout: o.RequestTimeout,
		Transport: &http.Transport{DialContext: dial.DialContext, MaxIdleConnsPerHost: o.Concurrency, MaxConnsPerHost: o.Concurrency,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// loopbackOnly looks at the address that is really dialled: a name may lead anywhere.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not this machine, and --i-own-this-server was not given", host)
	}
	return nil
}
