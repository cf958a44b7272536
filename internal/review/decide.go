package review

import (
	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Effect is what a decision comes to.
type Effect struct {
	End      []access.PermitID // they end, because of the review
	Withhold bool              // rules do not give it to the person any more
	Most     *access.EventFlag // the most that the person sees of events there; nil: not limited
	NoVideo  bool
}

// Nothing reports whether nothing changes.
func (e Effect) Nothing() bool { return len(e.End) == 0 && !e.Limits() }

// Limits reports whether something is taken from the person by a limit.
func (e Effect) Limits() bool { return e.Withhold || e.Most != nil || e.NoVideo }

// Limit is the limit that an effect sets.
func (e Effect) Limit(h Held) access.Limit {
	return access.Limit{Person: h.Person, Scope: h.Scope, Grant: h.Grant, Withheld: e.Withhold, Events: e.Most, NoVideo: e.NoVideo}
}

// EffectOf is what a verdict does to what is held now. to are the flags that are left, if
// it lowers.
func EffectOf(v Verdict, now Held, to access.Flags) Effect {
	switch v {
	case Remove:
		return Effect{End: now.Permits(), Withhold: now.ByRules()}
	case Lower:
		most := to.Events
		return Effect{Most: &most, NoVideo: !to.Video}
	}
	return Effect{}
}

// Lowers reports whether flags are less than others, and in nothing more.
func Lowers(from, to access.Flags) bool { return to != from && from.Union(to) == from }
