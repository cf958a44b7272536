package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// Upstreams is every connection's identity provider. Its methods may be called from
// many goroutines.
type Upstreams struct {
	client *http.Client
	prove  Prove
	now    func() time.Time
	links  atomic.Pointer[map[access.ConnectionID]*link]
}

// New checks the providers and prepares them; nothing is fetched until somebody
// signs in. All faults are reported, joined. client is the one egress client: its
// limits on addresses hold here; redirects are refused and bodies capped at 1 MiB
// whatever it says. prove is needed by providers with private_key_jwt; nil: there are none.
// now is the clock that tokens are judged by.
func New(client *http.Client, prove Prove, providers []Provider, now func() time.Time) (*Upstreams, error) {
	u := &Upstreams{client: client, prove: prove, now: now}
	u.links.Store(&map[access.ConnectionID]*link{})
	put, err := u.Prepare(providers)
	if err != nil {
		return nil, err
	}
	put()
	return u, nil
}

// Prepare checks other providers; put puts them in the place of those that were. What
// is known of a provider that stays as it is stays known. One Prepare at a time.
func (u *Upstreams) Prepare(providers []Provider) (put func(), err error) {
	links := make(map[access.ConnectionID]*link, len(providers))
	var faults []error
	for _, p := range providers {
		if err := u.check(p); err != nil {
			faults = append(faults, fmt.Errorf("connection %q: %w", p.Connection, err))
			continue
		}
		if links[p.Connection] != nil {
			faults = append(faults, fmt.Errorf("connection %q has two identity providers", p.Connection))
			continue
		}
		links[p.Connection] = u.linkTo(p)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return func() { u.links.Store(&links) }, nil
}

func (u *Upstreams) linkTo(p Provider) *link {
	if known := (*u.links.Load())[p.Connection]; known != nil && reflect.DeepEqual(known.provider, p) {
		return known
	}
	return newLink(p, u.client, u.prove, u.now)
}

// Knows reports whether people of a connection have a provider to sign in with.
func (u *Upstreams) Knows(c access.ConnectionID) bool { return (*u.links.Load())[c] != nil }

// ACRValues lists the kinds of sign-in that any provider is asked for, or must confirm,
// sorted.
func (u *Upstreams) ACRValues() []string {
	var all []string
	for _, l := range *u.links.Load() {
		all = append(append(all, l.provider.ACRValues...), l.provider.RequireACR...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (u *Upstreams) check(p Provider) error {
	issuer, err := url.Parse(p.Issuer)
	switch {
	case p.Connection == "":
		return errors.New("no connection id")
	case err != nil || issuer.Host == "" || issuer.User != nil || issuer.RawQuery != "" || issuer.Fragment != "":
		return fmt.Errorf("issuer %q is not an absolute URL without query or fragment", p.Issuer)
	case issuer.Scheme != "https" && (issuer.Scheme != "http" || !loopback(issuer.Hostname())):
		return fmt.Errorf("issuer %q does not begin with https://", p.Issuer)
	case p.ClientID == "":
		return errors.New("no client id")
	case !slices.Contains([]string{"", BasicSecret, PostSecret, SignedJWT}, p.Authentication):
		return fmt.Errorf("there is no client authentication %q", p.Authentication)
	case p.Authentication == SignedJWT && u.prove == nil:
		return errors.New("nothing signs assertions of the client")
	case p.SubjectClaim == "":
		return errors.New("no subject claim: name the claim that equals the SCIM externalId (\"oid\" for Entra, \"sub\" for Okta)")
	case p.SubjectClaim == "email" || p.SubjectClaim == "preferred_username" || p.SubjectClaim == "upn":
		return fmt.Errorf("subject claim %q is an address that its owner or an administrator can change; use an immutable id", p.SubjectClaim)
	}
	return nil
}

// loopback reports whether a host is this machine. Only there may an issuer be
// plain http; whether it may be dialled at all is the egress client's decision.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (u *Upstreams) link(op string, c access.ConnectionID) (*link, error) {
	l := (*u.links.Load())[c]
	if l == nil {
		return nil, fault.New(fault.NotFound, op, "This connection has no identity provider to sign in with.").Because(ReasonUnknown)
	}
	return l, nil
}

// SignOutURL is where people end their session at the connection's provider (OpenID
// Connect RP-Initiated Logout 1.0), for a link; "" if it has no such page, or has not
// been asked yet.
func (u *Upstreams) SignOutURL(c access.ConnectionID) string {
	l := (*u.links.Load())[c]
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found == nil {
		return ""
	}
	return l.found.signOut
}

// Start gives the URL that begins the sign-in at the connection's provider: code
// flow, PKCE S256, state and nonce. fault.Unavailable wraps an *Outage while the
// provider does not answer.
func (u *Upstreams) Start(ctx context.Context, c access.ConnectionID, leg Leg) (string, error) {
	const op = "upstream.Start"
	l, err := u.link(op, c)
	if err != nil {
		return "", err
	}
	if leg.State == "" || leg.Nonce == "" || leg.RedirectURL == "" || len(leg.CodeVerifier) < 43 || len(leg.CodeVerifier) > 128 {
		return "", fault.New(fault.Internal, op, "the leg lacks a state, nonce, redirect URL or code verifier")
	}
	found, err := l.discovered(ctx)
	if err != nil {
		return "", err
	}
	leg = l.own(leg)
	return l.oauth(found, leg).AuthCodeURL(leg.State, leg.options()...), nil
}

// own fills in what the connection always asks for where this sign-in asks for nothing.
func (l *link) own(leg Leg) Leg {
	if leg.Prompt == "" {
		leg.Prompt = l.provider.Prompt
	}
	if len(leg.ACRValues) == 0 {
		leg.ACRValues = l.provider.ACRValues
	}
	return leg
}

func (leg Leg) options() []oauth2.AuthCodeOption {
	opts := []oauth2.AuthCodeOption{gooidc.Nonce(leg.Nonce), oauth2.S256ChallengeOption(leg.CodeVerifier)}
	if leg.LoginHint != "" {
		opts = append(opts, oauth2.SetAuthURLParam("login_hint", leg.LoginHint))
	}
	if leg.Prompt != "" {
		opts = append(opts, oauth2.SetAuthURLParam("prompt", leg.Prompt))
	}
	if len(leg.ACRValues) > 0 {
		opts = append(opts, oauth2.SetAuthURLParam("acr_values", strings.Join(leg.ACRValues, " ")))
	}
	if len(leg.UILocales) > 0 {
		opts = append(opts, oauth2.SetAuthURLParam("ui_locales", strings.Join(leg.UILocales, " ")))
	}
	switch {
	case leg.MaxAge >= 0:
		opts = append(opts, oauth2.SetAuthURLParam("max_age", fmt.Sprint(int64(leg.MaxAge/time.Second))))
	case leg.Prompt == "login":
		// max_age makes auth_time a required claim (OpenID Connect Core 3.1.2.1), and 0 means the same as prompt=login.
		opts = append(opts, oauth2.SetAuthURLParam("max_age", "0"))
	}
	return opts
}

// Finish verifies what the provider sent back to the callback and gives the
// identity. Errors: fault.Denied when the provider refused or what it sent does
// not hold, with a reason code; fault.Unavailable, wrapping an *Outage, when it
// does not answer.
func (u *Upstreams) Finish(ctx context.Context, c access.ConnectionID, leg Leg, query url.Values) (Identity, error) {
	const op = "upstream.Finish"
	l, err := u.link(op, c)
	if err != nil {
		return Identity{}, err
	}
	leg = l.own(leg)
	found, err := l.discovered(ctx)
	if err != nil {
		return Identity{}, err
	}
	code, err := readAnswer(query, leg, found)
	if err != nil {
		return Identity{}, err
	}
	got, err := l.exchange(ctx, found, leg, code)
	if err != nil {
		return Identity{}, err
	}
	return l.verify(ctx, found, leg, got)
}

func (l *link) oauth(found *discovery, leg Leg) *oauth2.Config {
	return &oauth2.Config{
		ClientID: l.provider.ClientID, ClientSecret: l.provider.ClientSecret.Reveal(),
		Endpoint: found.endpoint, RedirectURL: leg.RedirectURL, Scopes: l.oauthScopes(),
	}
}

func (l *link) oauthScopes() []string {
	scopes := []string{gooidc.ScopeOpenID}
	for _, s := range l.provider.OAuthScopes {
		if s != gooidc.ScopeOpenID {
			scopes = append(scopes, s)
		}
	}
	if l.provider.ProbeEvery > 0 {
		scopes = append(scopes, gooidc.ScopeOfflineAccess)
	}
	return scopes
}

// answered is what the token endpoint gave for a code.
type answered struct {
	code, idToken, accessToken string
	refresh                    secret.String
}

// exchange redeems the code. The access token is not kept: the bridge asks the
// provider nothing about people.
func (l *link) exchange(ctx context.Context, found *discovery, leg Leg, code string) (answered, error) {
	const op = "upstream.Finish"
	proof, err := l.proof(found)
	if err != nil {
		return answered{}, err
	}
	opts := []oauth2.AuthCodeOption{oauth2.VerifierOption(leg.CodeVerifier)}
	for name := range proof {
		opts = append(opts, oauth2.SetAuthURLParam(name, proof.Get(name)))
	}
	tokens, err := l.oauth(found, leg).Exchange(l.withClient(ctx), code, opts...)
	if err != nil {
		return answered{}, l.exchangeFault(ctx, err)
	}
	l.up()
	got := answered{code: code, accessToken: tokens.AccessToken}
	if l.provider.ProbeEvery > 0 {
		got.refresh = secret.New(tokens.RefreshToken)
	}
	var ok bool
	if got.idToken, ok = tokens.Extra("id_token").(string); !ok || got.idToken == "" {
		return answered{}, fault.New(fault.Denied, op, "The identity provider sent no ID token.").Because(ReasonToken)
	}
	return got, nil
}

// proof is what a request of the token endpoint carries instead of a secret (RFC 7523
// section 2.2): made for that one request, and nothing where the client has a secret.
func (l *link) proof(found *discovery) (url.Values, error) {
	if l.provider.Authentication != SignedJWT {
		return url.Values{}, nil
	}
	audience := found.endpoint.TokenURL
	if l.provider.AssertToIssuer {
		audience = found.issuer
	}
	signed, err := l.prove(l.provider.ClientID, audience, l.now())
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "upstream.proof", err)
	}
	return url.Values{"client_assertion_type": {assertion.Type}, "client_assertion": {signed}}, nil
}

// exchangeFault classifies a failed exchange. The provider's answer may hold
// anything, so only its status and error code are carried on.
func (l *link) exchangeFault(ctx context.Context, err error) error {
	const op = "upstream.Finish"
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		if ctx.Err() != nil {
			return fault.Wrap(fault.Unavailable, op, ctx.Err())
		}
		return l.down(op, err)
	}
	cause := fmt.Errorf("token endpoint answered %d %s", refused.Response.StatusCode, known(refused.ErrorCode))
	if refused.Response.StatusCode >= http.StatusInternalServerError || refused.Response.StatusCode == http.StatusTooManyRequests {
		return l.down(op, cause)
	}
	denied := fault.New(fault.Denied, op, "The identity provider did not accept the sign-in code.").Because(ReasonIdP)
	if refused.ErrorCode == "invalid_client" || refused.ErrorCode == "unauthorized_client" {
		denied = fault.New(fault.Denied, op, "The identity provider refused this service's own credentials.").Because(ReasonSetUp)
	}
	denied.Err = cause
	return denied
}
