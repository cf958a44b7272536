package upstream

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	bodyLimit      = 1 << 20
	requestTimeout = 5 * time.Second
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
