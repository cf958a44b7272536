// Package dialect says what the identity providers do differently: as values that a
// connection is set up with, and as what their requests give away about them. It is
// pure.
package dialect

import (
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Dialect is how one kind of identity provider speaks SCIM.
type Dialect struct {
	Name             string // as a configuration names it
	Title            string // for people
	Leniency         schema.Leniency
	RawToken         bool     // may send its token without the Bearer scheme
	PatchUserStatus  int      // the answer to a PATCH of a user: 200 with it, or 204
	PatchGroupStatus int      // likewise of a group
	SubjectClaim     string   // the claim that means a person for good when they sign in
	Needs            []string // the kinds of note that its known requests lead to
}

// The names.
const (
	NameEntra     = "entra"
	NameOkta      = "okta"
	NameAuthentik = "authentik"
	NameKeycloak  = "keycloak"
	NameJumpCloud = "jumpcloud"
	NameOneLogin  = "onelogin"
	NamePing      = "ping"
	NameSailPoint = "sailpoint"
	NameOther     = "other"
)

// Names are the names, those of identity providers first.
func Names() []string {
	return []string{NameEntra, NameOkta, NameAuthentik, NameKeycloak, NameJumpCloud, NameOneLogin, NamePing, NameSailPoint, NameOther}
}

// Named is the dialect of this name; ok is false, and the dialect Other, for a name
// that nobody knows.
//
// Every dialect is as lenient as all of them together: an identity provider whose
// requests nobody has published departs from the RFC as the others do, and a request
// that could be read must not be refused for its sender's name. What a connection
// takes beyond the needs of its dialect is reported instead (Verdict, Beyond).
func Named(name string) (d Dialect, ok bool) {
	d = Dialect{Name: name, Leniency: schema.Lenient(), PatchUserStatus: 200, PatchGroupStatus: 204, SubjectClaim: "sub"}
	switch name {
	case NameEntra:
		// The sub of Entra's ID tokens differs from application to application.
		d.Title, d.SubjectClaim, d.Needs = "Microsoft Entra ID", "oid", Leniencies()
	case NameOkta:
		d.Title, d.RawToken = "Okta", true // its "Header" mode sends the token bare
		d.Needs = []string{schema.NoteUnknownName, schema.NoteReadOnlyNamed}
	case NameAuthentik:
		d.Title, d.Needs = "authentik", []string{schema.NoteRemoved, schema.NoteBareWord}
	case NameKeycloak:
		d.Title = "Keycloak with a SCIM plugin"
	case NameJumpCloud:
		d.Title, d.Needs = "JumpCloud", []string{schema.NoteAnyCase, schema.NoteRemoved}
	case NameOneLogin:
		d.Title, d.Needs = "OneLogin", []string{schema.NoteUnknownSchema} // templates that name SCIM 1.1's
	case NamePing:
		d.Title = "Ping"
	case NameSailPoint:
		d.Title = "SailPoint"
	case NameOther:
		return other(d), true
	default:
		return other(d), false
	}
	return d, true
}

// other is every identity provider that we have no name for.
func other(d Dialect) Dialect {
	d.Name, d.Title, d.Needs = NameOther, "another identity provider", Leniencies()
	return d
}

// Strict is d without any leniency.
func (d Dialect) Strict() Dialect {
	d.Leniency = schema.Leniency{}
	return d
}

// Leniencies are the kinds of note that a strict connection would have refused. What
// the RFC itself passes over (read-only attributes, a password) is not among them.
func Leniencies() []string {
	return []string{
		schema.NoteStringBoolean, schema.NoteBareValue, schema.NoteWrapped, schema.NoteUnwrapped, schema.NoteUnknownSchema,
		schema.NoteUnknownName, schema.NoteAnyCase, schema.NoteCreated, schema.NoteRemoved, schema.NoteNoOperations,
		schema.NotePathName, schema.NoteReadOnlyNamed, schema.NoteAlias, schema.NoteBareWord,
	}
}

// Called is what a kind of note is called among people: "booleans sent as text".
func Called(kind string) string {
	switch kind {
	case schema.NoteStringBoolean:
		return "booleans sent as text"
	case schema.NoteBareValue:
		return "bare values instead of objects"
	case schema.NoteWrapped:
		return "single values inside an array or object"
	case schema.NoteUnwrapped:
		return "elements without their array"
	case schema.NoteUnknownSchema:
		return "unknown or missing schemas"
	case schema.NoteUnknownName:
		return "unknown attributes"
	case schema.NoteAnyCase:
		return "operations not in lower case"
	case schema.NoteCreated:
		return "paths that select nothing, to create"
	case schema.NoteRemoved:
		return "removals by a value"
	case schema.NoteNoOperations:
		return "changes without operations"
	case schema.NotePathName:
		return "paths as names in a value"
	case schema.NoteAlias:
		return "extension attributes by other names"
	case schema.NoteBareWord:
		return "filters without quotes"
	case schema.NoteReadOnlyNamed:
		return "changes that name read-only attributes"
	case schema.NoteReadOnly:
		return "read-only attributes, passed over"
	case schema.NoteDropped:
		return "attributes that are never kept"
	}
	return kind
}

// Reliances are the kinds of leniency in notes, each once, sorted: few enough to be
// the labels of a counter. What the RFC itself passes over is none.
func Reliances(notes []string) []string {
	var kinds []string
	for _, n := range notes {
		kind, _, _ := strings.Cut(n, ":")
		if kind != schema.NoteReadOnly && kind != schema.NoteDropped {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}
