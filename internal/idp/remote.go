package idp

import (
	"bytes"
	"encoding/json"
	"fmt"
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
func (d document) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for n, f := range d {
		if n > 0 {
			b.WriteByte(',')
		}
		name, err := encode(f.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(f.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
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
