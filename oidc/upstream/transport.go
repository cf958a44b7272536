package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	bodyLimit      = 1 << 20
	requestTimeout = 5 * time.Second
	refetchEvery   = 60 * time.Second
)

// strict copies a client so that it follows no redirect (a redirect is how a
// public address becomes a private one), gives up after 5 seconds unless it says
// sooner, and reads at most 1 MiB of any body.
func strict(client *http.Client) *http.Client {
	c := http.Client{}
	if client != nil {
		c = *client
	}
	if c.Timeout == 0 || c.Timeout > requestTimeout {
		c.Timeout = requestTimeout
	}
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	next := c.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	c.Transport = capped{next}
	return &c
}

type capped struct{ next http.RoundTripper }

func (t capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &cappedBody{ReadCloser: resp.Body, left: bodyLimit}
	return resp, nil
}

// cappedBody fails, rather than ends, when the limit is passed: half a document
// must not be taken for a whole one.
type cappedBody struct {
	io.ReadCloser
	left int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("upstream: the answer is larger than 1 MiB")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// refetchLimit lets key fetches through as a bucket of two that gains one each
// minute: the first fetch and one rotation at once, then one a minute. A stream
// of tokens with made-up key ids therefore costs the provider almost nothing,
// and the keys that were fetched last stay in use.
type refetchLimit struct {
	next http.RoundTripper
	now  func() time.Time

	mu     sync.Mutex // guards what follows
	spare  int
	filled time.Time
}

func newRefetchLimit(next http.RoundTripper, now func() time.Time) *refetchLimit {
	return &refetchLimit{next: next, now: now, spare: 2, filled: now()}
}

// errRefetch is a verification that would need keys we just fetched.
var errRefetch = errors.New("upstream: the provider's keys were fetched less than a minute ago")

func (t *refetchLimit) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.take() {
		return nil, errRefetch
	}
	resp, err := t.next.RoundTrip(r)
	if err == nil && resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("upstream: the provider's keys: %s", resp.Status), resp.Body.Close())
	}
	return resp, err
}

func (t *refetchLimit) take() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if gained := int(t.now().Sub(t.filled) / refetchEvery); gained > 0 {
		t.spare = min(2, t.spare+gained)
		t.filled = t.filled.Add(time.Duration(gained) * refetchEvery)
	}
	if t.spare == 0 {
		return false
	}
	t.spare--
	return true
}
