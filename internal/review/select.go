package review

import (
	"fmt"
	"strings"
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

// Selection is what the review looks at, but for those that name people or permits. A
// text that cannot be told of something selects it: better looked at once too often.
func (c Cause) Selection() (Selection, error) {
	switch c.Trigger {
	case ByScope:
		return Moved, nil
	case BySchedule, ByHand:
	case ByCase, ByConnection, ByCertificate:
		return Named(Everything), nil
	}
	if c.Select == "" {
		return Named(Everything), nil
	}
	if s := Named(c.Select); s != nil {
		return s, nil
	}
	compiled, faults := mapping.CompileSelection(c.Select)
	if len(faults) > 0 {
		return nil, fmt.Errorf("a selection is one of %s, or CEL over an assignment: %w", strings.Join(Selections(), ", "), faults)
	}
	return func(h Held, now time.Time) bool {
		picked, err := compiled.Match(h.Facts(now))
		return picked || err != nil
	}, nil
}

// Facts is the assignment as a selection in CEL looks at it. Of what was never used, and
// nobody knows since when it is held, the unused days are those of a century.
func (h Held) Facts(now time.Time) mapping.AssignmentFacts {
	const day = 24 * time.Hour
	last, unused := h.LastUsed, int64(36500)
	if last.IsZero() {
		last = h.Since
	}
	if !last.IsZero() {
		unused = int64(max(now.Sub(last), 0) / day)
	}
	return mapping.AssignmentFacts{Grant: h.Grant, Level: h.Level, Standing: h.Standing, Risk: h.Risk, UnusedDays: unused, Permanent: h.Until.IsZero(), ByPeople: h.ByPeople(), Outside: h.Outside}
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
