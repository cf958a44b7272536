package bridge_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// This is what rules mean, written a second time and without regard to cost: by
// enumeration, on what the test itself has done to people and groups. It shares no code
// with mapping, and reads nothing that the bridge keeps but the tree.

// refPerson is somebody as the test has made them.
type refPerson struct {
	id, name   string
	active     bool
	department string // "": none
	level      string
	expires    time.Time // of the certification; an attribute as well
}

type refGroup struct {
	id, name, external string
	since              map[string]time.Time // of its members
}

// refAsk is a group that a rule asks for: a name, or what stands before and after what
// it captures, or an externalId.
type refAsk struct {
	name, before, after, external string
	captures                      bool
}

// refGive is a target: a scope, or what is captured directly below it.
type refGive struct {
	grant    access.Grant
	scope    access.ScopeID
	captures bool
	standing access.Standing
}

type refRule struct {
	id                        string
	how                       string // one, all, any
	asks, none                []refAsk
	gives                     []refGive
	when                      int // of refConditions
	flags                     access.Flags
	lasts                     time.Duration
	notBefore, until, expires time.Time
	shadow                    bool
	level                     access.Level // that is captured; 0: none
}

// refTree finds scopes by walking all of them.
type refTree map[access.ScopeID]access.Scope

func treeOf(scopes []access.Scope) refTree {
	t := refTree{}
	for _, s := range scopes {
		t[s.ID] = s
	}
	return t
}

func (t refTree) in(outer, inner access.ScopeID) bool {
	for at := inner; at != ""; at = t[at].Parent {
		if at == outer {
			return true
		}
	}
	return false
}

func (t refTree) live(id access.ScopeID) bool {
	_, there := t[id]
	for at := id; at != ""; at = t[at].Parent {
		there = there && t[at].Retired.IsZero()
	}
	return there
}

func (t refTree) path(id access.ScopeID) string {
	var steps []string
	for at := t[id]; at.Parent != ""; at = t[at.Parent] {
		steps = append([]string{at.Slug}, steps...)
	}
	if len(steps) == 0 {
		return "."
	}
	return strings.Join(steps, "/")
}

func (t refTree) below(id access.ScopeID) (ids []access.ScopeID) {
	for _, s := range t {
		if s.Parent == id {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// named are the live scopes directly below one that a text names: by slug, present or
// former; only if there is none, by name.
func (t refTree) named(under access.ScopeID, text string) []access.ScopeID {
	var bySlug, byName []access.ScopeID
	for _, id := range t.below(under) {
		if !t.live(id) {
			continue
		}
		s := t[id]
		if slices.ContainsFunc(append([]string{s.Slug}, s.Was...), func(slug string) bool { return alike(slug, text) }) {
			bySlug = append(bySlug, id)
		}
		if alike(s.Name, text) {
			byName = append(byName, id)
		}
	}
	if len(bySlug) > 0 {
		return bySlug
	}
	return byName
}

func alike(a, b string) bool { return strings.EqualFold(a, b) }

// answers reports whether a group is the one that is asked for, and what its name holds
// in the place of a capture.
func (a refAsk) answers(g *refGroup) (text string, is bool) {
	switch {
	case a.external != "":
		return "", g.external == a.external
	case !a.captures:
		return "", alike(a.name, g.name)
	}
	name := strings.ToLower(g.name)
	rest, begins := strings.CutPrefix(name, strings.ToLower(a.before))
	rest, ends := strings.CutSuffix(rest, strings.ToLower(a.after))
	return rest, begins && ends && rest != ""
}

// refConditions are the conditions that rules have here: as they are written, and what
// they say. known is false if they ask for an attribute that the person does not have.
var refConditions = []struct {
	cel  string
	says func(p *refPerson, groups []string, now time.Time) (holds, known bool)
}{
	{"", func(*refPerson, []string, time.Time) (bool, bool) { return true, true }},
	{"in_support", func(p *refPerson, _ []string, _ time.Time) (bool, bool) {
		return p.department == "Support", p.department != ""
	}},
	{"attr.passed > now", func(p *refPerson, _ []string, now time.Time) (bool, bool) {
		return p.expires.After(now), !p.expires.IsZero()
	}},
	{"now >= attr.passed || in_support", func(p *refPerson, _ []string, now time.Time) (bool, bool) {
		lapsed, support := !p.expires.IsZero() && !now.Before(p.expires), p.department == "Support"
		return lapsed || support, lapsed || support || !p.expires.IsZero() && p.department != ""
	}},
	{`!("Contractors" in user.groups)`, func(_ *refPerson, groups []string, _ time.Time) (bool, bool) {
		return !slices.Contains(groups, "Contractors"), true
	}},
	{`has(attr.department) && attr.department != "Sales"`, func(p *refPerson, _ []string, _ time.Time) (bool, bool) {
		return p.department != "" && p.department != "Sales", true
	}},
}

// secondReading decides one person.
type secondReading struct {
	tree    refTree
	ceiling access.Ceiling
	rules   []refRule
	groups  []*refGroup
	now     time.Time
}

// refMatch is one way in which a person is in what a rule asks for.
type refMatch struct {
	group *refGroup // that counts
	since time.Time
	texts []string
	gives []access.ScopeID
}

// target is where the rule's gives lead for these captured texts; nil if one of them
// does not name exactly one scope, or they do not name the same.
func (r *secondReading) target(rule refRule, texts []string) []access.ScopeID {
	var ends []access.ScopeID
	for _, g := range rule.gives {
		if !g.captures {
			if !r.tree.live(g.scope) {
				return nil
			}
			ends = append(ends, g.scope)
			continue
		}
		var end access.ScopeID
		for _, text := range texts {
			named := r.tree.named(g.scope, text)
			if len(named) != 1 || end != "" && end != named[0] {
				return nil
			}
			end = named[0]
		}
		ends = append(ends, end)
	}
	return ends
}

// mine are the person's groups, in the order in which they were joined.
func (r *secondReading) mine(p *refPerson) (mine []*refGroup) {
	for _, g := range r.groups {
		if _, in := g.since[p.id]; in {
			mine = append(mine, g)
		}
	}
	slices.SortFunc(mine, func(a, b *refGroup) int { return a.since[p.id].Compare(b.since[p.id]) })
	return mine
}

func (r *secondReading) shared(a refAsk) bool {
	n := 0
	for _, g := range r.groups {
		if a.external != "" && g.external == a.external {
			n++
		}
	}
	return n > 1
}

func (r *secondReading) matches(rule refRule, p *refPerson) []refMatch {
	if rule.how == "all" {
		return r.combined(rule, p)
	}
	var all []refMatch
	for _, g := range r.mine(p) {
		for _, a := range rule.asks {
			text, is := a.answers(g)
			if !is || r.shared(a) {
				continue
			}
			m := refMatch{group: g, since: g.since[p.id]}
			if a.captures {
				m.texts = []string{text}
			}
			if m.gives = r.target(rule, m.texts); m.gives == nil {
				continue
			}
			if rule.how == "one" || !slices.ContainsFunc(all, func(o refMatch) bool { return slices.Equal(o.gives, m.gives) }) {
				all = append(all, m)
			}
		}
	}
	return all
}

// combined tries every group for everything that is asked for.
func (r *secondReading) combined(rule refRule, p *refPerson) []refMatch {
	for _, a := range rule.asks {
		for _, g := range r.mine(p) {
			if _, is := a.answers(g); is && r.shared(a) {
				return nil
			}
		}
	}
	ways := []refMatch{{}}
	for _, a := range rule.asks {
		var next []refMatch
		for _, w := range ways {
			for _, g := range r.mine(p) {
				text, is := a.answers(g)
				if !is {
					continue
				}
				m := refMatch{group: w.group, since: w.since, texts: slices.Clone(w.texts)}
				if a.captures {
					m.texts = append(m.texts, text)
				}
				if m.group == nil || g.since[p.id].After(m.since) {
					m.group, m.since = g, g.since[p.id]
				}
				next = append(next, m)
			}
		}
		ways = next
	}
	slices.SortStableFunc(ways, func(a, b refMatch) int { return a.since.Compare(b.since) })
	var all []refMatch
	for _, m := range ways {
		m.gives = r.target(rule, m.texts)
		if m.gives != nil && !slices.ContainsFunc(all, func(o refMatch) bool { return slices.Equal(o.gives, m.gives) }) {
			all = append(all, m)
		}
	}
	return all
}

func (r *secondReading) excluded(rule refRule, m refMatch, p *refPerson) bool {
	for _, n := range rule.none {
		for _, g := range r.mine(p) {
			text, is := n.answers(g)
			if is && (!n.captures || r.target(rule, append(slices.Clone(m.texts), text)) != nil) {
				return true
			}
		}
	}
	return false
}

// first is the earlier of two ends; zero is none.
func firstEnd(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// decide is what the person is to hold.
func (r *secondReading) decide(p *refPerson) []access.Assignment {
	type given struct {
		at     mapping.Pair
		source access.Source
	}
	var all []given
	for _, rule := range r.rules {
		if !p.active || rule.shadow || !rule.expires.IsZero() && !r.now.Before(rule.expires) {
			continue
		}
		for _, m := range r.matches(rule, p) {
			var names []string
			for _, g := range r.mine(p) {
				names = append(names, g.name)
			}
			holds, known := refConditions[rule.when].says(p, names, r.now)
			until := firstEnd(rule.until, rule.expires)
			if rule.lasts > 0 {
				until = firstEnd(until, m.since.Add(rule.lasts))
			}
			over := !until.IsZero() && (!r.now.Before(until) || !rule.notBefore.Before(until))
			if r.excluded(rule, m, p) || !known || !holds || over {
				continue
			}
			for i, g := range rule.gives {
				s := access.Source{Kind: access.SourceRule, ID: rule.id, Group: access.GroupID(m.group.id), Standing: g.standing, Flags: rule.flags, NotBefore: rule.notBefore, Until: until}
				switch g.grant {
				case access.Technician:
					if p.level != "Trainer" || !p.expires.IsZero() && !r.now.Before(p.expires) {
						continue
					}
					s.Until = firstEnd(s.Until, p.expires)
				case access.Elevated, access.Administrator:
					s.Flags.Events = access.EventsRestricted
				}
				all = append(all, given{mapping.Pair{Grant: g.grant, Scope: m.gives[i]}, s})
			}
		}
	}
	var primary mapping.Pair
	for _, contact := range []bool{false, true} {
		for _, g := range all {
			may := g.at.Grant != access.Associate
			if primary == (mapping.Pair{}) && may != contact && g.source.Standing == access.Primary && refValid(g.source, r.now) {
				primary = g.at
			}
		}
	}
	sources := map[mapping.Pair]map[string]access.Source{}
	for _, g := range all {
		if sources[g.at] == nil {
			sources[g.at] = map[string]access.Source{}
		}
		key := g.source.ID + " " + string(g.source.Group)
		if had, twice := sources[g.at][key]; twice && had.Standing == access.Primary {
			continue
		}
		sources[g.at][key] = g.source
	}
	var held []access.Assignment
	for at, by := range sources {
		held = append(held, r.unite(at, at == primary, slices.Collect(maps.Values(by))))
	}
	return held
}

func refValid(s access.Source, now time.Time) bool {
	return !now.Before(s.NotBefore) && (s.Until.IsZero() || now.Before(s.Until))
}

func (r *secondReading) unite(at mapping.Pair, primary bool, sources []access.Source) access.Assignment {
	slices.SortFunc(sources, func(a, b access.Source) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Group, b.Group)) })
	a := access.Assignment{Grant: at.Grant, Scope: at.Scope, Standing: access.Guest, Sources: sources}
	if primary {
		a.Standing = access.Primary
	}
	count := slices.DeleteFunc(slices.Clone(sources), func(s access.Source) bool { return !refValid(s, r.now) })
	if len(count) == 0 {
		count = sources
	}
	endless := false
	for i, s := range count {
		if i == 0 || s.NotBefore.Before(a.NotBefore) {
			a.NotBefore = s.NotBefore
		}
		endless = endless || s.Until.IsZero()
		if s.Until.After(a.Until) {
			a.Until = s.Until
		}
		a.Flags.Video = a.Flags.Video || s.Flags.Video
		if order := []access.EventFlag{access.EventsNone, access.EventsStandard, access.EventsRestricted}; slices.Index(order, s.Flags.Events) > slices.Index(order, a.Flags.Events) {
			a.Flags.Events = s.Flags.Events
		}
	}
	if endless {
		a.Until = time.Time{}
	}
	return a
}

// under says whether a policy may have the rule: yes, no, or only if scopes that are
// retired are no outcomes, which is left to the bridge.
func (r *secondReading) under(rule refRule) (may, mustNot bool) {
	may = true
	for _, g := range rule.gives {
		outcomes := []access.ScopeID{g.scope}
		if g.captures {
			outcomes = r.tree.below(g.scope)
		}
		if !r.tree.live(g.scope) || !slices.Contains(r.ceiling.Grants, g.grant) {
			return false, true
		}
		for _, at := range outcomes {
			if !r.tree.in(r.ceiling.Scope, at) {
				may = false
				mustNot = mustNot || r.tree.live(at)
			}
		}
	}
	return may, mustNot
}
