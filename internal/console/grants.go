package console

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// choice is one line of GET /me/grants: an assignment as tokens show it, and
// whether the token that asks stands on it.
type choice struct {
	oidc.ActiveGrant
	Active bool `json:"active"`
}

// grants is GET /me/grants: what the person behind an access token may choose now,
// primary first, for an application's own switcher. To switch, send the person to
// /oauth2/authorize with scope=grant:<id>.
func (c *Console) grants(w http.ResponseWriter, r *http.Request) {
	c.Proofs.Announce(w)
	shown, err := c.Proofs.Present(r)
	if e, ok := errors.AsType[*oidc.Error](err); ok {
		e.Write(w)
		return
	}
	active, choices, err := c.Config.Grants.Grants(r.Context(), shown)
	if e, ok := errors.AsType[*oidc.Error](err); ok {
		e.Write(w)
		return
	}
	if err != nil {
		c.refuseJSON(w, r, err)
		return
	}
	list := make([]choice, 0, len(choices))
	for _, a := range choices {
		list = append(list, choice{a, a.ID == active})
	}
	c.writeJSON(w, r, http.StatusOK, map[string]any{"grants": list})
}

// challenge is the answer to a bad token (RFC 6750 section 3).
func challenge(w http.ResponseWriter, code string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="oauth2", error="`+code+`"`)
}

// refuseJSON renders an error for an application (RFC 6750 3.1).
func (c *Console) refuseJSON(w http.ResponseWriter, r *http.Request, err error) {
	ref := c.observe(r, err)
	status, code, text := http.StatusInternalServerError, "server_error", "The request could not be answered."
	switch fault.KindOf(err) {
	case fault.Unauthenticated, fault.NotFound, fault.Invalid, fault.Stale:
		status, code, text = http.StatusUnauthorized, "invalid_token", "The access token is not good, or no longer."
	case fault.Denied:
		status, code, text = http.StatusForbidden, "insufficient_scope", "The access token is not for this."
	case fault.Limited:
		status, code, text = http.StatusTooManyRequests, "slow_down", "Ask less often."
	case fault.Unavailable:
		status, code, text = http.StatusServiceUnavailable, "temporarily_unavailable", "Try again in a moment."
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		challenge(w, code)
		if up, ok := errors.AsType[*oidc.StepUp](err); ok {
			code, text = session.ReasonStepUp, "The grant demands another sign-in."
			w.Header().Set("WWW-Authenticate", up.Challenge())
		}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "5")
	}
	c.writeJSON(w, r, status, map[string]any{"error": code, "error_description": text, "reference": ref})
}

func (c *Console) writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		c.observe(r, fault.Wrap(fault.Internal, "console.grants", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(append(b, '\n')); err != nil {
		c.observe(r, fault.Wrap(fault.Unavailable, "console.grants", err)) // the application has gone
	}
}
