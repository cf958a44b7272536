// Package session decides what becomes of a sign-in: Start, Switch, Reconcile and
// Revoke are pure functions that return the new session and its events
// (docs/architecture.md, "Sessions").
//
// A session is one sign-in by one person through one connection, with exactly one
// active assignment that the person holds now, or in the state MustChoose.
package session

import (
	"cmp"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// ID is a session's stable id: the sid claim. It survives switches.
type ID string

// State is where a session stands. The zero state is Ended: a forgotten field refuses.
type State uint8

// A session is active on one assignment, waits for a choice, or has ended.
const (
	Ended State = iota
	Active
	MustChoose
)

func (s State) String() string {
	return [...]string{"ended", "active", "must_choose"}[min(s, MustChoose)]
}

// Session is a value: the functions of this package return changed copies.
type Session struct {
	ID         ID
	Connection access.ConnectionID
	Person     access.PersonID
	State      State
	Active     access.AssignmentID // "" unless State is Active
	Version    int64               // rises when tokens of the session must die; never falls
	Epochs     Epochs              // host, connection and person as they were at sign-in
	AuthTime   time.Time           // when the upstream signed the person in
	Created    time.Time
	Expires    time.Time // absolute end
	EndedAt    time.Time
	EndReason  string          // stable code, "" while live
	Offline    access.ClientID // the application whose session it is, which outlives the browser's; "" for a browser's session
	Upstream   Upstream
}

// Epochs are the counters above a session. Equality is compared, never order.
type Epochs struct{ Host, Connection, Person int64 }

// Upstream is what the identity provider said about the sign-in.
type Upstream struct {
	Issuer  string
	Subject string
	Sub     string   `json:",omitzero"` // the provider's own sub, where Subject is another claim of it; "" otherwise
	Session string   // the provider's own sid, "" if it gave none
	AMR     []string // how the person proved who they are
	ACR     string
	Device  string    `json:",omitempty"` // what the browser called itself, in words of ours; "" if nobody knows
	Until   time.Time `json:",omitzero"`  // when the provider wants all that came of the sign-in to end; zero: it did not say
}

// NamedAs is the sub by which the provider names the person.
func (u Upstream) NamedAs() string { return cmp.Or(u.Sub, u.Subject) }

// The reasons for which a session ends; each is a sentence on the page that says so.
const (
	EndDeactivated   = "deactivated"
	EndDeleted       = "deleted"
	EndNoAssignment  = "no_assignment"
	EndSignedOut     = "signed_out"
	EndReplaced      = "replaced"
	EndExpired       = "expired"
	EndConnection    = "connection_ended"
	EndRefreshReused = "refresh_reused"
	EndSubject       = "subject_changed"
	EndAdministrator = "administrator"
	EndElsewhere     = "signed_out_elsewhere"  // by the person, from another browser
	EndIdPLogout     = "idp_logout"            // the identity provider said that its own session ended
	EndIdPRevoked    = "idp_revoked"           // it asked to end all that the person has
	EndIdPExpired    = "idp_session_expired"   // the lifetime that it gave is over
	EndIdPRefused    = "idp_refused"           // asked again, it gave no more
	EndIdPSilent     = "idp_silent"            // asked again, it has not answered for too long
	EndIdPSession    = "idp_session_revoked"   // it signalled that its session, or all of the person's, was revoked
	EndIdPDisabled   = "idp_account_disabled"  // it signalled that the account was disabled or deleted there
	EndIdPCredential = "idp_credential_change" // it signalled that what the person signs in with has changed
)

// EndConsent is why one application's part of a session ends that lives on: the person took
// back what they had agreed to for it.
const EndConsent = "consent_withdrawn"
