// Package upstream is the relying-party side: it sends people to their own
// identity provider and verifies what comes back, over coreos/go-oidc and
// x/oauth2. Identity is (connection, issuer, stable subject), never an address.
//
// The zero options are the strict ones. Algorithms are chosen by us, not by the
// provider's metadata; every required claim must be there; no claim that a person
// can edit is read.
package upstream

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// Provider is how one connection's identity provider is reached.
type Provider struct {
	Connection   access.ConnectionID
	Issuer       string
	ClientID     string
	ClientSecret secret.String
	// Authentication is how the bridge proves itself at the token endpoint; "": by its
	// secret, in the way that the provider's metadata prefers.
	Authentication string
	// AssertToIssuer makes private_key_jwt out to the issuer instead of the token endpoint.
	AssertToIssuer bool
	SubjectClaim   string   // the claim that equals the SCIM externalId: "oid" for Entra, "sub" for Okta
	TenantID       string   // Entra: the tid that must be present and equal; "" elsewhere
	OAuthScopes    []string // beside openid
	Prompt         string   // sent where a sign-in asks for none: "", "login" or "select_account"
	ACRValues      []string // sent where a sign-in asks for none, in order of preference
	RequireACR     []string // the token's acr must be one of these; nil: any
	RequireAMR     []string // one of the token's amr must be one of these; nil: any
	// AuthTimeClaim says when the person signed in, for providers that call it otherwise; "": auth_time.
	AuthTimeClaim string
	// InsecureAuthTimeFromIat takes a token that does not say when the person signed in
	// as if that had been when the token was made: a fresh sign-in is then not proven.
	InsecureAuthTimeFromIat bool
	// ProbeEvery is how often the provider is asked whether a session still stands, by the
	// refresh token that it is asked for then; 0: never. ProbeGrace is how long a session
	// lives on while it does not say; 0: until its own end.
	ProbeEvery, ProbeGrace time.Duration
}

// The ways of authentication (OpenID Connect Core section 9).
const (
	BasicSecret = "client_secret_basic"
	PostSecret  = "client_secret_post"
	SignedJWT   = "private_key_jwt"
)

// Prove makes the assertions by which the bridge proves itself as an OAuth client (RFC
// 7523): for an audience, at an instant.
type Prove func(clientID, audience string, now time.Time) (string, error)

// Leg is one trip to the identity provider. State, Nonce and CodeVerifier are
// fresh random values that the caller stored beside the request.
type Leg struct {
	State        string
	Nonce        string
	CodeVerifier string // RFC 7636: 43 to 128 characters
	RedirectURL  string
	LoginHint    string
	Prompt       string        // "", "login" or "select_account"
	ACRValues    []string      // in order of preference; nil: the connection's own
	UILocales    []string      // in order of preference
	MaxAge       time.Duration // < 0: not asked; whole seconds
	Started      time.Time     // with Prompt "login": auth_time must not lie before it
}

// Identity is a verified sign-in.
type Identity struct {
	Connection access.ConnectionID
	Issuer     string
	Subject    string    // the value of SubjectClaim
	Sub        string    // the value of sub, whatever SubjectClaim is
	Session    string    // the upstream's sid, "" if none
	Started    time.Time // when the trip began
	Fresh      bool      // a new sign-in was asked for on it, and proven as far as the connection lets it be
	AuthTime   time.Time
	AMR        []string
	ACR        string
	Device     string        // what the browser called itself: from whoever has the browser, not from the provider
	Until      time.Time     // the provider's own end of the session; zero: it names none
	Refresh    secret.String // the provider's refresh token; empty unless it was asked for and given
}

// The reasons for which a sign-in is refused before there is an identity. Each is
// a stable code and a sentence on the page that says so.
const (
	ReasonIdP     = "idp_error"         // the provider itself said no
	ReasonMixUp   = "idp_mix_up"        // the answer belongs to another provider or request
	ReasonToken   = "idp_token_invalid" // the ID token could not be verified
	ReasonStale   = "idp_login_stale"   // a fresh sign-in was asked for and not proven
	ReasonWeak    = "idp_login_weak"    // the sign-in is not of the kind that the connection requires
	ReasonOver    = "idp_session_over"  // the provider says that its session has ended already
	ReasonRefused = "idp_refused"       // asked again, the provider no longer vouches for a sign-in
	ReasonSetUp   = "idp_set_up"        // the provider refuses our own credentials or its metadata is not acceptable
	ReasonDown    = "idp_unavailable"   // the provider does not answer
	ReasonUnknown = "idp_unknown"       // the connection has no provider to sign in with
)
