package schema

import (
	"fmt"
	"unicode/utf8"
)

// Kind is a scimType word (RFC 7644 table 9).
type Kind string

// The kinds that reading, checking and changing a resource can end in. All are
// answered with status 400.
const (
	InvalidSyntax Kind = "invalidSyntax"
	InvalidValue  Kind = "invalidValue"
	InvalidPath   Kind = "invalidPath"
	InvalidFilter Kind = "invalidFilter"
	NoTarget      Kind = "noTarget"
	NotMutable    Kind = "mutability"
	TooMany       Kind = "tooMany"
)

// Error says what is wrong with a request and where.
type Error struct {
	Kind   Kind
	Path   string // the attribute path, or the text at fault, shortened; may be empty
	Detail string // a sentence for the client
}

// Error is the path and the sentence.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Detail
	}
	return e.Path + ": " + e.Detail
}

// Errorf makes an Error.
func Errorf(kind Kind, path, format string, args ...any) *Error {
	return &Error{Kind: kind, Path: path, Detail: fmt.Sprintf(format, args...)}
}

// Clip shortens a client's text for an error detail, at a character's boundary.
func Clip(s string) string {
	const longest = 100
	if len(s) <= longest {
		return s
	}
	cut := longest
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
