package fleetweb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const answerLimit = 1 << 20

// ActiveGrant is the active_grant claim: the one thing this session may act as.
type ActiveGrant struct {
	ID       string `json:"id"`
	Grant    string `json:"grant"`
	Standing string `json:"standing"`
	Scope    struct {
		ID    string   `json:"id"`
		Level string   `json:"level"`
		Path  string   `json:"path"`
		Names []string `json:"names"` // from the top to the scope itself
	} `json:"scope"`
	Flags struct {
		Events string `json:"events"`
		Video  bool   `json:"video"`
	} `json:"flags"`
	Until int64 `json:"until"` // Unix seconds; 0: no end
}

// says is what the bridge says about a token.
type says struct {
	Active bool        `json:"active"`
	Scope  string      `json:"scope"`
	Grant  ActiveGrant `json:"active_grant"`
	raw    json.RawMessage
}

// endpoints are those of the bridge that go-oidc does not name.
type endpoints struct {
	Introspect string   `json:"introspection_endpoint"`
	EndSession string   `json:"end_session_endpoint"`
	Scopes     []string `json:"scopes_supported"`
}

// bridge is the OpenID Provider as this application knows it, found at first use:
// the two may start in any order.
type bridge struct {
	cfg  Config
	http *http.Client

	mu       sync.Mutex // guards the rest
	provider *oidc.Provider
	more     endpoints
}

func (b *bridge) find(ctx context.Context) (*oidc.Provider, endpoints, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.provider != nil {
		return b.provider, b.more, nil
	}
	// The provider keeps its context for its keys: it must outlive this request.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), b.http)
	p, err := oidc.NewProvider(ctx, b.cfg.Issuer)
	if err != nil {
		return nil, endpoints{}, fmt.Errorf("fleetweb: %w", err)
	}
	if err := p.Claims(&b.more); err != nil {
		return nil, endpoints{}, fmt.Errorf("fleetweb: %w", err)
	}
	b.provider = p
	return p, b.more, nil
}

func (b *bridge) oauth(p *oidc.Provider, m endpoints) *oauth2.Config {
	return &oauth2.Config{
		ClientID: b.cfg.ClientID, ClientSecret: b.cfg.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: b.cfg.redirectURI(), Scopes: wanted(m.Scopes),
	}
}

// wanted is every workflow this application knows, as far as the bridge offers it;
// the bridge grants those that the active grant opens.
func wanted(offered []string) []string {
	scopes := []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess}
	for _, w := range workflows() {
		scopes = append(scopes, w.name)
	}
	return slices.DeleteFunc(scopes, func(s string) bool {
		return len(offered) > 0 && s != oidc.ScopeOpenID && !slices.Contains(offered, s)
	})
}

// redeem exchanges the code and verifies the ID token, its nonce and its at_hash.
func (b *bridge) redeem(ctx context.Context, code string, p pending) (tokens, error) {
	provider, more, err := b.find(ctx)
	if err != nil {
		return tokens{}, err
	}
	ctx = oidc.ClientContext(ctx, b.http)
	t, err := b.oauth(provider, more).Exchange(ctx, code, oauth2.VerifierOption(p.verifier))
	if err != nil {
		return tokens{}, fmt.Errorf("fleetweb: redeem the code: %w", err)
	}
	raw, _ := t.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: b.cfg.ClientID, Now: b.cfg.Now, SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256}}).Verify(ctx, raw)
	if err != nil {
		return tokens{}, fmt.Errorf("fleetweb: %w", err)
	}
	if id.Nonce != p.nonce {
		return tokens{}, errors.New("fleetweb: the ID token answers another sign-in")
	}
	var who struct{ Name, Email string }
	if err := id.Claims(&who); err != nil {
		return tokens{}, fmt.Errorf("fleetweb: %w", err)
	}
	if who.Name == "" {
		who.Name = who.Email
	}
	return tokens{Access: t.AccessToken, Refresh: t.RefreshToken, ID: raw, Expires: t.Expiry, Name: who.Name}, nil
}

// refresh exchanges the refresh token for the next set. A *oauth2.RetrieveError
// with a status below 500 is the bridge's no.
func (b *bridge) refresh(ctx context.Context, old tokens) (tokens, error) {
	provider, more, err := b.find(ctx)
	if err != nil {
		return old, err
	}
	ctx = oidc.ClientContext(ctx, b.http)
	t, err := b.oauth(provider, more).TokenSource(ctx, &oauth2.Token{RefreshToken: old.Refresh}).Token()
	if err != nil {
		return old, fmt.Errorf("fleetweb: refresh: %w", err)
	}
	next := old
	next.Access, next.Expires = t.AccessToken, t.Expiry
	if t.RefreshToken != "" {
		next.Refresh = t.RefreshToken
	}
	if raw, _ := t.Extra("id_token").(string); raw != "" {
		next.ID = raw
	}
	return next, nil
}

// introspect asks whether the token counts at this moment (RFC 7662).
func (b *bridge) introspect(ctx context.Context, access string) (says, error) {
	_, more, err := b.find(ctx)
	if err != nil {
		return says{}, err
	}
	form := url.Values{"token": {access}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, more.Introspect, strings.NewReader(form.Encode()))
	if err != nil {
		return says{}, fmt.Errorf("fleetweb: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(b.cfg.ClientID), url.QueryEscape(b.cfg.ClientSecret))
	var s says
	if s.raw, err = b.json(req, &s); err != nil {
		return says{}, err
	}
	return s, nil
}

// grants lists what the person may switch to.
func (b *bridge) grants(ctx context.Context, access string) ([]ActiveGrant, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.cfg.GrantsURL, nil)
	if err != nil {
		return nil, fmt.Errorf("fleetweb: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	var list struct {
		Grants []ActiveGrant `json:"grants"`
	}
	_, err = b.json(req, &list)
	return list.Grants, err
}

func (b *bridge) json(req *http.Request, into any) ([]byte, error) {
	res, err := b.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fleetweb: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return nil, fmt.Errorf("fleetweb: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fleetweb: %s answered %d", req.URL.Path, res.StatusCode)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, fmt.Errorf("fleetweb: %s: %w", req.URL.Path, err)
	}
	return body, nil
}

// refused reports whether the bridge answered no, rather than not at all.
func refused(err error) bool {
	var no *oauth2.RetrieveError
	return errors.As(err, &no) && no.Response != nil && no.Response.StatusCode < http.StatusInternalServerError
}

// soon is how near its end a token is refreshed.
const soon = 45 * time.Second
