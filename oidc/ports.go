package oidc

import (
	"context"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// Client is a registered application (RFC 6749 section 2). The zero Client may do
// nothing.
type Client struct {
	ID                     access.ClientID
	Name                   string
	SecretDigest           credential.Digest // zero: a public client
	RedirectURIs           []string          // compared byte for byte
	PostLogoutRedirectURIs []string          // compared byte for byte
	Audience               string            // aud of access tokens; the client id if empty
	Grants                 []access.Grant    // which grants it accepts; empty: all that may sign in
	OAuthScopes            []string          // workflows it may be granted; empty: all
	IDTokenAlg             string            // "ES256" (default) or "RS256"
	BackchannelLogoutURI   string
}

// Public reports whether the client has no secret.
func (c Client) Public() bool { return c.SecretDigest == credential.Digest{} }

// Clients finds registered applications: fault.NotFound if there is none by that id.
type Clients interface {
	Client(ctx context.Context, id access.ClientID) (Client, error)
}

// Browser is one browser's session, as its cookie shows it, accepted now.
type Browser struct {
	Session    session.Session
	Assignment ActiveGrant   // zero unless the session is active
	Choices    []ActiveGrant // what the person may choose now, primary first
}

// ActiveGrant is the active_grant claim (docs/applications.md): the one active
// assignment, never the others.
type ActiveGrant struct {
	ID       access.AssignmentID `json:"id"`
	Grant    access.Grant        `json:"grant"`
	Standing access.Standing     `json:"standing"`
	Scope    ClaimScope          `json:"scope"`
	Flags    access.Flags        `json:"flags"`
	Until    int64               `json:"until,omitzero"` // Unix seconds; absent: no end
}

// ClaimScope is a scope as tokens show it. Compare ids, never path prefixes.
type ClaimScope struct {
	ID          access.ScopeID   `json:"id"`
	Level       access.Level     `json:"level"`
	Path        string           `json:"path"`
	AncestorIDs []access.ScopeID `json:"ancestor_ids"`
	Names       []string         `json:"names"`
}

// Browsers is what /authorize and /end_session ask about the browser's session.
type Browsers interface {
	// Browser accepts the session cookie; fault.Unauthenticated if it is not good.
	Browser(ctx context.Context, cookie string) (Browser, error)
	// SignOut ends the session, its tokens and refresh families.
	SignOut(ctx context.Context, id session.ID, reason string) error
}

// Tokens is what the token, introspection, revocation and userinfo endpoints ask.
// Errors are faults; the endpoint renders them (RFC 6749 section 5.2).
type Tokens interface {
	Redeem(ctx context.Context, x CodeExchange) (TokenSet, error)
	Refresh(ctx context.Context, x RefreshExchange) (TokenSet, error)
	// Accept verifies an access token of ours and compares its integers now.
	Accept(ctx context.Context, accessToken string) (Accepted, error)
	// AcceptRefresh says what a refresh token stands for now, without using it.
	AcceptRefresh(ctx context.Context, refreshToken string) (Accepted, error)
	// Revoke ends the token's family (RFC 7009); unknown tokens are no error, and
	// another client's token is not touched.
	Revoke(ctx context.Context, token string, client access.ClientID) error
	// IDTokenHint verifies one of our ID tokens, expired or not, and gives its
	// session, subject and audience.
	IDTokenHint(ctx context.Context, idToken string) (Hint, error)
}

// Hint is what an id_token_hint says.
type Hint struct {
	Session session.ID
	Person  access.PersonID
	Client  access.ClientID
}

// CodeExchange redeems an authorization code.
type CodeExchange struct {
	Code         string
	RedirectURI  string
	CodeVerifier string
	Client       Client // authenticated
}

// RefreshExchange exchanges a refresh token.
type RefreshExchange struct {
	RefreshToken string
	OAuthScopes  []string // nil: as before
	Client       Client   // authenticated
}

// TokenSet is a token answer.
type TokenSet struct {
	AccessToken  string
	IDToken      string
	RefreshToken string
	ExpiresIn    time.Duration
	OAuthScopes  []string
}

// Accepted is a credential of ours that counts at this moment.
type Accepted struct {
	Bound       credential.Bound
	Grant       ActiveGrant
	OAuthScopes []string
	Audience    string
	IssuedAt    time.Time
	AuthTime    time.Time
	JTI         string
	Profile     Profile
}

// Profile is what the profile and email scopes show.
type Profile struct {
	Name, GivenName, FamilyName, UserName string
	Email                                 string
	Locale, ZoneInfo                      string
	UpdatedAt                             time.Time
}

// Interaction shows a person pages. /authorize hands over when it needs one.
type Interaction interface {
	// Begin answers with whatever the stored request needs next: the address
	// page, a redirect to the identity provider, the chooser, or why not.
	Begin(w http.ResponseWriter, r *http.Request, req hot.AuthRequest)
	// Fail shows an error that must not be redirected: an unknown client or a
	// redirect URI that is not registered.
	Fail(w http.ResponseWriter, r *http.Request, status int, title, detail string)
}

// Codes finishes an authorization: it stores a code for the session's active
// assignment and gives the redirect that carries it (RFC 6749 4.1.2, RFC 9207 iss).
type Codes interface {
	Issue(ctx context.Context, req hot.AuthRequest, s session.Session) (redirect string, err error)
}
