package access

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"time"
)

// The ids of the bridge. They are made by us, opaque, lower case, and never reused.
type (
	PersonID     string // "per_…"
	GroupID      string // "grp_…"
	ConnectionID string // chosen in configuration, a slug
	AssignmentID string // "asg_…"
	ClientID     string // an application's OAuth client_id
)

// Standing says whether an assignment is the person's own place or a visit.
type Standing string

// A person has at most one primary and any number of guests.
const (
	Primary Standing = "primary"
	Guest   Standing = "guest"
)

// SourceKind says who is behind a source.
type SourceKind string

// A rule gives because of a group; people give by a request or an administrator's act.
const (
	SourceRule          SourceKind = "rule"
	SourceRequest       SourceKind = "request"
	SourceAdministrator SourceKind = "administrator"
)

// Source is one reason why an assignment exists. It is kept until it ends.
type Source struct {
	Kind      SourceKind `json:"kind"`
	ID        string     `json:"id"`             // the rule's, request's or act's id
	Group     GroupID    `json:"group,omitzero"` // the group that fed a rule
	Standing  Standing   `json:"standing"`       // what this source alone would give
	Flags     Flags      `json:"flags"`          //
	NotBefore time.Time  `json:"not_before,omitzero"`
	Until     time.Time  `json:"until,omitzero"` // zero: no end of its own
}

// ValidAt reports whether the source holds at that instant: NotBefore ≤ now < Until.
func (s Source) ValidAt(now time.Time) bool {
	return !now.Before(s.NotBefore) && (s.Until.IsZero() || now.Before(s.Until))
}

// Assignment is a grant at a scope, held by a person. Two sources of the same
// grant at the same scope are one assignment; its flags and end are the union of
// the sources that are valid, and primary beats guest.
type Assignment struct {
	ID        AssignmentID `json:"id"`
	Person    PersonID     `json:"person"`
	Grant     Grant        `json:"grant"`
	Scope     ScopeID      `json:"scope"`
	Flags     Flags        `json:"flags"`
	Standing  Standing     `json:"standing"`
	NotBefore time.Time    `json:"not_before,omitzero"`
	Until     time.Time    `json:"until,omitzero"`
	Sources   []Source     `json:"sources"`
	// LastUsed is when a session last stood on it, to the minute; zero: never. It says
	// nothing about what is held, and is not compared.
	LastUsed time.Time `json:"last_used,omitzero"`
}

// ValidAt reports whether the assignment may be used at that instant. It is judged
// at use, against the clock of the use case, never by a sweeper alone.
func (a Assignment) ValidAt(now time.Time) bool {
	return !now.Before(a.NotBefore) && (a.Until.IsZero() || now.Before(a.Until))
}

// MaySignIn reports whether a session may stand on the assignment at that instant.
func (a Assignment) MaySignIn(now time.Time) bool { return a.Grant.MaySignIn() && a.ValidAt(now) }

// SameUse reports whether a session that stands on a would notice nothing if it
// stood on b: same grant, scope, flags, standing and end.
func (a Assignment) SameUse(b Assignment) bool {
	return a.Grant == b.Grant && a.Scope == b.Scope && a.Flags == b.Flags && a.Standing == b.Standing &&
		a.NotBefore.Equal(b.NotBefore) && a.Until.Equal(b.Until)
}

// GoesOn reports whether a session that stands on a may go on with the tokens that it has
// when b takes its place: it is the same use, or one that ends later. A token says an end
// that is too early then, and the next one says the right one.
func (a Assignment) GoesOn(b Assignment) bool {
	if !a.Until.IsZero() && (b.Until.IsZero() || b.Until.After(a.Until)) {
		a.Until = b.Until
	}
	return a.SameUse(b)
}

// CompareAssignments orders by standing (primary first), then grant, scope and id:
// the order in which people and logs read them.
func CompareAssignments(a, b Assignment) int {
	rank := func(s Standing) int {
		if s == Primary {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a.Standing), rank(b.Standing)),
		cmp.Compare(slices.Index(Grants(), a.Grant), slices.Index(Grants(), b.Grant)),
		cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.ID, b.ID))
}

// Ceiling is the most a connection's rules may ever give.
type Ceiling struct {
	Scope  ScopeID `json:"scope"`
	Grants []Grant `json:"grants"`
}

// Allows reports whether g at s lies under the ceiling in that tree. The zero
// ceiling allows nothing, and nobody is given a retired scope.
func (c Ceiling) Allows(t *Tree, g Grant, s ScopeID) bool {
	return slices.Contains(c.Grants, g) && t.Live(s) && t.Covers(c.Scope, s)
}

// Connection is one customer's link to one identity provider: the boundary of isolation.
type Connection struct {
	ID      ConnectionID `json:"id"`
	Name    string       `json:"name"`    // the customer's name, shown at sign-in
	IdP     string       `json:"idp"`     // whose dialect it speaks: a name of package scim/dialect
	Root    ScopeID      `json:"root"`    // the customer's own scope
	Ceiling Ceiling      `json:"ceiling"` //
	Domains []string     `json:"domains"` // e-mail domains that find this connection at sign-in; they decide nothing else
	Contact string       `json:"contact"` // whom a person may ask
	// TrustsCertification lets a certification that arrives over SCIM count. False
	// by default: a customer must not certify its own people by accident.
	TrustsCertification bool `json:"trusts_certification,omitzero"`
	SCIM                SCIM `json:"scim,omitzero"`
}

// SCIM is how a connection's identity provider is answered. The zero SCIM is what
// its dialect says.
type SCIM struct {
	Strict        bool `json:"strict,omitzero"`         // refuse what the RFC forbids instead of reading what was meant
	RawToken      bool `json:"raw_token,omitzero"`      // take Authorization without the Bearer scheme
	PatchedUsers  Echo `json:"patched_users,omitzero"`  // the answer to a PATCH of a user that succeeded
	PatchedGroups Echo `json:"patched_groups,omitzero"` // likewise of a group
	// Networks are where its requests may come from; empty: from anywhere.
	Networks       []netip.Prefix `json:"networks,omitempty"`
	UnknownMembers UnknownMembers `json:"unknown_members,omitzero"` // what becomes of a change of a group that names somebody who is not here
	Rate           Rate           `json:"rate,omitzero"`            // zero: the server's
	// UserExtensions are schemas of the customer's own that people carry, GroupExtensions
	// those of groups.
	UserExtensions  []Extension `json:"user_extensions,omitempty"`
	GroupExtensions []Extension `json:"group_extensions,omitempty"`
}

// Extension is a schema of a customer's own, as part of a connection's definition.
type Extension struct {
	Schema   json.RawMessage `json:"schema"` // RFC 7643 section 7; checked where the configuration is read
	Required bool            `json:"required,omitzero"`
}

// Rate is how much somebody may ask: so many requests a second for as long as they
// like, and so many at once after they have been silent.
type Rate struct {
	PerSecond int `json:"per_second"`
	Burst     int `json:"burst"`
}

// UnknownMembers says what becomes of a change that names members who do not exist.
// The zero value keeps it.
type UnknownMembers string

// Those who exist count, and the others are shown to the administrator; or nothing of
// the change is done.
const (
	KeepUnknown   UnknownMembers = "keep"
	RefuseUnknown UnknownMembers = "refuse"
)

// MayCallFrom reports whether the connection's credentials count at that address. The
// zero Addr, of which nothing is known, lies in no network.
func (s SCIM) MayCallFrom(a netip.Addr) bool {
	return len(s.Networks) == 0 || slices.ContainsFunc(s.Networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Echo says whether a changed resource is sent back. The zero Echo leaves it to the
// dialect.
type Echo string

// A changed resource is sent back, or its version alone.
const (
	EchoResource Echo = "resource"
	EchoVersion  Echo = "version"
)

// Certification is what the register says about a technician. The vendor's own
// word outranks one that arrives over SCIM.
type Certification struct {
	Level string    `json:"level,omitzero"`
	Until time.Time `json:"until,omitzero"` // zero: no end is recorded
}

// certificationLevels open the technician grant (the guide's list).
var certificationLevels = []string{"Untrained Technician", "Installation Certified Technician G2", "Trainer"}

// CertificationLevels lists the levels that open the technician grant.
func CertificationLevels() []string { return slices.Clone(certificationLevels) }

// CertifiedAt reports whether the certification counts at that instant.
func (c Certification) CertifiedAt(now time.Time) bool {
	return slices.Contains(certificationLevels, c.Level) && (c.Until.IsZero() || now.Before(c.Until))
}
