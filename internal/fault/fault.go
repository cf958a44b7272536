// Package fault names what can go wrong, once, for the whole bridge.
//
// An error is named where it is born, wrapped on its way up, and rendered at one
// edge: scim, oidc and api each translate a Kind to their protocol's own words.
// Inside, there are no status codes; outside, no internal text.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what the caller can do about an error. The zero kind is Internal:
// an error that nobody classified is ours.
type Kind uint8

// The ten kinds, in the order of the table in docs/architecture.md.
const (
	Internal        Kind = iota // nobody classified it
	Invalid                     // fix the request
	Unauthenticated             // say who you are
	Denied                      // you may not
	NotFound                    // not there, or not for you
	Conflict                    // the name is taken
	Stale                       // you read an older version, or it was used already
	Unsupported                 // we do not do that
	Limited                     // less, or later
	Unavailable                 // the database or the upstream is down
)

// Kinds lists every kind, for tests that must walk them all.
func Kinds() []Kind {
	return []Kind{Internal, Invalid, Unauthenticated, Denied, NotFound, Conflict, Stale, Unsupported, Limited, Unavailable}
}

func (k Kind) String() string {
	names := [...]string{"internal", "invalid", "unauthenticated", "denied", "not found", "conflict", "stale", "unsupported", "limited", "unavailable"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", k)
}

// Error is a classified error. Op names the function that saw it first
// ("bridge.PatchGroup"); Detail is a sentence that the client may read.
// Reason is a stable code (domain words, e.g. "no_rule_matched"), empty if none.
type Error struct {
	Kind   Kind
	Op     string
	Detail string
	Reason string
	Err    error
}

// New makes an error whose detail may be shown to the client.
func New(kind Kind, op, format string, args ...any) *Error {
	return &Error{Kind: kind, Op: op, Detail: fmt.Sprintf(format, args...)}
}

// Wrap classifies err. A nil err gives nil, so that it can end a function.
func Wrap(kind Kind, op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Op: op, Err: err}
}

// Because returns a copy that carries a stable reason code.
func (e *Error) Because(reason string) *Error {
	c := *e
	c.Reason = reason
	return &c
}

func (e *Error) Error() string {
	s := e.Op + ": " + e.Kind.String()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the outermost classified error in err's chain;
// Internal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// DetailOf is the sentence the client may read: the outermost non-empty Detail.
// It is empty for Internal errors, whose text stays inside.
func DetailOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Kind != Internal && e.Detail != "" {
			return e.Detail
		}
		err = e.Err
	}
	return ""
}

// ReasonOf is the outermost stable reason code in err's chain, or "".
func ReasonOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Reason != "" {
			return e.Reason
		}
		err = e.Err
	}
	return ""
}

// Is reports whether err is classified as kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
