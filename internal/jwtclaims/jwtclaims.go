// Package jwtclaims reads the payload of a JWT that somebody else signed. Whoever
// reads one has checked the signature, or believes nothing of it.
//
// A claim has exactly the type that its specification gives it, or it is refused:
// "true" is not true and "12" is not a time. Errors name the claim and never repeat
// its value, which may be a secret or a stranger's text.
package jwtclaims

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Skew is how far apart the clocks of a token's issuer and of its reader may be.
const Skew = time.Minute

const (
	maxIdentifier = 255 // bytes; OpenID Connect Core 2: sub
	// lastInstant is the end of the year 9999; a later time is not a time.
	lastInstant = 253402300799
)

// Claims is the payload, its members still raw.
type Claims map[string]jsontext.Value

// Parse reads a payload: one JSON object in valid UTF-8, in which no name stands twice
// at any depth.
func Parse(payload []byte) (Claims, error) {
	var c Claims
	if err := jsonv2.Unmarshal(payload, &c); err != nil || c == nil {
		return nil, errors.New("the claims are no JSON object without duplicates")
	}
	return c, nil
}

// Has reports whether there is such a claim, whatever it holds.
func (c Claims) Has(name string) bool { _, ok := c[name]; return ok }

// Text reads a claim that must be a string.
func (c Claims) Text(name string) (string, error) {
	raw, ok := c[name]
	if !ok {
		return "", fmt.Errorf("%s is missing", name)
	}
	var s string
	if raw.Kind() != '"' || jsonv2.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("%s is not text", name)
	}
	return s, nil
}

// Equals wants a claim to be that text. An empty want is never met.
func (c Claims) Equals(name, want string) error {
	got, err := c.Text(name)
	if err == nil && (got != want || want == "") {
		err = fmt.Errorf("%s is not the one that is expected", name)
	}
	return err
}

// Identifier reads a claim that names somebody or something: 1 to 255 bytes of
// printable text.
func (c Claims) Identifier(name string) (string, error) {
	s, err := c.Text(name)
	if err != nil {
		return "", err
	}
	if s == "" || len(s) > maxIdentifier || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", fmt.Errorf("%s is empty, longer than %d bytes or not printable", name, maxIdentifier)
	}
	return s, nil
}

// Audience wants one audience, and that one of those named: what is meant for others,
// too, could be used by them.
func (c Claims) Audience(names ...string) error {
	raw := c["aud"]
	one, list := "", []string(nil)
	switch {
	case raw.Kind() == '"' && jsonv2.Unmarshal(raw, &one) == nil:
		list = []string{one}
	case raw.Kind() != '[' || jsonv2.Unmarshal(raw, &list) != nil:
		return errors.New("aud is missing or not text")
	}
	if len(list) != 1 || list[0] == "" || !slices.Contains(names, list[0]) {
		return errors.New("aud is not one of those that are accepted, alone")
	}
	return nil
}

// Instant reads a NumericDate (RFC 7519 section 2); the zero time if there is none.
func (c Claims) Instant(name string) (time.Time, error) {
	raw, ok := c[name]
	if !ok {
		return time.Time{}, nil
	}
	var n float64
	if raw.Kind() != '0' || jsonv2.Unmarshal(raw, &n) != nil || n <= 0 || n > lastInstant {
		return time.Time{}, fmt.Errorf("%s is not a time", name)
	}
	return time.Unix(int64(math.Floor(n)), 0), nil
}

// Limits is what is asked of a token's times. The zero Limits want an end.
type Limits struct {
	Issued  bool          // iat must be there
	Longest time.Duration // how far ahead the end may lie; 0: any
	Oldest  time.Duration // how long ago iat may lie; 0: any
	NoEnd   bool          // exp may be missing, as in a security event token (RFC 8417 section 2.2)
}

// Times holds exp, iat and nbf against now, with Skew between the clocks.
func (c Claims) Times(now time.Time, l Limits) error {
	exp, errExp := c.Instant("exp")
	iat, errIat := c.Instant("iat")
	nbf, errNbf := c.Instant("nbf")
	if err := errors.Join(errExp, errIat, errNbf); err != nil {
		return err
	}
	switch {
	case exp.IsZero() && !l.NoEnd:
		return errors.New("exp is missing")
	case iat.IsZero() && l.Issued:
		return errors.New("iat is missing")
	case !exp.IsZero() && !now.Before(exp.Add(Skew)):
		return fmt.Errorf("it expired at %s", exp.UTC().Format(time.RFC3339))
	case l.Longest > 0 && exp.After(now.Add(l.Longest+Skew)):
		return fmt.Errorf("it lives longer than %s", l.Longest)
	case now.Add(Skew).Before(iat):
		return errors.New("iat lies in the future")
	case l.Oldest > 0 && !now.Before(iat.Add(l.Oldest+Skew)):
		return fmt.Errorf("it was made more than %s ago", l.Oldest)
	case now.Add(Skew).Before(nbf):
		return errors.New("nbf lies in the future")
	}
	return nil
}

// Members reads a claim that must be an object.
func (c Claims) Members(name string) (Claims, error) {
	var of Claims
	if raw := c[name]; raw.Kind() != '{' || jsonv2.Unmarshal(raw, &of) != nil {
		return nil, fmt.Errorf("%s is missing or no object", name)
	}
	return of, nil
}

// Optional reads a claim into v where there is one that is not null.
func (c Claims) Optional(name string, v any) error {
	raw, ok := c[name]
	if !ok || raw.Kind() == 'n' {
		return nil
	}
	if err := jsonv2.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s has an unexpected form", name)
	}
	return nil
}
