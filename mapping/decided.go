package mapping

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// sources are all that give somebody something now or later, by what they give, and
// which of it the rules chose as the person's own place.
func (p *Policy) sources(want []Wanted, by access.Decided, now time.Time) (next map[Pair][]access.Source, chosen map[Pair]bool) {
	next, chosen = map[Pair][]access.Source{}, map[Pair]bool{}
	add := func(at Pair, s access.Source) {
		if !ended(s, now) {
			s.Flags = p.narrow(by.Limits, at, s.Flags)
			next[at] = addSource(next[at], s)
		}
	}
	for _, t := range by.Permits {
		if p.Lives(t, by.Certification, now) {
			add(Pair{t.Grant, t.Scope}, t.Source(by.Certification))
		}
	}
	for _, w := range want {
		at := Pair{w.Grant, w.Scope}
		if _, withheld := p.Withheld(by.Limits, at); withheld {
			continue
		}
		chosen[at] = chosen[at] || w.Standing == access.Primary
		for _, s := range w.Sources {
			add(at, s)
		}
	}
	return next, chosen
}

// Lives reports whether a permit gives something, now or later: it has not ended, its
// scope is there, and the certification that it needs is.
func (p *Policy) Lives(t access.Permit, c access.Certification, now time.Time) bool {
	return t.Ended.IsZero() && !ended(t.Source(c), now) && p.tree.Live(t.Scope) && (!t.Grant.NeedsCertification() || c.CertifiedAt(now))
}

// Binds reports whether a limit is about that grant at that scope.
func (p *Policy) Binds(l access.Limit, at Pair) bool {
	return l.Lifted.IsZero() && (l.Grant == "" || l.Grant == at.Grant) && p.tree.Covers(l.Scope, at.Scope)
}

// Withheld is the limit by which rules do not give that grant at that scope; ok is false
// if there is none.
func (p *Policy) Withheld(limits []access.Limit, at Pair) (l access.Limit, ok bool) {
	i := slices.IndexFunc(limits, func(l access.Limit) bool { return l.Withheld && p.Binds(l, at) })
	if i < 0 {
		return access.Limit{}, false
	}
	return limits[i], true
}

// narrow is what limits leave of flags there.
func (p *Policy) narrow(limits []access.Limit, at Pair, f access.Flags) access.Flags {
	for _, l := range limits {
		if p.Binds(l, at) {
			f = l.Narrow(f)
		}
	}
	return f
}

// lapsed reports whether nothing gave an assignment at some instant before now: whatever
// stood on it then has ended, whoever gives it again.
func lapsed(a access.Assignment, now time.Time) bool {
	end := a.Until
	for more := true; more && !end.IsZero() && !now.Before(end); {
		more = false
		for _, s := range a.Sources {
			if s.ValidAt(end) {
				end, more = later(end, s.Until), true
			}
		}
	}
	return !end.IsZero() && !now.Before(end)
}
