//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// application is a relying party of the bridge, in the hands of a test.
type application struct {
	t        *testing.T
	issuer   string
	config   oauth2.Config
	verifier *oidc.IDTokenVerifier
	pushTo   string // the pushed authorization request endpoint; "" if there is none
}

// fleetWeb is the demo's application; the browsers of a test never get to its pages.
func (b *bridge) fleetWeb() *application {
	b.t.Helper()
	c := b.Clients[0]
	return relyingParty(b.t, b.Issuer, c.ClientID, c.ClientSecret, c.RedirectURI)
}

// relyingParty is a registered application of any provider.
func relyingParty(t *testing.T, issuer, id, secret, redirectURI string) *application {
	t.Helper()
	provider, err := oidc.NewProvider(context.WithoutCancel(t.Context()), issuer)
	if err != nil {
		t.Fatal(err)
	}
	var more struct {
		PushTo string `json:"pushed_authorization_request_endpoint"`
	}
	if err := provider.Claims(&more); err != nil {
		t.Fatal(err)
	}
	return &application{t: t, pushTo: more.PushTo, issuer: issuer, verifier: provider.Verifier(&oidc.Config{ClientID: id, SupportedSigningAlgs: []string{"ES256", "RS256"}}),
		config: oauth2.Config{ClientID: id, ClientSecret: secret, RedirectURL: redirectURI, Endpoint: provider.Endpoint(), Scopes: []string{"openid"}}}
}

// signIn is one sign-in that was begun.
type signIn struct{ at, verifier, nonce, state string }

func (a *application) begin(extra url.Values) signIn {
	s := signIn{verifier: oauth2.GenerateVerifier(), nonce: oauth2.GenerateVerifier(), state: oauth2.GenerateVerifier()}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(s.verifier), oidc.Nonce(s.nonce)}
	for name, values := range extra {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	s.at = a.config.AuthCodeURL(s.state, options...)
	return s
}

// held is what an application has of somebody.
type held struct {
	*oauth2.Token
	idToken string
	claims  map[string]any
}

// redeem takes the tokens for the code at which a browser stopped.
func (a *application) redeem(s signIn, p page) held {
	a.t.Helper()
	q := p.url.Query()
	if !strings.HasPrefix(p.url.String(), a.config.RedirectURL) || q.Get("code") == "" || q.Get("state") != s.state || q.Get("iss") != a.issuer {
		a.t.Fatalf("the browser came to rest at %s with %d:\n%s", p.url, p.status, p.body)
	}
	token, err := a.config.Exchange(context.WithoutCancel(a.t.Context()), q.Get("code"), oauth2.VerifierOption(s.verifier))
	if err != nil {
		a.t.Fatal(err)
	}
	h := held{Token: token, claims: map[string]any{}}
	h.idToken, _ = token.Extra("id_token").(string)
	id, err := a.verifier.Verify(a.t.Context(), h.idToken)
	if err != nil || id.Nonce != s.nonce {
		a.t.Fatalf("the ID token does not hold: %v", err)
	}
	if err := id.Claims(&h.claims); err != nil {
		a.t.Fatal(err)
	}
	return h
}

// lives asks the bridge whether a token still opens anything.
func (a *application) lives(token string) bool {
	a.t.Helper()
	req := request(a.t, http.MethodPost, a.issuer+"/oauth2/introspect", url.Values{"token": {token}}.Encode())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(a.config.ClientID, a.config.ClientSecret)
	got := send(a.t, http.DefaultClient, req)
	var said struct {
		Active *bool `json:"active"`
	}
	if err := json.Unmarshal([]byte(got.body), &said); err != nil || said.Active == nil {
		a.t.Fatalf("introspection: %d %s", got.status, got.body)
	}
	return *said.Active
}

// refresh gives the next tokens.
func (a *application) refresh(h held) *oauth2.Token {
	a.t.Helper()
	next, err := a.config.TokenSource(context.WithoutCancel(a.t.Context()), &oauth2.Token{RefreshToken: h.RefreshToken}).Token()
	if err != nil {
		a.t.Fatal(err)
	}
	return next
}
