// Package credential is the only place that signs, hashes, seals or verifies our
// own credentials: access and ID tokens, codes, refresh tokens, session cookies
// SCIM bearer tokens, and the secrets and access tokens of SCIM clients.
//
// There is one Mint and one Accept. Both compare the same five integers (Epochs)
// and nothing else decides whether a credential lives: whatever ends access raises
// one of them in the transaction that ends it.
package credential

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// Digest is the SHA-256 of a whole credential: what we store instead of it.
type Digest [32]byte

// Epochs are the five integers a credential is made under: those of the host, the
// connection, the client and the person, and the session's version. On the wire
// they are one JSON array in that order. The zero Epochs equal nothing live:
// every counter starts at 1.
type Epochs struct {
	Host, Connection, Client, Person, Session int64
}

// Subject names the four things whose counters are compared, beside the host's.
// Client and Family are "" for a browser session's cookie.
type Subject struct {
	Connection access.ConnectionID
	Client     access.ClientID
	Person     access.PersonID
	Session    session.ID
	Family     string // what one sign-in of the client led to: its refresh and access tokens end together
}

// Bound is a credential's own say: for whom it was made, under which integers, and
// until when it counts at most.
type Bound struct {
	Subject
	Epochs
	Expires time.Time
}

// Current is the directory's say now, read in the transaction that mints, or from
// the node's window of epochs for an accept. The zero Current refuses.
type Current struct {
	Subject
	Epochs
	Alive      bool      // host, connection, client, person and session are all active
	Why        string    // the reason code when not Alive
	Decided    bool      // the person's last decision was made under the active policy and no fence lies over it
	ValidUntil time.Time // of the person's last decision; zero: no end
	// SessionExpires is the session's absolute end. Every session has one: the zero
	// time refuses.
	SessionExpires time.Time
}
