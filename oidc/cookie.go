package oidc

import (
	"net/http"
	"time"
)

// RequestCookie is the name of the cookie that binds an authorization request to
// the browser that made it. Each request has its own, so that two tabs do not
// disturb each other: it ends in the last eight characters of the id. Secure cookies
// have the __Host- prefix: no other host or path can set one.
func RequestCookie(secure bool, requestID string) string {
	name := "drawbridge_req_" + requestID[max(0, len(requestID)-8):]
	if secure {
		return "__Host-" + name
	}
	return name
}

// Cookie makes a cookie of ours, here and on the pages. A zero end makes one that
// the browser drops when it closes; an empty value takes the cookie away.
func Cookie(secure bool, name, value string, end time.Time) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Expires: end,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge, c.Expires = -1, time.Time{}
	}
	return c
}

// sessionCookie is the browser's session cookie, "" if it has none.
func (p *Provider) sessionCookie(r *http.Request) string {
	c, err := r.Cookie(p.CookieName)
	if err != nil { // http.ErrNoCookie is the only one
		return ""
	}
	return c.Value
}
