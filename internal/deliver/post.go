package deliver

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Answer is what a receiver said to a request.
type Answer struct {
	Status int
	After  time.Duration // what Retry-After asks for; 0: nothing
	Text   []byte        // the beginning of its body
}

// heardOf is how much of an answer is read, in bytes.
const heardOf = 4 << 10

// Post sends a body to a receiver by a client of internal/egress, which bounds time
// and size and refuses addresses and redirects. An answer of any status is no error.
func Post(ctx context.Context, client *http.Client, url string, body []byte, header http.Header, now time.Time) (Answer, error) {
	const op = "deliver.Post"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fault.Wrap(fault.Invalid, op, err)
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()                                   //nolint:errcheck // nothing was promised by it
	text, _ := io.ReadAll(io.LimitReader(resp.Body, heardOf)) // the status is the answer; the rest is for reading
	return Answer{Status: resp.StatusCode, After: retryAfter(resp.Header.Get("Retry-After"), now), Text: text}, nil
}

// retryAfter reads RFC 9110 section 10.2.3: seconds, or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// Arrived reports whether the receiver took it: any 2xx.
func (a Answer) Arrived() bool { return a.Status >= 200 && a.Status < 300 }

// Err is what an answer that is neither taken nor final comes to: again, later.
func (a Answer) Err() error {
	why := "the receiver answered " + strconv.Itoa(a.Status)
	if len(a.Text) > 0 {
		why += ": " + Legible(string(a.Text))
	}
	return &Later{Why: why, After: a.After}
}
