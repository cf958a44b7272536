package event

import "strings"

// Types are all facts that this bridge records.
func Types() []Type {
	return []Type{
		PersonProvisioned, PersonChanged, PersonDeactivated, PersonReactivated, PersonDeleted, SubjectPinned, SubjectChanged,
		CertificationSet, PersonSignedOut, GroupProvisioned, GroupChanged, GroupRenamed, GroupDeleted, MemberAdded, MemberRemoved, MemberUnknown,
		DriftAcknowledged, AssignmentGiven, AssignmentChanged, AssignmentDropped, SessionStarted, SessionSwitched, SessionMustChoose,
		SessionChanged, SessionRevoked, SessionClientEnded, ClientEnded, EverythingEnded, ConsentGiven, ConsentWithdrawn, SignInRefused, SignalReceived,
		CodeReplayed, RefreshReused, TokenRevoked, PolicyApplied, ScopeAdded, ScopeRenamed, ScopeMoved, ScopeRetired, ScopeRestored, ScopesImported,
		ConnectionAdded, ConnectionEnded, ConnectionResumed, SCIMTokenCreated, SCIMTokenRevoked, SigningKeyCreated, SigningKeyActivated,
		SigningKeyRetired, SigningKeyRemoved, DataKeyCreated, DataKeyRewrapped, GroupRestored, ConnectionRestored, DeliveryAbandoned, DeliveryPaused, PersonReconciled, AlarmReconciled, AlarmMassGain,
		AlarmGroupDeleted, AlarmGroupShrunk, SCIMClientCreated, SCIMClientRevoked, ClientSecretCreated, ClientSecretRevoked,
		StreamCreated, StreamChanged, StreamPaused, StreamDeleted,
		PermitGiven, PermitEnded, PermitEnding, LimitSet, LimitLifted, RequestOpened, RequestApproved, RequestDenied, RequestWithdrawn, RequestLapsed,
		GlassBroken, GlassConfirmed, GlassUnconfirmed, HandoverChecked, HandoverNoted, CaseOpened, CaseClosed, CertificationLapsed, RegisterImported,
		ReviewStarted, ReviewReminded, ReviewDecided, ReviewEnded,
	}
}

// Pattern names facts: one by its type, all of a family ("session.*"), or all ("*").
type Pattern string

// Matches reports whether the pattern names facts of type t.
func (p Pattern) Matches(t Type) bool {
	family, all := strings.CutSuffix(string(p), "*")
	if !all {
		return string(p) == string(t)
	}
	return strings.HasPrefix(string(t), family) && (family == "" || strings.HasSuffix(family, "."))
}

// Patterns are all patterns that name something.
func Patterns() []Pattern {
	all := []Pattern{"*"}
	seen := map[string]bool{}
	for _, t := range Types() {
		family, _, _ := strings.Cut(string(t), ".")
		if !seen[family] {
			seen[family] = true
			all = append(all, Pattern(family+".*"))
		}
		all = append(all, Pattern(t))
	}
	return all
}
