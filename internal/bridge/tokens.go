package bridge

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// codeLife is how long an authorization code waits for its application (FAPI 2.0
// allows at most 60 s).
const codeLife = time.Minute

// Issue stores a code for the session's active assignment and gives the redirect
// that carries it.
func (b *Bridge) Issue(ctx context.Context, req hot.AuthRequest, s session.Session) (string, error) {
	const op = "bridge.Issue"
	if s.State != session.Active {
		return "", fault.New(fault.Stale, op, "the session must choose a grant first")
	}
	client, err := b.Client(ctx, req.Client)
	if err != nil {
		return "", err
	}
	if err := b.meets(req, client, s); err != nil {
		return "", err
	}
	if err := b.agreed(ctx, req, client, s); err != nil {
		return "", err
	}
	of, family := bound(s), credential.NewID("fam")
	if _, err := b.accept(ctx, of); err != nil {
		return "", err
	}
	of.Subject.Client, of.Subject.Family = req.Client, family
	cur, err := b.store.Current(ctx, of.Subject)
	if err != nil {
		return "", err
	}
	of.Epochs.Client = cur.Epochs.Client // the others are the session's: what was raised meanwhile ended it
	now := b.now()
	grant := hot.CodeGrant{Request: req, Session: s.ID, Active: s.Active, Family: family, Bound: of, Expires: now.Add(codeLife)}
	if err := credential.Accept(grant.Bound, cur, now); err != nil {
		return "", err
	}
	if err := failpoint.Hit(ctx, failpoint.BeforeHot); err != nil {
		return "", err
	}
	code := credential.NewOpaque(credential.KindCode)
	if err := b.hot.PutCode(ctx, credential.DigestOf(code.Reveal()), grant, now); err != nil {
		return "", err
	}
	return oidc.CodeRedirect(req, b.url, code.Reveal()), nil
}

// meets holds a sign-in against what the request's claims parameter demands of it. No
// code is made for somebody else, or for a sign-in that is not what it has to be (OpenID
// Connect Core section 5.5.1).
func (b *Bridge) meets(req hot.AuthRequest, client oidc.Client, s session.Session) error {
	const op = "bridge.Issue"
	wants, err := oidc.StoredClaims(req.Claims)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	if !wants.MeantFor(b.SubjectFor(client, s.Person)) {
		return fault.New(fault.Denied, op, "somebody else is signed in than %s asks for", client.ID).Because(oidc.ReasonOtherPerson)
	}
	if !wants.ACRWillDo(s.Upstream.ACR) {
		return fault.New(fault.Denied, op, "the identity provider did not sign the person in as %s demands", client.ID).Because(oidc.ReasonUnmet)
	}
	return nil
}

// Redeem exchanges a code for tokens. The code is consumed first, by whom it was made
// for alone, whatever comes of it then, and the directory is read after that.
func (b *Bridge) Redeem(ctx context.Context, x oidc.CodeExchange) (oidc.TokenSet, error) {
	const op = "bridge.Redeem"
	now := b.now()
	digest, err := credential.ParseOpaque(credential.KindCode, x.Code)
	if err != nil {
		return oidc.TokenSet{}, notGranted(op, "this code is not one of ours")
	}
	if x.CodeVerifier == "" && !x.Client.MayOmitPKCE() {
		return oidc.TokenSet{}, notGranted(op, "the code_verifier is missing")
	}
	ctx = context.WithoutCancel(ctx) // a theft that was seen is dealt with, also when the caller hangs up
	g, outcome, err := b.hot.ConsumeCode(ctx, digest, showing(x), now)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	switch outcome {
	case hot.OK:
		if err := failpoint.Hit(ctx, failpoint.AfterConsume); err != nil {
			return oidc.TokenSet{}, err
		}
		return b.firstTokens(ctx, g, x, now)
	case hot.Replayed:
		return oidc.TokenSet{}, b.replayed(ctx, g)
	}
	return oidc.TokenSet{}, notGranted(op, "this code was not made for this application, redirect_uri, code_verifier and key, or has expired; start the sign-in again")
}

// showing is what a redemption proves (RFC 7636 section 4.6 with S256, the only method
// there is).
func showing(x oidc.CodeExchange) hot.Showing {
	s := hot.Showing{Client: x.Client.ID, RedirectURI: x.RedirectURI, DPoPKey: x.DPoPKey}
	if x.CodeVerifier != "" {
		sum := sha256.Sum256([]byte(x.CodeVerifier))
		s.Challenge = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return s
}

func (b *Bridge) firstTokens(ctx context.Context, g hot.CodeGrant, x oidc.CodeExchange, now time.Time) (oidc.TokenSet, error) {
	aud, err := target(x.Client, g.Request.Resources, x.Resource)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	w, err := b.warrant(ctx, g.Bound, g.Active)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	bd, expires := g.Bound, earliest(now.Add(b.refreshLife(x.Client)), w.session.Expires)
	if x.Client.Offline && x.Client.MayUse(oidc.GrantTypeRefresh) && slices.Contains(g.Request.OAuthScopes, oidc.ScopeOffline) {
		if bd, err = b.goOffline(ctx, g); err != nil {
			return oidc.TokenSet{}, err
		}
		if w, err = b.warrant(ctx, bd, g.Active); err != nil { // the code may have come again meanwhile
			return oidc.TokenSet{}, errors.Join(err, b.endOffline(ctx, g))
		}
		expires = w.session.Expires
		if x.Client.RefreshLife > 0 {
			expires = earliest(expires, now.Add(x.Client.RefreshLife))
		}
	}
	family := hot.Family{ID: g.Family, Bound: bd, Active: g.Active, OAuthScopes: g.Request.OAuthScopes, Resources: g.Request.Resources, Claims: g.Request.Claims, Details: g.Request.Details, DPoPKey: x.DPoPKey, AuthTime: w.session.AuthTime,
		Nonce: g.Request.Nonce, N: 1, Rotated: now, Expires: expires, Salt: credential.NewID("salt")}
	if x.Client.MayUse(oidc.GrantTypeRefresh) || x.Client.MayUse(oidc.GrantTypeTokenExchange) { // both go by what was granted at sign-in
		if err := b.hot.PutFamily(ctx, family); err != nil {
			return oidc.TokenSet{}, errors.Join(err, b.endOffline(ctx, g))
		}
		if err := failpoint.Hit(ctx, failpoint.AfterFamily); err != nil {
			return oidc.TokenSet{}, err
		}
	}
	if err := b.noteClient(ctx, w.session.ID, x.Client.ID); err != nil {
		return oidc.TokenSet{}, err
	}
	return b.mint(w, family, x.Client, aud, g.Request.Nonce, now)
}

// noteClient remembers which applications a session reaches, for whoever must tell
// them that it ended. One that has ended reaches nobody any more: who was told of the
// end has been told all.
func (b *Bridge) noteClient(ctx context.Context, id session.ID, client access.ClientID) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.Session(id)
		if err != nil {
			return err
		}
		if row.State == session.Ended {
			return fault.New(fault.NotFound, "bridge.noteClient", "the session has ended; sign in again").Because(row.EndReason)
		}
		return tx.AddSessionClient(id, client)
	})
}

// Refresh exchanges a refresh token for the next one and new tokens. The family is
// rotated first, and the directory is read after that: a deactivation that commits
// before the read refuses here, a later one kills what was minted.
func (b *Bridge) Refresh(ctx context.Context, x oidc.RefreshExchange) (oidc.TokenSet, error) {
	const op = "bridge.Refresh"
	now := b.now()
	r, err := credential.ParseRefresh(x.RefreshToken)
	if err != nil {
		return oidc.TokenSet{}, notOurs(op)
	}
	var scopes []string
	var aud string
	fits := func(f hot.Family) (err error) {
		scopes, aud, err = b.allowed(f, r, x)
		return err
	}
	ctx = context.WithoutCancel(ctx) // a theft that was seen is dealt with, also when the caller hangs up
	f, outcome, err := b.hot.Rotate(ctx, hot.Rotation{Family: r.Family, Client: x.Client.ID, N: r.N, Now: now, Grace: b.lives.RefreshGrace, DPoPKey: x.DPoPKey, Verified: true, Fits: fits})
	if err != nil {
		return oidc.TokenSet{}, err
	}
	switch outcome {
	case hot.OK, hot.Retried:
	case hot.Replayed:
		return oidc.TokenSet{}, b.reused(ctx, f)
	default:
		return oidc.TokenSet{}, hasEnded(op)
	}
	if planted.Bug(planted.EpochKeptOnRefresh) {
		if cur, err := b.store.Current(ctx, f.Bound.Subject); err == nil {
			f.Bound.Epochs = cur.Epochs
		}
	}
	w, err := b.warrant(ctx, f.Bound, f.Active)
	if err != nil {
		return oidc.TokenSet{}, b.endRefused(ctx, f, err)
	}
	f.OAuthScopes = scopes
	return b.mint(w, f, x.Client, aud, "", now)
}

// allowed is what a refresh may ask for of its family: OAuth scopes, and whom its access token is for.
func (b *Bridge) allowed(f hot.Family, r credential.Refresh, x oidc.RefreshExchange) (scopes []string, aud string, err error) {
	const op = "bridge.Refresh"
	if !b.refresh.Verify(r, f.Salt) {
		return nil, "", notOurs(op)
	}
	if f.Bound.Subject.Client != x.Client.ID {
		return nil, "", notGranted(op, "this refresh token was given to another application")
	}
	if err := provesKey(f, x); err != nil {
		return nil, "", err
	}
	if scopes, err = narrowed(x.Client, f.OAuthScopes, x.OAuthScopes); err != nil {
		return nil, "", err
	}
	aud, err = target(x.Client, f.Resources, x.Resource)
	return scopes, aud, err
}

func notOurs(op string) error { return notGranted(op, "this refresh token is not one of ours") }

func hasEnded(op string) error { return notGranted(op, "this refresh token has ended; sign in again") }

// family finds the family of a refresh token that this bridge sealed.
func (b *Bridge) family(ctx context.Context, token string, now time.Time) (hot.Family, credential.Refresh, error) {
	const op = "bridge.Refresh"
	r, err := credential.ParseRefresh(token)
	if err != nil {
		return hot.Family{}, r, notOurs(op)
	}
	f, err := b.hot.Family(ctx, r.Family, now)
	if fault.Is(err, fault.NotFound) {
		return hot.Family{}, r, hasEnded(op)
	}
	if err != nil {
		return hot.Family{}, r, err
	}
	if !b.refresh.Verify(r, f.Salt) {
		return hot.Family{}, r, notOurs(op)
	}
	return f, r, nil
}

// provesKey holds a refresh to the key of its family (RFC 9449 section 5). Nothing but
// the key says that a public client is the one the token was given to; a client that
// authenticates may use another key, but not go back to bearer tokens.
func provesKey(f hot.Family, x oidc.RefreshExchange) error {
	if f.DPoPKey == "" || x.DPoPKey == f.DPoPKey || x.DPoPKey != "" && !x.Client.Public() {
		return nil
	}
	return notGranted("bridge.Refresh", "this refresh token is bound to a key that the request does not prove")
}

// narrowed is RFC 6749 section 6: a refresh may ask for less, never for more. What the
// client may not have at all is left out, as it was at sign-in: mod_auth_openidc asks
// for the same scope at each refresh.
func narrowed(c oidc.Client, granted, asked []string) ([]string, error) {
	if asked == nil {
		return granted, nil
	}
	asked = slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return !c.MayHave(s) })
	if len(asked) == 0 {
		return nil, fault.New(fault.Invalid, "bridge.Refresh", "this application may have nothing of the scope").Because("invalid_scope")
	}
	for _, s := range asked {
		if !slices.Contains(granted, s) {
			return nil, fault.New(fault.Invalid, "bridge.Refresh", "scope %s was not granted", s).Because("invalid_scope")
		}
	}
	return asked, nil
}

// endRefused ends a family whose integers are no longer current: no later rotation
// could succeed. A fault of ours ends nothing.
func (b *Bridge) endRefused(ctx context.Context, f hot.Family, refusal error) error {
	if !fault.Is(refusal, fault.NotFound) { // what asNotGranted made of a refusal
		return refusal
	}
	if err := b.hot.EndFamily(ctx, f.ID); err != nil {
		return err
	}
	return refusal
}

// Accept verifies an access token of ours and compares its integers now.
func (b *Bridge) Accept(ctx context.Context, accessToken string) (oidc.Accepted, error) {
	now := b.now()
	claims, err := b.verify(accessToken, now)
	if err != nil {
		return oidc.Accepted{}, err
	}
	if _, err := b.accept(ctx, claims.Bound); err != nil {
		return oidc.Accepted{}, err
	}
	scopes, err := b.stillOpen(ctx, claims, now)
	if err != nil {
		return oidc.Accepted{}, err
	}
	return oidc.Accepted{Bound: claims.Bound, Sub: claims.sub, SID: claims.sid, Grant: claims.Grant, OAuthScopes: scopes, Audience: claims.Audience, DPoPKey: claims.DPoPKey,
		IssuedAt: claims.IssuedAt, AuthTime: claims.AuthTime, ACR: claims.ACR, JTI: claims.JTI, Userinfo: claims.Userinfo}, nil
}

// AcceptRefresh says what a refresh token stands for now, without using it.
func (b *Bridge) AcceptRefresh(ctx context.Context, refreshToken string) (oidc.Accepted, error) {
	now := b.now()
	f, r, err := b.family(ctx, refreshToken, now)
	if err != nil {
		return oidc.Accepted{}, err
	}
	if r.N != f.N {
		return oidc.Accepted{}, notGranted("bridge.AcceptRefresh", "this refresh token has been exchanged")
	}
	bd := f.Bound
	bd.Expires = f.Expires
	w, err := b.warrant(ctx, bd, f.Active)
	if err != nil {
		return oidc.Accepted{}, err
	}
	client, err := b.Client(ctx, bd.Subject.Client)
	if err != nil {
		return oidc.Accepted{}, err
	}
	claim, err := b.grantClaim(w, client)
	if err != nil {
		return oidc.Accepted{}, err
	}
	aud, err := target(client, f.Resources, "")
	if err != nil {
		return oidc.Accepted{}, err
	}
	return oidc.Accepted{Bound: bd, Sub: b.SubjectFor(client, bd.Subject.Person), SID: b.SessionFor(client, bd.Subject.Session), Grant: claim, Audience: aud,
		OAuthScopes: opened(w.policy, f.OAuthScopes, client, w.active), IssuedAt: f.Rotated, AuthTime: f.AuthTime, ACR: w.session.Upstream.ACR}, nil
}

// stillOpen is what an accepted token was granted, as far as its grant opens it at this
// instant: which workflows a grant opens, and what it demands of the sign-in, is judged
// at use, since the table may have changed after the token was minted. What else its
// assignment means has not moved, or the session's version would have.
func (b *Bridge) stillOpen(ctx context.Context, claims verifiedAccess, now time.Time) ([]string, error) {
	policy, err := b.policyNow(ctx)
	if err != nil {
		return nil, err
	}
	demanding := policy.Catalogue().Demanding()
	if !demanding && !slices.ContainsFunc(claims.OAuthScopes, func(s string) bool { return !oidc.AboutPerson(s) }) {
		return claims.OAuthScopes, nil
	}
	client, err := b.Client(ctx, claims.Subject.Client)
	if err != nil {
		return nil, err
	}
	var g oidc.ActiveGrant
	if err := json.Unmarshal(claims.Grant, &g); err != nil {
		return nil, fault.Wrap(fault.Internal, "bridge.stillOpen", err)
	}
	if d := policy.Catalogue().Demands(g.Grant); !d.Met(claims.ACR, claims.AuthTime, now) {
		return nil, stepUp(fault.Unauthenticated, "bridge.Accept", d)
	}
	return opened(policy, claims.OAuthScopes, client, access.Assignment{Grant: g.Grant, Flags: g.Flags, Standing: g.Standing}), nil
}

// IDTokenHint verifies one of our ID tokens, expired or not.
func (b *Bridge) IDTokenHint(_ context.Context, idToken string) (oidc.Hint, error) {
	c, err := b.issuer.VerifyIDToken(idToken)
	if err != nil {
		return oidc.Hint{}, err
	}
	sub, err := b.ours(credential.Subject{Client: c.Client, Person: c.Person, Session: c.Session})
	return oidc.Hint{Session: sub.Session, Person: sub.Person, Client: c.Client}, err
}
