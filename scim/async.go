package scim

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// asyncSegment is the collection of what became of requests that were answered with 202.
const asyncSegment = "AsyncResults"

// Result is what became of a request: a bulk operation's answer, as a signal has it
// (RFC 9967 section 2.5.1.3).
type Result struct {
	Method  string
	Path    string // of the resource, below the connection: "/Users/per_1"
	Status  int
	Version string // entity tag; "" if there is none
}

// Results keeps what became of requests of one connection that were answered with 202.
type Results interface {
	// Keep keeps a result, and gives the transaction's id that finds it.
	Keep(ctx context.Context, r Result) (txn string, err error)
	// Token is the result as a signed security event token; a 404 Error if there is none
	// of that id, or not any more.
	Token(ctx context.Context, txn string) (string, error)
}

// preferences is what a Prefer header asks for (RFC 7240), as far as it concerns us.
type preferences struct {
	async bool
	wait  time.Duration // 0: none was named
}

// maxWait is the longest wait that is understood; a request has a shorter deadline.
const maxWait = time.Hour

// parsePrefer reads the Prefer headers. What is not understood is ignored, as RFC 7240
// section 2 wants; of a preference that comes twice, the first counts.
func parsePrefer(headers []string) (p preferences) {
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		part, _, _ = strings.Cut(part, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			p.async = true
		case "wait":
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err == nil && p.wait == 0 {
				p.wait = min(time.Duration(seconds)*time.Second, maxWait)
			}
		}
	}
	return p
}

// answered runs an action, and answers with 202 if the client prefers that: a write to
// one resource that succeeded, and took longer than the client wanted to wait. What was
// asked has been done, durably, when the 202 is sent; an error is always answered as
// such (RFC 9967 section 2.5.1.1 leaves the choice to us).
func (s *Server) answered(ctx context.Context, c *call, do action) error {
	want := parsePrefer(c.r.Header["Prefer"])
	if !want.async || c.dir.Results == nil || !deferrable(c) {
		return do(ctx, c)
	}
	began, out, held := s.now(), c.w, &heldAnswer{header: http.Header{}}
	c.w = held
	err := do(ctx, c)
	c.w = out
	if err != nil {
		return err
	}
	if want.wait > 0 && s.now().Sub(began) <= want.wait {
		return held.release(c)
	}
	txn, err := c.dir.Results.Keep(ctx, Result{Method: c.r.Method, Path: pathOf(c), Status: held.status, Version: held.header.Get("ETag")})
	if err != nil {
		c.note([]string{"async: the result could not be kept, so the answer was not put off"})
		return held.release(c)
	}
	h := c.w.Header()
	h.Set("Set-Txn", txn)
	h.Set("Preference-Applied", "respond-async")
	h.Set("Location", s.base+c.connection+"/"+asyncSegment+"/"+txn)
	return writeNothing(c, http.StatusAccepted)
}

// deferrable is a write to one user or group, or of a new one.
func deferrable(c *call) bool {
	switch c.r.Method {
	case http.MethodPost:
		return !c.path.hasItem && (c.path.collection == "Users" || c.path.collection == "Groups")
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		return c.path.hasItem
	}
	return false
}

// pathOf is the resource that a call was about.
func pathOf(c *call) string {
	id := c.path.item
	if !c.path.hasItem {
		id = c.told.Item
	}
	return "/" + c.path.collection + "/" + id
}

// heldAnswer keeps an answer until it is known whether it is sent.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (h *heldAnswer) Header() http.Header { return h.header }

// WriteHeader implements http.ResponseWriter.
func (h *heldAnswer) WriteHeader(status int) { h.status = status }

// Write implements http.ResponseWriter.
func (h *heldAnswer) Write(b []byte) (int, error) { return h.body.Write(b) }

func (h *heldAnswer) release(c *call) error {
	for name, values := range h.header {
		c.w.Header()[name] = values
	}
	c.w.WriteHeader(h.status)
	_, _ = c.w.Write(h.body.Bytes()) // a failed write means that the client has gone
	return nil
}

// asyncResult answers with what became of a request, as a security event token.
func (s *Server) asyncResult(ctx context.Context, c *call) error {
	if c.dir.Results == nil {
		return NotFound(c.path.item)
	}
	token, err := c.dir.Results.Token(ctx, c.path.item)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/secevent+jwt")
	h.Set("Cache-Control", "no-store")
	c.status = http.StatusOK
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write([]byte(token)) // a failed write means that the client has gone
	}
	return nil
}
