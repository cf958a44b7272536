// Package dialect says what the identity providers do differently, as values that
// a connection is set up with. It is pure.
package dialect

import (
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Dialect is how one kind of identity provider speaks SCIM.
type Dialect struct {
	Name             string
	Leniency         schema.Leniency
	RawToken         bool // may send its token without the Bearer scheme
	PatchUserStatus  int  // the answer to a PATCH of a user: 200 with it, or 204
	PatchGroupStatus int  // likewise of a group
}

// The names.
const (
	NameEntra = "entra"
	NameOkta  = "okta"
	NameOther = "other"
)

// Entra is Microsoft Entra ID.
func Entra() Dialect { return lenient(NameEntra) }

// Okta is Okta, whose "Header" mode sends the token bare.
func Okta() Dialect {
	d := lenient(NameOkta)
	d.RawToken = true
	return d
}

// Other is every identity provider that we have no name for. It is as lenient as
// the others: an unknown client's departures are those that the known ones have.
func Other() Dialect { return lenient(NameOther) }

// Named is the dialect of this name; ok is false, and the dialect Other, for a name
// that nobody knows.
func Named(name string) (d Dialect, ok bool) {
	switch name {
	case NameEntra:
		return Entra(), true
	case NameOkta:
		return Okta(), true
	case NameOther:
		return Other(), true
	}
	return Other(), false
}

// Strict is d without any leniency.
func (d Dialect) Strict() Dialect {
	d.Leniency = schema.Leniency{}
	return d
}

// lenient answers a user's PATCH with the user, since Okta and Entra's validator
// read it, and a group's with nothing, since it may have a hundred thousand members.
func lenient(name string) Dialect {
	return Dialect{Name: name, Leniency: schema.Lenient(), PatchUserStatus: 200, PatchGroupStatus: 204}
}

// Detect names the dialect that a request gives away by its User-Agent or by the
// leniencies it relied on (schema.Checked.Notes, patch.Plan.Notes); NameOther when
// it does not. It is for showing to an administrator: nothing is decided by it.
func Detect(userAgent string, notes []string) string {
	agent := strings.ToLower(userAgent)
	switch {
	case strings.HasPrefix(agent, "okta scim client"):
		return NameOkta
	case noted(notes, schema.NoteStringBoolean):
		return NameEntra
	}
	return NameOther
}

// Reliances are the kinds of leniency in notes, each once, sorted: few enough to be
// the labels of a counter.
func Reliances(notes []string) []string {
	var words []string
	for _, n := range notes {
		word, _, _ := strings.Cut(n, ":")
		words = append(words, word)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func noted(notes []string, word string) bool {
	return slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, word+":") })
}
