package oidc

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
)

// RequestCookie is the name of the cookie that binds an authorization request to
// the browser that made it. Each request has its own, so that two tabs do not
// disturb each other. Secure cookies have the __Host- prefix: no other host or
// path can set one.
func RequestCookie(secure bool, requestID string) string {
	name := "drawbridge_req_" + requestID[:min(8, len(requestID))]
	if secure {
		return "__Host-" + name
	}
	return name
}

// RequestDigest is what hot.AuthRequest.Browser holds for the cookie's value.
func RequestDigest(value string) credential.Digest { return sha256.Sum256([]byte(value)) }

// cookie makes a cookie of ours. A zero end makes one that the browser drops when
// it closes; an empty value takes the cookie away.
func (p *Provider) cookie(name, value string, end time.Time) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Expires: end,
		HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode}
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

// newRequestID makes 128 random bits. crypto/rand cannot fail.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to return an error
	return hex.EncodeToString(b[:])
}

func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // documented never to return an error
	return base64.RawURLEncoding.EncodeToString(b[:])
}
