// Package inbound hears what customers' identity providers say about people who are
// signed in: that a session of theirs is over (OpenID Connect Back-Channel Logout 1.0),
// that all a person has is to end (Global Token Revocation, which Okta calls Universal
// Logout), or by signals what has become of sessions and accounts (Shared Signals
// Framework 1.0, CAEP 1.0, RISC 1.0). Every message is signed, is meant for this bridge and
// for its connection, is young, and counts once; whoever is meant is sought in that
// connection alone.
package inbound

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// Source is an identity provider that may say something, and how it is known.
type Source struct {
	Connection access.ConnectionID
	Issuer     string   // of people's sign-ins
	ClientID   string   // the bridge's there
	Revocation *Revoker // nil: it may not ask to end all that a person has
}

// Revoker is who may ask to end all that a person has.
type Revoker struct {
	Issuer   string
	ClientID string // by which it knows the bridge: the sub of its tokens
	KeysURI  string // where it publishes its keys
}

// Message is what makes a message one of its own: it counts once.
type Message struct {
	Signer string
	JTI    string
	Ends   time.Time // until when it could be shown again
}

// Logout says that a session of the identity provider is over, or all of a subject.
type Logout struct {
	Message
	Connection access.ConnectionID
	Issuer     string
	Session    string // the provider's sid; "": all of the subject
	Subject    string // the provider's sub; "": whoever has the session
}

// Revocation asks to end all that a person has.
type Revocation struct {
	Message
	Connection access.ConnectionID
	Issuer     string // of people's sign-ins
	Subject    Subject
}

// Signal is a security event of the connection's transmitter, and what it asks for.
type Signal struct {
	Message
	Connection access.ConnectionID
	Issuer     string // of people's sign-ins
	Event      ssf.Type
	Name       string // of the event, short
	Effect     Effect
	User       Subject // zero: nobody is named by a name of people
	Session    string  // the provider's sid; "": none is named
	Named      string  // an id alone, which may be a session's or a person's
}

// Heard is what came of a signal.
type Heard struct {
	Outcome string // one of the Outcome constants
	Ended   int    // sessions
}

// Subject names a person as their identity provider does: by ID or by Email.
type Subject struct {
	Issuer string // who says ID; "": the provider of the connection
	ID     string
	Email  string
}

// Signed verifies what a connection's identity provider signed: *upstream.Upstreams.
type Signed interface {
	Signed(ctx context.Context, c access.ConnectionID, raw string) (typ string, said jwtclaims.Claims, err error)
}

// Ends does what the messages say: *bridge.Bridge. Each gives how many sessions it ended.
// fault.Stale if the message came before.
type Ends interface {
	HearLogout(ctx context.Context, l Logout) (ended int, err error)
	// HearRevocation gives fault.NotFound if nobody is meant, fault.Conflict if several may be.
	HearRevocation(ctx context.Context, r Revocation) (ended int, err error)
	// HearSignal does what a signal asks for. That nobody is meant, that nothing is asked
	// for, and that it came before are outcomes and no errors: such a signal is acknowledged.
	HearSignal(ctx context.Context, s Signal) (Heard, error)
}
