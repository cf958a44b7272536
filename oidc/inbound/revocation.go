package inbound

import (
	"context"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
)

const (
	callerType    = "global-token-revocation+jwt"
	callerLongest = 5 * time.Minute // Okta's own
	maxCaller     = 8 << 10         // bytes
	maxAddress    = 254             // bytes of an e-mail address
)

// caller verifies who asks for a revocation: a token made for this endpoint alone, by
// which the provider proves itself each time anew.
func (f *Front) caller(ctx context.Context, s Source, set *assertion.KeySet, raw, endpoint string) (Message, error) {
	token, err := assertion.ParseToken(raw, maxCaller, "RS256", "PS256", "ES256")
	if err == nil {
		err = oneOf(token.Type, callerType)
	}
	if err != nil {
		return Message{}, refused(err)
	}
	said, err := token.Verified(ctx, set, f.Now())
	if fault.Is(err, fault.Unavailable) {
		return Message{}, err
	}
	if err == nil {
		err = errors.Join(said.Equals("iss", s.Revocation.Issuer), said.Equals("sub", s.Revocation.ClientID), said.Audience(endpoint),
			said.Times(f.Now(), jwtclaims.Limits{Issued: true, Longest: callerLongest, Oldest: callerLongest}))
	}
	m := Message{Signer: s.Revocation.Issuer, Ends: f.Now().Add(callerLongest + 2*jwtclaims.Skew)}
	if err == nil {
		m.JTI, err = said.Identifier("jti")
	}
	if err != nil {
		return Message{}, refused(err)
	}
	return m, nil
}

// ParseRevocation reads whom a request for revocation means (RFC 9493): by iss_sub, email
// or opaque. The error is fault.Invalid.
func ParseRevocation(body []byte) (Subject, error) {
	asked, err := jwtclaims.Parse(body)
	if err == nil {
		asked, err = asked.Members("sub_id")
	}
	if err != nil {
		return Subject{}, malformed("The body is not a JSON object with a sub_id.")
	}
	return parseSubject(asked)
}

func parseSubject(id jwtclaims.Claims) (s Subject, err error) {
	format, err := id.Text("format")
	if err != nil {
		return Subject{}, malformed("The sub_id has no format.")
	}
	switch format {
	case "iss_sub":
		var errIssuer error
		s.Issuer, errIssuer = id.Identifier("iss")
		s.ID, err = id.Identifier("sub")
		err = errors.Join(err, errIssuer)
	case "opaque":
		s.ID, err = id.Identifier("id")
	case "email":
		s.Email, err = id.Identifier("email")
		if len(s.Email) > maxAddress {
			err = errors.New("the address is too long")
		}
	default:
		return Subject{}, malformed("The sub_id has a format that is not read here: send iss_sub, email or opaque.")
	}
	if err != nil {
		return Subject{}, malformed("The sub_id lacks a member of its format.")
	}
	return s, nil
}

func malformed(detail string) error { return fault.New(fault.Invalid, "inbound", "%s", detail) }
