package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// ServiceToken gives an application an access token for itself (RFC 6749 section 4.4).
// It stands for no person. The client has authenticated.
func (b *Bridge) ServiceToken(ctx context.Context, x oidc.ServiceOrder) (oidc.TokenSet, error) {
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
	host, epoch, active, err := b.store.ClientNow(ctx, x.Client.ID)
	if err != nil {
		return oidc.TokenSet{}, err
	}
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
	return oidc.TokenSet{AccessToken: token.Reveal(), ExpiresIn: a.Expires.Sub(a.Issued), OAuthScopes: scopes, DPoPKey: a.Key}, nil
}

// Prove holds an assertion that an application signed about itself against its keys
// (RFC 7523 section 3). Each works once, also after a restart: it is used up before the
// client gets anything. No store, no proof.
func (b *Bridge) Prove(ctx context.Context, c oidc.Client, text, endpoint string) error {
	const op = "bridge.Prove"
	now := b.now()
	proof, err := b.assertions.Verify(ctx, text, string(c.ID), c.Trust, []string{b.url, b.url + oidc.PathToken, endpoint}, now)
	if err != nil {
		return err
	}
	return b.store.Update(ctx, func(tx *store.Tx) error {
		first, err := tx.Spend(c.ID, credential.DigestOf(proof.ID), proof.Ends, now)
		if err == nil && !first {
			err = fault.New(fault.Unauthenticated, op, "the assertion was used before").Because("replayed")
		}
		return err
	})
}

// SignIntrospection signs an introspection answer to a client by the algorithm of its ID
// tokens (RFC 9701 section 5).
func (b *Bridge) SignIntrospection(c oidc.Client, answer json.RawMessage) (string, error) {
	return b.issuer.SignIntrospection(c.ID, c.IDTokenAlg, answer, b.now())
}

// HasOrigin reports whether a web origin is registered for any application.
func (b *Bridge) HasOrigin(origin string) bool { return b.origins[origin] }

// refreshLife is how long refresh tokens of the application may be exchanged.
func (b *Bridge) refreshLife(c oidc.Client) time.Duration {
	return cmp.Or(c.RefreshLife, b.lives.Refresh)
}

// accessLife is how long an access token of the application lives.
func (b *Bridge) accessLife(c oidc.Client) time.Duration {
	if c.AccessTokenLife > 0 {
		return min(c.AccessTokenLife, credential.MaxLife)
	}
	return b.lives.AccessToken
}

// AcceptServiceShown gives the application that an access token of its own stands for,
// held against the rows now, as it was shown: a token that is bound to a key only with the
// proof of that key. fault.Unauthenticated if it does not count; fault.Denied with the
// reason "insufficient_scope" without that OAuth scope.
func (b *Bridge) AcceptServiceShown(ctx context.Context, shown oidc.Presented, oauthScope string) (oidc.Client, error) {
	const op = "bridge.AcceptService"
	a, err := b.Service(ctx, shown.Token)
	if err != nil {
		return oidc.Client{}, err
	}
	if err := shown.Proves(a.Key); err != nil {
		return oidc.Client{}, err
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
	host, epoch, active, err := b.store.ClientNow(ctx, a.Client)
	if err != nil {
		return oidc.AcceptedService{}, err
	}
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
