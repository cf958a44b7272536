package oidc

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// StepUp is inside a refusal that another sign-in helps against: it says which (RFC 9470
// section 3).
type StepUp struct{ access.Demand }

func (e *StepUp) Error() string {
	return "oidc: the grant demands another sign-in: " + e.Demand.String()
}

// Challenge is the WWW-Authenticate of the refusal.
func (e *StepUp) Challenge() string {
	c := `Bearer realm="oauth2", error="` + session.ReasonStepUp + `", error_description="another sign-in is demanded"`
	if len(e.ACR) > 0 {
		c += `, acr_values="` + printable(strings.Join(e.ACR, " ")) + `"`
	}
	if e.MaxAge > 0 {
		c += `, max_age="` + strconv.Itoa(int(e.MaxAge/time.Second)) + `"`
	}
	return c
}

// stepUpError is how a resource refuses such a token.
func (e *StepUp) stepUpError() *Error {
	return &Error{Status: http.StatusUnauthorized, Code: session.ReasonStepUp, challenge: e.Challenge(),
		Description: "Send the person to the authorization endpoint with the acr_values and max_age of the challenge."}
}

// stepUpOf finds a StepUp in a refusal; nil if there is none.
func stepUpOf(err error) *StepUp {
	up, _ := errors.AsType[*StepUp](err)
	return up
}
