// Package failpoint names the points between two steps at which a process may die. Without
// the build tag `failpoints` it is nothing: Hit is a constant nil. With it, a test can let
// the program die, panic, fail or stand still at one of them:
//
//	BRIDGE_FAILPOINT=point:kill|panic|error|stall[:nth]   where, how, and at which passing (1 if it is not said)
//	BRIDGE_FAILPOINT_ARMED=file                           the point sleeps until this file is there, and takes it away as it strikes
//	BRIDGE_FAILPOINT_STALL=2s                             how long it stands still; 30 s if it is not said
//
// It strikes once in the life of a process. (The names do not begin with DRAWBRIDGE_, of which the
// configuration knows every one.)
package failpoint

// Point is a place in the code.
type Point string

// The points, in the order of a request's life: F1 to F17 of the crash matrix.
const (
	AfterAuth       Point = "F1-after-auth"        // the caller is known, nothing is read yet
	AfterBegin      Point = "F2-after-begin"       // a transaction has begun
	AfterPerson     Point = "F3-after-person"      // the person's row is written
	AfterGrants     Point = "F4-after-grants"      // and what they hold
	AfterAudit      Point = "F5-after-audit"       // and the row of the audit trail
	AfterOutbox     Point = "F6-after-outbox"      // and of the outbox
	BeforeCommit    Point = "F7-before-commit"     // all is written, nothing is durable
	AfterCommit     Point = "F8-after-commit"      // all is durable, nobody has heard of it
	BeforePurge     Point = "F9-before-purge"      // this process knows; the hot store still has what is dead
	BeforeReply     Point = "F10-before-reply"     // all is done but the answer
	AfterConsume    Point = "F11-after-consume"    // a code is used up, and has given nothing
	AfterFamily     Point = "F12-after-family"     // a refresh family is there, and nobody has its token
	BeforeHot       Point = "F13-before-hot"       // a session stands in the directory, its code not yet in the hot store
	SentNotMarked   Point = "F14-sent-not-marked"  // a receiver has heard, and we have not noted it
	DuringMigration Point = "F15-during-migration" // some steps of the schema are made, others are not
	DuringRotation  Point = "F16-during-rotation"  // a key is made, and stands nowhere
	DuringSealing   Point = "F17-during-sealing"   // links of the audit chain are written, its head is not
)
