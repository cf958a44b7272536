package hot

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Longest is the longest life of what is under way: requests, pushed ones and codes. Half a day, for
// what an engine writes beside them about their owners may end after a day.
const Longest = 12 * time.Hour

// Check gives fault.Internal for a request that no engine keeps: nobody but us can be wrong.
func (r AuthRequest) Check(op string) error {
	if r.ID == "" || !lives(r.Created, r.Expires) {
		return fault.New(fault.Internal, op, "a request needs an id and an end after its beginning, within %s", Longest)
	}
	return nil
}

// Check is AuthRequest.Check of a pushed request.
func (p Pushed) Check(op, name string) error {
	if name == "" || p.Client == "" || !lives(p.Created, p.Expires) {
		return fault.New(fault.Internal, op, "a pushed request needs a name, a client and an end after its beginning, within %s", Longest)
	}
	return nil
}

// Check is AuthRequest.Check of an upstream leg.
func (u Upstream) Check(op string) error {
	if u.State == "" || u.Connection == "" {
		return fault.New(fault.Internal, op, "an upstream leg needs a connection and a state")
	}
	return nil
}

// Check is AuthRequest.Check of a code.
func (g CodeGrant) Check(op string, code credential.Digest, now time.Time) error {
	if code.IsZero() || !lives(now, g.Expires) {
		return fault.New(fault.Internal, op, "a code needs a digest and an end to come, within %s", Longest)
	}
	return nil
}

// Check is AuthRequest.Check of a family.
func (f Family) Check(op string) error {
	if f.ID == "" || f.Salt == "" || f.N < 1 || f.Expires.IsZero() || f.Bound.Subject.Client == "" || f.Bound.Family != f.ID {
		return fault.New(fault.Internal, op, "a family needs an id that it is bound to, a salt, a client, a number and an end")
	}
	return nil
}

func lives(from, until time.Time) bool { return from.Before(until) && until.Sub(from) <= Longest }

// ReasonReplayed is why a family is not kept whose code came twice, or may have.
const ReasonReplayed = "code_replayed"

// ReasonLegs is why a request that has begun MaxLegs legs begins no other.
const ReasonLegs = "too_many_attempts"

// CodeReplayed refuses a family of a code that was used twice.
func CodeReplayed(op string) error {
	return fault.New(fault.Stale, op, "the code was used twice: what came of it has ended").Because(ReasonReplayed)
}

// CodeForgotten refuses a family of a code of which nobody knows whether it came twice.
func CodeForgotten(op string) error {
	return fault.New(fault.Stale, op, "what was under way was lost while the code was redeemed: sign in again").Because(ReasonReplayed)
}

// TooManyLegs refuses another leg.
func TooManyLegs(op string) error {
	return fault.New(fault.Limited, op, "this sign-in was tried too often: start again from the application").Because(ReasonLegs)
}

// NotUnderWay says that a request is not there, or not any more.
func NotUnderWay(op string) error {
	return fault.New(fault.NotFound, op, "this sign-in is no longer under way: begin again at the application")
}

// NoFamily says that a family has ended, or never was.
func NoFamily(op string) error {
	return fault.New(fault.NotFound, op, "the refresh token is no longer known")
}

// StateTaken refuses a state that another request waits for.
func StateTaken(op string) error {
	return fault.New(fault.Conflict, op, "another request waits for this state")
}

// Taken refuses an id that is in use.
func Taken(op string) error { return fault.New(fault.Conflict, op, "the id is taken") }

// TooLarge refuses what would not fit an empty engine.
func TooLarge(op string) error {
	return fault.New(fault.Limited, op, "this sign-in is larger than there is room for")
}
