package ssf

import (
	"context"

	"github.com/drawbridge-id/drawbridge/oidc"
)

// Receivers says which application is behind an access token that it got for itself, as it
// was shown. fault.Unauthenticated if none is, or if it is bound to another key than was
// proved with it; fault.Denied if the token lacks the OAuth scope.
type Receivers interface {
	AcceptServiceShown(ctx context.Context, shown oidc.Presented, oauthScope string) (oidc.Client, error)
}

// Streams keeps the streams; each receiver has at most one. Another receiver's stream is
// fault.NotFound, as one that never was.
type Streams interface {
	// Stream finds the receiver's stream; fault.NotFound if it has none, or none of that
	// id. The id "" means whichever there is.
	Stream(ctx context.Context, client oidc.Client, id string) (Stream, error)
	// CreateStream makes the receiver's stream; fault.Conflict if it has one.
	CreateStream(ctx context.Context, client oidc.Client, w Wish) (Stream, error)
	// ChangeStream carries a wish out, unless agrees refuses the stream as it stands.
	ChangeStream(ctx context.Context, client oidc.Client, id string, w Wish, agrees func(Stream) error) (Stream, error)
	// DeleteStream removes the stream with all that waits to be delivered.
	DeleteStream(ctx context.Context, client oidc.Client, id string) error
	// SetStreamStatus is what the receiver wants the stream's status to be.
	SetStreamStatus(ctx context.Context, client oidc.Client, w StatusWish) (Stream, error)
}

// Subjects keeps whom a stream does not tell of.
type Subjects interface {
	// RemoveSubject mutes a subject; fault.Limited if too many are.
	RemoveSubject(ctx context.Context, client oidc.Client, stream string, s Subject) error
	// AddSubject tells of a subject again.
	AddSubject(ctx context.Context, client oidc.Client, stream string, s Subject) error
}

// Tokens are what waits in streams.
type Tokens interface {
	// VerifyStream puts a verification into the stream; fault.Limited within
	// MinVerificationInterval of the last.
	VerifyStream(ctx context.Context, client oidc.Client, stream, state string) error
	// PollStream acknowledges and gives what waits, signed; where nothing does and the
	// request lets it, after a wait that ends with ctx. fault.Limited if too many wait.
	PollStream(ctx context.Context, client oidc.Client, stream string, p PollRequest) (PollAnswer, error)
}
