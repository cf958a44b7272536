package review

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Selection says whether an assignment is to be looked at.
type Selection func(h Held, now time.Time) bool

// The selections that have a name.
const (
	HighRisk             = "high_risk"
	Guests               = "guests"
	UnusedAdministrators = "unused_administrators"
	ByPeople             = "by_people"
	Everything           = "everything"
)

// UnusedAfter is how long an administrator has not used the right before it is asked
// whether they need it.
const UnusedAfter = 60 * 24 * time.Hour

// Selections are the names of those that have one.
func Selections() []string {
	return []string{HighRisk, Guests, UnusedAdministrators, ByPeople, Everything}
}

// Named is a selection by its name; nil if there is none of that name.
func Named(name string) Selection {
	switch name {
	case HighRisk:
		return func(h Held, _ time.Time) bool { return h.Risk == access.RiskHigh }
	case Guests:
		return func(h Held, _ time.Time) bool { return h.Standing == access.Guest }
	case UnusedAdministrators:
		return unusedAdministrator
	case ByPeople:
		return func(h Held, _ time.Time) bool { return h.ByPeople() }
	case Everything:
		return func(Held, time.Time) bool { return true }
	}
	return nil
}

// unusedAdministrator: what was given lately has not had the time to be used.
func unusedAdministrator(h Held, now time.Time) bool {
	before := now.Add(-UnusedAfter)
	return h.Grant == access.Administrator && !h.LastUsed.After(before) && !h.Since.After(before)
}

// Moved is what is looked at when a scope lies under another: what people gave, and guests.
func Moved(h Held, _ time.Time) bool { return h.ByPeople() || h.Standing == access.Guest }

// Selection is what the review looks at, but for those that name people or permits. nil: there
// is no such selection, and compile says what else the text may be.
func (c Cause) Selection(compile func(text string) Selection) Selection {
	switch c.Trigger {
	case ByScope:
		return Moved
	case BySchedule, ByHand:
		name := c.Select
		if name == "" {
			name = Everything
		}
		if s := Named(name); s != nil || compile == nil {
			return s
		}
		return compile(name)
	}
	return func(Held, time.Time) bool { return true }
}

// BuiltIn are the schedules of a policy that names none.
func BuiltIn() []mapping.ReviewSource {
	const days = 24 * time.Hour
	return []mapping.ReviewSource{
		{Name: HighRisk, Select: HighRisk, Every: 90 * days, Within: 21 * days, Reviewers: mapping.ScopeAdministrators, Unanswered: mapping.KeepUnanswered},
		{Name: Guests, Select: Guests, Every: 30 * days, Within: 14 * days, Reviewers: mapping.ScopeAdministrators, Unanswered: mapping.KeepUnanswered},
		{Name: UnusedAdministrators, Select: UnusedAdministrators, Every: 30 * days, Within: 14 * days, Reviewers: mapping.ScopeAdministrators, Unanswered: mapping.KeepUnanswered},
	}
}
