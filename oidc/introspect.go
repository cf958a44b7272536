package oidc

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// introspect is token introspection for confidential clients (RFC 7662), signed for
// those that accept it so (RFC 9701).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	f, c, err := p.clientForm(w, r, "token", "token_type_hint")
	if err == nil && c.Public() {
		err = unauthenticated(false, "Introspection is for clients that have a secret or keys.")
	}
	if err == nil && f.get("token") == "" {
		err = invalid("The parameter token is missing.")
	}
	var answer any
	if err == nil {
		answer, err = p.inspect(r.Context(), f, c)
	}
	if err == nil && acceptsSigned(r) {
		err = p.writeSigned(w, c, answer)
	} else if err == nil {
		writeJSON(w, http.StatusOK, answer)
	}
	if err != nil {
		p.refuse(w, r, err, oauthError)
	}
}

// typeSignedIntrospection is the media type of RFC 9701 section 4.
const typeSignedIntrospection = "application/token-introspection+jwt"

// acceptsSigned reports whether the client asks for a signed answer by its name: "*/*"
// is whatever sends plain JSON.
func acceptsSigned(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header["Accept"], ","), ",") {
		t, params, err := mime.ParseMediaType(part)
		q := params["q"]
		if err == nil && t == typeSignedIntrospection && (q == "" || strings.Trim(q, "0.") != "") {
			return true
		}
	}
	return false
}

func (p *Provider) writeSigned(w http.ResponseWriter, c Client, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return fault.Wrap(fault.Internal, "oidc.writeSigned", err)
	}
	signed, err := p.Applications.SignIntrospection(c, body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeSignedIntrospection)
	_, _ = io.WriteString(w, signed) // a failed write means that the reader has gone
	return nil
}

// inactive is all that is said about a token that does not count, or is not meant
// for the caller: it must not be possible to tell which.
type inactive struct {
	Active bool `json:"active"`
}

// confirmation is the cnf member of a token that is bound to a DPoP key (RFC 9449
// section 6.2).
type confirmation struct {
	Thumbprint string `json:"jkt"`
}

// introspection is the answer about a token that counts now.
type introspection struct {
	Active    bool            `json:"active"`
	Scope     string          `json:"scope"`
	ClientID  string          `json:"client_id"`
	Subject   string          `json:"sub"`
	Audience  string          `json:"aud,omitzero"`
	Issuer    string          `json:"iss"`
	Expires   int64           `json:"exp"` // Unix seconds, as the other times
	IssuedAt  int64           `json:"iat,omitzero"`
	SessionID string          `json:"sid,omitzero"`
	JTI       string          `json:"jti,omitzero"`
	TokenType string          `json:"token_type,omitzero"`
	Confirm   *confirmation   `json:"cnf,omitempty"`
	AuthTime  int64           `json:"auth_time,omitzero"`
	ACR       string          `json:"acr,omitzero"` // RFC 9470 section 6.2
	Grant     json.RawMessage `json:"active_grant,omitempty"`
}

// inspect asks about the token as the kind it is said to be, then as the other
// (RFC 7662 section 2.1). An error means that nobody knows: that is never "active".
func (p *Provider) inspect(ctx context.Context, f form, c Client) (any, error) {
	if credential.IsService(f.get("token")) {
		return p.inspectService(ctx, f.get("token"), c)
	}
	kinds := [...]func(context.Context, string, Client) (any, error){p.inspectAccess, p.inspectRefresh}
	if f.get("token_type_hint") == GrantTypeRefresh {
		kinds[0], kinds[1] = kinds[1], kinds[0]
	}
	for _, ask := range kinds {
		answer, err := ask(ctx, f.get("token"), c)
		if err == nil || cannotAnswer(err) {
			return answer, err
		}
	}
	return inactive{}, nil
}

// inspectAccess tells the token's own client, and the clients that stand for the
// resource it is meant for.
func (p *Provider) inspectAccess(ctx context.Context, token string, c Client) (any, error) {
	a, err := p.Tokens.Accept(ctx, token)
	if err != nil {
		return nil, err
	}
	if a.Bound.Subject.Client != c.ID && a.Audience != c.TokenAudience() {
		return inactive{}, nil
	}
	answer := p.describe(a)
	answer.TokenType = tokenType(a.DPoPKey)
	if a.DPoPKey != "" {
		answer.Confirm = &confirmation{a.DPoPKey}
	}
	return answer, nil
}

// inspectRefresh tells the token's own client alone: no resource takes one.
func (p *Provider) inspectRefresh(ctx context.Context, token string, c Client) (any, error) {
	a, err := p.Tokens.AcceptRefresh(ctx, token)
	if err != nil {
		return nil, err
	}
	if a.Bound.Subject.Client != c.ID {
		return inactive{}, nil
	}
	return p.describe(a), nil
}

// inspectService tells an application about its own access token alone: no other
// resource than the bridge takes one.
func (p *Provider) inspectService(ctx context.Context, token string, c Client) (any, error) {
	a, err := p.Applications.Service(ctx, token)
	if err != nil && cannotAnswer(err) {
		return nil, err
	}
	if err != nil || a.Client.ID != c.ID {
		return inactive{}, nil
	}
	answer := introspection{Active: true, Scope: scopeText(a.OAuthScopes), ClientID: string(c.ID), Subject: string(c.ID), Audience: p.Issuer, Issuer: p.Issuer,
		Expires: a.Expires.Unix(), IssuedAt: a.IssuedAt.Unix(), JTI: a.JTI, TokenType: tokenType(a.Key)}
	if a.Key != "" {
		answer.Confirm = &confirmation{a.Key}
	}
	return answer, nil
}

func (p *Provider) describe(a Accepted) introspection {
	i := introspection{Active: true, Scope: scopeText(a.OAuthScopes), ClientID: string(a.Bound.Subject.Client),
		Subject: a.Sub, Audience: a.Audience, Issuer: p.Issuer, Expires: a.Bound.Expires.Unix(),
		SessionID: a.SID, JTI: a.JTI, Grant: a.Grant, ACR: a.ACR}
	if !a.AuthTime.IsZero() {
		i.AuthTime = a.AuthTime.Unix()
	}
	if !a.IssuedAt.IsZero() {
		i.IssuedAt = a.IssuedAt.Unix()
	}
	return i
}

// revoke ends a token's family (RFC 7009). A token that does not count, or is
// another client's, gets the same empty 200.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	f, c, err := p.clientForm(w, r, "token", "token_type_hint")
	if err != nil {
		p.refuseStranger(w, r, err)
		return
	}
	letRead(w, r, c)
	token := f.get("token")
	if token == "" {
		err = invalid("The parameter token is missing.")
	}
	if h, hintErr := p.Tokens.IDTokenHint(r.Context(), token); hintErr == nil && h.Client == c.ID {
		err = &Error{Status: http.StatusBadRequest, Code: "unsupported_token_type",
			Description: "An ID token opens nothing and cannot be revoked. Revoke the access or refresh token, or end the session."}
	}
	if err == nil {
		err = p.Tokens.Revoke(r.Context(), token, c.ID)
	}
	if err != nil {
		p.refuse(w, r, err, oauthError)
		return
	}
	w.WriteHeader(http.StatusOK)
}
