// Package store is the durable truth: one transaction, atomic verbs, every row
// keyed by its connection. It holds hand-written SQL over a small Engine; engines
// (internal/store/sqlite) supply connections, commits and dialect. The suite that
// every engine must pass is internal/store/storetest.
package store

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// PersonKey and GroupKey are internal row keys: never shown, never accepted.
type (
	PersonKey int64
	GroupKey  int64
)

// Person is a row of people.
type Person struct {
	Key         PersonKey
	ID          access.PersonID
	Connection  access.ConnectionID
	UserName    string
	ExternalID  string // "" if the IdP sent none; indexed, not unique
	DisplayName string
	Email       string // the primary or first work e-mail; for people to read, never to link by
	Active      bool
	Epoch       int64                 // rises whenever every credential of the person must die
	Version     int64                 // ETag
	Policy      int64                 // the policy version of the last decision
	ValidUntil  time.Time             // until when the last decision holds; zero: no end. In the past: recompute before use
	Claimed     access.Certification  // what the IdP says (counts only where the connection is trusted for it)
	Asserted    *access.Certification // what the vendor says; nil: nothing
	Decided     int64                 // how many permits that live and limits that bind there are (Decided reads them)
	Doc         []byte                // canonical JSON of the SCIM attributes, without id, meta, schemas and relations
	Created     time.Time
	Updated     time.Time
}

// Group is a row of groups. Members are rows of their own.
type Group struct {
	Key         GroupKey
	ID          access.GroupID
	Connection  access.ConnectionID
	DisplayName string
	ExternalID  string
	MemberCount int64
	Refenced    int64     // fences laid while an earlier one still lay over the group
	Changing    time.Time // the instant of the large change of members that is being carried out; zero: there is none
	Unknown     int64     // ids that are named as members and are nobody's (Drift)
	Version     int64
	Doc         []byte // canonical JSON, without id, meta, schemas and members
	Created     time.Time
	Updated     time.Time
}

// GroupName is one of a person's groups as SCIM shows it.
type GroupName struct {
	ID          access.GroupID
	DisplayName string
}

// Member is one membership as SCIM shows it.
type Member struct {
	Key     PersonKey // where the next page begins
	Person  access.PersonID
	Display string
	Since   time.Time
}

// Query asks for a page of people or groups by its number of entries.
type Query struct {
	Filter filter.Expr  // nil: all
	Sort   *filter.Sort // nil: oldest first
	Start  int          // 1-based; at least 1
	Count  int          // at most MaxPage; 0: only the total
	Base   string       // what the client's addresses begin with, up to the collection's slash: filters may ask for them
}

// Walk asks for a page of people or groups by the place where the last one ended:
// each costs the same, however far it lies.
type Walk struct {
	Filter filter.Expr  // nil: all
	Sort   *filter.Sort // nil: oldest first
	After  Place        // nil: the first page
	Count  int          // 1 to MaxPage
	Base   string       // as a Query's
}

// MaxPage is the largest page a query returns.
const MaxPage = 1000

// ConnectionState says whether a connection may be used. The zero state refuses.
type ConnectionState string

// A connection is active or has ended; an ended one answers nobody.
const (
	ConnectionActive ConnectionState = "active"
	ConnectionEnded  ConnectionState = "ended"
)

// ConnectionRow is a connection as stored: its definition and its counters.
type ConnectionRow struct {
	access.Connection
	Types    schema.Types // what its people and groups are made of
	State    ConnectionState
	Epoch    int64
	People   int64
	Groups   int64
	Created  time.Time
	LastSCIM time.Time // last request with a good token; written at most every few seconds
}

// SCIMToken is a bearer token of a connection, without its secret.
type SCIMToken struct {
	PublicID   string
	Connection access.ConnectionID
	Digest     credential.Digest
	Note       string
	Tail       string // the last 4 characters, for people to recognise it
	Created    time.Time
	Expires    time.Time
	LastUsed   time.Time
	Revoked    time.Time
}

// LiveAt reports whether the token opens its connection at that instant.
func (t SCIMToken) LiveAt(now time.Time) bool { return t.Revoked.IsZero() && now.Before(t.Expires) }

// SessionRow is a session as stored, with the digest of its cookie's secret.
type SessionRow struct {
	session.Session
	Cookie credential.Digest
	// EarlierUntil is until when the cookie's secret before the present one finds the
	// session too; zero: it does not.
	EarlierUntil time.Time
}

// NewCookie replaces the secret of a session's cookie. The one before it finds the session
// until EarlierUntil, since the answer with the new one may get lost.
type NewCookie struct {
	Cookie       credential.Digest
	EarlierUntil time.Time
}

// Policy is the active policy: one row, one version for every node.
type Policy struct {
	Version int64
	Hash    string // hex SHA-256 of what Source says, wherever in its file
	Source  []byte // JSON of mapping.PolicySource
	Applied time.Time
}

// SigningKey is a key at rest: Sealed is the private key under the root key.
type SigningKey struct {
	ID        string
	Algorithm string
	Sealed    []byte
	Public    []byte // PKIX DER
	State     string // "next", "active", "retired"
	Created   time.Time
	Since     time.Time // since when it is in its state
	Signs     time.Time // of a next key: not to sign before; zero: as soon as it was published for long enough
}

// AuditRow is one link of a connection's audit chain ("" is the host's own chain).
type AuditRow struct {
	ID             int64
	Connection     access.ConnectionID
	Seq            int64  // gap-free per connection once sealed; 0 before
	Body           []byte // JSON of event.Event, without Personal
	Personal       []byte // JSON of Personal; nil once erased or if there was none
	Salt           []byte // 16 random bytes, erased with Personal: a digest of a guess proves nothing
	PersonalDigest []byte // SHA-256 of Salt and Personal: part of the chain, so erasing does not break it
	Prev, Hash     []byte
}

// DueKey finds people whose decision must be made anew.
type DueKey struct {
	Connection access.ConnectionID
	Person     access.PersonID
}

// Tombstone is what stays of a deleted person: that the id was used, and by whom
// as the identity provider knows it.
type Tombstone struct {
	Person     access.PersonID
	ExternalID string
	Issuer     string
	Subject    string
	Deleted    time.Time
}

// OutboxRow is an event that waits to be told. Rows come in commit order.
type OutboxRow struct {
	ID         int64
	Connection access.ConnectionID
	At         time.Time
	Body       []byte // JSON of event.Event, without Personal
}
