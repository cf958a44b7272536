package bridge

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// The guards.
const (
	GuardLosing         = "max_people_losing"
	GuardWithoutAccess  = "max_people_without_access"
	GuardAdministrators = "keep_administrators"
)

// The reason codes of a policy that is not applied.
const (
	ReasonGuard      = "guard"        // a guard refuses
	ReasonUnreviewed = "unreviewed"   // somebody would lose what the plan did not show
	ReasonMoved      = "policy_moved" // the plan was made against another version
)

// approvedByName is how many people are approved by their names at most; for more, the
// exact number stands for them.
const approvedByName = 100

// guarded is what guards look at of a plan.
type guarded struct {
	holding         int64 // people who hold something now, of all whom the plan may concern
	losing, without int64
	names           map[string][]string // by guard: who, or which scopes; the first of them
	administrators  []headcount         // by path
	connections     []guardedPart       // of which somebody loses something, by id
}

// guardedPart is what guards look at of one connection's people.
type guardedPart struct {
	id              access.ConnectionID
	holding         int64
	losing, without int64
	names           map[string][]string
}

// headcount is how many administrators a scope has who may sign in, and would have.
type headcount struct {
	path          string
	before, after int64
}

// defaultGuard judges where a policy says nothing.
func defaultGuard() mapping.Guard {
	one := int64(1)
	return mapping.Guard{Losing: &mapping.Share{Percent: 10}, WithoutAccess: &mapping.Share{Percent: 5}, Administrators: &one}
}

// judge lists the guards that a plan does not pass: one to apply a policy, to change the
// tree, or to restore. The guard is the active policy's: a file does not loosen the guard
// that judges it.
func judge(g mapping.Guard, p guarded) []GuardFinding {
	usual := defaultGuard()
	findings := []GuardFinding{}
	for _, by := range []struct {
		guard string
		share *mapping.Share
		found int64
		of    func(guardedPart) int64
		what  string
	}{
		{GuardLosing, cmp.Or(g.Losing, usual.Losing), p.losing, func(c guardedPart) int64 { return c.losing }, "would lose something"},
		{GuardWithoutAccess, cmp.Or(g.WithoutAccess, usual.WithoutAccess), p.without, func(c guardedPart) int64 { return c.without }, "would end with no access"},
	} {
		if limit := limitOf(by.share, p.holding); by.found > limit {
			findings = append(findings, GuardFinding{Guard: by.guard, Limit: limit, Found: by.found, Names: p.names[by.guard],
				Message: fmt.Sprintf("%s %s; the guard allows %d", people(by.found), by.what, limit)})
		} else if f, many := ofSome(by.guard, by.share, p.connections, by.of, by.what); many {
			findings = append(findings, f)
		}
	}
	return append(findings, tooFew(*cmp.Or(g.Administrators, usual.Administrators), p.administrators)...)
}

// ofSome is a share that is kept of all people, and not of those of some connections: a
// customer may be few among all, and lose everything.
func ofSome(guard string, share *mapping.Share, parts []guardedPart, of func(guardedPart) int64, what string) (f GuardFinding, many bool) {
	if share.Percent == 0 {
		return f, false // a whole number is of all people
	}
	f.Guard = guard
	var ids []string
	for _, c := range parts {
		limit := limitOf(share, c.holding)
		if of(c) <= limit {
			continue
		}
		ids = append(ids, string(c.id))
		f.Limit, f.Found, f.Names = f.Limit+limit, f.Found+of(c), append(f.Names, c.names[guard]...)
	}
	if len(ids) == 0 {
		return f, false
	}
	if f.Found > approvedByName && len(f.Names) > approvedByName {
		f.Names = f.Names[:approvedByName]
	}
	f.Message = fmt.Sprintf("%s of %s %s; the guard allows %d: %d%% of each connection's people", people(f.Found), someOf(ids), what, f.Limit, share.Percent)
	return f, true
}

// someOf names the first of many connections, and says how many more there are.
func someOf(ids []string) string {
	const most = 5
	if left := len(ids) - most; left > 0 {
		return strings.Join(ids[:most], ", ") + fmt.Sprintf(" and %d more", left)
	}
	return strings.Join(ids, ", ")
}

// tooFew is the last-administrator guard: a scope keeps as many as are to be kept, and
// one that has fewer keeps those.
func tooFew(keep int64, scopes []headcount) []GuardFinding {
	var short []string
	for _, s := range scopes {
		if s.after < min(keep, s.before) {
			short = append(short, s.path)
		}
	}
	if len(short) == 0 {
		return nil
	}
	slices.Sort(short)
	return []GuardFinding{{Guard: GuardAdministrators, Limit: keep, Found: int64(len(short)), Names: short,
		Message: fmt.Sprintf("%s would keep fewer administrators who may sign in than %d, and fewer than now", scopesSay(len(short)), keep)}}
}

func scopesSay(n int) string {
	if n == 1 {
		return "1 scope"
	}
	return strconv.Itoa(n) + " scopes"
}

func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return strconv.FormatInt(n, 10) + " people"
}

// limitOf is how many people a share of all is. A part is rounded up: of few people,
// one may lose something without being approved.
func limitOf(s *mapping.Share, all int64) int64 {
	if s.Percent == 0 {
		return s.People
	}
	return (all*s.Percent + 99) / 100
}

// Approvals are what somebody approves of by name.
type Approvals struct {
	Losing         []string `json:"losing,omitempty"`         // people who lose something
	WithoutAccess  []string `json:"without_access,omitempty"` // people who end with nothing; they lose something, too
	Administrators []string `json:"administrators,omitempty"` // paths of scopes
}

// explained refuses an approval that gives no reason.
func (a Approvals) explained(op, reason string) error {
	if !a.none() && strings.TrimSpace(reason) == "" {
		return fault.New(fault.Invalid, op, "an approval needs a reason")
	}
	return nil
}

// note tells an event how much was approved.
func (a Approvals) note(data map[string]string) {
	for name, n := range map[string]int{"approved_losing": len(a.Losing), "approved_without_access": len(a.WithoutAccess), "approved_administrators": len(a.Administrators)} {
		if n > 0 {
			data[name] = strconv.Itoa(n)
		}
	}
}

func (a Approvals) none() bool { return len(a.Losing)+len(a.WithoutAccess)+len(a.Administrators) == 0 }

// refused leaves those findings that are not approved, each with the names that are
// missing. Approval is complete: every name, or for very many the exact number.
func (a Approvals) refused(findings []GuardFinding) []GuardFinding {
	given := map[string][]string{GuardLosing: slices.Concat(a.Losing, a.WithoutAccess), GuardWithoutAccess: a.WithoutAccess, GuardAdministrators: a.Administrators}
	var left []GuardFinding
	for _, f := range findings {
		missing := missingOf(f, given[f.Guard])
		if len(missing) == 0 {
			continue
		}
		f.Names = missing
		left = append(left, f)
	}
	return left
}

// Counted reports whether so many people are concerned that their exact number approves,
// not their names.
func (f GuardFinding) Counted() bool {
	return f.Guard != GuardAdministrators && f.Found > approvedByName
}

func missingOf(f GuardFinding, given []string) []string {
	if f.Counted() {
		if slices.Contains(given, strconv.FormatInt(f.Found, 10)) {
			return nil
		}
		return f.Names
	}
	approved := map[string]bool{}
	for _, name := range given {
		approved[schema.Fold(name)] = true
	}
	return slices.DeleteFunc(slices.Clone(f.Names), func(name string) bool { return approved[schema.Fold(name)] })
}

// Refusal is why a plan is not carried out, with whom it concerns. Its text names nobody.
type Refusal struct {
	Guards []GuardFinding // that refuse, with the names that are not approved
	People []PersonChange // who would lose what was not shown; the first of them
	Tests  []mapping.TestResult
	err    error
}

func (r *Refusal) Error() string { return r.err.Error() }

// Unwrap gives the classified error.
func (r *Refusal) Unwrap() error { return r.err }

func refusedByGuards(op string, left []GuardFinding) error {
	said := ""
	for i, f := range left {
		if i > 0 {
			said += "; "
		}
		said += f.Message
	}
	return &Refusal{Guards: left, err: fault.New(fault.Denied, op, "%s", said).Because(ReasonGuard)}
}
