package oidc

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// CodeRedirect is the redirect that carries a code to the application: code, state
// if the request had one, and iss (RFC 6749 section 4.1.2, RFC 9207).
func CodeRedirect(req hot.AuthRequest, issuer, code string) string {
	return withQuery(req.RedirectURI, "code", code, "state", req.State, "iss", issuer)
}

// ErrorRedirect is the redirect that carries an error to the application (RFC 6749
// section 4.1.2.1). The description is for its developers: a sentence that says
// what to do, never internal text.
func ErrorRedirect(req hot.AuthRequest, issuer, code, description string) string {
	return withQuery(req.RedirectURI, "error", code, "error_description", printable(description),
		"state", req.State, "iss", issuer)
}

// withQuery appends name and value pairs to a registered URI, which it does not
// parse: what was registered stays as it is, byte for byte. Pairs without a value
// are left out.
func withQuery(uri string, pairs ...string) string {
	var b strings.Builder
	b.WriteString(uri)
	sep := byte('?')
	if strings.Contains(uri, "?") {
		sep = '&'
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		b.WriteByte(sep)
		b.WriteString(pairs[i])
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(pairs[i+1]))
		sep = '&'
	}
	return b.String()
}

// CheckRedirectURI reports what is wrong with a redirect URI that somebody wants to
// register: it is https, http on a loopback address, or a private-use scheme with a
// dot in it (RFC 8252 section 7.1), without fragment, user, wildcard or control characters.
func CheckRedirectURI(uri string) error {
	if len(uri) > maxRedirectURI {
		return errors.New("the redirect URI is longer than 2048 bytes")
	}
	for _, c := range []byte(uri) {
		if c <= ' ' || c >= 0x7f || c == '\\' {
			return errors.New("the redirect URI has a character that must be percent-encoded")
		}
	}
	if strings.Contains(uri, "*") {
		return errors.New("a redirect URI is compared byte for byte, so * stands for nothing else: list each one")
	}
	u, err := url.Parse(uri)
	if err != nil {
		return errors.New("the redirect URI does not parse")
	}
	if strings.Contains(uri, "#") {
		return errors.New("the redirect URI has a fragment (#)")
	}
	if u.User != nil {
		return errors.New("the redirect URI has a user name or a password")
	}
	if !safeScheme(u) {
		return errors.New("the redirect URI is neither https, nor http on a loopback address, nor a private-use scheme with a dot")
	}
	return nil
}

func safeScheme(u *url.URL) bool {
	switch u.Scheme {
	case "https":
		return u.Hostname() != ""
	case "http":
		ip, err := netip.ParseAddr(u.Hostname())
		return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	}
	return strings.Contains(u.Scheme, ".")
}

// redirect answers 303, so that a POST does not travel on to the application.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
