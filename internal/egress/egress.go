// Package egress is the one way out: every HTTP request that the bridge makes to a
// place somebody else named goes through its client.
//
// It speaks https only, follows no redirect, ignores proxy settings of the
// environment, and decides by the address actually dialled, after name resolution,
// so that a name which changes its answer gains nothing. What it reads is bounded
// in time and size.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// The limits of a request, from dialling to the last byte of the answer.
const (
	Timeout         = 5 * time.Second
	MaxResponse     = 1 << 20  // bytes of body, after decompression
	MaxHeader       = 32 << 10 // bytes of response header
	maxConnsPerHost = 16
)

// Options loosen the client. The zero Options are what production uses.
type Options struct {
	// RootCAs are trusted instead of the system's; nil: the system's.
	RootCAs *x509.CertPool
	// InsecureAllowLoopback permits 127.0.0.0/8 and ::1, and http to them. For the
	// demo and tests only.
	InsecureAllowLoopback bool
	// Resolver resolves names; nil: the system's.
	Resolver *net.Resolver
	// Timeout shortens the limit of a request; 0: the package's Timeout.
	Timeout time.Duration
}

// New makes a client. Its errors are fault.Denied when the address, the scheme or a
// redirect is refused, fault.Limited when the answer is too large, fault.Unavailable
// otherwise (wrapped in *url.Error by net/http).
func New(o Options) *http.Client {
	if o.Timeout <= 0 || o.Timeout > Timeout {
		o.Timeout = Timeout
	}
	dialer := &net.Dialer{Timeout: o.Timeout, Resolver: o.Resolver, Control: func(_, address string, _ syscall.RawConn) error {
		return allowed(address, o.InsecureAllowLoopback)
	}}
	transport := &http.Transport{
		Proxy:                  nil, // never from the environment
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    o.Timeout,
		ResponseHeaderTimeout:  o.Timeout,
		MaxResponseHeaderBytes: MaxHeader,
		MaxConnsPerHost:        maxConnsPerHost,
		MaxIdleConnsPerHost:    2,
		MaxIdleConns:           64,
		IdleConnTimeout:        30 * time.Second,
		ForceAttemptHTTP2:      true,
	}
	return &http.Client{
		Transport:     &guard{next: transport, loopback: o.InsecureAllowLoopback},
		CheckRedirect: refuseRedirect,
		Timeout:       o.Timeout,
	}
}

// refuseRedirect: an endpoint that has moved is configuration to be changed by its
// owner, not followed to wherever the answer points.
func refuseRedirect(_ *http.Request, _ []*http.Request) error {
	return fault.New(fault.Denied, "egress.Client", "the server answered with a redirect, which is not followed")
}

// guard checks the request before and bounds the answer after.
type guard struct {
	next     *http.Transport
	loopback bool
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	const op = "egress.Client"
	if !g.schemeAllowed(r) {
		closeBody(r)
		return nil, fault.New(fault.Denied, op, "only https addresses are called, not %q", r.URL.Scheme)
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, classify(op, err)
	}
	if resp.ContentLength > MaxResponse {
		_ = resp.Body.Close() //nolint:errcheck // the answer is refused whatever closing says
		return nil, tooLarge()
	}
	resp.Body = &bounded{body: resp.Body, left: MaxResponse}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (g *guard) CloseIdleConnections() { g.next.CloseIdleConnections() }

// schemeAllowed: plain http only to a literal loopback address or "localhost", and
// only with the exemption; the address dialled is checked all the same.
func (g *guard) schemeAllowed(r *http.Request) bool {
	if r.URL.Scheme == "https" {
		return true
	}
	if !g.loopback || r.URL.Scheme != "http" {
		return false
	}
	host := r.URL.Hostname()
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// closeBody keeps the promise of RoundTripper for a request that is not sent.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() //nolint:errcheck // nothing was read
	}
}

// classify keeps a refusal of ours (from Dialer.Control) and calls the rest, the
// caller's own cancellation apart, an upstream that is down.
func classify(op string, err error) error {
	var ours *fault.Error
	if errors.As(err, &ours) || errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Wrap(fault.Unavailable, op, err)
}

func tooLarge() error {
	return fault.New(fault.Limited, "egress.Client", "the answer is larger than %d bytes", MaxResponse)
}

// bounded gives at most left bytes, counted after decompression, then fails: a cut
// answer must not pass for a whole one.
type bounded struct {
	body io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLarge()
	}
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	b.left -= n
	if b.left < 0 {
		return n - 1, tooLarge()
	}
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }
