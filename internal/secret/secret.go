// Package secret holds values that must not be printed. A String prints as
// [redacted] by every verb and encoder; only Reveal gives the text.
package secret

import "fmt"

const redacted = "[redacted]"

// String is a secret text: a token, a password, a client secret, a code.
type String struct{ text string }

// New wraps text.
func New(text string) String { return String{text} }

// Reveal returns the secret. Call it only where the secret leaves to its owner,
// or is hashed.
func (s String) Reveal() string { return s.text }

// Empty reports whether there is no secret.
func (s String) Empty() bool { return s.text == "" }

// Format redacts for every verb of package fmt, %#v and %x included.
func (s String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) } //nolint:errcheck // a Formatter has nowhere to report to

// String is redacted.
func (s String) String() string { return redacted }

// GoString is redacted.
func (s String) GoString() string { return redacted }

// MarshalText redacts in JSON, YAML and log encoders.
func (s String) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes the secret from configuration.
func (s *String) UnmarshalText(b []byte) error {
	s.text = string(b)
	return nil
}
