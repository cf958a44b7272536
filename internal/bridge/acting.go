package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Acting is a person who acts at the bridge itself by an access token of their own.
type Acting struct {
	Bound       credential.Bound // what the token is held against once more where it decides
	Assignment  access.AssignmentID
	OAuthScopes []string // that the token has now
}

// Acting says who acts by an access token, and by which of their assignments. It takes what
// an application has for itself: its own tokens, and those made out to the bridge. One that
// was made out to somebody else's API is not the bridge's to take: whoever runs that API
// could act by it. fault.Unauthenticated for whatever else does not count.
func (b *Bridge) Acting(ctx context.Context, shown oidc.Presented) (Acting, error) {
	const op = "bridge.Acting"
	a, err := b.Accept(ctx, shown.Token)
	if err != nil {
		return Acting{}, err
	}
	if err := a.Shows(shown); err != nil {
		return Acting{}, err
	}
	client, err := b.Client(ctx, a.Bound.Subject.Client)
	if err != nil {
		return Acting{}, err
	}
	if a.Audience != client.TokenAudience() && a.Audience != b.url {
		return Acting{}, fault.New(fault.Unauthenticated, op, "the access token is made out to %s", a.Audience).Because(credential.ReasonSubject)
	}
	var row store.SessionRow
	err = b.store.View(ctx, func(v *store.View) (err error) { row, err = v.Session(a.Bound.Subject.Session); return err })
	if err != nil {
		return Acting{}, err
	}
	if row.State != session.Active || row.Version != a.Bound.Epochs.Session {
		return Acting{}, fault.New(fault.Unauthenticated, op, "the session stands on something else by now").Because(credential.ReasonSuperseded)
	}
	return Acting{Bound: a.Bound, Assignment: row.Active, OAuthScopes: a.OAuthScopes}, nil
}
