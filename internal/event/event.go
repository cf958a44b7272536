// Package event holds facts in the past tense: what happened, to whom, in which
// connection. Events are rows of the transaction that made them true; they are
// queued in an outbox for whoever is told, and chained into the audit trail (internal/audit).
package event

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Type names a fact: "assignment.dropped", "session.revoked".
type Type string

// The facts this bridge records. docs/operations.md explains each.
const (
	PersonProvisioned  Type = "person.provisioned"
	PersonChanged      Type = "person.changed"
	PersonDeactivated  Type = "person.deactivated"
	PersonReactivated  Type = "person.reactivated"
	PersonDeleted      Type = "person.deleted"
	SubjectPinned      Type = "person.subject_pinned"
	SubjectChanged     Type = "person.subject_changed" // an alarm: the claim that links sign-in moved
	CertificationSet   Type = "person.certification_set"
	PersonSignedOut    Type = "person.signed_out" // everywhere, because the identity provider asked for it
	GroupProvisioned   Type = "group.provisioned"
	GroupChanged       Type = "group.changed"
	GroupRenamed       Type = "group.renamed"
	GroupDeleted       Type = "group.deleted"
	MemberAdded        Type = "group.member_added"
	MemberRemoved      Type = "group.member_removed"
	MemberUnknown      Type = "group.member_unknown" // an id that names nobody here: drift for the administrator
	DriftAcknowledged  Type = "group.drift_acknowledged"
	AssignmentGiven    Type = "assignment.given"
	AssignmentChanged  Type = "assignment.changed"
	AssignmentDropped  Type = "assignment.dropped"
	SessionStarted     Type = "session.started"
	SessionSwitched    Type = "session.switched"
	SessionMustChoose  Type = "session.must_choose"
	SessionChanged     Type = "session.changed" // what the active assignment means has changed; its tokens are dead
	SessionRevoked     Type = "session.revoked"
	SessionClientEnded Type = "session.client_ended" // an application was signed out of a session that lives on
	ClientEnded        Type = "client.ended"         // all that an application was given is dead
	EverythingEnded    Type = "everything.ended"     // all that anybody was given is dead
	ConsentGiven       Type = "consent.given"
	ConsentWithdrawn   Type = "consent.withdrawn"
	SignInRefused      Type = "sign_in.refused"
	SignalReceived     Type = "signal.received" // a security event of an identity provider, and what came of it
	CodeReplayed       Type = "code.replayed"
	RefreshReused      Type = "refresh.reused"
	TokenRevoked       Type = "token.revoked" // an application ended what it was given by one sign-in
	PolicyApplied      Type = "policy.applied"
	ScopeAdded         Type = "scope.added"
	ScopeRenamed       Type = "scope.renamed"
	ScopeMoved         Type = "scope.moved"
	ScopeRetired       Type = "scope.retired"
	ScopeRestored      Type = "scope.restored"
	ScopesImported     Type = "scope.imported"
	ConnectionAdded    Type = "connection.added"
	ConnectionEnded    Type = "connection.ended"
	ConnectionResumed  Type = "connection.resumed"
	SCIMTokenCreated   Type = "scim_token.created"
	SCIMTokenRevoked   Type = "scim_token.revoked"
	SigningKeyCreated  Type = "signing_key.created"

	SigningKeyActivated Type = "signing_key.activated" // it signs from now on
	SigningKeyRetired   Type = "signing_key.retired"   // it signs no more, and still verifies
	SigningKeyRemoved   Type = "signing_key.removed"   // it is erased: nothing that it signed is accepted

	DataKeyCreated   Type = "data_key.created"   // what the keys at rest are sealed under
	DataKeyRewrapped Type = "data_key.rewrapped" // another root opens it from now on, and the one before no more

	GroupRestored      Type = "group.restored"
	ConnectionRestored Type = "connection.restored"

	DeliveryAbandoned Type = "delivery.abandoned" // somebody is not told of something any more
	DeliveryPaused    Type = "delivery.paused"    // a receiver said that it wants nothing any more

	PersonReconciled Type = "person.reconciled" // what was stored was not what follows from the rest, and is now

	AlarmReconciled   Type = "alarm.reconciled"
	AlarmMassGain     Type = "alarm.mass_gain"
	AlarmGroupDeleted Type = "alarm.group_deleted"
	AlarmGroupShrunk  Type = "alarm.group_shrunk"

	SCIMClientCreated   Type = "scim_client.created"
	SCIMClientRevoked   Type = "scim_client.revoked"
	ClientSecretCreated Type = "client_secret.created"
	ClientSecretRevoked Type = "client_secret.revoked"

	StreamCreated Type = "stream.created"
	StreamChanged Type = "stream.changed"
	StreamPaused  Type = "stream.paused" // it could not be delivered for long
	StreamDeleted Type = "stream.deleted"

	PermitGiven   Type = "permit.given"  // people decided that somebody may hold something
	PermitEnded   Type = "permit.ended"  // and that is over
	PermitEnding  Type = "permit.ending" // it will end soon: both sides are told before
	LimitSet      Type = "limit.set"     // an administrator took something from one person
	LimitLifted   Type = "limit.lifted"
	RequestOpened Type = "request.opened"

	RequestApproved  Type = "request.approved"  // by one approver; permit.given says that it was enough
	RequestDenied    Type = "request.denied"    //
	RequestWithdrawn Type = "request.withdrawn" //
	RequestLapsed    Type = "request.lapsed"    // nobody decided in time
	GlassBroken      Type = "glass.broken"      // access was taken at once
	GlassConfirmed   Type = "glass.confirmed"   // by one of those who must
	GlassUnconfirmed Type = "glass.unconfirmed" // nobody did in time: the access has ended

	HandoverChecked Type = "handover.checked" // a point of the check-list was ticked by hand, or unticked
	HandoverNoted   Type = "handover.noted"   // the note was made for somebody

	CaseOpened Type = "case.opened"
	CaseClosed Type = "case.closed" // all that was given for it has ended

	CertificationLapsed Type = "person.certification_lapsed"
	RegisterImported    Type = "register.imported"

	ReviewStarted  Type = "review.started"
	ReviewReminded Type = "review.reminded" // it ends soon, and something is not decided
	ReviewDecided  Type = "review.decided"  // one assignment: kept, or removed
	ReviewEnded    Type = "review.ended"
)

// The reasons for which a delivery is abandoned.
const (
	AbandonedTooOld       = "too_old"          // it could not be sent for as long as it is kept
	AbandonedTooMany      = "too_many"         // more waits for the receiver than is kept
	AbandonedRefused      = "refused"          // the receiver answered that it will not have it
	AbandonedKeepsFailing = "keeps_failing"    // what came behind it arrives
	AbandonedReceiverGone = "receiver_gone"    // there is no such receiver any more
	AbandonedUnreadable   = "not_translatable" // nobody could tell what it means
)

// Actor says who did it: "scim", "idp", "person", "administrator", "rules" or "bridge".
type Actor string

// The actors.
const (
	ByScim          Actor = "scim"
	ByIdP           Actor = "idp" // the identity provider, by other ways than SCIM
	ByPerson        Actor = "person"
	ByAdministrator Actor = "administrator"
	ByRules         Actor = "rules"
	ByBridge        Actor = "bridge"
	ByClient        Actor = "client" // an application
)

// Event is one fact. Data holds ids, codes and counts only, never a name, an
// address or a secret; what identifies a human goes in Personal, which is stored
// apart and can be erased without breaking the audit chain.
type Event struct {
	Type       Type                `json:"type"`
	Actor      Actor               `json:"actor"`
	At         time.Time           `json:"at"`
	Connection access.ConnectionID `json:"connection,omitzero"` // "" for facts about the host
	Person     access.PersonID     `json:"person,omitzero"`
	Session    string              `json:"session,omitzero"`
	Request    string              `json:"request,omitzero"` // the request id ("Reference" on pages)
	Data       map[string]string   `json:"data,omitzero"`
	Personal   map[string]string   `json:"-"`
}

// EndsAccess reports whether the event says that something which somebody could use has ended.
func (t Type) EndsAccess() bool {
	switch t {
	case PersonDeactivated, PersonDeleted, PersonSignedOut, AssignmentDropped, SessionRevoked, SessionChanged, ConnectionEnded, ClientEnded, EverythingEnded, LimitSet, PermitEnded:
		return true
	}
	return false
}
