package console

import (
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/oidc"
)

// counted lets a step of a sign-in through, unless too many come from where it does.
func (c *Console) counted(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c.Doors != nil {
			if wait := c.Doors.SignIn(r); wait > 0 {
				c.TooMany(w, r, wait)
				return
			}
		}
		next(w, r)
	}
}

// TooMany says that too many sign-ins come from the same place, and when to try again.
func (c *Console) TooMany(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	in := oidc.RetryAfter(wait)
	w.Header().Set("Retry-After", in)
	c.Fail(w, r, http.StatusTooManyRequests, "Too many sign-ins at once",
		"More sign-ins come from your network than this service takes. Nothing is wrong with your account. Wait "+in+" seconds, then try again.")
}
