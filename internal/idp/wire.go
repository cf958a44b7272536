package idp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

const (
	defaultAnswerLimit = 4 << 20
	retryAfterLimit    = 1 << 20 // seconds: what is longer is no advice
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
	RetryAfter   time.Duration // whole seconds; 0: the answer did not say
}

// Error says what was asked and what was answered, that in quotes: it ends on terminals.
func (e *SCIMError) Error() string {
	said := fmt.Sprintf("idp: %s %s: status %d", e.Method, e.Path, e.Status)
	for _, part := range []string{e.SCIMType, e.Detail} {
		if part != "" {
			said += fmt.Sprintf(" %q", part)
		}
	}
	return said
}

// Manner is how a vendor's requests look whatever they ask.
type Manner struct {
	Agent  string // User-Agent
	Accept string
	Flag   string // query parameter of Entra's tenant URL: on every request, or empty
}

// EntraManner is Microsoft Entra's, with or without the tenant URL's flag.
func EntraManner(flag bool) Manner {
	m := Manner{Agent: "Azure AD Provisioning", Accept: "application/scim+json"} // not documented; servers must not care
	if flag {
		m.Flag = "aadOptscim062020"
	}
	return m
}

// OktaManner is Okta's.
func OktaManner() Manner {
	return Manner{Agent: "Okta SCIM Client 1.0.0", Accept: "application/scim+json"}
}

// Wire sends requests to one SCIM base URL. It is safe for concurrent use if
// Observe is.
type Wire struct {
	Base    string // without a slash at the end
	Token   secret.String
	Client  *http.Client
	Now     func() time.Time
	Manner  Manner
	Observe func(Exchange) // told of each request when it has ended; nil: nobody is
	Keep    int            // how many bytes of each body Observe is shown; 0: none
	Limit   int64          // bytes of an answer; 0: 4 MiB
}

// Send sends one request and decodes a successful answer into into, unless nil. An
// answer that is no success is a *SCIMError.
func (w *Wire) Send(ctx context.Context, method, path string, body, into any) error {
	x := Exchange{At: w.Now(), Method: method, Path: w.flagged(path)}
	answer, err := w.exchange(ctx, &x, body)
	if w.Observe != nil {
		x.Took = w.Now().Sub(x.At)
		if err != nil {
			x.Err = err.Error()
		}
		w.Observe(x)
	}
	if err != nil || into == nil || len(answer) == 0 {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("idp: %s %s: read the answer: %w", method, x.Path, err)
	}
	return nil
}

func (w *Wire) exchange(ctx context.Context, x *Exchange, body any) ([]byte, error) {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = encode(body); err != nil {
			return nil, err
		}
		x.Request = w.clip(hidePassword(body, payload))
	}
	req, err := http.NewRequestWithContext(ctx, x.Method, w.Base+x.Path, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	w.headers(req, body != nil)
	res, err := w.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	x.Status = res.StatusCode
	answer, err := w.read(res)
	if err != nil {
		return nil, fmt.Errorf("idp: %s %s: %w", x.Method, x.Path, err)
	}
	x.Response = w.clip(answer)
	if res.StatusCode/100 != 2 {
		return nil, refusal(x, res.Header.Get("Retry-After"), answer)
	}
	return answer, nil
}

func (w *Wire) read(res *http.Response) ([]byte, error) {
	limit := w.Limit
	if limit == 0 {
		limit = defaultAnswerLimit
	}
	var b bytes.Buffer
	if res.ContentLength > 0 && res.ContentLength <= limit {
		b.Grow(int(res.ContentLength) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(res.Body, limit+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("the answer is over %d bytes", limit)
	}
	return b.Bytes(), nil
}

func (w *Wire) headers(req *http.Request, body bool) {
	req.Header.Set("User-Agent", w.Manner.Agent)
	req.Header.Set("Accept", w.Manner.Accept)
	if !w.Token.Empty() {
		req.Header.Set("Authorization", "Bearer "+w.Token.Reveal())
	}
	if body {
		req.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
}

// flagged puts the tenant URL's flag on a path: it belongs to the base URL, so
// every request carries it.
func (w *Wire) flagged(path string) string {
	switch {
	case w.Manner.Flag == "":
		return path
	case strings.Contains(path, "?"):
		return path + "&" + w.Manner.Flag
	}
	return path + "?" + w.Manner.Flag
}

func refusal(x *Exchange, retryAfter string, answer []byte) error {
	var body struct {
		SCIMType string `json:"scimType"`
		Detail   string `json:"detail"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		const shown = 8 << 10
		body.Detail = clip(answer, shown) // not the SCIM error body it should be: show what came
	}
	return &SCIMError{Method: x.Method, Path: x.Path, Status: x.Status, SCIMType: body.SCIMType, Detail: body.Detail,
		RetryAfter: seconds(retryAfter)}
}

// seconds reads a Retry-After as the vendors do: whole seconds, never a date.
func seconds(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > retryAfterLimit {
		return 0
	}
	return time.Duration(n) * time.Second
}

func encode(v any) ([]byte, error) {
	if d, ok := v.(document); ok {
		return d.appendTo(make([]byte, 0, 1<<10))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// hidePassword gives the payload as a log may keep it: Okta sends a password with
// every new user.
func hidePassword(body any, payload []byte) []byte {
	u, ok := body.(oktaUser)
	if !ok || u.Password == "" {
		return payload
	}
	return bytes.Replace(payload, []byte(u.Password), []byte("[redacted]"), 1)
}

func (w *Wire) clip(b []byte) string {
	if w.Keep == 0 {
		return ""
	}
	return clip(b, w.Keep)
}

func clip(b []byte, most int) string {
	if len(b) <= most {
		return string(b)
	}
	return strings.ToValidUTF8(string(b[:most]), "") + "…"
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
