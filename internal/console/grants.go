package console

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// choice is one line of GET /me/grants: an assignment as tokens show it, and
// whether the token that asks stands on it.
type choice struct {
	oidc.ActiveGrant
	Active bool `json:"active"`
}

const bearerMax = 8 << 10

// grants is GET /me/grants: what the person behind an access token may choose now,
// primary first, for an application's own switcher. To switch, send the person to
// /oauth2/authorize with scope=grant:<id>.
func (c *Console) grants(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(r)
	if !ok {
		challenge(w, http.StatusUnauthorized, "")
		c.writeJSON(w, r, http.StatusUnauthorized, map[string]any{"error_description": "Send one access token as Authorization: Bearer."})
		return
	}
	active, choices, err := c.Config.Grants.Grants(r.Context(), token)
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

// bearer reads the token from the Authorization header, the only place we take one
// from (RFC 6750 2.1).
func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 || len(values[0]) > bearerMax {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != "" && !strings.Contains(token, " ")
}

// challenge is the answer to a missing or bad token (RFC 6750 3): no error code
// where no token was sent.
func challenge(w http.ResponseWriter, status int, code string) {
	value := `Bearer realm="drawbridge"`
	if code != "" {
		value += `, error="` + code + `"`
	}
	w.Header().Set("WWW-Authenticate", value)
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
		challenge(w, status, code)
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
