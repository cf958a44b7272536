package mapping

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// PolicySource is everything a policy is compiled from. It marshals to JSON, which
// is what the store keeps as the active policy.
type PolicySource struct {
	Scopes      []access.Scope      `json:"scopes"`
	Connections []access.Connection `json:"connections"`
	Attributes  []AttributeSource   `json:"attributes,omitempty"`
	Conditions  []ConditionSource   `json:"conditions,omitempty"`
	Rules       []RuleSource        `json:"rules"`
	Catalogue   access.Catalogue    `json:"catalogue,omitzero"` // what grants are called, open and risk
	Guard       Guard               `json:"guard,omitzero"`
	Requests    Requests            `json:"requests,omitzero"` // how people ask for access, and who decides
	Reviews     []ReviewSource      `json:"reviews,omitempty"` // that begin again and again
	Tests       []TestSource        `json:"tests,omitempty"`
	// TreeInStore says that the scope tree is kept in the store, and changed there: a
	// file that says so carries no scopes, and the stored policy none either.
	TreeInStore bool `json:"tree_in_store,omitzero"`
	// Edits are scopes of the store's tree as they will be: a change of the tree that is
	// planned. A policy that is in force has none.
	Edits []access.Scope `json:"edits,omitempty"`
}

// Stored is the source as it is kept: without the scopes that have rows of their own.
func (s PolicySource) Stored() PolicySource {
	if s.TreeInStore {
		s.Scopes, s.Edits = nil, nil
	}
	return s
}

// Written is where a part of a policy stands in its file.
type Written struct {
	Pos      Pos            `json:"pos,omitzero"`
	FieldPos map[string]Pos `json:"field_pos,omitempty"` // where each key's value is written
}

// Mode says whether a rule gives or only shows what it would give.
type Mode string

// A rule that names no mode is enforced.
const (
	Enforce Mode = "enforce"
	Shadow  Mode = "shadow"
)

// GroupRef is how a rule asks for a group: by display name or by externalId.
type GroupRef struct {
	Group   string `json:"group,omitzero"`    // display name, with captures: "GL {fleet} Managers"
	GroupID string `json:"group_id,omitzero"` // or the group's externalId
}

// RuleSource is a rule as it is written, before Compile has checked it. It asks for
// one group, for All of several or for Any of them; None may stand beside each.
type RuleSource struct {
	ID        string              `json:"id"`
	From      access.ConnectionID `json:"from"`
	Group     string              `json:"group,omitzero"`    // display name, with captures
	GroupID   string              `json:"group_id,omitzero"` // or the group's externalId
	All       []GroupRef          `json:"all,omitempty"`
	Any       []GroupRef          `json:"any,omitempty"`
	None      []GroupRef          `json:"none,omitempty"`
	When      string              `json:"when,omitzero"` // the name of a condition, or CEL
	Give      string              `json:"give"`          // "standard @ pacific/ironbark/{fleet}"
	Guest     []string            `json:"guest,omitzero"`
	Flags     access.Flags        `json:"flags,omitzero"`
	For       time.Duration       `json:"for,omitzero"`        // counted from joining the group; 0: as long as it lasts
	NotBefore time.Time           `json:"not_before,omitzero"` // what is given holds from then on
	Until     time.Time           `json:"until,omitzero"`      // what is given ends then, at the latest
	Expires   time.Time           `json:"expires,omitzero"`    // the rule itself ends then
	Mode      Mode                `json:"mode,omitzero"`
	Note      string              `json:"note,omitzero"`
	Owner     string              `json:"owner,omitzero"` // who answers for the rule
	Written
}

// AttributeSource gives a SCIM attribute of people a name that conditions use.
type AttributeSource struct {
	Name string `json:"name"`
	From string `json:"from"` // its path: "title", "urn:…:enterprise:2.0:User:department"
	Written
}

// ConditionSource is a named condition: CEL that says true or false of a person.
type ConditionSource struct {
	Name string `json:"name"`
	CEL  string `json:"cel"`
	Written
}

// Share is a number of people, or a part of all of them.
type Share struct {
	People  int64 `json:"people,omitzero"`
	Percent int64 `json:"percent,omitzero"` // 1 to 100; 0: People counts
}

// Guard is what a change may not do unless a human approves it by name, and what of
// an identity provider's own changes raises an alarm. A part that is nil has its default.
type Guard struct {
	Losing         *Share `json:"max_people_losing,omitempty"`         // how many people may lose something
	WithoutAccess  *Share `json:"max_people_without_access,omitempty"` // how many may end with nothing
	Administrators *int64 `json:"keep_administrators,omitempty"`       // of each scope, or as many as it has now; 0: none need stay
	Alarm          Alarm  `json:"alarm,omitzero"`
	Written
}

// Alarm says from when on what an identity provider does by itself raises an alarm.
type Alarm struct {
	Gaining *Share        `json:"people_gaining,omitempty"` // people of the connection gaining access within the time
	Shrunk  *Share        `json:"group_shrunk,omitempty"`   // members that a group loses within the time
	Deleted *Share        `json:"group_deleted,omitempty"`  // members of a group that is deleted
	Within  time.Duration `json:"within,omitzero"`
}

// TestSource is a test that a policy carries: a person like this is to hold that.
type TestSource struct {
	Name      string     `json:"name"`
	As        TestPerson `json:"as"`
	At        time.Time  `json:"at,omitzero"`          // zero: the instant at which the tests are run
	Primary   *string    `json:"primary,omitempty"`    // "standard @ pacific/ironbark"; "none"; nil: not looked at
	Guests    *[]string  `json:"guests,omitempty"`     // exactly these; nil: not looked at
	Sees      []string   `json:"sees,omitempty"`       // paths of scopes that are seen, and not by name only
	NeverSees []string   `json:"never_sees,omitempty"` // paths of scopes that are not
	MaySignIn *bool      `json:"may_sign_in,omitempty"`
	Written
}

// TestPerson is somebody made up.
type TestPerson struct {
	From          access.ConnectionID  `json:"from"`
	Email         string               `json:"email,omitzero"` // for the report alone
	Inactive      bool                 `json:"inactive,omitzero"`
	Groups        []TestGroup          `json:"groups,omitempty"`
	Attributes    map[string]any       `json:"attributes,omitempty"` // by the policy's names; instants as RFC 3339
	Certification access.Certification `json:"certification,omitzero"`
}

// TestGroup is a group that a made-up person is in.
type TestGroup struct {
	GroupRef           // without captures
	Since    time.Time `json:"since,omitzero"` // zero: the instant of the test
}

// Unplaced is the source without the places where its parts are written: what the
// policy says, and so what its identity is made of.
func (s PolicySource) Unplaced() PolicySource {
	s.Attributes = unplaced(s.Attributes, func(a *AttributeSource) *Written { return &a.Written })
	s.Conditions = unplaced(s.Conditions, func(c *ConditionSource) *Written { return &c.Written })
	s.Rules = unplaced(s.Rules, func(r *RuleSource) *Written { return &r.Written })
	s.Tests = unplaced(s.Tests, func(t *TestSource) *Written { return &t.Written })
	s.Guard.Written = Written{}
	s.Requests = s.Requests.unplaced()
	s.Reviews = unplaced(s.Reviews, func(r *ReviewSource) *Written { return &r.Written })
	return s
}

func unplaced[T any](parts []T, written func(*T) *Written) []T {
	parts = slices.Clone(parts)
	for i := range parts {
		*written(&parts[i]) = Written{}
	}
	return parts
}
