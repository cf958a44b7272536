package mapping

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// RuleInfo is a rule as it may be listed.
type RuleInfo struct {
	ID                        string
	Pos                       Pos
	From                      access.ConnectionID
	Mode                      Mode
	Owner                     string
	Asks                      []GroupRef // one, all of them, or any: as How says
	How                       string     // "group", "all" or "any"
	None                      []GroupRef
	When                      string
	NotBefore, Until, Expires time.Time
	Gives                     []string // "standard @ pacific/ironbark/{fleet}"; give first, then guest
}

// Ended reports whether the rule gives nothing any more: it has ended, or what it gives has.
func (r RuleInfo) Ended(now time.Time) bool {
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	return over(r.Expires) || over(r.Until)
}

// Rules lists all rules: by connection in the order of the source, each in file order.
func (p *Policy) Rules() []RuleInfo {
	var all []RuleInfo
	for _, c := range p.source.Connections {
		for _, r := range p.rulesOf(c.ID) {
			info := RuleInfo{ID: r.ID, Pos: r.Pos, From: r.From, Mode: r.Mode, Owner: r.Owner, None: r.None, When: r.When,
				NotBefore: r.NotBefore, Until: r.Until, Expires: r.Expires, How: [...]string{"group", "all", "any"}[r.how]}
			if info.Mode == "" {
				info.Mode = Enforce
			}
			for _, a := range r.asks {
				info.Asks = append(info.Asks, a.GroupRef)
			}
			if r.Give != "" {
				info.Gives = append(info.Gives, r.Give)
			}
			info.Gives = append(info.Gives, r.Guest...)
			all = append(all, info)
		}
	}
	return all
}

// Feed is a rule that a group feeds.
type Feed struct {
	Rule     string
	Pos      Pos
	Excludes bool // the rule asks that the person is not in the group
	Unknown  bool // what the group's name captures names no scope, or several
}

// Feeds lists the rules of a connection that ask for a group of that name or externalId,
// in file order; those that match its literals and find no scope by what it captures are
// marked.
func (p *Policy) Feeds(id access.ConnectionID, groupName, externalID string) []Feed {
	s := p.rules[id]
	if s == nil {
		return nil
	}
	folded := schema.Fold(groupName)
	var all []Feed
	s.each(folded, externalID, func(by ask) {
		r := s.rules[by.rule]
		f := Feed{Rule: r.ID, Pos: r.Pos, Excludes: by.none, Unknown: !p.answers(s, by, folded)}
		if a := s.asked(by); !f.Unknown && len(a.pattern.captures()) > 0 && len(a.pattern.captures()) == r.captures {
			o, _ := p.outcome(r, a.pattern.readings(folded, p.places))
			f.Unknown = o.several
		}
		all = append(all, f)
	})
	return all
}
