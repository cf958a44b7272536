package schema

import (
	"github.com/elimity-com/scim/optional"
	upstream "github.com/elimity-com/scim/schema"
)

// The URNs of the built-in schemas.
const (
	UserURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	FleetURN      = "urn:drawbridge:scim:schemas:extension:fleet:2.0:User"
)

// Both are made once and never changed.
var (
	users  = newUsers()
	groups = newGroups()
)

// Users is the standard User resource type: the core schema, the enterprise extension
// and the fleet extension (RFC 7643 sections 4.1 and 4.3). Who serves a connection
// asks its Types instead.
func Users() *ResourceType { return users }

// Groups is the standard Group resource type (RFC 7643 section 4.2).
func Groups() *ResourceType { return groups }

func newUsers() *ResourceType {
	core := compile(upstream.CoreUserSchema(), false)
	for _, a := range core.Attributes {
		switch a.Name {
		case "groups":
			a.Relation = true
		case "password":
			a.Dropped = true
		}
	}
	return newResourceType(&ResourceType{
		ID: "User", Name: "User", Endpoint: "/Users", Description: "User Account",
		Common: common(), Core: core,
		Extensions: []Extension{
			{Schema: compile(upstream.ExtensionEnterpriseUser(), true)},
			{Schema: compile(fleet(), true)},
		},
	})
}

func newGroups() *ResourceType {
	core := compile(upstream.CoreGroupSchema(), false)
	for _, a := range core.Attributes {
		a.Relation = a.Name == "members"
	}
	return newResourceType(&ResourceType{
		ID: "Group", Name: "Group", Endpoint: "/Groups", Description: "Group",
		Common: common(), Core: core,
	})
}

func common() []*Attribute {
	var all []*Attribute
	for _, def := range upstream.CommonAttributes() {
		all = append(all, compileAttribute(def, nil, "", false))
	}
	return all
}

// fleet is what fleet rules ask of a person and no standard schema has.
func fleet() upstream.Schema {
	return upstream.Schema{
		ID:          FleetURN,
		Name:        optional.NewString("Fleet User"),
		Description: optional.NewString("What a fleet operator certifies about a person."),
		Attributes: upstream.Attributes{
			upstream.SimpleCoreAttribute(upstream.SimpleStringParams(upstream.StringParams{
				Name:        "technicianCertification",
				Description: optional.NewString("The certification that lets the person work on vehicles, by its code."),
			})),
			upstream.SimpleCoreAttribute(upstream.SimpleDateTimeParams(upstream.DateTimeParams{
				Name:        "certificationExpires",
				Description: optional.NewString("The instant from which the certification no longer counts."),
			})),
		},
	}
}
