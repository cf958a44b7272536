package inbound

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

const (
	setType = "secevent+jwt"
	maxSET  = 64 << 10 // bytes of a token
	// setOldest is how old a security event token may be: a transmitter holds what it
	// could not deliver. For as long it is remembered that it came.
	setOldest = 7 * 24 * time.Hour
)

// The codes by which a token is refused (RFC 8935 section 2.4).
const (
	codeRequest        = "invalid_request"
	codeKey            = "invalid_key"
	codeIssuer         = "invalid_issuer"
	codeAudience       = "invalid_audience"
	codeAuthentication = "authentication_failed"
)

// refusal is a token that does not count, in the codes of RFC 8935.
type refusal struct {
	code string
	err  error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refusedAs(code string, cause error) error { return &refusal{code: code, err: refused(cause)} }

// codeOf is why a token is refused.
func codeOf(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	return codeRequest
}

// SET is a security event token as it was read (RFC 8417): one event, and whom it is about.
type SET struct {
	JTI     string
	Type    ssf.Type
	Event   jwtclaims.Claims // the event's own members
	Subject ssf.Subject      // zero: in a format that is not read here
}

// ParseSET reads the claims of a security event token as SSF 1.0 section 4.1 wants them:
// a jti, exactly one event, a sub_id, and neither a sub nor an exp. Of older forms it
// reads one, Okta's: without sub_id, and with the subject inside the event. The error is
// an Unauthenticated one that says which claim it was.
func ParseSET(said jwtclaims.Claims) (s SET, err error) {
	for _, not := range []string{"sub", "exp"} {
		if err := without(said, not); err != nil {
			return SET{}, refusedAs(codeRequest, err)
		}
	}
	events, err := said.Members("events")
	if err == nil && len(events) != 1 {
		err = errors.New("events is not exactly one event")
	}
	if err != nil {
		return SET{}, refusedAs(codeRequest, err)
	}
	for uri := range events {
		s.Type = ssf.Type(uri)
	}
	if s.Event, err = events.Members(string(s.Type)); err == nil {
		s.JTI, err = said.Identifier("jti")
	}
	if err == nil {
		s.Subject, err = subjectIn(said, s.Event)
	}
	if err != nil {
		return SET{}, refusedAs(codeRequest, err)
	}
	return s, nil
}

// subjectIn reads whom an event is about: by sub_id, or inside the event, as drafts before
// SSF 1.0 had it and Okta still sends it.
func subjectIn(said, event jwtclaims.Claims) (_ ssf.Subject, err error) {
	var id jwtclaims.Claims
	switch outside, inside := said.Has("sub_id"), event.Has("subject"); {
	case outside && inside:
		return ssf.Subject{}, errors.New("there is a sub_id, and a subject inside the event")
	case outside:
		id, err = said.Members("sub_id")
	case inside:
		if id, err = event.Members("subject"); err == nil && !id.Has("format") {
			id = maps.Clone(id) // what has members of subjects is a complex one
			id["format"] = jsontext.Value(`"` + ssf.FormatComplex + `"`)
		}
	default:
		err = errors.New("there is no sub_id")
	}
	if err != nil {
		return ssf.Subject{}, err
	}
	return readSubject(id)
}

// readSubject reads a subject identifier; the zero Subject if its format is none by which
// anybody is found here.
func readSubject(id jwtclaims.Claims) (ssf.Subject, error) {
	format, err := id.Text("format")
	if err != nil {
		return ssf.Subject{}, errors.New("the subject has no format")
	}
	if !slices.Contains([]string{ssf.FormatIssSub, ssf.FormatEmail, ssf.FormatOpaque, ssf.FormatComplex}, format) {
		return ssf.Subject{}, nil
	}
	raw, err := json.Marshal(id)
	if err != nil {
		return ssf.Subject{}, errors.New("the subject cannot be read")
	}
	s, err := ssf.ParseSubject(raw)
	if err != nil {
		return ssf.Subject{}, errors.New("the subject lacks a member of its format, or has another")
	}
	return s, nil
}

// holds holds a token against who may have made it and whom it must be made for.
func (s SET) holds(said jwtclaims.Claims, issuer string, audience []string, now time.Time) error {
	if err := said.Equals("iss", issuer); err != nil {
		return refusedAs(codeIssuer, err)
	}
	if err := said.Audience(audience...); err != nil {
		return refusedAs(codeAudience, err)
	}
	if err := said.Times(now, jwtclaims.Limits{Issued: true, Oldest: setOldest, NoEnd: true}); err != nil {
		return refusedAs(codeRequest, err)
	}
	return nil
}

// keyRefused is a signature that does not hold; what cannot be judged now stays as it is.
func keyRefused(err error) error {
	if fault.Is(err, fault.Unavailable) {
		return err
	}
	return refusedAs(codeKey, err)
}

// whom sorts a subject into what people and sessions are found by. A session that is
// named in another way than by an opaque id is not told from the person's others.
func whom(s ssf.Subject, issuers ...string) (user Subject, session, named string) {
	switch s.Format {
	case ssf.FormatComplex:
		if at := s.Member(ssf.MemberSession); at.Format == ssf.FormatOpaque {
			session = at.Value("id")
		}
		if u := s.Member(ssf.MemberUser); u.Format == ssf.FormatOpaque {
			user = Subject{ID: u.Value("id")}
		} else {
			user, _, _ = whom(u, issuers...)
		}
	case ssf.FormatIssSub:
		if slices.Contains(issuers, s.Value("iss")) {
			user = Subject{Issuer: s.Value("iss"), ID: s.Value("sub")}
		}
	case ssf.FormatEmail:
		user = Subject{Email: s.Value("email")}
	case ssf.FormatOpaque:
		named = s.Value("id")
	}
	return user, session, named
}
