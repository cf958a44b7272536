package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Error is an OAuth error answer (RFC 6749 sections 4.1.2.1 and 5.2). The
// description is a sentence that says what to do; internal text never gets here.
type Error struct {
	Status      int
	Code        string
	Description string
	challenge   string        // WWW-Authenticate, "" if none
	nonce       string        // DPoP-Nonce, "" if none
	retry       time.Duration // Retry-After of a 429 or 503; a second if nothing is said
}

func (e *Error) Error() string { return "oidc: " + e.Code + ": " + e.Description }

// invalid is the error for a request that the application must fix.
func invalid(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

// oauthError translates a fault to OAuth's own words: the one place that does.
func oauthError(err error) *Error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errorOfKind(fault.Unavailable)
	}
	e := errorOfKind(fault.KindOf(err))
	switch reason := fault.ReasonOf(err); reason {
	case "invalid_scope", "invalid_target":
		e.Status, e.Code = http.StatusBadRequest, reason
	}
	if d := fault.DetailOf(err); d != "" {
		e.Description = d
	}
	return e
}

func errorOfKind(k fault.Kind) *Error {
	switch k {
	case fault.Invalid, fault.Conflict:
		return invalid("The request is not valid. Check its parameters.")
	case fault.Unauthenticated:
		return &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Description: noClient}
	case fault.Denied:
		return &Error{Status: http.StatusForbidden, Code: "access_denied", Description: "The person may not do this."}
	case fault.NotFound, fault.Stale:
		return &Error{Status: http.StatusBadRequest, Code: "invalid_grant", Description: noGrant}
	case fault.Unsupported:
		return &Error{Status: http.StatusBadRequest, Code: "unsupported_grant_type",
			Description: "Use authorization_code, refresh_token, token-exchange or client_credentials."}
	case fault.Limited:
		return &Error{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", Description: "Try again a little later."}
	case fault.Unavailable:
		return &Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: "Try again in a few seconds."}
	}
	return &Error{Status: http.StatusInternalServerError, Code: "server_error", Description: "Something went wrong here. Try again."}
}

const (
	noGrant  = "The code or refresh token does not count any more. Send the person to the authorization endpoint again."
	noClient = "The client is not known here, or did not authenticate as it is registered."
)

// redeemError is oauthError after the client has authenticated: whatever says that
// somebody is not known or may not do it speaks of the code or refresh token.
func redeemError(err error) *Error {
	e := oauthError(err)
	if e.Code != "invalid_client" && e.Code != "access_denied" {
		return e
	}
	why := fault.DetailOf(err)
	if why == "" {
		why = noGrant
	}
	return &Error{Status: http.StatusBadRequest, Code: "invalid_grant", Description: why}
}

// Write renders the error as JSON, as the provider's own endpoints do.
func (e *Error) Write(w http.ResponseWriter) { writeError(w, e) }

// writeError renders an error as JSON.
func writeError(w http.ResponseWriter, e *Error) {
	if e.challenge != "" {
		w.Header().Set("WWW-Authenticate", e.challenge)
	}
	if e.nonce != "" {
		w.Header().Set("DPoP-Nonce", e.nonce)
	}
	if e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", RetryAfter(e.retry))
	}
	writeJSON(w, e.Status, struct {
		Code        string `json:"error"`
		Description string `json:"error_description,omitzero"`
	}{e.Code, printable(e.Description)})
}

// RetryAfter is a time to wait as the header Retry-After says it: in whole seconds, rounded
// up, one at least.
func RetryAfter(wait time.Duration) string {
	return strconv.FormatInt(max(int64((wait+time.Second-1)/time.Second), 1), 10)
}

// refuse renders whatever went wrong at a JSON endpoint, and tells the observer.
func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, err error, render func(error) *Error) {
	e, ours := err.(*Error) //nolint:errorlint // made here, never wrapped
	if !ours {
		p.observe(r.Context(), err)
		e = render(err)
	}
	writeError(w, e)
}

// writeJSON writes v, which always encodes. A failed write means that the client
// has gone: nobody is left to tell.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // a value of ours that does not encode is a bug that tests find
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// printable keeps a description in the character set of RFC 6749 section 5.2:
// printable ASCII without the double quote and the backslash.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s)
}
