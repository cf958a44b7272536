package inbound

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// Listening is how signals of one connection's identity provider are received.
type Listening struct {
	Connection access.ConnectionID
	SignIn     string // the issuer of people's sign-ins
	Issuer     string // of the transmitter
	Push       bool   // the transmitter pushes (RFC 8935); otherwise it is polled (RFC 8936)
	Every      time.Duration
	Events     []ssf.Type // those that may have an effect: what is asked for
	// EndOnCredentialChange: what a person has ends when their credentials change.
	EndOnCredentialChange bool
	Access                Access
}

// Access is how the bridge proves itself to a transmitter: by a token that it was given,
// or by OAuth client credentials.
type Access struct {
	Metadata       string        // address of the transmitter's configuration metadata
	Token          secret.String // a bearer token; empty: client credentials
	ClientID       string
	ClientSecret   secret.String
	TokenEndpoint  string
	Authentication string // client_secret_basic, client_secret_post or private_key_jwt
	OAuthScopes    []string
}

// Stream is what is known of a stream that the bridge has made at a transmitter.
type Stream struct {
	Connection access.ConnectionID
	Issuer     string
	ID         string
	Audience   []string
	Method     string // ssf.Push or ssf.Poll
	Endpoint   string // where it is polled; "" where it is pushed
	PushedBy   []byte // SHA-256 of the secret that pushes bring
	Access     Access // kept so that the stream can be removed when the configuration has forgotten it
	Status     ssf.Status
	Reason     string
	State      string    // of the verification that is waited for; "" where none is
	Created    time.Time // the zero time, of all of these: never
	Checked    time.Time // when the transmitter last confirmed the stream
	Asked      time.Time // when a verification was last asked for
	Verified   time.Time // when one last came
	Heard      time.Time // when a signal last came
	Polled     time.Time // when a poll was last answered, to a minute
}

// Streams keeps the streams, one of each connection: *bridge.Bridge.
type Streams interface {
	// IdPStream finds a connection's stream; fault.NotFound if it has none.
	IdPStream(ctx context.Context, c access.ConnectionID) (Stream, error)
	IdPStreams(ctx context.Context) ([]Stream, error)
	// KeepIdPStream puts a stream in the place of its connection's.
	KeepIdPStream(ctx context.Context, s Stream) error
	// ChangeIdPStream changes what is kept of a connection's stream, if there is one.
	ChangeIdPStream(ctx context.Context, c access.ConnectionID, change func(*Stream)) error
	DropIdPStream(ctx context.Context, c access.ConnectionID) error
}
