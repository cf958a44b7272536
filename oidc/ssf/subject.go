package ssf

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"
)

// The formats of subject identifiers (RFC 9493 section 3, SSF 1.0 section 3, RFC 9967
// section 2.1).
const (
	FormatIssSub  = "iss_sub"
	FormatEmail   = "email"
	FormatOpaque  = "opaque"
	FormatComplex = "complex"
	FormatSCIM    = "scim"
)

// The members of a complex subject that this transmitter writes.
const (
	MemberUser    = "user"
	MemberSession = "session"
	MemberTenant  = "tenant"
)

// Limits of a subject that a receiver sends.
const (
	maxSubject = 4 << 10 // bytes of its JSON
	maxMember  = 1 << 10 // bytes of one value
)

// simpleFormats are the formats that are read, each with the members it must have and
// may have.
var simpleFormats = map[string]struct{ must, may []string }{
	"account":      {must: []string{"uri"}},
	FormatEmail:    {must: []string{"email"}},
	FormatIssSub:   {must: []string{"iss", "sub"}},
	FormatOpaque:   {must: []string{"id"}},
	"phone_number": {must: []string{"phone_number"}},
	"did":          {must: []string{"url"}},
	"uri":          {must: []string{"uri"}},
	"jwt_id":       {must: []string{"iss", "jti"}},
	FormatSCIM:     {must: []string{"uri"}, may: []string{"externalId", "id"}},
}

// complexMembers are those of SSF 1.0 section 3.3.
var complexMembers = []string{MemberUser, "device", MemberSession, "application", MemberTenant, "org_unit", "group"}

// Subject is a subject identifier (RFC 9493): a simple one has values, a complex one
// (SSF 1.0 section 3.3) has members. The zero Subject names nobody.
type Subject struct {
	Format  string
	values  map[string]string
	members map[string]Subject
}

// IssSub names somebody by an issuer and the subject that it knows them by.
func IssSub(iss, sub string) Subject {
	return Subject{Format: FormatIssSub, values: map[string]string{"iss": iss, "sub": sub}}
}

// Email names somebody by an address.
func Email(address string) Subject {
	return Subject{Format: FormatEmail, values: map[string]string{"email": address}}
}

// Opaque names something by an id of ours.
func Opaque(id string) Subject {
	return Subject{Format: FormatOpaque, values: map[string]string{"id": id}}
}

// SCIMResource names a resource by its path below a SCIM server's base address.
func SCIMResource(path, externalID string) Subject {
	s := Subject{Format: FormatSCIM, values: map[string]string{"uri": path}}
	if externalID != "" {
		s.values["externalId"] = externalID
	}
	return s
}

// Complex puts members together; a zero one is left out.
func Complex(user, session, tenant Subject) Subject {
	s := Subject{Format: FormatComplex, members: map[string]Subject{}}
	for name, m := range map[string]Subject{MemberUser: user, MemberSession: session, MemberTenant: tenant} {
		if m.Format != "" {
			s.members[name] = m
		}
	}
	return s
}

// Member is one member of a complex subject; zero if there is none.
func (s Subject) Member(name string) Subject { return s.members[name] }

// Value is one value of a simple subject; "" if there is none.
func (s Subject) Value(name string) string { return s.values[name] }

// MarshalJSON writes the identifier with its members in the order of their names, so
// that equal subjects are equal texts.
func (s Subject) MarshalJSON() ([]byte, error) {
	out := map[string]any{"format": s.Format}
	for name, v := range s.values {
		out[name] = v
	}
	for name, m := range s.members {
		out[name] = m
	}
	return json.Marshal(out)
}

// Key is the text by which equal subjects are found.
func (s Subject) Key() string {
	b, err := s.MarshalJSON()
	if err != nil { // strings always encode
		return ""
	}
	return string(b)
}

// Covering lists the keys of every subject whose removal from a stream mutes an event
// about s, where its user is also known by the other names: s itself, each of its parts,
// and the user alone. A removed subject with a member that the event does not have mutes
// nothing: what is in doubt is told.
func Covering(s Subject, alsoUser ...Subject) []string {
	if s.Format != FormatComplex {
		return []string{s.Key()}
	}
	users := append([]Subject{s.Member(MemberUser)}, alsoUser...)
	if users[0].Format == "" {
		users = users[:1]
	}
	keys := map[string]bool{}
	for _, user := range users {
		for _, u := range []Subject{{}, user} {
			for _, session := range []Subject{{}, s.Member(MemberSession)} {
				for _, tenant := range []Subject{{}, s.Member(MemberTenant)} {
					if part := Complex(u, session, tenant); len(part.members) > 0 {
						keys[part.Key()] = true
					}
				}
			}
		}
		if user.Format != "" {
			keys[user.Key()] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// ParseSubject reads a subject identifier. It refuses formats and members that it does
// not know, values that are no text or longer than 1 KiB, and more than 4 KiB in all.
func ParseSubject(raw []byte) (Subject, error) {
	if len(raw) > maxSubject {
		return Subject{}, invalid("The subject is longer than 4 KiB.")
	}
	members, err := object(raw)
	if err != nil {
		return Subject{}, invalid("The subject is not a JSON object whose members each come once.")
	}
	if f, err := text(members["format"]); err == nil && f == FormatComplex {
		return parseComplex(members)
	}
	return parseSimple(members)
}

func parseComplex(members map[string]json.RawMessage) (Subject, error) {
	s := Subject{Format: FormatComplex, members: map[string]Subject{}}
	for name, raw := range members {
		if name == "format" {
			continue
		}
		if !slices.Contains(complexMembers, name) {
			return Subject{}, invalid("The complex subject has a member that is not known here: use user, session, tenant, device, application, org_unit or group.")
		}
		parts, err := object(raw)
		if err != nil {
			return Subject{}, invalid("A member of the complex subject is not a JSON object.")
		}
		m, err := parseSimple(parts)
		if err != nil {
			return Subject{}, err
		}
		s.members[name] = m
	}
	if len(s.members) == 0 {
		return Subject{}, invalid("The complex subject names nobody.")
	}
	return s, nil
}

func parseSimple(members map[string]json.RawMessage) (Subject, error) {
	format, err := text(members["format"])
	known, ok := simpleFormats[format]
	if err != nil || !ok {
		return Subject{}, invalid("The subject's format is not one of iss_sub, email, opaque, account, phone_number, did, uri, jwt_id, scim and, not inside another, complex.")
	}
	s := Subject{Format: format, values: map[string]string{}}
	for name, raw := range members {
		if name == "format" {
			continue
		}
		if !slices.Contains(known.must, name) && !slices.Contains(known.may, name) {
			return Subject{}, invalid("The subject has a member that its format does not have.")
		}
		v, err := text(raw)
		if err != nil || v == "" || len(v) > maxMember {
			return Subject{}, invalid("A member of the subject is empty, longer than 1 KiB or not a string.")
		}
		s.values[name] = v
	}
	for _, name := range known.must {
		if s.values[name] == "" {
			return Subject{}, invalid("The subject lacks the member " + name + ".")
		}
	}
	return s, nil
}

// object reads one JSON object in UTF-8. A name that comes twice is refused: two readers
// would take different ones.
func object(raw []byte) (map[string]json.RawMessage, error) {
	notOne := invalid("The body is not one JSON object in UTF-8 whose members each come once.")
	if !utf8.Valid(raw) {
		return nil, notOne
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, notOne
	}
	out := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, notOne
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, notOne
		}
		if _, twice := out[name]; twice {
			return nil, notOne
		}
		out[name] = value
	}
	if _, err := dec.Token(); err != nil || dec.More() || dec.InputOffset() != int64(len(bytes.TrimRight(raw, " \t\r\n"))) {
		return nil, notOne
	}
	return out, nil
}

// text reads a JSON string; null and absence are the empty one.
func text(raw json.RawMessage) (string, error) {
	if raw == nil || string(raw) == "null" {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", invalid("A member that must be a string is not one.")
	}
	return s, nil
}
