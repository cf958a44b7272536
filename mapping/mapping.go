// Package mapping turns facts about a person into wanted assignments.
//
// Evaluate is a pure function of a policy, facts and an instant; every rule's say
// is a Reason, in file order. Diff compares what is wanted with what is held and
// returns a Plan: data that can be printed, stored or applied.
package mapping

import (
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Pos is a place in a policy file, for reasons and faults.
type Pos struct {
	File string `json:"file,omitzero"`
	Line int    `json:"line,omitzero"`
	Col  int    `json:"col,omitzero"`
}

// provisionalPrefix begins the id of a scope that has none of its own yet.
const provisionalPrefix = "path:"

// ProvisionalID stands for a scope of a file in a PolicySource until the policy is
// applied and the scope gets, or finds again, its real id.
func ProvisionalID(path string) access.ScopeID { return access.ScopeID(provisionalPrefix + path) }

// Provisional reports whether id is of that kind.
func Provisional(id access.ScopeID) bool { return strings.HasPrefix(string(id), provisionalPrefix) }

// ProvisionalPath is the path that a provisional id stands for; "" if it is none.
func ProvisionalPath(id access.ScopeID) string {
	path, provisional := strings.CutPrefix(string(id), provisionalPrefix)
	if !provisional {
		return ""
	}
	return path
}

// Membership is one group a person is in.
type Membership struct {
	Group      access.GroupID
	Name       string    // displayName as sent
	ExternalID string    // the IdP's immutable id, "" if it sent none
	Shared     bool      // another live group of the connection has the same externalId
	Since      time.Time // when the membership row was inserted
}

// Facts are all that a rule may look at.
type Facts struct {
	Connection    access.ConnectionID
	Person        access.PersonID
	Active        bool
	Memberships   []Membership         // in any order
	Certification access.Certification // the vendor's word where there is one, else the trusted SCIM value
	// Attributes are by the name that the policy gives them: a string, bool, int64, float64
	// or time.Time, or a []any of one of them. What the person does not have is not there.
	Attributes map[string]any
}

// Wanted is one assignment that the rules want the person to hold.
type Wanted struct {
	Grant    access.Grant
	Scope    access.ScopeID
	Flags    access.Flags
	Standing access.Standing
	Until    time.Time
	Sources  []access.Source
}

// Code is a stable word for why a rule did or did not match.
type Code string

// The codes. Each has a sentence in docs/operations.md.
const (
	Matched           Code = "matched"
	NotActive         Code = "not_active"         // the person is inactive
	NotInGroup        Code = "not_in_group"       //
	ScopeUnknown      Code = "scope_unknown"      // a capture names no scope, or several
	AmbiguousGroup    Code = "ambiguous_group"    // two live groups hold the group_id
	AboveCeiling      Code = "above_ceiling"      //
	NotCertified      Code = "not_certified"      // no certification is recorded, or of a level that does not count
	CertificateLapsed Code = "certificate_lapsed" //
	TimeOver          Code = "time_over"          // `for:` has run out, or `until:` is past
	ShadowOnly        Code = "shadow"             // matched, but the rule only counts
	RuleExpired       Code = "rule_expired"       // the rule itself has ended
	ExcludedByGroup   Code = "excluded_by_group"  // the person is in one of `none:`, too
	ConditionFalse    Code = "condition_false"    // `when:` is false
	AttributeMissing  Code = "attribute_missing"  // `when:` needs an attribute that the person does not have
	ConditionFailed   Code = "condition_failed"   // `when:` cannot be told: an error, or its cost
)

// Reason is one rule's say about one group (or about none, if no group matched).
type Reason struct {
	Rule    string         `json:"rule"`
	Pos     Pos            `json:"pos"`
	Code    Code           `json:"code"`
	Matched bool           `json:"matched"`
	Group   string         `json:"group,omitzero"` // the group's name, or what the rule asks for
	GroupID access.GroupID `json:"group_id,omitzero"`
	Gives   []string       `json:"gives,omitzero"`  // "standard @ pacific/ironbark/adelaide (guest)"
	Because string         `json:"because"`         // a sentence for operators
	Near    bool           `json:"near,omitzero"`   // nearly matched: worth showing first
	Looked  []Looked       `json:"looked,omitzero"` // what `when:` looked at, for operators: it is personal data
}

// Decision is what one person should hold, and why.
type Decision struct {
	Want       []Wanted
	Reasons    []Reason  // in file order
	ValidUntil time.Time // the decision holds until then; zero: for ever, as long as the facts stay
	Failed     int       // how many conditions could not be told; the rules that ask for them gave nothing
}

// Change pairs an assignment as held with what it becomes.
type Change struct {
	From, To access.Assignment
}

// Plan is the difference between held and wanted, as data.
type Plan struct {
	Give   []access.Assignment // without ids: whoever applies the plan makes them
	Change []Change
	Drop   []access.Assignment
	Keep   []access.Assignment
}

// Empty reports whether applying the plan would change nothing.
func (p Plan) Empty() bool { return len(p.Give)+len(p.Change)+len(p.Drop) == 0 }
