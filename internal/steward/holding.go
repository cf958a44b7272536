package steward

import (
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// holdings reads what people hold, and why, as reviews look at it.
type holdings struct {
	policy *mapping.Policy
	now    time.Time
	asks   map[string]string // by rule, what it asks for; made when it is needed
	again  bool              // what rules would give again with a certification in date counts as held back
}

// about makes them what a review looks at: one of a lapsed certificate looks at what
// lapsed, which nobody holds now.
func (h *holdings) about(r review.Review) *holdings {
	h.again = r.Cause.Trigger == review.ByCertificate
	return h
}

func newHoldings(p *mapping.Policy, now time.Time) *holdings { return &holdings{policy: p, now: now} }

// of is what a person holds now, by grant and scope, with what permits would give that are
// held back: a technician's, as long as no certification is in date.
func (h *holdings) of(dir *store.Directory, p store.Person) (map[mapping.Pair]review.Held, error) {
	held, err := dir.Assignments(p)
	if err != nil {
		return nil, err
	}
	permits, err := living(dir, p)
	if err != nil {
		return nil, err
	}
	all := map[mapping.Pair]review.Held{}
	for _, a := range held {
		if h.policy.Tree().Live(a.Scope) && !over(a.Until, h.now) {
			all[mapping.Pair{Grant: a.Grant, Scope: a.Scope}] = h.held(dir.Row().ID, a)
		}
	}
	for _, t := range permits {
		at := mapping.Pair{Grant: t.Grant, Scope: t.Scope}
		if over(t.Until, h.now) || !h.policy.Tree().Live(t.Scope) {
			continue
		}
		one, holds := all[at]
		if !holds {
			one = h.held(dir.Row().ID, access.Assignment{Person: p.ID, Grant: t.Grant, Scope: t.Scope, Flags: t.Flags, Standing: t.Standing, NotBefore: t.NotBefore, Until: t.Until})
		}
		one.Why = append(one.Why, review.Why{Kind: t.Kind, Request: t.Request, Permit: t.ID, Case: t.Case, Since: t.Given, Until: t.Until})
		all[at] = one
	}
	if err := h.lapsed(dir, p, all); err != nil {
		return nil, err
	}
	return all, h.sinceWhen(dir, p, all)
}

// lapsed adds what rules gave somebody until their certification lapsed, and would give
// again with a new one.
func (h *holdings) lapsed(dir *store.Directory, p store.Person, all map[mapping.Pair]review.Held) error {
	if !h.again {
		return nil
	}
	facts, err := dir.Facts(p, h.policy.Attributes(dir.Row().ID))
	if err != nil || facts.Certification.CertifiedAt(h.now) {
		return err
	}
	by, err := dir.Decided(p)
	if err != nil {
		return err
	}
	facts.Certification = access.Certification{Level: access.CertificationLevels()[0]}
	for _, w := range mapping.Decide(h.policy, facts, h.now).Want {
		at := mapping.Pair{Grant: w.Grant, Scope: w.Scope}
		if _, withheld := h.policy.Withheld(by.Limits, at); withheld || !w.Grant.NeedsCertification() {
			continue
		}
		one := h.held(dir.Row().ID, access.Assignment{Person: p.ID, Grant: w.Grant, Scope: w.Scope, Flags: w.Flags, Standing: w.Standing, Sources: w.Sources})
		if other, holds := all[at]; holds { // people gave it, too
			one.Why = append(one.Why, other.Why...)
		}
		all[at] = one
	}
	return nil
}

// living are the permits of somebody that have not ended. Those through a connection that
// has ended count for nothing, and would again if it were resumed.
func living(dir *store.Directory, p store.Person) ([]access.Permit, error) {
	if dir.Row().State == store.ConnectionActive {
		by, err := dir.Decided(p)
		return by.Permits, err
	}
	all, err := dir.PermitsOf(p)
	return slices.DeleteFunc(all, func(t access.Permit) bool { return !t.Ended.IsZero() }), err
}

func over(until, now time.Time) bool { return !until.IsZero() && !now.Before(until) }

// held is an assignment with the rules that give it; what people gave is in their permits.
func (h *holdings) held(conn access.ConnectionID, a access.Assignment) review.Held {
	tree := h.policy.Tree()
	at, _ := tree.Scope(a.Scope)
	c, _ := h.policy.Connection(conn)
	one := review.Held{Connection: conn, Person: a.Person, Assignment: a.ID, Grant: a.Grant, Scope: a.Scope, Level: at.Level, Path: tree.Path(a.Scope), Flags: a.Flags,
		Standing: a.Standing, Risk: h.policy.Catalogue().RiskOf(at.Level, a.Grant, a.Flags), NotBefore: a.NotBefore, Until: a.Until, LastUsed: a.LastUsed, Outside: !tree.Covers(c.Root, a.Scope)}
	for _, s := range a.Sources {
		if s.Kind == access.SourceRule && !over(s.Until, h.now) {
			one.Why = append(one.Why, review.Why{Kind: s.Kind, Rule: s.ID, Group: string(s.Group), Asks: h.ask(s.ID), Until: s.Until})
		}
	}
	return one
}

// sinceWhen says of every reason of a rule which group it is, and since when the person is
// in it; and of everything, since when it is held.
func (h *holdings) sinceWhen(dir *store.Directory, p store.Person, all map[mapping.Pair]review.Held) error {
	groups := map[access.GroupID]mapping.Membership{}
	for at, one := range all {
		for i := range one.Why {
			w := &one.Why[i]
			if w.Kind == access.SourceRule && w.Group != "" {
				if len(groups) == 0 {
					facts, err := dir.Facts(p, nil)
					if err != nil {
						return err
					}
					for _, m := range facts.Memberships {
						groups[m.Group] = m
					}
				}
				if m, known := groups[access.GroupID(w.Group)]; known {
					w.Group, w.Since = m.Name, m.Since
				}
			}
			if !w.Since.IsZero() && (one.Since.IsZero() || w.Since.Before(one.Since)) {
				one.Since = w.Since
			}
		}
		slices.SortStableFunc(one.Why, func(a, b review.Why) int { return strings.Compare(string(a.Permit), string(b.Permit)) })
		all[at] = one
	}
	return nil
}

// ask says in words what a rule asks for.
func (h *holdings) ask(rule string) string {
	if h.asks == nil {
		h.asks = map[string]string{}
		for _, r := range h.policy.Rules() {
			h.asks[r.ID] = asked(r)
		}
	}
	return h.asks[rule]
}

func asked(r mapping.RuleInfo) string {
	var groups []string
	for _, g := range r.Asks {
		name := g.Group
		if name == "" {
			name = "id " + g.GroupID
		}
		groups = append(groups, "“"+name+"”")
	}
	word := map[string]string{"all": " and ", "any": " or "}[r.How]
	text := "whoever is in " + strings.Join(groups, word)
	if r.When != "" {
		text += " when " + r.When
	}
	return text + " is given " + strings.Join(r.Gives, " and ")
}
