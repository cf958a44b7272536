package oidctest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

const (
	answerLimit = 4 << 20 // more than this in an answer is an error
	keptBody    = 8 << 10 // how much of a body the log keeps
	keptLog     = 200     // how many exchanges the log keeps
)

// Exchange is one SCIM request that was sent, and its answer.
type Exchange struct {
	At       time.Time     `json:"at"`
	Why      string        `json:"why"` // the change in the directory that caused it
	Method   string        `json:"method"`
	Path     string        `json:"path"` // under the SCIM base URL, with its query
	Request  string        `json:"request,omitzero"`
	Status   int           `json:"status"` // 0: no answer
	Response string        `json:"response,omitzero"`
	Took     time.Duration `json:"took_ns"`
	Err      string        `json:"error,omitzero"`
}

// SCIMError is an answer that is not a success.
type SCIMError struct {
	Method, Path string
	Status       int
	SCIMType     string
	Detail       string
}

// Error says what was asked and what was answered.
func (e *SCIMError) Error() string {
	return fmt.Sprintf("oidctest: %s %s: status %d %s %s", e.Method, e.Path, e.Status, e.SCIMType, e.Detail)
}

// record is the bounded log of exchanges, safe for concurrent use.
type record struct {
	mu   sync.Mutex // guards kept
	kept []Exchange
}

func (r *record) add(x Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, x)
	if over := len(r.kept) - keptLog; over > 0 {
		r.kept = append([]Exchange(nil), r.kept[over:]...)
	}
}

func (r *record) all() []Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Exchange(nil), r.kept...)
}

// wire sends the requests of one change and remembers them. It is used by one
// goroutine.
type wire struct {
	base   string
	token  secret.String
	client *http.Client
	now    func() time.Time
	log    *record
	why    string
	agent  string
	flag   string // Entra's tenant URL flag: on every request, or empty
	accept string
	sent   []Exchange
}

// do sends one request and decodes a successful answer into into, unless nil.
func (w *wire) do(ctx context.Context, method, path string, body, into any) error {
	x := Exchange{At: w.now(), Why: w.why, Method: method, Path: w.flagged(path)}
	answer, err := w.exchange(ctx, &x, body)
	x.Took = w.now().Sub(x.At)
	if err != nil {
		x.Err = err.Error()
	}
	w.sent = append(w.sent, x)
	w.log.add(x)
	if err != nil {
		return err
	}
	if into == nil || len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("oidctest: %s %s: read the answer: %w", method, x.Path, err)
	}
	return nil
}

func (w *wire) exchange(ctx context.Context, x *Exchange, body any) ([]byte, error) {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = encode(body); err != nil {
			return nil, err
		}
		x.Request = clip(hidePassword(body, payload))
	}
	req, err := http.NewRequestWithContext(ctx, x.Method, w.base+x.Path, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	w.headers(req, body != nil)
	res, err := w.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	x.Status = res.StatusCode
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	if err != nil {
		return nil, fmt.Errorf("oidctest: %s %s: %w", x.Method, x.Path, err)
	}
	if len(answer) > answerLimit {
		return nil, fmt.Errorf("oidctest: %s %s: the answer is over %d bytes", x.Method, x.Path, answerLimit)
	}
	x.Response = clip(answer)
	if res.StatusCode/100 != 2 {
		return nil, refusal(x, answer)
	}
	return answer, nil
}

func (w *wire) headers(req *http.Request, body bool) {
	req.Header.Set("User-Agent", w.agent)
	req.Header.Set("Accept", w.accept)
	if !w.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+w.token.Reveal())
	}
	if body {
		req.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
}

// flagged puts the tenant URL's flag on a path: it belongs to the base URL, so
// every request carries it.
func (w *wire) flagged(path string) string {
	switch {
	case w.flag == "":
		return path
	case strings.Contains(path, "?"):
		return path + "&" + w.flag
	}
	return path + "?" + w.flag
}

func refusal(x *Exchange, answer []byte) error {
	var body struct {
		SCIMType string `json:"scimType"`
		Detail   string `json:"detail"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		body.Detail = clip(answer) // not the SCIM error body it should be: show what came
	}
	return &SCIMError{Method: x.Method, Path: x.Path, Status: x.Status, SCIMType: body.SCIMType, Detail: body.Detail}
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// hidePassword gives the payload as the log may keep it: Okta sends a password
// with every new user.
func hidePassword(body any, payload []byte) []byte {
	u, ok := body.(oktaUser)
	if !ok || u.Password == "" {
		return payload
	}
	return bytes.Replace(payload, []byte(u.Password), []byte("[redacted]"), 1)
}

func clip(b []byte) string {
	if len(b) <= keptBody {
		return string(b)
	}
	return strings.ToValidUTF8(string(b[:keptBody]), "") + "…"
}

// query encodes a filter as the vendors do: + for a space, raw double quotes,
// everything else percent-encoded.
func query(filter string) string {
	return strings.ReplaceAll(url.QueryEscape(filter), "%22", `"`)
}

// literal quotes a filter value (RFC 7644 section 3.4.2.2: a JSON string).
func literal(s string) string {
	b, err := encode(s)
	if err != nil {
		return `""` // a string always encodes
	}
	return string(b)
}

// listed is a ListResponse with resources of type R (RFC 7644 section 3.4.2).
type listed[R any] struct {
	TotalResults int `json:"totalResults"`
	Resources    []R `json:"Resources"`
}
