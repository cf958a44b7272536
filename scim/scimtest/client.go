package scimtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of one exchange.
const (
	maxAnswer  = 4 << 20          // bytes of a body that are read
	maxWait    = 20 * time.Second // the longest Retry-After that is obeyed
	maxRepeats = 3                // how often a 429 is obeyed for one request
)

var (
	// errSpent is the end of a run's requests.
	errSpent = errors.New("all the requests of this run are spent")
	// errTooLong is an answer beyond maxAnswer.
	errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
)

// client sends one run's requests to one server and nowhere else: it follows no
// redirect, because the credential goes with each request.
type client struct {
	http    *http.Client
	base    *url.URL
	token   string
	timeout time.Duration
	most    int

	mu   sync.Mutex // guards sent
	sent int
}

// request is what a check sends. target starts with a slash and is below the base.
type request struct {
	method, target string
	body           []byte
	header         http.Header // complete, Authorization included
}

// parseBase reads a server's base URL: https, or http to this machine unless
// insecure allows more.
func parseBase(text string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the address cannot be read: %w", err)
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q is not an https or http address", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the address must have no user, query or fragment")
	case u.Scheme == "http" && !insecure && !loopback(u.Hostname()):
		return nil, fmt.Errorf("http to %s would send the token in the clear; use https", u.Hostname())
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// transport is the default way out: no redirects are followed by its user, and what
// was called loopback must be.
func transport(base *url.URL, insecure bool) http.RoundTripper {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if base.Scheme == "http" && !insecure {
		dialer.Control = onlyLoopback
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: parallel, MaxResponseHeaderBytes: 256 << 10, IdleConnTimeout: 30 * time.Second}
}

// send sends a request, again if the server says when, and reads the answer.
func (c *client) send(ctx context.Context, q request) (*reply, error) {
	for repeat := 0; ; repeat++ {
		r, err := c.once(ctx, q)
		if err != nil || r.status != http.StatusTooManyRequests || repeat == maxRepeats {
			return r, err
		}
		wait, err := strconv.Atoi(r.header.Get("Retry-After"))
		if err != nil || wait < 0 || time.Duration(wait)*time.Second > maxWait {
			return r, nil // the check sees the 429, and says so
		}
		if err := pause(ctx, time.Duration(wait)*time.Second); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *client) once(ctx context.Context, q request) (*reply, error) {
	if !c.spend() {
		return nil, errSpent
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, c.base.String()+q.target, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	req.Header = q.header
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errTooLong
	}
	if err != nil {
		return nil, err
	}
	return &reply{status: res.StatusCode, header: res.Header, body: body, sent: q}, nil
}

// spend takes one request off the budget.
func (c *client) spend() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent >= c.most {
		return false
	}
	c.sent++
	return true
}

func (c *client) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// allow adds requests to the budget: what was made must be removed even when
// everything else is spent.
func (c *client) allow(more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = max(c.most, c.sent) + more
}
