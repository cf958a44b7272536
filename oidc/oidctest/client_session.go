package oidctest

import (
	"context"
	"fmt"
	"net/url"
)

// endpoints are those that go-oidc does not name.
type endpoints struct {
	Introspect string `json:"introspection_endpoint"`
	Revoke     string `json:"revocation_endpoint"`
	EndSession string `json:"end_session_endpoint"`
	UserInfo   string `json:"userinfo_endpoint"`
}

func (c *Client) endpoints(ctx context.Context) (endpoints, error) {
	var e endpoints
	if err := c.start(ctx); err != nil {
		return e, err
	}
	if err := c.provider.Claims(&e); err != nil {
		return e, fmt.Errorf("oidctest: %w", err)
	}
	return e, nil
}

// Introspect asks about a token (RFC 7662): {"active": false} is no error.
func (c *Client) Introspect(ctx context.Context, token string) (map[string]any, error) {
	e, err := c.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	err = c.post(ctx, e.Introspect, url.Values{"token": {token}}, &out)
	return out, err
}

// Revoke ends a token (RFC 7009).
func (c *Client) Revoke(ctx context.Context, token string) error {
	e, err := c.endpoints(ctx)
	if err != nil {
		return err
	}
	return c.post(ctx, e.Revoke, url.Values{"token": {token}}, nil)
}

// UserInfo reads the person's claims with an access token.
func (c *Client) UserInfo(ctx context.Context, accessToken string) (map[string]any, error) {
	e, err := c.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	err = c.Get(ctx, e.UserInfo, accessToken, &out)
	return out, err
}

// Get reads any JSON document of the provider with an access token, for instance
// the list of grants to choose from.
func (c *Client) Get(ctx context.Context, at, accessToken string, into any) error {
	if err := c.start(ctx); err != nil {
		return err
	}
	res, err := c.get(ctx, at, accessToken)
	if err != nil {
		return err
	}
	return decodeOAuth(res, into)
}

// EndSession signs out in this browser and gives the address it was left at.
func (c *Client) EndSession(ctx context.Context, idToken, returnTo string) (string, error) {
	e, err := c.endpoints(ctx)
	if err != nil {
		return "", err
	}
	q := url.Values{"id_token_hint": {idToken}, "client_id": {c.ClientID}, "post_logout_redirect_uri": {returnTo}}
	at := withQuery(e.EndSession, q)
	for range maxHops {
		next, stopped, err := c.hop(ctx, at)
		switch {
		case err != nil:
			return "", err
		case stopped != nil && stopped.Status/100 != 2:
			return "", stopped
		case stopped != nil:
			return stopped.URL, nil
		case returnTo != "" && next == returnTo:
			return next, nil
		}
		at = next
	}
	return "", fmt.Errorf("oidctest: more than %d redirects", maxHops)
}
