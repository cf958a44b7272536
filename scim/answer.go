package scim

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const contentType = "application/scim+json"

// spillAt is how much of an answer is held back. Until then a failure can still be
// told as an error; after it the connection is cut, because a client must never
// take half a member list for a whole one.
const spillAt = 32 << 10

// answer is a response under construction.
type answer struct {
	w       http.ResponseWriter
	status  int
	buf     []byte
	sent    int
	started bool
}

// spill sends what has been gathered when it is much.
func (a *answer) spill() error {
	if len(a.buf) < spillAt {
		return nil
	}
	a.start()
	n, err := a.w.Write(a.buf)
	a.sent, a.buf = a.sent+n, a.buf[:0]
	return err
}

func (a *answer) start() {
	if !a.started {
		a.w.Header().Set("Content-Type", contentType)
		a.w.WriteHeader(a.status)
		a.started = true
	}
}

// finish sends the rest. A short answer carries its length.
func (a *answer) finish() error {
	if !a.started {
		a.w.Header().Set("Content-Length", strconv.Itoa(len(a.buf)))
	}
	a.start()
	n, err := a.w.Write(a.buf)
	a.sent += n
	return err
}

// writeError renders a refusal (RFC 7644 section 3.12). The status is a string.
func writeError(c *call, e *Error) {
	h := c.w.Header()
	h.Del("ETag")
	h.Del("Location")
	c.alias()
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="scim"`)
	}
	if e.OAuthScope != "" {
		h.Set("WWW-Authenticate", `Bearer realm="scim", error="insufficient_scope", scope="`+e.OAuthScope+`"`)
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	c.status = e.Status
	a := &answer{w: c.w, status: e.Status, buf: appendError(nil, e)}
	_ = a.finish() // the client has gone; there is nobody left to tell
}

func appendError(dst []byte, e *Error) []byte {
	dst = append(dst, `{"schemas":["`+urnError+`"],"status":"`...)
	dst = append(strconv.AppendInt(dst, int64(e.Status), 10), '"')
	if e.ScimType != "" {
		dst = appendString(append(dst, `,"scimType":`...), e.ScimType)
	}
	return append(appendString(append(dst, `,"detail":`...), e.Detail), '}')
}

// appendString appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // its error only says that bytes were replaced
	return dst
}
