package console

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// SessionCookie is the name of the browser session's cookie. Over https it has the
// __Host- prefix: no other host or path can set it.
func SessionCookie(secure bool) string {
	if secure {
		return "__Host-drawbridge_session"
	}
	return "drawbridge_session"
}

// setCookie sends a cookie as oidc.Cookie makes it.
func (c *Console) setCookie(w http.ResponseWriter, name, value string, end time.Time) {
	http.SetCookie(w, oidc.Cookie(c.secure, name, value, end))
}

func (c *Console) setSession(w http.ResponseWriter, value secret.String, b oidc.Browser) {
	c.setCookie(w, SessionCookie(c.secure), value.Reveal(), b.Session.Expires)
}

func (c *Console) clearSession(w http.ResponseWriter) {
	c.setCookie(w, SessionCookie(c.secure), "", time.Time{})
}

// sessionCookie is the browser's session cookie, "" if it has none.
func (c *Console) sessionCookie(r *http.Request) string {
	return cookieValue(r, SessionCookie(c.secure))
}

func cookieValue(r *http.Request, name string) string {
	k, err := r.Cookie(name)
	if err != nil { // http.ErrNoCookie is the only one
		return ""
	}
	return k.Value
}

// bound reports whether the request was made by the browser that now asks. A link
// that a stranger sends does not work in anybody else's browser.
func (c *Console) bound(r *http.Request, req hot.AuthRequest) bool {
	value := cookieValue(r, oidc.RequestCookie(c.secure, req.ID))
	return value != "" && credential.DigestOf(value).Equal(req.Browser)
}

func (c *Console) endRequest(w http.ResponseWriter, req hot.AuthRequest) {
	c.setCookie(w, oidc.RequestCookie(c.secure, req.ID), "", time.Time{})
}

// newSecret is 130 random bits as text: a state or a nonce. Two of them are a code
// verifier.
func newSecret() string { return rand.Text() }
