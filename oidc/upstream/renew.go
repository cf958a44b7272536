package upstream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// Renewal is a provider's answer to its own refresh token.
type Renewal struct {
	Refresh secret.String // the token that takes the place of the one that was sent; empty if that stays
	Until   time.Time     // the provider's own end of the session; zero: it names none
}

// Staleness is how often a connection's provider is asked whether a session still
// stands, and for how long a session lives on while it does not say. No interval: it is
// never asked. No grace: until the session's own end.
func (u *Upstreams) Staleness(c access.ConnectionID) (every, grace time.Duration) {
	l := (*u.links.Load())[c]
	if l == nil {
		return 0, 0
	}
	return l.provider.ProbeEvery, l.provider.ProbeGrace
}

// Renew shows a provider the refresh token that came with a sign-in of subject. An
// answer without an error says that the sign-in still stands. The Renewal's token counts
// also beside an error, and is kept before anything else: the one that was sent may be
// worth nothing any more.
//
// Errors: fault.Denied with ReasonRefused when the provider no longer vouches for the
// sign-in, or vouches for somebody else, and with ReasonOver when its session has ended;
// fault.Denied with another reason, or fault.Unavailable wrapping an *Outage, when nothing
// is known.
func (u *Upstreams) Renew(ctx context.Context, c access.ConnectionID, refresh secret.String, subject string) (Renewal, error) {
	const op = "upstream.Renew"
	l, err := u.link(op, c)
	if err != nil {
		return Renewal{}, err
	}
	found, err := l.discovered(ctx)
	if err != nil {
		return Renewal{}, err
	}
	tokens, err := l.refresh(ctx, found, refresh)
	if err != nil {
		return Renewal{}, err
	}
	l.up()
	var r Renewal
	if tokens.RefreshToken != "" && tokens.RefreshToken != refresh.Reveal() {
		r.Refresh = secret.New(tokens.RefreshToken)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" { // it need not send one (OpenID Connect Core 12.2)
		return r, nil
	}
	r.Until, err = l.renewed(ctx, found, raw, subject)
	return r, err
}

// refresh shows the token (RFC 6749 section 6), through the part of x/oauth2 that lets the
// request carry a client assertion.
func (l *link) refresh(ctx context.Context, found *discovery, token secret.String) (*oauth2.Token, error) {
	more, err := l.proof(found)
	if err != nil {
		return nil, err
	}
	more.Set("grant_type", "refresh_token")
	more.Set("refresh_token", token.Reveal())
	conf := clientcredentials.Config{ClientID: l.provider.ClientID, ClientSecret: l.provider.ClientSecret.Reveal(), TokenURL: found.endpoint.TokenURL,
		EndpointParams: more, AuthStyle: found.endpoint.AuthStyle}
	tokens, err := conf.Token(l.withClient(ctx))
	if err != nil {
		return nil, l.renewFault(ctx, err)
	}
	return tokens, nil
}

// renewed reads the ID token that came with a renewal (OpenID Connect Core 12.2).
func (l *link) renewed(ctx context.Context, found *discovery, raw, subject string) (until time.Time, err error) {
	_, c, err := l.signed(ctx, found, raw)
	if err != nil {
		return time.Time{}, err
	}
	err = errors.Join(c.Equals("iss", l.provider.Issuer), c.Audience(l.provider.ClientID), c.party(l.provider.ClientID),
		c.Times(l.now(), jwtclaims.Limits{Issued: true}), c.tenant(l.provider.TenantID))
	if err != nil {
		return time.Time{}, notProven(err)
	}
	if c.Equals(l.provider.SubjectClaim, subject) != nil {
		return time.Time{}, refusedRenewal("The identity provider vouches for somebody else now.")
	}
	return c.sessionExpiry(l.now())
}

// renewFault tells a provider that takes its word back from one that says nothing.
func (l *link) renewFault(ctx context.Context, err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode == http.StatusBadRequest && refused.ErrorCode == "invalid_grant" {
		l.up()
		return refusedRenewal("The identity provider has ended the sign-in.")
	}
	return l.exchangeFault(ctx, err)
}

func refusedRenewal(detail string) error {
	return fault.New(fault.Denied, "upstream.Renew", "%s", detail).Because(ReasonRefused)
}
