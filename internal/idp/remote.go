package idp

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// field and document are a JSON object whose members keep their order, so that a
// body is the same bytes each time.
type field struct {
	name  string
	value any
}

type document []field

// MarshalJSON writes the members in order.
func (d document) MarshalJSON() ([]byte, error) { return d.appendTo(nil) }

func (d document) appendTo(b []byte) ([]byte, error) {
	b = append(b, '{')
	for n, f := range d {
		if n > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendJSON(b, f.name); err != nil {
			return nil, err
		}
		if b, err = appendJSON(append(b, ':'), f.value); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendJSON writes a value as encode does. The kinds that stand in every person are
// written directly: whoever sends a hundred thousand of them pays for each.
func appendJSON(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case document:
		return v.appendTo(b)
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		if plain(v) {
			return append(append(append(b, '"'), v...), '"'), nil
		}
	}
	text, err := encode(v)
	return append(b, text...), err
}

// plain says of a string that JSON writes it as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// remoteUser is what an answer says about a person.
type remoteUser struct {
	ID          string      `json:"id"`
	ExternalID  string      `json:"externalId"`
	UserName    string      `json:"userName"`
	Active      bool        `json:"active"` // a JSON boolean, always
	DisplayName string      `json:"displayName"`
	Emails      []scimEmail `json:"emails"`
	Name        scimName    `json:"name"`
	Enterprise  struct {
		Department string `json:"department"`
	} `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	whole map[string]json.RawMessage
}

func (u remoteUser) id() string { return u.ID }

// UnmarshalJSON keeps the whole document beside the attributes it knows: the fleet
// extension's name is configuration, and Okta's PUT sends back what it read.
func (u *remoteUser) UnmarshalJSON(b []byte) error {
	type plain remoteUser
	if err := json.Unmarshal(b, (*plain)(u)); err != nil {
		return err
	}
	return json.Unmarshal(b, &u.whole)
}

// person is the answer as a directory would hold it.
func (u remoteUser) person(f Fleet) (Person, error) {
	p := Person{
		ObjectID: u.ExternalID, UserName: u.UserName, GivenName: u.Name.GivenName, FamilyName: u.Name.FamilyName,
		DisplayName: u.DisplayName, Department: u.Enterprise.Department, Active: u.Active,
	}
	for _, e := range u.Emails {
		if e.Type == "work" {
			p.Email = e.Value
		}
	}
	if err := u.fleet(f, &p); err != nil {
		return Person{}, err
	}
	return p, nil
}

func (u remoteUser) fleet(f Fleet, p *Person) error {
	raw, ok := u.whole[f.URN]
	if !ok {
		return nil
	}
	var ext map[string]json.RawMessage
	if err := json.Unmarshal(raw, &ext); err != nil {
		return fmt.Errorf("idp: read %s: %w", f.URN, err)
	}
	if raw, ok := ext[f.Certification]; ok {
		if err := json.Unmarshal(raw, &p.Certification); err != nil {
			return fmt.Errorf("idp: read %s: %w", f.Certification, err)
		}
	}
	if raw, ok := ext[f.CertificationExpires]; ok {
		var when time.Time
		if err := json.Unmarshal(raw, &when); err != nil {
			return fmt.Errorf("idp: read %s: %w", f.CertificationExpires, err)
		}
		p.CertificationExpires = when
	}
	return nil
}

type remoteGroup struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

func (g remoteGroup) id() string { return g.ID }
