package oidc

import (
	"context"
	"net/http"
	"strings"
)

// serviceToken is the client credentials grant of an application (RFC 6749 section 4.4):
// an access token that stands for no person. There is no refresh token: it asks again.
func (p *Provider) serviceToken(ctx context.Context, f form, c Client, dpopKey string) (TokenSet, error) {
	if c.Public() {
		return TokenSet{}, unauthorized("A public application has nothing for itself: everybody could take it.")
	}
	if err := f.within(limit{"scope", maxScope}); err != nil {
		return TokenSet{}, err
	}
	return p.Applications.ServiceToken(ctx, ServiceOrder{Client: c, OAuthScopes: strings.Fields(f.get("scope")), Key: dpopKey})
}

// scimToken is the client credentials grant of a SCIM client, a customer's identity
// provider, whose id says what it is. Its secrets and keys are the connection's, and so
// it authenticates elsewhere.
func (p *Provider) scimToken(w http.ResponseWriter, r *http.Request, f form, who presented) {
	set, err := p.scimExchange(r, f, who)
	if err != nil {
		p.refuse(w, r, err, func(err error) *Error {
			if e := oauthError(err); e.Code != "invalid_client" {
				return e
			}
			return unauthenticated(who.basic, noClient) // the same for whatever was wrong
		})
		return
	}
	writeJSON(w, http.StatusOK, tokenAnswer(set))
}

func (p *Provider) scimExchange(r *http.Request, f form, who presented) (TokenSet, error) {
	switch f.get("grant_type") {
	case GrantTypeClientCredentials:
	case GrantTypeCode, GrantTypeRefresh, GrantTypeTokenExchange:
		return TokenSet{}, unauthorized("A SCIM client uses client_credentials.")
	default:
		return TokenSet{}, noSuchGrant(f)
	}
	if len(who.id) > maxClientID || len(who.secret.Reveal()) > maxSecret {
		return TokenSet{}, unauthenticated(who.basic, noClient)
	}
	if err := f.within(limit{"scope", maxScope}); err != nil {
		return TokenSet{}, err
	}
	return p.Services.ClientCredentials(r.Context(), ServiceExchange{Client: string(who.id), Secret: who.secret, Assertion: who.assertion,
		OAuthScopes: strings.Fields(f.get("scope")), From: p.ClientAddr(r)})
}
