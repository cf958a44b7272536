package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Evaluate decides what one person should hold at that instant, and why. It is a
// pure function; the order of the memberships does not count.
//
// The first rule in file order that gives a primary wins; within a rule, the group
// joined first. An associate is primary only if nothing that may sign in is.
func Evaluate(p *Policy, f Facts, now time.Time) Decision {
	var says []say
	groups := prepare(f.Memberships)
	for i := range groups {
		groups[i].squashed = squash(groups[i].folded)
	}
	for _, r := range p.rules[f.Connection] {
		if !f.Active {
			says = append(says, say{Reason: r.reason(NotActive, r.asks(), "the person is not active")})
			continue
		}
		says = append(says, p.consider(r, groups, f, now)...)
	}
	d, primary := conclude(says)
	for _, s := range says {
		d.Reasons = append(d.Reasons, p.told(s, primary))
	}
	return d
}

// Decide is Evaluate without the reasons, for whoever acts on the decision and can
// have it explained at any time: the same is wanted, until the same instant.
func Decide(p *Policy, f Facts, now time.Time) Decision {
	if !f.Active {
		return Decision{}
	}
	feeds := p.feeds[f.Connection]
	groups := slices.DeleteFunc(prepare(f.Memberships), func(g group) bool { return !feeds.names[g.folded] && !feeds.ids[g.ExternalID] })
	if len(groups) == 0 {
		return Decision{}
	}
	var says []say
	for _, r := range p.rules[f.Connection] {
		for _, g := range groups {
			if o, known := r.outcomes[r.key(g)]; known {
				says = append(says, p.weigh(r, g, o, f, now)...)
			}
		}
	}
	d, _ := conclude(says)
	return d
}

// conclude unites what the rules say: what is wanted, which of it is the person's
// own place, and when it ends.
func conclude(says []say) (d Decision, primary Pair) {
	primary = choosePrimary(says)
	d.Want = merge(says, primary)
	for _, w := range d.Want {
		for _, s := range w.Sources {
			d.ValidUntil = earlier(d.ValidUntil, s.Until)
		}
	}
	return d, primary
}

// group is a membership with its name ready for comparing.
type group struct {
	Membership
	folded   string
	squashed string // for near misses; only where there are reasons
}

// prepare orders memberships by when they began, then by name and id.
func prepare(ms []Membership) []group {
	groups := make([]group, len(ms))
	for i, m := range ms {
		groups[i] = group{Membership: m, folded: schema.Fold(m.Name)}
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.folded, b.folded), cmp.Compare(a.Group, b.Group))
	})
	return groups
}

// yield is one item that a rule gives because of one group.
type yield struct {
	item
	source access.Source
}

// say is a reason and what comes with it.
type say struct {
	Reason
	yields []yield
}

// consider is the say of one rule about every group that concerns it.
func (p *Policy) consider(r *rule, groups []group, f Facts, now time.Time) []say {
	var says []say
	for _, g := range groups {
		o, known := r.outcomes[r.key(g)]
		switch {
		case known:
			says = append(says, p.weigh(r, g, o, f, now)...)
		case r.pattern.fits(g.folded) && len(r.pattern.captures()) > 0:
			says = append(says, say{Reason: r.about(g, ScopeUnknown, true, "what the group's name captures names no scope there")})
		}
	}
	if len(says) > 0 {
		return says
	}
	for _, g := range groups {
		if r.resembles(g) {
			return []say{{Reason: r.about(g, NotInGroup, true, fmt.Sprintf("the rule asks for %s, which is almost this group", r.asks()))}}
		}
	}
	return []say{{Reason: r.reason(NotInGroup, r.asks(), "the person is in no such group")}}
}

// key is what the rule knows a group by: its folded name or its externalId.
func (r *rule) key(g group) string {
	if r.pattern == nil {
		return g.ExternalID
	}
	return g.folded
}

// resembles reports whether the group's name differs from what the rule asks for
// in spaces and punctuation only, or its externalId in case only.
func (r *rule) resembles(g group) bool {
	if r.pattern == nil {
		return g.ExternalID != "" && schema.Fold(g.ExternalID) == schema.Fold(r.GroupID)
	}
	return len(r.loose) > 0 && r.loose[0].literal != "" && r.loose.fits(g.squashed)
}

// weigh is the say of a rule about a group it asks for.
func (p *Policy) weigh(r *rule, g group, o outcome, f Facts, now time.Time) []say {
	if r.pattern == nil && g.Shared {
		return []say{{Reason: r.about(g, AmbiguousGroup, true, "another live group has the same externalId")}}
	}
	if o.several {
		return []say{{Reason: r.about(g, ScopeUnknown, true, "what the group's name captures names several scopes")}}
	}
	var until time.Time
	if r.For > 0 {
		until = g.Since.Add(r.For)
		if !now.Before(until) {
			return []say{{Reason: r.about(g, TimeOver, true, fmt.Sprintf("the time since joining was over at %s", stamp(until)))}}
		}
	}
	var given []yield
	var refused []say
	for _, it := range o.items {
		code, because := p.allows(r, it, f, now)
		if code != Matched {
			refused = append(refused, say{Reason: r.about(g, code, true, because)})
			continue
		}
		given = append(given, yield{it, r.source(it, g, f, until)})
	}
	if len(given) == 0 {
		return refused
	}
	return append([]say{r.grants(g, given)}, refused...)
}

// allows judges one item by the ceiling and the certification.
func (p *Policy) allows(r *rule, it item, f Facts, now time.Time) (Code, string) {
	if !p.connections[r.From].Ceiling.Allows(p.tree, it.grant, it.scope) {
		return AboveCeiling, p.Describe(it.grant, it.scope) + " lies above the connection's ceiling"
	}
	if !it.grant.NeedsCertification() || f.Certification.CertifiedAt(now) {
		return Matched, ""
	}
	what := p.Describe(it.grant, it.scope)
	switch c := f.Certification; {
	case c.Level == "":
		return NotCertified, what + " needs a certification, and none that counts is recorded"
	case (access.Certification{Level: c.Level}).CertifiedAt(now):
		return CertificateLapsed, fmt.Sprintf("%s needs a certification in date; it lapsed at %s", what, stamp(c.Until))
	default:
		return NotCertified, fmt.Sprintf("%s needs a certification, and %q is not one that counts", what, c.Level)
	}
}

func (r *rule) source(it item, g group, f Facts, until time.Time) access.Source {
	if it.grant.NeedsCertification() {
		until = earlier(until, f.Certification.Until)
	}
	return access.Source{Kind: access.SourceRule, ID: r.ID, Group: g.Group, Standing: it.standing, Flags: r.Flags.Union(it.grant.Floor()), Until: until}
}

func (r *rule) grants(g group, given []yield) say {
	s := say{Reason: r.about(g, Matched, false, "the person is in the group"), yields: given}
	s.Matched = true
	if r.Mode == Shadow {
		s.Matched, s.Near, s.Code, s.Because = false, true, ShadowOnly, "the rule only counts: it would give this, and gives nothing"
	}
	return s
}

func (r *rule) reason(code Code, asked, because string) Reason {
	return Reason{Rule: r.ID, Pos: r.Pos, Code: code, Group: asked, Because: because}
}

func (r *rule) about(g group, code Code, near bool, because string) Reason {
	return Reason{Rule: r.ID, Pos: r.Pos, Code: code, Group: g.Name, GroupID: g.Group, Near: near, Because: because}
}

// asks is what the rule asks for, as it is written.
func (r *rule) asks() string {
	if r.pattern == nil {
		return "group_id " + r.GroupID
	}
	return r.Group
}

// choosePrimary is the place of the person's own: the first given as primary that
// may sign in, else the first given as primary. The zero Pair if there is none.
func choosePrimary(says []say) Pair {
	var contact Pair
	for _, s := range says {
		for _, y := range s.yields {
			if !s.Matched || y.standing != access.Primary {
				continue
			}
			if y.grant.MaySignIn() {
				return Pair{y.grant, y.scope}
			}
			if contact == (Pair{}) {
				contact = Pair{y.grant, y.scope}
			}
		}
	}
	return contact
}

// merge unites what was given for the same grant at the same scope.
func merge(says []say, primary Pair) []Wanted {
	sources := map[Pair][]access.Source{}
	for _, s := range says {
		for _, y := range s.yields {
			if at := (Pair{y.grant, y.scope}); s.Matched {
				sources[at] = addSource(sources[at], y.source)
			}
		}
	}
	var want []Wanted
	for at, ss := range sources {
		a := unite(at, ss, time.Time{})
		w := Wanted{Grant: at.Grant, Scope: at.Scope, Flags: a.Flags, Standing: access.Guest, Until: a.Until, Sources: a.Sources}
		if at == primary {
			w.Standing = access.Primary
		}
		want = append(want, w)
	}
	slices.SortFunc(want, func(a, b Wanted) int { return access.CompareAssignments(a.assignment(), b.assignment()) })
	return want
}

func (w Wanted) assignment() access.Assignment {
	return access.Assignment{Grant: w.Grant, Scope: w.Scope, Flags: w.Flags, Standing: w.Standing, Until: w.Until, Sources: w.Sources}
}

// told finishes a reason: what it gives, in the standing it came to have.
func (p *Policy) told(s say, primary Pair) Reason {
	for _, y := range s.yields {
		text := p.Describe(y.grant, y.scope)
		own := Pair{y.grant, y.scope} == primary || (!s.Matched && y.standing == access.Primary)
		if !own {
			text += " (guest)"
		}
		if !slices.Contains(s.Gives, text) {
			s.Gives = append(s.Gives, text)
		}
	}
	return s.Reason
}

// earlier is the first of two ends; the zero time is no end.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// later is the last of two ends; the zero time is no end, later than all.
func later(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if b.After(a) {
		return b
	}
	return a
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
