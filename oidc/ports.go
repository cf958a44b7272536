package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// Client is a registered application (RFC 6749 section 2, OpenID Connect Dynamic
// Client Registration 1.0 section 2). The zero Client may do nothing.
type Client struct {
	ID   access.ClientID
	Name string

	// How it authenticates: by one of these, or it is public.
	SecretDigest credential.Digest // of client_secret_basic and client_secret_post
	Trust        assertion.Trust   // private_key_jwt: the keys that sign its assertions (RFC 7523)

	// Where it lives.
	RedirectURIs           []string // compared byte for byte
	PostLogoutRedirectURIs []string // compared byte for byte
	Origins                []string // web origins whose scripts may call the endpoints (CORS); compared byte for byte
	BackchannelLogoutURI   string   // is told that a session ended (Back-Channel Logout 1.0); "" if it is not
	FrontchannelLogoutURI  string   // is opened in the browser that signs out (Front-Channel Logout 1.0); "" if it is not

	// What it may ask for.
	GrantTypes    []string       // OAuth grant types of the token endpoint; empty: authorization_code and refresh_token
	Grants        []access.Grant // which grants it accepts; empty: all that may sign in
	OAuthScopes   []string       // workflows it may be granted; empty: all
	ServiceScopes []string       // OAuth scopes that it may have for itself, by client_credentials
	SignalsWide   bool           // its stream of signals tells of everybody, not only of people who signed in to it
	Offline       bool           // offline_access outlives the browser's session
	Resources     []string       // RFC 8707: audiences it may ask for beside Audience

	// What its requests must be like.
	InsecureNoPKCE bool // a confidential client may leave out code_challenge
	RequirePAR     bool // RFC 9126: only pushed authorization requests
	RequireDPoP    bool // RFC 9449: no bearer tokens
	Consent        bool // a person is asked once what it may have, and with prompt=consent

	// What its tokens are like.
	Audience        string        // aud of access tokens; the client id if empty
	IDTokenAlg      string        // "ES256" (default) or "RS256"
	AccessTokenAlg  string        // "ES256" (default) or "RS256"
	AccessTokenLife time.Duration // at most credential.MaxLife; 0: as all
	RefreshLife     time.Duration // of a refresh family; 0: as all
	Sector          string        // pairwise subjects (OpenID Connect Core section 8.1) of this sector; "" for public ones
}

// TokenAudience is the aud of the client's access tokens: Audience, or else its id.
func (c Client) TokenAudience() string {
	if c.Audience == "" {
		return string(c.ID)
	}
	return c.Audience
}

// Accepts reports whether the client lets a session stand on g. An empty list
// accepts every grant that may sign in.
func (c Client) Accepts(g access.Grant) bool {
	return g.MaySignIn() && (len(c.Grants) == 0 || slices.Contains(c.Grants, g))
}

// MayHave reports whether the client may be granted an OAuth scope at all.
func (c Client) MayHave(oauthScope string) bool {
	if oauthScope == ScopeOffline {
		return c.Offline
	}
	return AboutPerson(oauthScope) || slices.Contains(access.Workflows(), access.Workflow(oauthScope)) &&
		(len(c.OAuthScopes) == 0 || slices.Contains(c.OAuthScopes, oauthScope))
}

// The OAuth grant types of the token endpoint.
const (
	GrantTypeCode              = "authorization_code"
	GrantTypeRefresh           = "refresh_token"
	GrantTypeTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693
	GrantTypeClientCredentials = "client_credentials"
)

// GrantTypes are all that a client may be allowed.
func GrantTypes() []string {
	return []string{GrantTypeCode, GrantTypeRefresh, GrantTypeTokenExchange, GrantTypeClientCredentials}
}

// The OAuth scopes that a client may have for itself, by client_credentials.
const (
	ScopeSignalsRead   = "ssf.read"    // reads its stream of security events
	ScopeSignalsManage = "ssf.manage"  // makes, changes and removes it
	ScopeAuthZEN       = "authzen"     // asks what somebody may do
	ScopeRevocations   = "revocations" // follows what has ended
)

// ServiceScopes are all of these.
func ServiceScopes() []string {
	return []string{ScopeSignalsRead, ScopeSignalsManage, ScopeAuthZEN, ScopeRevocations}
}

// MayUse reports whether the client may use an OAuth grant type.
func (c Client) MayUse(grantType string) bool {
	if len(c.GrantTypes) == 0 {
		return grantType == GrantTypeCode || grantType == GrantTypeRefresh
	}
	return slices.Contains(c.GrantTypes, grantType)
}

// Public reports whether the client can prove nothing about itself.
func (c Client) Public() bool { return c.SecretDigest.IsZero() && c.Trust.Empty() }

// Clients finds registered applications: fault.NotFound if there is none by that id.
type Clients interface {
	Client(ctx context.Context, id access.ClientID) (Client, error)
	// HasOrigin reports whether a web origin is registered for any of them.
	HasOrigin(origin string) bool
	// SubjectFor is the sub that a client knows a person by (OpenID Connect Core section 8).
	SubjectFor(c Client, p access.PersonID) string
	// Assignment is the assignment that a client means by an id; "" if it can mean none.
	Assignment(c Client, named access.AssignmentID) access.AssignmentID
}

// Browser is one browser's session, as its cookie shows it, accepted now.
type Browser struct {
	Session session.Session
	// Renewed is the session's present cookie, where it was found by the one before it: the
	// answer that brought this one was lost, and the browser is to be given it again.
	Renewed    secret.String
	Assignment ActiveGrant   // zero unless the session is active
	Choices    []ActiveGrant // what the person may choose now, primary first
	Guarded    []ActiveGrant // likewise, but for a demand that the sign-in does not meet: another sign-in opens it
	// Catalogue is what the grants are called, open and risk now.
	Catalogue access.Catalogue
}

// Guards reports whether an assignment needs another sign-in first.
func (b Browser) Guards(id access.AssignmentID) bool {
	return slices.ContainsFunc(b.Guarded, func(g ActiveGrant) bool { return g.ID == id })
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
	// Reached lists the applications that were signed in to under a session, live or ended.
	Reached(ctx context.Context, id session.ID) ([]Reached, error)
}

// OwnSession is a live session as its own person sees it.
type OwnSession struct {
	Session      session.Session
	Assignment   ActiveGrant // zero unless the session is active
	Applications []Client    // that were signed in to under it
}

// Requests keeps authorization requests; hot.Engine has it.
type Requests interface {
	PutAuthRequest(ctx context.Context, r hot.AuthRequest) error
	PutPushed(ctx context.Context, name string, p hot.Pushed) error
	TakePushed(ctx context.Context, name string, client access.ClientID, now time.Time) (hot.Pushed, error)
}

// Switcher moves a browser's session to another assignment that the person holds
// now, for scope=grant:<id>.
type Switcher interface {
	// Switch gives the rotated cookie and the session as it is after. fault.Denied
	// if the person does not hold the assignment now.
	Switch(ctx context.Context, cookie string, to access.AssignmentID) (renewed secret.String, b Browser, err error)
}

// Tokens is what the token, introspection, revocation and userinfo endpoints ask.
// Errors are faults; the endpoint renders them (RFC 6749 section 5.2): any refusal
// of a code or refresh token is invalid_grant, and the reasons "invalid_scope" and
// "invalid_target" are answered by that name. Unavailable is a 503, never a no.
type Tokens interface {
	Redeem(ctx context.Context, x CodeExchange) (TokenSet, error)
	Refresh(ctx context.Context, x RefreshExchange) (TokenSet, error)
	Exchange(ctx context.Context, x TokenExchange) (TokenSet, error)
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

// ScopeSCIM is the OAuth scope of a SCIM client's access token.
const ScopeSCIM = "scim"

// Services is what the token endpoint asks for SCIM clients, which act for nobody: a
// customer's identity provider, which provisions over SCIM. Whatever is wrong with
// the client or its proof is one fault.Unauthenticated.
type Services interface {
	ClientCredentials(ctx context.Context, x ServiceExchange) (TokenSet, error)
}

// ServiceExchange asks for an access token by what a client says of itself; nothing
// of it is true yet but From.
type ServiceExchange struct {
	Client      string // as it names itself
	Secret      secret.String
	Assertion   string // a JWT, instead of the secret
	OAuthScopes []string
	From        netip.Addr
}

// Applications is what the endpoints ask about applications as such.
type Applications interface {
	// Prove holds an assertion that a client signed about itself, made out to the
	// issuer, the token endpoint or the endpoint it was sent to (RFC 7523 section 3),
	// against its keys: fault.Unauthenticated if it proves nothing or was used before.
	Prove(ctx context.Context, c Client, assertion, endpoint string) error
	// ServiceToken gives an application, which has authenticated, an access token that
	// stands for no person; the reason "invalid_scope" is answered by that name.
	ServiceToken(ctx context.Context, x ServiceOrder) (TokenSet, error)
	// Service accepts such a token now; fault.Unauthenticated if it does not count.
	Service(ctx context.Context, accessToken string) (AcceptedService, error)
	// SignIntrospection signs an introspection answer to a client (RFC 9701 section 5).
	SignIntrospection(c Client, answer json.RawMessage) (string, error)
}

// ServiceOrder asks for an application's own access token.
type ServiceOrder struct {
	Client      Client   // authenticated
	OAuthScopes []string // empty: all that it may have for itself
	Key         string   // RFC 9449: the thumbprint of the key to bind it to; "" for a bearer token
}

// AcceptedService is an application's own access token that counts at this moment.
type AcceptedService struct {
	Client      Client
	OAuthScopes []string
	Key         string // RFC 9449: the thumbprint of the key that must be shown with it; "" for a bearer token
	JTI         string
	IssuedAt    time.Time
	Expires     time.Time
}

// Feed is what the feed of revocations asks.
type Feed interface {
	// Follows lets in an application by its own access token.
	Follows(ctx context.Context, shown Presented) (Client, error)
	// Revocations tells what has changed since a cursor.
	Revocations(ctx context.Context, c Client, since string) (Revocations, error)
	// Revoked is closed when there may be more.
	Revoked() <-chan struct{}
}

// Profiles is what /userinfo asks beside Accept, which reads no rows.
type Profiles interface {
	Profile(ctx context.Context, a Accepted) (Profile, error)
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
	Resource     string // whom the access token is for; "": the first that was granted
	DPoPKey      string // the thumbprint of the key that the request proves, "" if none
	Client       Client // authenticated
}

// RefreshExchange exchanges a refresh token.
type RefreshExchange struct {
	RefreshToken string
	OAuthScopes  []string // nil: as before
	Resource     string   // whom the access token is for; "": the first that was granted
	DPoPKey      string   // the thumbprint of the key that the request proves, "" if none
	Client       Client   // authenticated
}

// TokenSet is a token answer.
type TokenSet struct {
	AccessToken  string
	IDToken      string
	RefreshToken string
	ExpiresIn    time.Duration
	OAuthScopes  []string
	DPoPKey      string              // what the access token is bound to; "" for a bearer token
	Active       access.AssignmentID // what the tokens stand on
	Details      bool                // Active was asked for by authorization_details
	IssuedType   string              // what a token exchange gave; "" if it was none
}

// Accepted is a credential of ours that counts at this moment.
type Accepted struct {
	Bound       credential.Bound
	Sub, SID    string          // the person and the session by the names that the token's client knows
	Grant       json.RawMessage // the active_grant claim, as it was signed or would be
	OAuthScopes []string
	Audience    string
	DPoPKey     string // the thumbprint of the key that must be proved with it; "" for a bearer token
	IssuedAt    time.Time
	AuthTime    time.Time
	ACR         string // how the identity provider signed the person in; "" if it did not say
	JTI         string
	Userinfo    []string // claims that userinfo shows beside those of the scopes
}

// Profile is what the profile, email, phone and address scopes show.
type Profile struct {
	Name, GivenName, FamilyName, UserName string
	Email, Phone                          string
	Address                               Address
	Locale, ZoneInfo                      string
	UpdatedAt                             time.Time
}

// Interaction shows a person pages. /authorize hands over when it needs one.
type Interaction interface {
	// Begin answers with whatever the stored request needs next: the address
	// page, a redirect to the identity provider, the chooser, or why not.
	// req.Prompt says what must happen even though the browser may have a session:
	// PromptLogin a new sign-in at the identity provider (also when max_age or
	// id_token_hint ask for one), PromptSelectAccount the chooser (also when the
	// session must choose, or the client does not accept the active grant). Where the grant
	// that counts is guarded (Browser.Guards), they ask for the sign-in that it demands.
	// The browser is bound by the cookie RequestCookie(secure, req.ID), just set:
	// a later request of the flow must bring it, with a credential.DigestOf that
	// equals req.Browser.
	Begin(w http.ResponseWriter, r *http.Request, req hot.AuthRequest)
	// Fail shows an error that must not be redirected: an unknown client or a
	// redirect URI that is not registered.
	Fail(w http.ResponseWriter, r *http.Request, status int, title, detail string)
	// TooMany says that too many sign-ins come from where this one does, and when to
	// try again.
	TooMany(w http.ResponseWriter, r *http.Request, wait time.Duration)
	// ConfirmSignOut asks whether to sign out; the answer is a POST of the form.
	ConfirmSignOut(w http.ResponseWriter, r *http.Request, f SignOutForm)
	// SignedOut says that the browser is signed out now, tells the applications
	// of l.Frames in it, and forgets whose it was. With nothing to tell it goes on to
	// l.Next at once.
	SignedOut(w http.ResponseWriter, r *http.Request, l Leaving)
}

// Reached is an application that was signed in to under a session.
type Reached struct {
	Client
	Session string // the sid that it knows the session by
}

// Leaving is where a browser goes that has been signed out.
type Leaving struct {
	Connection access.ConnectionID // of the session that ended; "" if there was none
	Frames     []string            // addresses of applications to be opened, unseen (Front-Channel Logout 1.0)
	Next       string              // the application's own page afterwards; "": it stays
}

// SignOutForm is the form of the confirmation page: hidden fields to be sent back
// as they are, by POST to Action. They carry the proof that the page was ours.
type SignOutForm struct {
	Action string // a path on the issuer
	Fields []Field
}

// Field is one hidden field of a form.
type Field struct{ Name, Value string }

// Codes finishes an authorization: it stores a code for the session's active
// assignment and gives the redirect that carries it, made by CodeRedirect
// (RFC 6749 section 4.1.2, RFC 9207 iss). fault.Denied becomes access_denied,
// fault.Stale and fault.Unauthenticated login_required at the redirect URI.
type Codes interface {
	Issue(ctx context.Context, req hot.AuthRequest, s session.Session) (redirect string, err error)
}

// Networks says where a request comes from, in a few bytes: the network that shares what it
// may leave behind.
type Networks interface {
	Network(r *http.Request) string
}

// Doors says who comes too often, by where a request comes from, before anybody knows
// who it is. SignIn and FailedClient count, and answer how long to wait: nothing, usually.
type Doors interface {
	Networks
	// SignIn counts a step of a sign-in.
	SignIn(r *http.Request) (wait time.Duration)
	// FailedClient counts that a client did not prove itself.
	FailedClient(r *http.Request, id access.ClientID) (wait time.Duration)
}
