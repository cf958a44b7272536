package oidc

import (
	"net/http"
	"slices"
	"strings"
)

// userinfo tells about the person behind an access token (OpenID Connect Core
// section 5.3, RFC 6750).
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, err := bearer(w, r)
	if err != nil {
		p.refuse(w, r, err, oauthError)
		return
	}
	a, err := p.Tokens.Accept(r.Context(), token)
	if err != nil {
		p.refuse(w, r, err, bearerError)
		return
	}
	if !slices.Contains(a.OAuthScopes, scopeOpenID) {
		writeError(w, &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: "The access token has no scope openid.",
			challenge: `Bearer realm="oauth2", error="insufficient_scope", scope="openid"`})
		return
	}
	writeJSON(w, http.StatusOK, userinfoAnswer(a))
}

// bearer finds the access token in the header or the form of a POST, in one place
// only, and never in the address (RFC 6750 section 2.3 discourages it).
func bearer(w http.ResponseWriter, r *http.Request) (string, error) {
	header := r.Header["Authorization"]
	var posted string
	if r.Method == http.MethodPost && isForm(r.Header.Get("Content-Type")) {
		f, err := readBody(w, r)
		if err == nil {
			err = f.once("access_token")
		}
		if err != nil {
			return "", err
		}
		posted = f.get("access_token")
	}
	if len(header) > 1 || len(header) == 1 && posted != "" {
		return "", invalid("Send one access token, in the header or in the form.")
	}
	if posted != "" {
		return posted, nil
	}
	if len(header) == 0 { // no error code where nothing was tried (RFC 6750 section 3.1)
		return "", &Error{Status: http.StatusUnauthorized, Code: "invalid_token", challenge: `Bearer realm="oauth2"`,
			Description: "Send an access token: Authorization: Bearer <token>."}
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", noToken()
	}
	return token, nil
}

func noToken() *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "invalid_token",
		Description: "The access token does not count, or not any more. Refresh it, or sign in again.",
		challenge:   `Bearer realm="oauth2", error="invalid_token"`}
}

// bearerError says no by invalid_token, and that nobody knows by 500 or 503.
func bearerError(err error) *Error {
	if cannotAnswer(err) {
		return oauthError(err)
	}
	return noToken()
}

// userinfoJSON is sub and active_grant, and what the scopes profile and email show.
type userinfoJSON struct {
	Subject    string      `json:"sub"`
	Grant      ActiveGrant `json:"active_grant"`
	Name       string      `json:"name,omitzero"`
	GivenName  string      `json:"given_name,omitzero"`
	FamilyName string      `json:"family_name,omitzero"`
	UserName   string      `json:"preferred_username,omitzero"`
	Locale     string      `json:"locale,omitzero"`
	ZoneInfo   string      `json:"zoneinfo,omitzero"`
	UpdatedAt  int64       `json:"updated_at,omitzero"` // Unix seconds
	Email      string      `json:"email,omitzero"`
}

func userinfoAnswer(a Accepted) userinfoJSON {
	u := userinfoJSON{Subject: string(a.Bound.Subject.Person), Grant: a.Grant}
	if slices.Contains(a.OAuthScopes, scopeProfile) {
		q := a.Profile
		u.Name, u.GivenName, u.FamilyName, u.UserName = q.Name, q.GivenName, q.FamilyName, q.UserName
		u.Locale, u.ZoneInfo = q.Locale, q.ZoneInfo
		if !q.UpdatedAt.IsZero() {
			u.UpdatedAt = q.UpdatedAt.Unix()
		}
	}
	if slices.Contains(a.OAuthScopes, scopeEmail) {
		u.Email = a.Profile.Email
	}
	return u
}
