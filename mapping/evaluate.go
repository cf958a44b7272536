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
// pure function; the order of the memberships does not count. Instants count to the
// millisecond, as they are stored.
//
// The first rule in file order that gives a primary wins; within a rule, the group
// joined first. An associate is primary only if nothing that may sign in is.
func Evaluate(p *Policy, f Facts, now time.Time) Decision {
	e := p.evaluation(f, now, true)
	if !f.Active {
		for _, r := range e.rules.rules {
			e.says = append(e.says, say{Reason: r.reason(NotActive, r.asksFor(), "the person is not active")})
		}
	} else {
		e.consider()
	}
	d, primary := e.conclude()
	for _, s := range e.says {
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
	e := p.evaluation(f, now, false)
	e.consider()
	d, _ := e.conclude()
	return d
}

// evaluation is one decision being made.
type evaluation struct {
	*Policy
	rules    *ruleset
	ceiling  access.Ceiling
	facts    Facts
	now      time.Time // in whole milliseconds
	tell     bool      // reasons are wanted
	groups   []group
	says     []say
	turn     time.Time // when a condition may say something else
	failed   int
	verdicts map[*condition]*verdict

	groupNames, foldedNames []string
}

func (p *Policy) evaluation(f Facts, now time.Time, tell bool) *evaluation {
	e := &evaluation{Policy: p, rules: p.rules[f.Connection], ceiling: p.connections[f.Connection].Ceiling, facts: f,
		now: now.Truncate(time.Millisecond), tell: tell, groups: prepare(f.Memberships)}
	if e.rules == nil {
		e.rules = newRuleset()
	}
	if tell {
		for i := range e.groups {
			e.groups[i].squashed = squash(e.groups[i].folded)
		}
	}
	return e
}

// consider lets every rule have its say, in file order: without reasons, those that ask
// for a group of the person's.
func (e *evaluation) consider() {
	hits := e.rules.hits(e.groups)
	for next := 0; next < len(e.rules.rules); next++ {
		if !e.tell {
			if len(hits) == 0 {
				return
			}
			next = hits[0].rule
		}
		n := 0
		for n < len(hits) && hits[n].rule == next {
			n++
		}
		e.weigh(e.rules.rules[next], hits[:n])
		hits = hits[n:]
	}
}

// conclude unites what the rules say: what is wanted, which of it is the person's
// own place, and when it ends.
func (e *evaluation) conclude() (d Decision, primary Pair) {
	primary = choosePrimary(e.says, e.now)
	d.Want = merge(e.says, primary, e.now)
	d.ValidUntil, d.Failed = e.turn, e.failed
	for _, w := range d.Want {
		for _, s := range w.Sources {
			d.ValidUntil = earlier(d.ValidUntil, s.Until)
			if s.NotBefore.After(e.now) {
				d.ValidUntil = earlier(d.ValidUntil, s.NotBefore)
			}
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

func (e *evaluation) say(r Reason) { e.says = append(e.says, say{Reason: r}) }

// weigh is the say of one rule about the groups that it asks for.
func (e *evaluation) weigh(r *rule, hits []hit) {
	wants := hits
	for i, h := range hits {
		if h.none {
			wants = hits[:i]
			break
		}
	}
	if !r.Expires.IsZero() && !e.now.Before(r.Expires) {
		e.expired(r, wants)
		return
	}
	if len(wants) == 0 {
		if e.tell {
			e.nothing(r)
		}
		return
	}
	for _, m := range e.matches(r, wants) {
		if by := e.excluded(r, m, hits[len(wants):]); by != nil {
			e.say(r.about(m.group, ExcludedByGroup, true, fmt.Sprintf("the person is also in %s, which the rule excludes", by.Name)))
		} else {
			e.give(r, m)
		}
	}
}

func (e *evaluation) expired(r *rule, wants []hit) {
	if !e.tell {
		return
	}
	because := "the rule ended at " + stamp(r.Expires)
	if len(wants) == 0 {
		e.say(r.reason(RuleExpired, r.asksFor(), because))
		return
	}
	e.say(r.about(*wants[0].group, RuleExpired, true, because))
}

// nothing is the say of a rule none of whose groups the person is in.
func (e *evaluation) nothing(r *rule) {
	for _, g := range e.groups {
		for _, a := range r.asks {
			if a.resembles(g) {
				e.say(r.about(g, NotInGroup, true, fmt.Sprintf("the rule asks for %s, which is almost this group", a.as())))
				return
			}
		}
	}
	e.say(r.reason(NotInGroup, r.asksFor(), "the person is in no such group"))
}

// give is the say of a rule about groups that it asks for and finds.
func (e *evaluation) give(r *rule, m match) {
	var looked []Looked
	if r.when != nil {
		v := e.judge(r.when)
		if r.Mode != Shadow {
			e.turn = earlier(e.turn, v.turn)
		}
		if e.tell {
			looked = e.looked(r.when, v)
		}
		if !v.holds {
			if e.tell {
				miss := r.about(m.group, v.code, true, e.because(r.when, v, looked))
				miss.Looked = looked
				e.say(miss)
			}
			return
		}
	}
	until := earlier(r.Until, r.Expires)
	if r.For > 0 {
		until = earlier(until, m.group.Since.Add(r.For))
	}
	if !until.IsZero() && (!e.now.Before(until) || !r.NotBefore.Before(until)) {
		because := fmt.Sprintf("the time since joining was over at %s", stamp(until))
		if until.Equal(r.Until) {
			because = "what the rule gives ended at " + stamp(until)
		}
		e.say(r.about(m.group, TimeOver, true, because))
		return
	}
	var given []yield
	var refused []say
	for _, it := range m.items {
		code, because := e.allows(it)
		if code != Matched {
			refused = append(refused, say{Reason: r.about(m.group, code, true, because)})
			continue
		}
		given = append(given, yield{it, r.source(it, m.group, e.facts, until)})
	}
	if len(given) > 0 {
		s := r.grants(m, given, e.now)
		s.Looked = looked
		e.says = append(e.says, s)
	}
	e.says = append(e.says, refused...)
}

// allows judges one item by the ceiling and the certification.
func (e *evaluation) allows(it item) (Code, string) {
	if !e.ceiling.Allows(e.tree, it.grant, it.scope) {
		return AboveCeiling, e.Describe(it.grant, it.scope) + " lies above the connection's ceiling"
	}
	if !it.grant.NeedsCertification() || e.facts.Certification.CertifiedAt(e.now) {
		return Matched, ""
	}
	what := e.Describe(it.grant, it.scope)
	switch c := e.facts.Certification; {
	case c.Level == "":
		return NotCertified, what + " needs a certification, and none that counts is recorded"
	case (access.Certification{Level: c.Level}).CertifiedAt(e.now):
		return CertificateLapsed, fmt.Sprintf("%s needs a certification in date; it lapsed at %s", what, stamp(c.Until))
	default:
		return NotCertified, fmt.Sprintf("%s needs a certification, and %q is not one that counts", what, c.Level)
	}
}

func (r *rule) source(it item, g group, f Facts, until time.Time) access.Source {
	if it.grant.NeedsCertification() {
		until = earlier(until, f.Certification.Until)
	}
	return access.Source{Kind: access.SourceRule, ID: r.ID, Group: g.Group, Standing: it.standing, Flags: r.Flags.Union(it.grant.Floor()), NotBefore: r.NotBefore, Until: until}
}

func (r *rule) grants(m match, given []yield, now time.Time) say {
	s := say{Reason: r.about(m.group, Matched, false, "the person is in the group"), yields: given}
	switch r.how {
	case howAll:
		s.Because = "the person is in all the groups, in this one since last"
	case howAny:
		s.Because = "the person is in one of the groups, in this one since first"
	}
	if r.NotBefore.After(now) {
		s.Because += "; it begins at " + stamp(r.NotBefore)
	}
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

// asksFor is what the rule asks for, as it is written.
func (r *rule) asksFor() string {
	switch r.how {
	case howAll:
		return "all of " + describe(r.asks)
	case howAny:
		return "any of " + describe(r.asks)
	}
	return describe(r.asks)
}

// choosePrimary is the place of the person's own: the first given as primary now that
// may sign in, else the first given as primary now. The zero Pair if there is none.
func choosePrimary(says []say, now time.Time) Pair {
	var contact Pair
	for _, s := range says {
		for _, y := range s.yields {
			if !s.Matched || y.standing != access.Primary || !y.source.ValidAt(now) {
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
func merge(says []say, primary Pair, now time.Time) []Wanted {
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
		a := unite(at, ss, now)
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
