package console

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// Clients finds registered applications: fault.NotFound if there is none by that id.
type Clients interface {
	Client(ctx context.Context, id access.ClientID) (oidc.Client, error)
}

// SignIns starts, shows, switches and ends browser sessions.
type SignIns interface {
	// SignIn turns a verified identity into a session. The cookie is a new secret
	// each time. fault.Denied carries a reason code when the person may not.
	SignIn(ctx context.Context, id upstream.Identity) (cookie secret.String, b oidc.Browser, err error)
	// Browser accepts a session cookie now; fault.Unauthenticated if it is not
	// good, with the end reason (session.End…) where the session is known to have ended.
	Browser(ctx context.Context, cookie string) (oidc.Browser, error)
	// Switch puts the session on another of its choices and renews the cookie;
	// fault.Denied if the assignment is not held now.
	Switch(ctx context.Context, cookie string, to access.AssignmentID) (renewed secret.String, b oidc.Browser, err error)
	// SignOut ends the session, its tokens and refresh families.
	SignOut(ctx context.Context, id session.ID, reason string) error
	// Reached lists the applications that were signed in to under a session, live or ended.
	Reached(ctx context.Context, id session.ID) ([]oidc.Reached, error)
	// Agree remembers that the session's person agrees to what a request asks for.
	Agree(ctx context.Context, cookie string, req hot.AuthRequest) error
	// Consents lists what they have agreed to, and Withdraw takes it back for one
	// application, whose tokens die. Errors of all three are as Browser's.
	Consents(ctx context.Context, cookie string) ([]oidc.Consent, error)
	Withdraw(ctx context.Context, cookie string, client access.ClientID) error
	// Refused records a sign-in that failed before there was an identity: the
	// provider said no, or what it sent could not be verified. It writes an audit row only.
	Refused(ctx context.Context, c access.ConnectionID, cause error) error
}

// Own shows and ends the sessions of the person behind a session cookie;
// fault.Unauthenticated if the cookie is not good.
type Own interface {
	// OwnSessions lists the live ones, the latest first.
	OwnSessions(ctx context.Context, cookie string) ([]oidc.OwnSession, error)
	// EndOwn ends one, also one that has ended; fault.NotFound if it is not theirs.
	EndOwn(ctx context.Context, cookie string, id session.ID) error
	// EndOwnSessions ends all, or all but the cookie's own.
	EndOwnSessions(ctx context.Context, cookie string, others bool) error
}

// Finder finds connections. An address is never used for anything else.
type Finder interface {
	// ByDomain lists the connections that name the domain (lower case, IDNA ASCII
	// form), by customer name. None is an empty list, not an error.
	ByDomain(ctx context.Context, domain string) ([]access.Connection, error)
	// Connection gives fault.NotFound if there is none by that id.
	Connection(ctx context.Context, id access.ConnectionID) (access.Connection, error)
}

// Grants answers GET /me/grants.
type Grants interface {
	// Grants says what the person behind an access token may choose now, and which
	// one the token stands on; fault.Unauthenticated if the token does not count, or
	// may not be shown like that.
	Grants(ctx context.Context, shown oidc.Presented) (active access.AssignmentID, choices []oidc.ActiveGrant, err error)
}

// Requests is what the pages need of hot.Engine.
type Requests interface {
	PutAuthRequest(ctx context.Context, r hot.AuthRequest) error
	AuthRequest(ctx context.Context, id string, now time.Time) (hot.AuthRequest, error)
	BindUpstream(ctx context.Context, id string, u hot.Upstream, now time.Time) error
	TakeUpstream(ctx context.Context, c access.ConnectionID, state string, now time.Time) (hot.AuthRequest, error)
}

// Upstream sends people to their identity provider and verifies what comes back:
// *upstream.Upstreams.
type Upstream interface {
	// Knows reports whether people of a connection have a provider to sign in with.
	Knows(c access.ConnectionID) bool
	Start(ctx context.Context, c access.ConnectionID, leg upstream.Leg) (string, error)
	Finish(ctx context.Context, c access.ConnectionID, leg upstream.Leg, query url.Values) (upstream.Identity, error)
	// SignOutURL is where people end their session at the provider; "" if it has no such
	// page, or none is known now.
	SignOutURL(c access.ConnectionID) string
}

// Doors says who comes too often, by where a request comes from.
type Doors interface {
	oidc.Networks
	// SignIn counts a step of a sign-in, or says how long to wait.
	SignIn(r *http.Request) (wait time.Duration)
}
