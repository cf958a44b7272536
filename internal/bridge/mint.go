package bridge

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// warrant is what minting needs beside the client: the directory's say and the
// active assignment, read after the code or the token was consumed.
type warrant struct {
	current credential.Current
	session session.Session
	active  access.Assignment
	policy  *activePolicy
	profile oidc.Profile
	latest  time.Time // when what is minted ends, whatever else allows; zero: as all
}

func (b *Bridge) warrant(ctx context.Context, bd credential.Bound, active access.AssignmentID) (warrant, error) {
	var w warrant
	var err error
	if w.current, err = b.accept(ctx, bd); err != nil {
		return w, asNotGranted(err)
	}
	// Whatever has moved since also moved an integer that was read before, and what
	// is minted is dead with it.
	err = b.store.View(ctx, func(v *store.View) error {
		if w.policy, err = b.active(v); err != nil {
			return err
		}
		dir, err := v.In(bd.Subject.Connection)
		if err != nil {
			return err
		}
		if err := b.stillAgreed(ctx, dir, bd.Subject.Person, bd.Subject.Client); err != nil {
			return err
		}
		on, err := dir.Standing(bd.Subject.Session, bd.Subject.Person)
		if err != nil {
			return err
		}
		row, held := on.Session, on.Held
		w.session, w.profile = row.Session, profile(on.Person)
		at := slices.IndexFunc(held, func(a access.Assignment) bool { return a.ID == active })
		if at < 0 || row.Active != active || !held[at].MaySignIn(b.now()) {
			return notGranted("bridge.warrant", "the grant this was given for is no longer active; sign in again")
		}
		w.active = held[at]
		if d := w.demand(); !row.Meets(d, b.now()) {
			return stepUp(fault.NotFound, "bridge.warrant", d)
		}
		return nil
	})
	return w, asNotGranted(err)
}

// demand is what the grant that w stands on demands of the sign-in.
func (w warrant) demand() access.Demand { return w.policy.Catalogue().Demands(w.active.Grant) }

// until is when what is minted from w ends at the latest; the zero time if it is the
// session that ends it.
func (w warrant) until() time.Time {
	return earliest(w.active.Until, earliest(w.demand().Until(w.session.AuthTime), w.latest))
}

// stepUp is the refusal of a sign-in that is not what a grant demands (RFC 9470).
func stepUp(kind fault.Kind, op string, d access.Demand) error {
	e := fault.New(kind, op, "the grant demands another sign-in (%s); send the person to the authorization endpoint again", d).Because(session.ReasonStepUp)
	e.Err = &oidc.StepUp{Demand: d}
	return e
}

// fits refuses a session on an assignment that its tokens could not stand on. A switch for an
// application asks it before anything moves, a mint at the last.
func fits(w warrant, client oidc.Client) error {
	const op = "bridge.mint"
	conn, _ := w.policy.Connection(w.session.Connection)
	switch {
	case !w.policy.Tree().Live(w.active.Scope):
		return notGranted(op, "the scope of the active grant was retired")
	case !client.Accepts(w.active.Grant), !withinCeiling(w, conn):
		return notGranted(op, "this application does not accept the active grant")
	case w.session.Offline != "" && !client.Offline:
		return notGranted(op, "this application may no longer act while the person is away")
	}
	return nil
}

// mint orders the tokens of one session, client and assignment. OAuth scopes are
// what was granted, as far as the client may have it and the assignment opens it now.
func (b *Bridge) mint(w warrant, f hot.Family, client oidc.Client, audience, nonce string, now time.Time) (oidc.TokenSet, error) {
	if err := fits(w, client); err != nil {
		return oidc.TokenSet{}, err
	}
	scopes := opened(w.policy, f.OAuthScopes, client, w.active)
	claim, err := b.grantClaim(w, client)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	wants, err := oidc.StoredClaims(f.Claims)
	if err != nil {
		return oidc.TokenSet{}, fault.Wrap(fault.Internal, "bridge.mint", err)
	}
	order := credential.Order{Current: w.current, Subject: f.Bound.Subject, Sub: b.SubjectFor(client, f.Bound.Subject.Person),
		SID: b.SessionFor(client, f.Bound.Subject.Session), Alg: client.AccessTokenAlg, Grant: claim, GrantUntil: w.until(),
		Audience: audience, OAuthScopes: scopes, Userinfo: wants.AboutInUserinfo(), DPoPKey: f.DPoPKey, SessionAMR: w.session.Upstream.AMR, ACR: w.session.Upstream.ACR,
		AuthTime: f.AuthTime, Now: now, Life: b.accessLife(client)}
	if slices.Contains(scopes, "openid") {
		order.ID = &credential.IDOrder{Alg: client.IDTokenAlg, Nonce: nonce, Claims: w.profile.Claims(scopes, wants.AboutInIDToken())}
	}
	m, err := b.issuer.Mint(order)
	if err != nil {
		return oidc.TokenSet{}, asNotGranted(err)
	}
	b.uses.note(f.Bound.Subject.Connection, w.active.ID, now)
	b.handovers.minted(f.Bound.Subject.Connection, w.active, f.OAuthScopes, scopes, now)
	set := oidc.TokenSet{AccessToken: m.AccessToken, IDToken: m.IDToken, ExpiresIn: m.Expires.Sub(now).Truncate(time.Second), OAuthScopes: scopes, DPoPKey: f.DPoPKey, Active: b.AssignmentFor(client, w.active.ID), Details: f.Details}
	if client.MayUse(oidc.GrantTypeRefresh) {
		set.RefreshToken = b.refresh.Seal(f.ID, f.N, f.Salt).Reveal()
	}
	return set, nil
}

// grantClaim is the active_grant claim of what w stands on, as the client knows it.
func (b *Bridge) grantClaim(w warrant, client oidc.Client) (json.RawMessage, error) {
	g := activeGrant(w.policy.Tree(), w.active)
	g.ID = b.AssignmentFor(client, g.ID)
	claim, err := json.Marshal(g)
	return claim, fault.Wrap(fault.Internal, "bridge.grantClaim", err)
}

// withinCeiling is the last of the four places where a ceiling is checked. Only
// people's decisions may reach beyond it.
func withinCeiling(w warrant, conn access.Connection) bool {
	byRule := func(s access.Source) bool { return s.Kind == access.SourceRule }
	return !slices.ContainsFunc(w.active.Sources, byRule) || conn.Ceiling.Allows(w.policy.Tree(), w.active.Grant, w.active.Scope)
}

// notGranted is a refusal that the token endpoint answers as invalid_grant.
func notGranted(op, detail string) error {
	return fault.New(fault.NotFound, op, "%s", detail)
}

// asNotGranted turns the refusal of a credential into the token endpoint's answer
// and keeps the reason; faults of the store stay what they are.
func asNotGranted(err error) error {
	switch {
	case err == nil:
		return nil
	case fault.Is(err, fault.Unauthenticated), fault.Is(err, fault.Denied):
		return fault.New(fault.NotFound, "bridge.mint", "access has ended or changed; sign in again").Because(fault.ReasonOf(err))
	}
	return err
}
