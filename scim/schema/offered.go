package schema

// Offered are the resource types under which a connection shows what its people may
// be given, for an identity provider to show and assign: read, never written.
type Offered struct{ Roles, Entitlements *ResourceType }

// Both forms are made once and never changed.
var (
	drafted = Offered{
		Roles:        offered("Role", "/Roles", "urn:ietf:params:scim:schemas:core:2.0:Role", draftAttributes),
		Entitlements: offered("Entitlement", "/Entitlements", "urn:ietf:params:scim:schemas:core:2.0:Entitlement", draftAttributes),
	}
	okta = Offered{
		Roles:        offered("Role", "/Roles", "urn:okta:scim:schemas:core:1.0:Role", oktaAttributes),
		Entitlements: offered("Entitlement", "/Entitlements", "urn:okta:scim:schemas:core:1.0:Entitlement", oktaAttributes),
	}
)

// DraftOffered is the form of draft-ietf-scim-roles-entitlements-01, as far as there
// is something to say.
func DraftOffered() Offered { return drafted }

// OktaOffered is the form that Okta reads.
func OktaOffered() Offered { return okta }

func draftAttributes() []*Attribute {
	return []*Attribute{
		{Name: "value", Type: String, CaseExact: true, Required: true, Description: "What stands in a user's roles or entitlements."},
		{Name: "display", Type: String, Description: "The name to show."},
		{Name: "type", Type: String, Description: "The kind of thing it is."},
		{Name: "supported", Type: Boolean, Description: "Whether it may be assigned."},
	}
}

func oktaAttributes() []*Attribute {
	return []*Attribute{
		{Name: "displayName", Type: String, Required: true, Description: "The name to show."},
		{Name: "type", Type: String, Description: "The kind of thing it is."},
		{Name: "description", Type: String, Description: "What somebody who has it may do."},
	}
}

func offered(name, endpoint, urn string, attributes func() []*Attribute) *ResourceType {
	core := &Schema{ID: urn, Name: name, Description: "What people may be given here.", Attributes: attributes()}
	for _, a := range core.Attributes {
		a.URN, a.Mutability, a.path = urn, ReadOnly, a.Name
	}
	return newResourceType(&ResourceType{ID: name, Name: name, Endpoint: endpoint, Description: core.Description, Common: common(), Core: core})
}
