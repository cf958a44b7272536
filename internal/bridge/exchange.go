package bridge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Exchange gives tokens for an access token that the client has and that counts now
// (RFC 8693). If it asks for another grant, the session's one active assignment is
// switched first, for all of its applications; the browser's cookie stays as it is,
// since the browser is not there to be handed another, and shows the new grant. The
// directory is read after that, as in every mint.
func (b *Bridge) Exchange(ctx context.Context, x oidc.TokenExchange) (oidc.TokenSet, error) {
	now := b.now()
	asked := x.Grant
	if x.Grant = b.Assignment(x.Client, asked); asked != "" && x.Grant == "" {
		return oidc.TokenSet{}, notHeld("bridge.Exchange")
	}
	claims, f, err := b.subjectToken(ctx, x, now)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	moves := x.Grant != "" && x.Grant != f.Active
	r, err := reachOf(claims, f, x, moves)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	f.Bound.Epochs, f.DPoPKey = claims.Epochs, x.DPoPKey
	ctx = context.WithoutCancel(ctx) // a switch that was made is answered
	if moves {
		if f.Bound.Epochs.Session, err = b.switchFor(ctx, claims, x); err != nil {
			return oidc.TokenSet{}, err
		}
		f.Active, f.Details = x.Grant, x.Details
		f.ID, f.Salt, f.N, f.Rotated = credential.NewID("fam"), credential.NewID("salt"), 1, now
		f.Bound.Family = f.ID
	}
	w, err := b.warrant(ctx, f.Bound, f.Active)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	w.latest = r.latest
	if moves {
		if err := b.hot.PutFamily(ctx, f); err != nil {
			return oidc.TokenSet{}, err
		}
		if err := b.hot.EndFamily(ctx, claims.Family); err != nil { // the switch has ended its tokens
			b.observe("bridge.Exchange", err)
		}
	}
	f.OAuthScopes = r.scopes
	set, err := b.mint(w, f, x.Client, r.audience, "", now)
	if !moves || !r.proven {
		set.RefreshToken = "" // an access token alone, which lives for minutes, must not become one that lives for hours
	}
	return set, err
}

// reach is how far an exchange goes.
type reach struct {
	proven   bool // that it is the application itself that asks: it authenticated, or the subject token is bound to the key that the request proves
	scopes   []string
	audience string
	latest   time.Time // when what it gives ends; zero: as all
}

// reachOf holds an exchange to its subject token (RFC 8707 section 2.2, RFC 8693 section
// 2.1). Only who is proven to be the application may have anything else that was granted at
// sign-in: another audience, scopes that the subject token was narrowed by or that its grant
// did not open, and a life of its own. A bearer token of a public application may be in
// anybody's hands, and gives nothing that it is not.
func reachOf(claims credential.AccessClaims, f hot.Family, x oidc.TokenExchange, moves bool) (r reach, err error) {
	r.proven = !x.Client.Public() || claims.DPoPKey != ""
	r.scopes, r.latest = claims.OAuthScopes, claims.Expires
	granted, resources := claims.OAuthScopes, []string{claims.Audience}
	if r.proven {
		granted, resources, r.latest = f.OAuthScopes, f.Resources, time.Time{}
	}
	switch {
	case x.OAuthScopes != nil:
		r.scopes, err = narrowed(x.Client, granted, x.OAuthScopes)
	case moves:
		r.scopes = granted
	}
	if err != nil {
		return reach{}, err
	}
	r.audience, err = target(x.Client, resources, cmp.Or(x.Resource, claims.Audience))
	return r, err
}

// subjectToken finds what an access token stands for that its own client exchanges, and
// the family it came with: what was granted at sign-in.
func (b *Bridge) subjectToken(ctx context.Context, x oidc.TokenExchange, now time.Time) (credential.AccessClaims, hot.Family, error) {
	const op = "bridge.Exchange"
	shown, err := b.verify(x.SubjectToken, now)
	claims := shown.AccessClaims
	if err != nil {
		return claims, hot.Family{}, notGranted(op, "the subject_token is not a live access token of ours")
	}
	if claims.Subject.Client != x.Client.ID {
		return claims, hot.Family{}, notGranted(op, "the subject_token was given to another application")
	}
	if claims.DPoPKey != "" && claims.DPoPKey != x.DPoPKey {
		return claims, hot.Family{}, notGranted(op, "the subject_token is bound to a key that the request does not prove")
	}
	if claims.DPoPKey == "" && x.DPoPKey != "" && x.Client.Public() {
		return claims, hot.Family{}, notGranted(op, "the subject_token is a bearer token, and a key that is proved beside it says nothing about whose it is")
	}
	if _, err := b.accept(ctx, claims.Bound); err != nil {
		return claims, hot.Family{}, asNotGranted(err)
	}
	f, err := b.hot.Family(ctx, claims.Family, now)
	if err == nil && f.Bound.Subject != claims.Subject {
		return claims, hot.Family{}, notGranted(op, "the subject_token is not of a sign-in")
	}
	return claims, f, err
}

// switchFor moves the session of an access token to another assignment and gives the
// session's new version. Whatever is not held now, or not accepted by the application,
// is no target, and nothing changes by asking for it.
func (b *Bridge) switchFor(ctx context.Context, claims credential.AccessClaims, x oidc.TokenExchange) (version int64, err error) {
	const op = "bridge.Exchange"
	if x.Client.Consent { // what a person was asked about is the access that they used then
		return 0, fault.New(fault.Denied, op, "people choose themselves what this application uses: send them to the authorization endpoint").Because("invalid_target")
	}
	var s session.Session
	err = b.change(ctx, claims.Subject.Connection, event.ByPerson, func(c *change) error {
		row, err := c.tx.Session(claims.Subject.Session)
		if err != nil {
			return err
		}
		if row.Version != claims.Epochs.Session {
			return fault.New(fault.Stale, op, "the session has moved meanwhile")
		}
		p, err := c.dir.Person(row.Person)
		if err != nil {
			return err
		}
		held, err := c.dir.Assignments(p)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(held, func(a access.Assignment) bool { return a.ID == x.Grant })
		if at < 0 {
			return notHeld(op)
		}
		if fits(warrant{session: row.Session, active: held[at], policy: c.policy}, x.Client) != nil {
			return notHeld(op)
		}
		var events []event.Event
		s, events, err = session.Switch(row.Session, held, x.Grant, c.policy.Catalogue(), c.now)
		if fault.ReasonOf(err) == session.ReasonStepUp {
			return stepUp(fault.Denied, op, c.policy.Catalogue().Demands(held[at].Grant))
		}
		if fault.Is(err, fault.Denied) {
			return notHeld(op)
		}
		if err != nil {
			return err
		}
		for i := range events {
			events[i].Data["client"] = string(x.Client.ID)
		}
		return c.keep(s, events)
	})
	if err == nil {
		b.stoodOn(s)
	}
	return s.Version, err
}

func notHeld(op string) error {
	return fault.New(fault.Denied, op, "the person does not hold this grant now, or this application does not accept it").Because("invalid_target")
}

// target is the audience of an access token: the resource that its request names, or
// the first that was granted (RFC 8707 section 2.2). The client must be
// registered for it still.
func target(c oidc.Client, granted []string, asked string) (string, error) {
	if len(granted) == 0 {
		granted = []string{c.TokenAudience()}
	}
	if asked == "" {
		asked = granted[0]
	}
	if !slices.Contains(granted, asked) || !c.MayTarget(asked) {
		return "", fault.New(fault.Invalid, "bridge.target", "the resource was not granted, or this application is no longer registered for it").Because("invalid_target")
	}
	return asked, nil
}
