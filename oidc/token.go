package oidc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
)

// token is the token endpoint (RFC 6749 section 3.2).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	f, who, err := presentedForm(w, r, "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope",
		"subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type", "authorization_details")
	if err != nil {
		p.refuseStranger(w, r, err)
		return
	}
	if credential.NamesSCIMClient(string(who.id)) {
		p.scimToken(w, r, f, who)
		return
	}
	c, err := p.authenticate(r, who)
	if err != nil {
		p.refuseStranger(w, r, err)
		return
	}
	letRead(w, r, c)
	set, err := p.exchange(r, f, c)
	p.Proofs.Announce(w)
	if err != nil {
		p.refuse(w, r, err, redeemError)
		return
	}
	writeJSON(w, http.StatusOK, tokenAnswer(set))
}

func (p *Provider) exchange(r *http.Request, f form, c Client) (TokenSet, error) {
	grantType := f.get("grant_type")
	if slices.Contains(GrantTypes(), grantType) && !c.MayUse(grantType) {
		return TokenSet{}, unauthorized("This application is not registered for this grant_type.")
	}
	proof, err := p.Proofs.prove(r, "")
	if err == nil {
		err = p.Proofs.use(r.Context(), proof, counted)
	}
	if err != nil {
		return TokenSet{}, err
	}
	if proof.Key == "" && c.RequireDPoP {
		return TokenSet{}, badProof("This application sends a DPoP proof with every token request (RFC 9449).")
	}
	set, err := p.tokensFor(r, f, c, proof.Key)
	if err != nil { // anybody can come as a public client: what gave nothing takes no room
		if still := p.Proofs.unuse(context.WithoutCancel(r.Context()), proof); still != nil {
			err = errors.Join(still, err)
		}
	}
	return set, err
}

// tokensFor is what a client gets that proved key, "" for none.
func (p *Provider) tokensFor(r *http.Request, f form, c Client, key string) (TokenSet, error) {
	switch f.get("grant_type") {
	case GrantTypeTokenExchange:
		return p.exchangeToken(r, f, c, key)
	case GrantTypeCode:
		return p.redeem(r.Context(), f, c, key)
	case GrantTypeRefresh:
		return p.refresh(r.Context(), f, c, key)
	case GrantTypeClientCredentials:
		return p.serviceToken(r.Context(), f, c, key)
	}
	return TokenSet{}, noSuchGrant(f)
}

// noSuchGrant is the error for a request whose grant_type says nothing to us.
func noSuchGrant(f form) *Error {
	if f.get("grant_type") == "" {
		return invalid("The parameter grant_type is missing.")
	}
	return &Error{Status: http.StatusBadRequest, Code: "unsupported_grant_type", Description: "Use authorization_code, refresh_token, token-exchange or client_credentials."}
}

// unauthorized is the error for a grant type that the client may not use.
func unauthorized(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "unauthorized_client", Description: description}
}

func (p *Provider) redeem(ctx context.Context, f form, c Client, dpopKey string) (TokenSet, error) {
	if err := f.within(limit{"code", maxToken}, limit{"redirect_uri", maxRedirectURI}); err != nil {
		return TokenSet{}, err
	}
	x := CodeExchange{Code: f.get("code"), RedirectURI: f.get("redirect_uri"), CodeVerifier: f.get("code_verifier"), DPoPKey: dpopKey, Client: c}
	if x.Code == "" || x.RedirectURI == "" {
		return TokenSet{}, invalid("The parameters code and redirect_uri are both needed.")
	}
	if !isVerifier(x.CodeVerifier) && (x.CodeVerifier != "" || !c.MayOmitPKCE()) {
		return TokenSet{}, invalid("The code_verifier is needed: 43 to 128 letters, digits and the characters -._~ (RFC 7636 section 4.1).")
	}
	var err error
	if x.Resource, err = f.target(c, "resource"); err != nil {
		return TokenSet{}, err
	}
	return p.Tokens.Redeem(ctx, x)
}

func isVerifier(s string) bool {
	bad := func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("-._~", r) }
	return len(s) >= 43 && len(s) <= 128 && !strings.ContainsFunc(s, bad)
}

func (p *Provider) refresh(ctx context.Context, f form, c Client, dpopKey string) (TokenSet, error) {
	if err := f.within(limit{"refresh_token", maxToken}, limit{"scope", maxScope}); err != nil {
		return TokenSet{}, err
	}
	x := RefreshExchange{RefreshToken: f.get("refresh_token"), OAuthScopes: strings.Fields(f.get("scope")), DPoPKey: dpopKey, Client: c}
	if x.RefreshToken == "" {
		return TokenSet{}, invalid("The parameter refresh_token is missing.")
	}
	if slices.ContainsFunc(x.OAuthScopes, isGrantScope) {
		return TokenSet{}, &Error{Status: http.StatusBadRequest, Code: "invalid_scope",
			Description: "A refresh never changes the grant. Send the person to the authorization endpoint with scope=openid grant:<id>."}
	}
	if len(x.OAuthScopes) == 0 {
		x.OAuthScopes = nil
	}
	var err error
	if x.Resource, err = f.target(c, "resource"); err != nil {
		return TokenSet{}, err
	}
	return p.Tokens.Refresh(ctx, x)
}

func isGrantScope(s string) bool { return strings.HasPrefix(s, scopeGrantPrefix) }

// tokenJSON is the whole answer: custom members would be claims, not members.
type tokenJSON struct {
	AccessToken  string   `json:"access_token"`
	TokenType    string   `json:"token_type"`
	ExpiresIn    int64    `json:"expires_in"` // seconds
	RefreshToken string   `json:"refresh_token,omitzero"`
	IDToken      string   `json:"id_token,omitzero"`
	Scope        string   `json:"scope"`
	IssuedType   string   `json:"issued_token_type,omitzero"`      // RFC 8693
	Details      []detail `json:"authorization_details,omitempty"` // RFC 9396
}

func tokenAnswer(s TokenSet) tokenJSON {
	a := tokenJSON{AccessToken: s.AccessToken, TokenType: tokenType(s.DPoPKey), ExpiresIn: int64(s.ExpiresIn / time.Second),
		RefreshToken: s.RefreshToken, IDToken: s.IDToken, Scope: scopeText(s.OAuthScopes), IssuedType: s.IssuedType}
	if s.Details {
		a.Details = []detail{{DetailActiveGrant, s.Active}}
	}
	return a
}

// tokenType is how an access token is sent: as DPoP if it is bound to a key.
func tokenType(dpopKey string) string {
	if dpopKey == "" {
		return "Bearer"
	}
	return "DPoP"
}

// scopeText joins OAuth scopes; grant:<id> asks for something and is never echoed.
func scopeText(scopes []string) string {
	if slices.ContainsFunc(scopes, isGrantScope) {
		scopes = slices.DeleteFunc(slices.Clone(scopes), isGrantScope)
	}
	return strings.Join(scopes, " ")
}
