package oidc

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of what an application may send. Anything above is a clear error.
const (
	maxForm        = 16 << 10 // bytes of a query or a body
	maxParams      = 64
	maxClientID    = 255
	maxRedirectURI = 2 << 10
	maxState       = 2 << 10
	maxNonce       = 512
	maxScope       = 2 << 10
	maxPrompt      = 128
	maxLoginHint   = 512
	maxConnection  = 128
	maxClaims      = 4 << 10
	maxACRValues   = 512
	maxUILocales   = 256
	maxToken       = 8 << 10 // a code, an access, ID or refresh token
	maxSecret      = 512
)

// form holds the parameters of one request in the order they came. A request has
// few of them, so that looking is faster than hashing.
type form []param

type param struct{ name, value string }

// parseForm decodes application/x-www-form-urlencoded once. It is strict where
// net/url is lenient: a broken escape, text that is not UTF-8, a control character
// and too many parameters are refused.
func parseForm(raw string) (form, error) {
	if len(raw) > maxForm {
		return nil, invalid("The request is longer than 16 KiB.")
	}
	if strings.Count(raw, "&") >= maxParams {
		return nil, invalid("The request has more than 64 parameters.")
	}
	f := make(form, 0, 8)
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, okName := unescape(name)
		v, okValue := unescape(value)
		if !okName || !okValue {
			return nil, invalid("A parameter is not encoded as application/x-www-form-urlencoded in UTF-8 without control characters.")
		}
		f = append(f, param{n, v})
	}
	return f, nil
}

func unescape(s string) (string, bool) {
	s, err := url.QueryUnescape(s)
	if err != nil || !utf8.ValidString(s) {
		return "", false
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	return s, !strings.ContainsFunc(s, control)
}

// get is the parameter's value; a parameter without a value counts as left out
// (RFC 6749 section 3.1).
func (f form) get(name string) string {
	for _, p := range f {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// encode gives the parameters as a query, in the order they came.
func (f form) encode() string {
	var b strings.Builder
	for i, p := range f {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value))
	}
	return b.String()
}

// repeated names the first of the known parameters that comes more than once, or "".
// Parameters that we do not know are ignored, also when they repeat (RFC 8707).
func (f form) repeated(known ...string) string {
	for i, p := range f {
		again := func(q param) bool { return q.name == p.name }
		if slices.Contains(known, p.name) && slices.ContainsFunc(f[i+1:], again) {
			return p.name
		}
	}
	return ""
}

// once refuses a form in which one of the known parameters comes more than once.
func (f form) once(known ...string) error {
	if name := f.repeated(known...); name != "" {
		return invalid("The parameter " + name + " is there more than once.")
	}
	return nil
}

// limit is the longest value, in bytes, that a parameter may have.
type limit struct {
	name string
	max  int
}

func (f form) within(limits ...limit) error {
	for _, l := range limits {
		if len(f.get(l.name)) > l.max {
			return invalid("The parameter " + l.name + " is too long.")
		}
	}
	return nil
}

// readBody parses the form in the request's body. Parameters in the address of a
// POST are never looked at: addresses end up in logs.
func readBody(w http.ResponseWriter, r *http.Request) (form, error) {
	if !isForm(r.Header.Get("Content-Type")) {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request",
			Description: "Send the parameters as application/x-www-form-urlencoded."}
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), maxForm)) + bytes.MinRead) // ReadFrom wants that much room to see the end
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxForm))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request",
			Description: "The request is longer than 16 KiB."}
	}
	if err != nil {
		return nil, invalid("The request ended before its body did.")
	}
	return parseForm(body.String())
}

func isForm(contentType string) bool {
	const want = "application/x-www-form-urlencoded"
	if contentType == want { // what nearly everybody sends
		return true
	}
	t, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	return err == nil && t == want && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// parameters is the form of a GET or a POST.
func parameters(w http.ResponseWriter, r *http.Request) (form, error) {
	if r.Method == http.MethodPost {
		return readBody(w, r)
	}
	return parseForm(r.URL.RawQuery)
}
