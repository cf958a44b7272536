package ssf

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// invalid is a refusal of a request that its sender must mend.
func invalid(detail string) error { return fault.New(fault.Invalid, "ssf", "%s", detail) }

// refuse renders whatever went wrong, in the codes of RFC 8935 section 2.4 where there
// is one, and tells the observer: the one place that does.
func (f *Front) refuse(w http.ResponseWriter, r *http.Request, err error, scope string) {
	if f.Observe != nil {
		f.Observe(r.Context(), err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = fault.New(fault.Unavailable, "ssf.refuse", "Try again.")
	}
	var proof *oidc.Error // of a DPoP proof, which has words of its own (RFC 9449 section 7.1)
	if errors.As(err, &proof) {
		proof.Write(w)
		return
	}
	detail := fault.DetailOf(err)
	say := func(status int, code, otherwise string) {
		if detail == "" {
			detail = otherwise
		}
		writeError(w, status, code, detail)
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Unsupported:
		say(http.StatusBadRequest, "invalid_request", "The request is not valid.")
	case fault.Unauthenticated:
		challenge := `Bearer realm="ssf"`
		if fault.ReasonOf(err) != reasonNoToken {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		detail = "" // why a token does not count is not its bearer's to know
		say(http.StatusUnauthorized, "authentication_failed", "Send an access token of this issuer that counts now: Authorization: Bearer <token>.")
	case fault.Denied:
		w.Header().Set("WWW-Authenticate", `Bearer realm="ssf", error="insufficient_scope", scope="`+scope+`"`)
		detail = ""
		say(http.StatusForbidden, "access_denied", "The access token lacks the scope "+scope+".")
	case fault.NotFound, fault.Stale:
		detail = ""
		say(http.StatusNotFound, "not_found", noStream)
	case fault.Conflict:
		say(http.StatusConflict, "conflict", "This receiver has a stream already.")
	case fault.Limited:
		w.Header().Set("Retry-After", "10") // seconds
		say(http.StatusTooManyRequests, "too_many_requests", "Try again a little later.")
	case fault.Unavailable:
		w.Header().Set("Retry-After", "1")
		say(http.StatusServiceUnavailable, "temporarily_unavailable", "Try again in a few seconds.")
	case fault.Internal:
		detail = ""
		say(http.StatusInternalServerError, "server_error", "Something went wrong here. Try again.")
	}
}

func writeError(w http.ResponseWriter, status int, code, description string) {
	b, err := json.Marshal(struct {
		Code        string `json:"err"`
		Description string `json:"description"`
	}{code, description})
	if err != nil { // strings always encode
		status, b = http.StatusInternalServerError, []byte(`{"err":"server_error"}`)
	}
	writeBody(w, status, b)
}

func allowed(of map[string]http.HandlerFunc) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}
