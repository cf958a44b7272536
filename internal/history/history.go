// Package history judges what clients saw of several nodes at once: whether what had
// ended was accepted afterwards (I-1, I-2), whether the audit trail adds up to what is
// held (I-10), whether that is what a second reading of the rules gives (I-8), and whether
// one customer was answered otherwise because of another (I-7). It is made for tests, and
// it is arithmetic: whoever watched brings the times.
package history

import (
	"fmt"
	"math"
	"time"
)

// Open is the end of what nobody saw end: a request without an answer may still take
// effect, however late.
const Open = time.Duration(math.MaxInt64)

// Span is when something was under way, by one clock that only goes forward.
type Span struct{ From, To time.Duration }

func (s Span) String() string {
	if s.To == Open {
		return fmt.Sprintf("%.3f s and on", s.From.Seconds())
	}
	return fmt.Sprintf("%.3f to %.3f s", s.From.Seconds(), s.To.Seconds())
}

// A Credential is anything that opens a door: a token, a code, a browser's cookie. Its
// keys name what it stands on: a person, a place that the person holds, a session. It
// ends with each of them.
type Credential struct {
	ID   string
	Made Span // of the request that was answered with it
	Keys []string
}

// An End takes away what a key names. Without an acknowledgement it promises nothing,
// but excuses a refusal.
type End struct {
	Key   string
	What  string // for people
	Node  string
	At    Span
	Acked bool
}

// A Begin gives what a key names back, or may have.
type Begin struct {
	Key string
	At  Span
}

// A Use is a credential that was shown to a node, and its answer: accepted or refused.
// Whoever got neither has nothing to say.
type Use struct {
	Credential string
	Door       string // what was asked: userinfo, refresh
	Node       string
	At         Span
	Accepted   bool
}

// Record is what was seen of one run. It may be in any order.
type Record struct {
	Credentials []Credential
	Ends        []End
	Begins      []Begin
	Uses        []Use
}
