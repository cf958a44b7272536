package idp

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// Person is one human in an identity provider's own directory.
type Person struct {
	ObjectID    string `json:"object_id"` // immutable: Entra's objectId, Okta's user id
	UserName    string `json:"user_name"`
	Email       string `json:"email"`
	GivenName   string `json:"given_name"`
	FamilyName  string `json:"family_name"`
	DisplayName string `json:"display_name"`
	Department  string `json:"department,omitzero"`
	Active      bool   `json:"active"`
	// Certification and CertificationExpires are the technician's certificate,
	// sent in the fleet extension; empty: nothing is sent.
	Certification        string    `json:"certification,omitzero"`
	CertificationExpires time.Time `json:"certification_expires,omitzero"`
}

// Group is a group in the directory. Members are ObjectIDs of people.
type Group struct {
	ObjectID string   `json:"object_id"`
	Name     string   `json:"name"`
	Members  []string `json:"members"`
}

// Fleet is the extension schema that carries the fleet attributes.
type Fleet struct {
	URN                  string
	Certification        string // attribute name
	CertificationExpires string // attribute name
}

// DefaultFleet is the bridge's own extension.
func DefaultFleet() Fleet {
	return Fleet{
		URN:                  "urn:drawbridge:scim:schemas:extension:fleet:2.0:User",
		Certification:        "technicianCertification",
		CertificationExpires: "certificationExpires",
	}
}

func fleetOr(f Fleet) Fleet {
	if f.URN == "" {
		return DefaultFleet()
	}
	return f
}

// Member is a person of a group, by the id that the server gave.
type Member struct{ ID, Display string }

// Outcome is what became of a pushed person or group.
type Outcome int

// The outcomes, in the order of the zero value's harmlessness.
const (
	Unchanged Outcome = iota
	Created
	Updated
	Skipped // out of the vendor's scope
)

// Sender sends one request, with a path below the SCIM base URL, and decodes a
// successful answer into into unless that is nil. A *Wire is one.
type Sender interface {
	Send(ctx context.Context, method, path string, body, into any) error
}

// Dialect is what one vendor sends for each change. Ids are the server's; each
// method sends as many requests as the vendor does, one after the other.
type Dialect interface {
	// Probe is the connection test.
	Probe(ctx context.Context) error
	// PushPerson matches by a filter, then creates or updates. An inactive person
	// whom the server does not know is Skipped.
	PushPerson(ctx context.Context, p Person) (id string, did Outcome, err error)
	UpdatePerson(ctx context.Context, id string, before, after Person) error
	// DeletePerson is what the vendor sends for a person who is gone for good.
	DeletePerson(ctx context.Context, id string, p Person) error
	// PushGroup matches by name, creates the group if it must, and sends the members.
	PushGroup(ctx context.Context, g Group, members []Member) (id string, did Outcome, err error)
	AddMembers(ctx context.Context, id string, g Group, joining, all []Member) error
	RemoveMembers(ctx context.Context, id string, g Group, leaving, all []Member) error
	RenameGroup(ctx context.Context, id string, g Group, all []Member) error
	DeleteGroup(ctx context.Context, id string) error
}

// Bodies are what a vendor's requests hold, for whoever sends them in another
// envelope than the vendor does.
type Bodies interface {
	NewPerson(p Person) any
	NewGroup(g Group) any
	// Joining is the PATCH that adds members to a group: at most PerPatch of them.
	Joining(members []Member) any
}

// EntraBodies are Microsoft Entra's.
func EntraBodies(flag bool, fleet Fleet) Bodies { return entra{flag: flag, fleet: fleetOr(fleet)} }

// OktaBodies are Okta's.
func OktaBodies(fleet Fleet) Bodies { return okta{fleet: fleetOr(fleet)} }

// Entra speaks as Microsoft Entra's provisioning service does. flag is the shape of
// a tenant URL with aadOptscim062020; a zero fleet is DefaultFleet.
func Entra(s Sender, flag bool, fleet Fleet) Dialect {
	return entra{Sender: s, flag: flag, fleet: fleetOr(fleet)}
}

// Okta speaks as Okta's SCIM client does: as a catalogue app, or with put as a
// custom app, which PUTs every change. A zero fleet is DefaultFleet.
func Okta(s Sender, put bool, fleet Fleet) Dialect {
	return okta{Sender: s, put: put, fleet: fleetOr(fleet)}
}

// LookUpPerson is how that vendor asks for a person by user name: a path below the
// SCIM base URL.
func LookUpPerson(vendor, userName string) string {
	return lookUp(vendor, "/Users?", "userName eq "+literal(userName))
}

// LookUpGroup is how that vendor asks for a group by name.
func LookUpGroup(vendor, name string) string {
	if vendor == "entra" {
		return "/Groups?excludedAttributes=members&filter=" + query("displayName eq "+literal(name))
	}
	return lookUp(vendor, "/Groups?", "displayName eq "+literal(name))
}

func lookUp(vendor, path, filter string) string {
	if vendor == "entra" {
		return path + "filter=" + query(filter)
	}
	return path + "filter=" + query(filter) + "&startIndex=1&count=100"
}

// one is the only resource of an answer to a lookup; found is false if there is none.
func one[R interface{ id() string }](l listed[R], what string) (r R, found bool, err error) {
	switch {
	case len(l.Resources) == 0:
		return r, false, nil
	case len(l.Resources) > 1:
		return r, false, fmt.Errorf("idp: %d match %s", len(l.Resources), what)
	case l.Resources[0].id() == "":
		return r, false, fmt.Errorf("idp: what matches %s has no id", what)
	}
	return l.Resources[0], true, nil
}

// at is the path of one resource.
func at(collection, id string) string { return collection + "/" + url.PathEscape(id) }
