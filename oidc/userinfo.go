package oidc

import (
	"net/http"
	"slices"
)

// userinfo tells about the person behind an access token (OpenID Connect Core
// section 5.3, RFC 6750, RFC 9449 section 7).
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	p.Proofs.Announce(w)
	shown, err := p.shown(w, r)
	if err != nil {
		p.refuseStranger(w, r, err)
		return
	}
	a, err := p.Tokens.Accept(r.Context(), shown.Token)
	if err != nil {
		p.letStrangerRead(w, r)
		p.refuse(w, r, err, bearerError)
		return
	}
	if c, err := p.Clients.Client(r.Context(), a.Bound.Subject.Client); err == nil {
		letRead(w, r, c)
	}
	if err := a.Shows(shown); err != nil {
		p.refuse(w, r, notShown(a, err), bearerError)
		return
	}
	if !slices.Contains(a.OAuthScopes, scopeOpenID) {
		writeError(w, &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: "The access token has no scope openid.",
			challenge: `Bearer realm="oauth2", error="insufficient_scope", scope="openid"`})
		return
	}
	profile, err := p.Profiles.Profile(r.Context(), a)
	if err != nil {
		p.refuse(w, r, err, bearerError)
		return
	}
	writeJSON(w, http.StatusOK, userinfoAnswer(a, profile))
}

// shown finds the access token in the header or the form of a POST, in one place
// only, and never in the address (RFC 6750 section 2.3 discourages it).
func (p *Provider) shown(w http.ResponseWriter, r *http.Request) (Presented, error) {
	var posted string
	if r.Method == http.MethodPost && isForm(r.Header.Get("Content-Type")) {
		f, err := readBody(w, r)
		if err != nil {
			return Presented{}, err
		}
		if f.once("access_token") != nil {
			return Presented{}, twoTokens()
		}
		posted = f.get("access_token")
	}
	if posted == "" {
		return p.Proofs.Present(r)
	}
	if len(r.Header["Authorization"]) > 0 {
		return Presented{}, twoTokens()
	}
	return Presented{Token: posted}, nil
}

// twoTokens refuses a request to a protected resource with more than one access token, by
// the challenge that RFC 6750 section 3 demands.
func twoTokens() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", challenge: `Bearer realm="oauth2", error="invalid_request"`,
		Description: "Send one access token, in the header or in the form."}
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
	if up := stepUpOf(err); up != nil {
		return up.stepUpError()
	}
	return noToken()
}

// userinfoAnswer is sub and active_grant, what the scopes show, and what the claims
// parameter asked for. Nothing of a profile can take the place of the first two.
func userinfoAnswer(a Accepted, q Profile) map[string]any {
	u := q.Claims(a.OAuthScopes, a.Userinfo)
	u["sub"], u["active_grant"] = a.Sub, a.Grant
	return u
}
