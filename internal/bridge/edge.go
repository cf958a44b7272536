package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// edge is the one translation of our faults into SCIM's words. Internal text stays
// inside; docs/architecture.md has the table, and a test walks every Kind.
func edge(err error) error {
	var already *scim.Error
	var schemaFault *schema.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already):
		return already
	case errors.As(err, &schemaFault):
		return schemaFault // the front knows its own parsers' words
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return scim.Unavailable(err)
	}
	detail := fault.DetailOf(err)
	switch fault.KindOf(err) {
	case fault.Invalid:
		return scim.Invalid(scim.TypeInvalidValue, detail)
	case fault.Unauthenticated:
		return scim.Unauthorized(err)
	case fault.Denied:
		return scim.Forbidden(detail)
	case fault.NotFound:
		return scim.NotFound("")
	case fault.Conflict:
		return scim.Uniqueness(detail)
	case fault.Stale:
		return &scim.Error{Status: 412, Detail: detail, Err: err}
	case fault.Unsupported:
		return scim.NotImplemented(detail)
	case fault.Limited:
		if fault.ReasonOf(err) == store.ReasonTooLong { // asking again would not help
			return &scim.Error{Status: 400, ScimType: scim.TypeTooMany, Detail: detail, Err: err}
		}
		return &scim.Error{Status: 429, Detail: detail, RetryAfter: time.Second, Err: err}
	case fault.Unavailable:
		return scim.Unavailable(err)
	case fault.Internal:
		return scim.Internal(err)
	}
	return scim.Internal(err)
}

// edgeID is edge for a request that named one resource: not found says which.
func edgeID(err error, id string) error {
	if err != nil && fault.Is(err, fault.NotFound) {
		return scim.NotFound(id)
	}
	return edge(err)
}
