package bridge

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// PolicyPlan is what would happen if a policy were applied now: the difference
// between what everybody holds and what the policy wants, as data.
type PolicyPlan struct {
	Hash        string               `json:"hash"`   // names exactly this plan: what apply asks for
	Base        int64                `json:"base"`   // the version it was compared with; 0: none has been applied yet
	Policy      string               `json:"policy"` // the hash of the policy that was planned
	File        string               `json:"file,omitzero"`
	Reverts     int64                `json:"reverts,omitzero"` // the version that it brings back
	At          time.Time            `json:"at"`
	Summary     PlanSummary          `json:"summary"`
	Connections []ConnectionChange   `json:"connections"`       // that come, end, or open again
	Demands     []DemandChange       `json:"demands,omitempty"` // that grants will make of the sign-in, where they change
	People      []PersonChange       `json:"people"`            // by connection and name; the first of them
	Findings    []PlanFinding        `json:"findings"`
	Shadow      []RuleCount          `json:"shadow"` // what rules that only count would give
	Tests       []mapping.TestResult `json:"tests"`
	Guards      []GuardFinding       `json:"guards"` // what stands in the way of applying it
}

// PlanSummary counts people. One person may gain and lose, and is then both.
type PlanSummary struct {
	People        int64 `json:"people"`  // that were looked at
	Holding       int64 `json:"holding"` // who hold something now
	Changing      int64 `json:"changing"`
	Gaining       int64 `json:"gaining"`
	Losing        int64 `json:"losing"`
	Altered       int64 `json:"altered"`        // flags, standing or time of something held
	WithoutAccess int64 `json:"without_access"` // who held something and end with nothing
	LosingInUse   int64 `json:"losing_in_use"`  // who lose something that was used within the last 30 days
	Sessions      int64 `json:"sessions"`       // that would end, or have to choose
}

// What becomes of a connection.
const (
	ConnectionComes = "added"
	ConnectionEnds  = "ended"
	ConnectionOpens = "resumed"
)

// ConnectionChange is a connection that a plan adds, ends or opens again.
type ConnectionChange struct {
	Connection access.ConnectionID `json:"connection"`
	Change     string              `json:"change" enum:"added,ended,resumed"`
	People     int64               `json:"people"`
}

// DemandChange is what a grant demands of the sign-in, in words; "" for nothing. It takes
// an assignment from nobody, but who is signed in otherwise must sign in again.
type DemandChange struct {
	Grant access.Grant `json:"grant"`
	Was   string       `json:"was,omitzero"`
	Is    string       `json:"is,omitzero"`
}

// demandChanges are the demands that differ between two tables.
func demandChanges(was, is access.Catalogue) (all []DemandChange) {
	for _, g := range access.Grants() {
		if c := (DemandChange{g, was.Demands(g).String(), is.Demands(g).String()}); c.Was != c.Is {
			all = append(all, c)
		}
	}
	return all
}

// PersonChange is what a plan does to one person.
type PersonChange struct {
	Connection    access.ConnectionID `json:"connection"`
	Person        access.PersonID     `json:"person"`
	UserName      string              `json:"user_name"`
	Gains         []PlannedHolding    `json:"gains,omitempty"`
	Loses         []PlannedHolding    `json:"loses,omitempty"`
	Alters        []PlannedHolding    `json:"alters,omitempty"` // as it will be
	WithoutAccess bool                `json:"without_access,omitzero"`
	Sessions      int                 `json:"sessions,omitzero"` // that would end, or have to choose

	losses []loss
}

// PlannedHolding is one assignment that a plan gives, takes or alters.
type PlannedHolding struct {
	Is       string          `json:"is"` // "standard @ pacific/ironbark/perth"
	Standing access.Standing `json:"standing"`
	Flags    access.Flags    `json:"flags"`
	Risk     access.Risk     `json:"risk"`
	Demands  string          `json:"demands,omitzero"` // what the grant demands of the sign-in
	Until    time.Time       `json:"until,omitzero"`
	Rules    []string        `json:"rules,omitempty"` // by which it is, or was, given
	LastUsed time.Time       `json:"last_used,omitzero"`
	Was      []string        `json:"was,omitempty"`    // of something altered: what is different, as it was
	Narrows  bool            `json:"narrows,omitzero"` // of something altered: something of it is lost
}

// The codes of findings.
const (
	FindingMatchesNobody = "matches_nobody" // a rule that gives nobody anything
	FindingFeedsNoRule   = "feeds_no_rule"  // a group that no rule looks at
	FindingScopeUnknown  = "scope_unknown"  // a group that a rule would look at, if its name named a scope
	FindingShadowed      = "shadowed"       // a rule that adds nothing to what earlier ones give
	FindingExpired       = "expired"        // a rule that has ended
	FindingScopeLeft     = "scope_left"     // a rule, or a test, that names a scope which was retired or has left the ceiling: it gives nothing
)

// PlanFinding is something about the rules that its author will want to know.
type PlanFinding struct {
	Code       string              `json:"code" enum:"matches_nobody,feeds_no_rule,scope_unknown,shadowed,expired,scope_left"`
	Rule       string              `json:"rule,omitzero"`
	Pos        mapping.Pos         `json:"pos,omitzero"`
	Connection access.ConnectionID `json:"connection,omitzero"`
	Group      string              `json:"group,omitzero"`
	People     int64               `json:"people,omitzero"`
	Message    string              `json:"message"`
}

// RuleCount is how many people a rule that only counts would give something.
type RuleCount struct {
	Rule   string      `json:"rule"`
	Pos    mapping.Pos `json:"pos"`
	People int64       `json:"people"`
}

// GuardFinding is a guard that a plan does not pass, and what approves it.
type GuardFinding struct {
	Guard   string   `json:"guard"` // max_people_losing, max_people_without_access, keep_administrators
	Message string   `json:"message"`
	Limit   int64    `json:"limit"`
	Found   int64    `json:"found"`
	Names   []string `json:"names"` // who, or which scopes, must be approved by name; the first of them
}
