// Package planted names bugs that stand in the code on purpose, so that a test which
// catches none of them is known. Without the build tag `planted` it is nothing: Bug is a
// constant false. With it, the one that BRIDGE_PLANTED names is alive.
//
// Each is what went wrong in some product of this kind, at the place where it could go
// wrong here. `make planted` brings each to life and expects the tests that are named for
// it in testdata/caught.txt to fail; INVARIANTS.md has the score.
package planted

// Name is one bug.
type Name string

// What ends access, and does not.
const (
	// EpochKeptOnRefresh: a refresh is judged by the epochs of now, not by those of its sign-in.
	EpochKeptOnRefresh Name = "epoch-kept-on-refresh"
	// PutKeepsSessions: PUT with active=false ends nothing; PATCH does.
	PutKeepsSessions Name = "put-keeps-sessions"
	// DeleteOnlyRevocation: a deactivation ends the sessions that are there, and no epoch rises.
	DeleteOnlyRevocation Name = "delete-only-revocation"
	// EpochResetOnReturn: who comes back begins with the epoch of long ago.
	EpochResetOnReturn Name = "epoch-reset-on-return"
	// RenameKeepsGrants: a renamed group's members keep what its old name gave.
	RenameKeepsGrants Name = "rename-keeps-grants"
	// SweeperOnlyExpiry: what is over counts until something has tidied it away.
	SweeperOnlyExpiry Name = "sweeper-only-expiry"
	// GuestOutlivesItsEnd: what people permitted is not ended with the person's deactivation.
	GuestOutlivesItsEnd Name = "guest-outlives-its-end"
	// GuestWithoutPermit: a row of an assignment counts though no living permit stands behind it.
	GuestWithoutPermit Name = "guest-without-permit"
	// WindowNotTold: a commit does not change what this node remembers.
	WindowNotTold Name = "window-not-told"
)

// What a transaction promises.
const (
	// PurgeBeforeCommit: the hot store forgets before the directory has committed.
	PurgeBeforeCommit Name = "purge-before-commit"
	// AuditAfterCommit: what happened is recorded in a transaction of its own, afterwards.
	AuditAfterCommit Name = "audit-after-commit"
	// AnswerBeforeCommit: whoever shares a commit with others is answered before it.
	AnswerBeforeCommit Name = "answer-before-commit"
	// NormalSync: a commit is answered before it is on the disk.
	NormalSync Name = "normal-sync"
	// GroupReadModifyWrite: members are read, changed and written back as a whole.
	GroupReadModifyWrite Name = "group-read-modify-write"
	// ErrorAccepts: a directory that cannot answer has nothing against a credential.
	ErrorAccepts Name = "error-accepts"
)

// Who is who.
const (
	// ConnectionFromPath: a token opens the connection that the address names.
	ConnectionFromPath Name = "connection-from-path"
	// ListWithoutConnection: a filter finds people of every connection.
	ListWithoutConnection Name = "list-without-connection"
	// LinkedByAddress: a sign-in is linked to whoever has its subject as a userName.
	LinkedByAddress Name = "linked-by-address"
	// SignInReactivates: a sign-in takes somebody back whom their company switched off.
	SignInReactivates Name = "sign-in-reactivates"
	// KeyJoinedByColon: two parts of a key are put together by what may stand in either.
	KeyJoinedByColon Name = "key-joined-by-colon"
)

// What strangers send.
const (
	// CodeNotConsumed: a code may be redeemed until it expires.
	CodeNotConsumed Name = "code-not-consumed"
	// PlainPKCE: the challenge may be the verifier itself.
	PlainPKCE Name = "plain-pkce"
	// RedirectByPrefix: a redirect URI may go on behind a registered one.
	RedirectByPrefix Name = "redirect-by-prefix"
	// SecondNameCounts: a name that stands twice in an object is no error.
	SecondNameCounts Name = "second-name-counts"
	// AuthByPathPrefix: who must prove who they are is told by how the path is spelled.
	AuthByPathPrefix Name = "auth-by-path-prefix"
	// IssuerFromForwardedHost: the metadata names the host that a header names.
	IssuerFromForwardedHost Name = "issuer-from-forwarded-host"
	// SecondLeaf: a refresh token that has been exchanged gives another one.
	SecondLeaf Name = "second-leaf"
)

// What several machines do to each other.
const (
	// RedisErrorAccepts: a code is redeemed though Redis has not said that it took it.
	RedisErrorAccepts Name = "redis-error-accepts"
	// RedisNothingAllows: what Redis has lost counts as never having been there.
	RedisNothingAllows Name = "redis-nothing-allows"
	// LeaseByMonotonicOnly: a machine that was frozen believes what it remembered.
	LeaseByMonotonicOnly Name = "lease-by-monotonic-only"
	// LeaseRenewedByFeed: who hears the feed believes what it remembers, and need not poll.
	LeaseRenewedByFeed Name = "lease-renewed-by-feed"
	// BarrierSkipped: a commit is answered before the other nodes know.
	BarrierSkipped Name = "barrier-skipped"
	// AcknowledgedUnapplied: a node says that it knows before it does.
	AcknowledgedUnapplied Name = "acknowledged-unapplied"
	// NewsForgotten: what a commit has changed is written nowhere for the others.
	NewsForgotten Name = "news-forgotten"
	// RetryUnawaited: whoever finds that there is nothing to change is answered before the other
	// nodes know of what has changed it.
	RetryUnawaited Name = "retry-unawaited"
	// HistoryForgotten: a place in the news counts after the database has given its numbers out again.
	HistoryForgotten Name = "history-forgotten"
	// ReadingForgotten: what one reading of what is wide could not read, the next does not read either.
	ReadingForgotten Name = "reading-forgotten"
)
