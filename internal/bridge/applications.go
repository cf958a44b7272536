package bridge

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// ServiceToken gives an application an access token for itself (RFC 6749 section 4.4).
// It stands for no person. The client has authenticated.
func (b *Bridge) ServiceToken(_ context.Context, x oidc.ServiceOrder) (oidc.TokenSet, error) {
	const op = "bridge.ServiceToken"
	scopes := x.OAuthScopes
	if len(scopes) == 0 {
		scopes = x.Client.ServiceScopes
	}
	for _, s := range scopes {
		if !slices.Contains(x.Client.ServiceScopes, s) {
			return oidc.TokenSet{}, fault.New(fault.Invalid, op, "This application may not have the scope %s for itself.", s).Because("invalid_scope")
		}
	}
	if len(scopes) == 0 {
		return oidc.TokenSet{}, fault.New(fault.Invalid, op, "This application may have no scope for itself: service_scopes names none.").Because("invalid_scope")
	}
	host, epoch, active := b.store.ClientNow(x.Client.ID)
	if !active {
		return oidc.TokenSet{}, fault.New(fault.Unauthenticated, op, "the application is not active").Because(store.WhyClientDisabled)
	}
	now := b.now()
	a := credential.ServiceAccess{ID: credential.NewID("tok"), Client: x.Client.ID, OAuthScopes: scopes, Key: x.Key, Host: host, Epoch: epoch,
		Issued: now.Truncate(time.Second).UTC(), Expires: now.Add(b.accessLife(x.Client)).Truncate(time.Second).UTC()}
	token, err := b.services.Seal(a)
	if err != nil {
		return oidc.TokenSet{}, err
	}
	return oidc.TokenSet{AccessToken: token.Reveal(), ExpiresIn: a.Expires.Sub(a.Issued), OAuthScopes: scopes}, nil
}

// accessLife is how long an access token of the application lives.
func (b *Bridge) accessLife(c oidc.Client) time.Duration {
	if c.AccessTokenLife > 0 {
		return min(c.AccessTokenLife, credential.MaxLife)
	}
	return b.lives.AccessToken
}

// AcceptService gives the application that an access token of its own stands for, held
// against the rows now. fault.Unauthenticated if it does not count, also for a token
// that is bound to a key, which was not shown; fault.Denied with the reason
// "insufficient_scope" without that OAuth scope.
func (b *Bridge) AcceptService(ctx context.Context, accessToken, oauthScope string) (oidc.Client, error) {
	const op = "bridge.AcceptService"
	a, err := b.Service(ctx, accessToken)
	if err != nil {
		return oidc.Client{}, err
	}
	if a.Key != "" {
		return oidc.Client{}, fault.New(fault.Unauthenticated, op, "the access token is bound to a key that was not shown")
	}
	if !slices.Contains(a.OAuthScopes, oauthScope) {
		return oidc.Client{}, fault.New(fault.Denied, op, "The access token has no scope %s.", oauthScope).Because("insufficient_scope")
	}
	return a.Client, nil
}

// Service verifies an application's own access token, and holds it against the rows now.
// Its OAuth scopes are those that the application may still have.
func (b *Bridge) Service(ctx context.Context, accessToken string) (oidc.AcceptedService, error) {
	const op = "bridge.Service"
	a, err := b.services.Open(accessToken, b.now())
	if err != nil {
		return oidc.AcceptedService{}, err
	}
	client, configured := b.clients[a.Client]
	host, epoch, active := b.store.ClientNow(a.Client)
	switch {
	case !configured || !active:
		return oidc.AcceptedService{}, fault.New(fault.Unauthenticated, op, "the application is not active").Because(store.WhyClientDisabled)
	case host != a.Host || epoch != a.Epoch:
		return oidc.AcceptedService{}, fault.New(fault.Unauthenticated, op, "the access token was made before everything of its application was ended").Because(credential.ReasonSuperseded)
	}
	var ended bool
	err = b.store.View(ctx, func(v *store.View) error {
		ended, err = v.Spent(a.Client, credential.DigestOf(accessToken))
		return err
	})
	if err != nil {
		return oidc.AcceptedService{}, fault.Wrap(fault.Unavailable, op, err)
	}
	if ended {
		return oidc.AcceptedService{}, fault.New(fault.Unauthenticated, op, "the access token was revoked").Because(credential.ReasonEnded)
	}
	may := slices.DeleteFunc(a.OAuthScopes, func(s string) bool { return !slices.Contains(client.ServiceScopes, s) })
	return oidc.AcceptedService{Client: client, OAuthScopes: may, Key: a.Key, JTI: a.ID, IssuedAt: a.Issued, Expires: a.Expires}, nil
}

// revokeService ends an application's own access token, if it is that application's.
func (b *Bridge) revokeService(ctx context.Context, token string, client access.ClientID) error {
	now := b.now()
	a, err := b.services.Open(token, now)
	if err != nil || a.Client != client {
		return nil //nolint:nilerr // an unknown token is no error (RFC 7009 section 2.2)
	}
	return b.store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Spend(client, credential.DigestOf(token), a.Expires, now)
		return err
	})
}

// SubjectFor is the sub that a client knows a person by (OpenID Connect Core section 8):
// its own for a pairwise client, the same everywhere for others. Whatever tells a client
// about a person uses it.
func (b *Bridge) SubjectFor(c oidc.Client, p access.PersonID) string { return b.nameFor(c, string(p)) }

// SessionFor is the sid that a client knows a session by: its own for a pairwise client.
func (b *Bridge) SessionFor(c oidc.Client, id session.ID) string { return b.nameFor(c, string(id)) }

func (b *Bridge) nameFor(c oidc.Client, id string) string {
	if c.Sector == "" {
		return id
	}
	return b.names.Name(c.Sector, id)
}
