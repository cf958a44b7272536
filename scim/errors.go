package scim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// The scimType words of RFC 7644 table 9, and of RFC 9865 table 3, that this package
// and its callers use.
const (
	TypeExpiredCursor = "expiredCursor"
	TypeInvalidCount  = "invalidCount"
	TypeInvalidCursor = "invalidCursor"
	TypeInvalidFilter = "invalidFilter"
	TypeInvalidSyntax = "invalidSyntax"
	TypeInvalidValue  = "invalidValue"
	TypeTooMany       = "tooMany"
	TypeUniqueness    = "uniqueness"
)

// Error is a refusal in the protocol's own words (RFC 7644 section 3.12). Detail
// is read by the client; Err is for the log and never leaves the process.
type Error struct {
	Status     int
	ScimType   string        // a word of table 9, or ""
	Detail     string        // a sentence that says what to do
	RetryAfter time.Duration // sent as whole seconds, rounded up; 0: not sent
	OAuthScope string        // what an access token must hold for this; ""
	Err        error         // the cause, kept inside
}

func (e *Error) Error() string {
	s := fmt.Sprintf("scim: %d %s", e.Status, e.Detail)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// Invalid is 400 with a scimType of table 9.
func Invalid(scimType, detail string) *Error {
	return &Error{Status: http.StatusBadRequest, ScimType: scimType, Detail: detail}
}

// Unauthorized is 401. It says the same for a wrong token, another connection's,
// an unknown connection and none; err tells the log which it was.
func Unauthorized(err error) *Error {
	return &Error{Status: http.StatusUnauthorized, Err: err,
		Detail: "Send the SCIM token of this connection as \"Authorization: Bearer <token>\"; the one sent does not open it."}
}

// Forbidden is 403.
func Forbidden(detail string) *Error {
	return &Error{Status: http.StatusForbidden, Detail: detail}
}

// InsufficientScope is 403 for an access token that counts, and lacks OAuth scopes
// (RFC 6750 section 3.1).
func InsufficientScope(oauthScope string) *Error {
	return &Error{Status: http.StatusForbidden, OAuthScope: oauthScope, Detail: "The access token must hold the OAuth scopes " + oauthScope + "."}
}

// NotFound is 404 for an id that the connection does not have. Another
// connection's id is answered the same way.
func NotFound(id string) *Error {
	return &Error{Status: http.StatusNotFound, Detail: fmt.Sprintf("Resource %q does not exist here.", schema.Clip(id))}
}

// Uniqueness is 409: the name is taken.
func Uniqueness(detail string) *Error {
	return &Error{Status: http.StatusConflict, ScimType: TypeUniqueness, Detail: detail}
}

// PreconditionFailed is 412: the client read an older version than current.
func PreconditionFailed(current int64) *Error {
	return &Error{Status: http.StatusPreconditionFailed,
		Detail: fmt.Sprintf("The resource is at version %s now; read it again and repeat the change.", entityTag(current))}
}

// TooLarge is 413: less in one request.
func TooLarge(detail string) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Detail: detail}
}

// TooManyRequests is 429: the same, later.
func TooManyRequests(retryAfter time.Duration) *Error {
	return &Error{Status: http.StatusTooManyRequests, RetryAfter: retryAfter,
		Detail: "Too many requests; repeat this one after the time in Retry-After."}
}

// NotImplemented is 501: we do not do that.
func NotImplemented(detail string) *Error {
	return &Error{Status: http.StatusNotImplemented, Detail: detail}
}

// Unavailable is 503: the store cannot answer now; nothing was changed.
func Unavailable(err error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Err: err,
		Detail: "The service cannot answer at the moment; repeat the request."}
}

// Internal is 500: an error that nobody classified.
func Internal(err error) *Error {
	return &Error{Status: http.StatusInternalServerError, Err: err,
		Detail: "The service failed; the operator finds the cause in its log under the request's id."}
}

// ErrAlone is what an operation fails with that cannot be a step of a transaction it
// shares (Directory.Together), because it touches too much or would have to wait:
// nothing was done, and a call of its own may do it.
var ErrAlone = &Error{Status: http.StatusConflict,
	Detail: "This operation touches too many members, or a group that a large change is moving, to be kept as one with others; send it in a request of its own."}

// asError finds the *Error in err's chain, or classifies err: what the parsers say
// is the client's fault, a spent deadline is Unavailable, anything else Internal.
func asError(err error) *Error {
	var e *Error
	var said *schema.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &said):
		return Invalid(string(said.Kind), said.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Unavailable(err)
	}
	return Internal(err)
}
