package upstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
)

const (
	skew = jwtclaims.Skew
	// tokenMax is in bytes: an ID token that lists two hundred groups stays below half of it.
	tokenMax = 32 << 10
)

// signingAlgs are the algorithms an ID token may be signed with. No HMAC, no none,
// and nothing taken from the provider's metadata.
func signingAlgs() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

// claims is the payload of a token that the provider signed.
type claims struct{ jwtclaims.Claims }

// verify checks the ID token (OpenID Connect Core 3.1.3.7), every step on its own,
// and gives the identity. Signature and algorithm first.
func (l *link) verify(ctx context.Context, found *discovery, leg Leg, got answered) (Identity, error) {
	token, c, err := l.signed(ctx, found, got.idToken)
	if err != nil {
		return Identity{}, err
	}
	if err := l.checkClaims(c, leg); err != nil {
		return Identity{}, err
	}
	for name, what := range map[string]string{"at_hash": got.accessToken, "c_hash": got.code} {
		if err := c.hash(name, what, token.Algorithm); err != nil {
			return Identity{}, err
		}
	}
	id, err := l.identity(c, leg)
	if err == nil {
		id.Refresh = got.refresh
	}
	return id, err
}

// signed gives what a token says if the provider's published keys made its signature.
func (l *link) signed(ctx context.Context, found *discovery, raw string) (assertion.Token, claims, error) {
	token, err := assertion.ParseToken(raw, tokenMax, signingAlgs()...)
	if err != nil {
		return token, claims{}, notProven(err)
	}
	c, err := token.Verified(ctx, found.keys, l.now())
	switch {
	case fault.Is(err, fault.Unavailable) && ctx.Err() != nil:
		return token, claims{}, fault.Wrap(fault.Unavailable, "upstream.Finish", ctx.Err())
	case fault.Is(err, fault.Unavailable): // a provider that is down is not a forged token
		return token, claims{}, l.down("upstream.Finish", err)
	case err != nil:
		return token, claims{}, notProven(err)
	}
	return token, claims{c}, nil
}

func notProven(err error) error {
	e := fault.New(fault.Denied, "upstream.Finish", "What the identity provider sent could not be verified.").Because(ReasonToken)
	e.Err = errors.New(clip(err.Error()))
	return e
}

// proven is notProven where there is an error.
func proven(err error) error {
	if err == nil {
		return nil
	}
	return notProven(err)
}

func (l *link) checkClaims(c claims, leg Leg) error {
	return errors.Join(
		proven(c.Equals("iss", l.provider.Issuer)),
		proven(c.Audience(l.provider.ClientID)),
		proven(c.party(l.provider.ClientID)),
		proven(c.Times(l.now(), jwtclaims.Limits{Issued: true})),
		proven(c.nonce(leg.Nonce)),
		proven(c.tenant(l.provider.TenantID)),
	)
}

// identity reads who signed in. An e-mail address is not among it.
func (l *link) identity(c claims, leg Leg) (Identity, error) {
	id := Identity{Connection: l.provider.Connection, Issuer: l.provider.Issuer, Started: leg.Started, Fresh: leg.Prompt == "login"}
	sub, errSub := c.Identifier("sub")
	subject, errSubject := c.Identifier(l.provider.SubjectClaim)
	id.Subject, id.Sub = subject, sub
	err := errors.Join(errSub, errSubject, c.Optional("sid", &id.Session), c.Optional("acr", &id.ACR), c.Optional("amr", &id.AMR))
	if err != nil {
		return Identity{}, notProven(err)
	}
	if id.AuthTime, err = l.authTime(c, leg); err != nil {
		return Identity{}, err
	}
	if id.Until, err = c.sessionExpiry(l.now()); err != nil {
		return Identity{}, err
	}
	return id, l.strong(id)
}

// party wants azp, where there is one, to be this client (Core 3.1.3.7, 4 and 5).
func (c claims) party(client string) error {
	if !c.Has("azp") {
		return nil
	}
	return c.Equals("azp", client)
}

// nonce ties the token to this sign-in.
func (c claims) nonce(want string) error {
	got, err := c.Text("nonce")
	if err == nil && !same(got, want) {
		err = errors.New("the nonce is not the one that was sent")
	}
	return err
}

func (c claims) tenant(want string) error {
	if want == "" {
		return nil
	}
	return c.Equals("tid", want)
}

// authTime reads when the person proved who they are, and holds it against what
// was asked: a provider that ignores max_age or prompt=login is not believed.
func (l *link) authTime(c claims, leg Leg) (time.Time, error) {
	now := l.now()
	at, err := l.authInstant(c)
	if err != nil {
		return time.Time{}, notProven(err)
	}
	asked := leg.MaxAge >= 0 || leg.Prompt == "login"
	stale := leg.MaxAge >= 0 && now.Sub(at) > leg.MaxAge+skew ||
		leg.Prompt == "login" && at.Before(leg.Started.Add(-skew))
	if asked && (at.IsZero() || stale) || now.Add(skew).Before(at) {
		return time.Time{}, fault.New(fault.Denied, "upstream.Finish", "The identity provider did not prove a fresh sign-in.").Because(ReasonStale)
	}
	return at, nil
}

// authInstant is the claim that stands for auth_time, and where the connection says so
// and there is none, the instant at which the token was made.
func (l *link) authInstant(c claims) (time.Time, error) {
	name := l.provider.AuthTimeClaim
	if name == "" {
		name = "auth_time"
	}
	at, err := c.Instant(name)
	if err == nil && at.IsZero() && l.provider.InsecureAuthTimeFromIat {
		return c.Instant("iat")
	}
	return at, err
}

// sessionExpiry reads until when the provider lets a session last (OpenID IPSIE SL1:
// session_expiry); the zero time if it does not say. One that is over is no session.
func (c claims) sessionExpiry(now time.Time) (time.Time, error) {
	until, err := c.Instant("session_expiry")
	if err != nil {
		return time.Time{}, notProven(err)
	}
	if !until.IsZero() && !now.Before(until) {
		return time.Time{}, fault.New(fault.Denied, "upstream.Finish", "The session at the identity provider is over.").Because(ReasonOver)
	}
	return until, nil
}

// strong holds how the person signed in against what the connection requires.
func (l *link) strong(id Identity) error {
	p := l.provider
	known := func(method string) bool { return slices.Contains(p.RequireAMR, method) }
	switch {
	case len(p.RequireACR) > 0 && !slices.Contains(p.RequireACR, id.ACR):
		return fault.New(fault.Denied, "upstream.Finish", "The identity provider did not say that the sign-in was of a class (acr) that the connection requires.").Because(ReasonWeak)
	case len(p.RequireAMR) > 0 && !slices.ContainsFunc(id.AMR, known):
		return fault.New(fault.Denied, "upstream.Finish", "The identity provider did not name a method (amr) that the connection requires.").Because(ReasonWeak)
	}
	return nil
}
