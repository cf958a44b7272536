package oidc

import (
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// countStep counts a step of a sign-in that an application makes; an error if its network
// makes more than it may.
func (p *Provider) countStep(r *http.Request) error {
	if p.Doors == nil {
		return nil
	}
	if wait := p.Doors.SignIn(r); wait > 0 {
		return tooMany("More sign-ins come from this network than are taken. Try again after the time in Retry-After.", wait)
	}
	return nil
}

// failedClient counts that a client did not authenticate; an error if it does so too often
// to be told so again.
func (p *Provider) failedClient(r *http.Request, id access.ClientID) error {
	if p.Doors == nil {
		return nil
	}
	if wait := p.Doors.FailedClient(r, id); wait > 0 {
		return tooMany("This client has failed to authenticate too often. Mend its secret or key, and try again after the time in Retry-After.", wait)
	}
	return nil
}

func tooMany(description string, wait time.Duration) *Error {
	return &Error{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", Description: description, retry: wait}
}
