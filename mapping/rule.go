package mapping

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

// check gathers the faults of one rule.
type check struct {
	rule   RuleSource
	faults Faults
	broken bool // a condition that it uses is wrong, which is told where that stands
}

// sayInside is say for something inside a value's text.
func (c *check) sayInside(field string, w misfit) {
	c.say(field, hinted{w.message, w.hint})
	f := &c.faults[len(c.faults)-1]
	f.Inside, f.Offset = w.inside.known(), w.inside.offset(c.rule.When)
}

func (c *check) say(field string, err error) {
	pos, ok := c.rule.FieldPos[field]
	if !ok {
		pos = c.rule.Pos
	}
	f := Fault{Pos: pos, Rule: c.rule.ID, Message: err.Error(), left: isLeft(err)}
	var h hinted
	if errors.As(err, &h) {
		f.Suggestion = h.suggestion
	}
	c.faults = append(c.faults, f)
}

// compileRule checks one rule against the tree and its connection's ceiling. The
// ids seen so far are in seen.
func (p *Policy) compileRule(src RuleSource, seen map[string]bool) (*rule, Faults) {
	c := &check{rule: src}
	c.words(seen)
	c.times()
	conn, known := p.connections[src.From]
	if !known {
		c.say("from", hinted{fmt.Sprintf("there is no connection %q", src.From), suggest.Closest(string(src.From), p.connectionIDs())})
	}
	r := &rule{RuleSource: src}
	c.groups(r)
	r.targets = c.targets()
	r.captures = c.captures(r)
	for i, t := range r.targets {
		written, open := t.written()
		ends, err := written.reach(p.tree)
		if err != nil {
			c.say(t.field, err)
		} else if known && t.grant.Known() {
			p.underCeiling(c, conn, t, ends, open)
		}
		r.targets[i].begin(p.tree)
	}
	switch {
	case src.When == "":
	case known:
		r.when = p.conditions.of(c, conn)
	default:
		p.conditions.anywhere(c)
	}
	if len(c.faults) > 0 || c.broken {
		return nil, c.faults
	}
	if r.captures == 0 {
		w := &walk{places: p.places, targets: r.targets}
		w.target(0)
		r.fixed = w.out
	}
	return r, nil
}

func (p *Policy) connectionIDs() []string {
	var ids []string
	for _, c := range p.source.Connections {
		ids = append(ids, string(c.ID))
	}
	return ids
}

// words checks what needs neither tree nor connection.
func (c *check) words(seen map[string]bool) {
	r := c.rule
	switch {
	case r.ID == "":
		c.say("id", errors.New("a rule needs an id"))
	case seen[r.ID]:
		c.say("id", errors.New("another rule has this id"))
	}
	seen[r.ID] = true
	if !slices.Contains([]Mode{"", Enforce, Shadow}, r.Mode) {
		c.say("mode", hinted{fmt.Sprintf("mode is enforce or shadow, not %q", r.Mode), suggest.Closest(string(r.Mode), []string{string(Enforce), string(Shadow)})})
	}
	if r.For < 0 {
		c.say("for", errors.New("for cannot be negative"))
	}
	if e := r.Flags.Events; !slices.Contains([]access.EventFlag{access.EventsNone, access.EventsStandard, access.EventsRestricted}, e) {
		c.say("flags", fmt.Errorf("events is none, standard or restricted, not %q", e))
	}
}

// times checks the instants. All are whole milliseconds, as those that are stored.
func (c *check) times() {
	r := c.rule
	for _, x := range []struct {
		field string
		at    time.Time
	}{{"not_before", r.NotBefore}, {"until", r.Until}, {"expires", r.Expires}} {
		if !x.at.Equal(x.at.Truncate(time.Millisecond)) {
			c.say(x.field, fmt.Errorf("an instant is given to the millisecond at most"))
		}
		if x.field != "not_before" && !x.at.IsZero() && !r.NotBefore.Before(x.at) {
			c.say(x.field, fmt.Errorf("%s is not after not_before: the rule would never give anything", x.field))
		}
	}
}

// maxAsked bounds how many groups one list of a rule asks for.
const maxAsked = 20

// groups reads what the rule asks for.
func (c *check) groups(r *rule) {
	src := c.rule
	lists := 0
	for _, is := range []bool{src.Group != "" || src.GroupID != "", len(src.All) > 0, len(src.Any) > 0} {
		if is {
			lists++
		}
	}
	switch {
	case lists == 0 && len(src.None) > 0:
		c.say("none", errors.New("none alone would mean everybody else; a rule also needs group, group_id, all or any"))
	case lists == 0:
		c.say("group", errors.New("a rule needs group, group_id, all or any"))
	case lists > 1:
		c.say("group", errors.New("a rule asks by one of group, group_id, all and any"))
	case src.Group != "" && src.GroupID != "":
		c.say("group_id", errors.New("a rule has either group or group_id, not both"))
	case len(src.All) > 0:
		r.how, r.asks = howAll, c.list("all", src.All)
	case len(src.Any) > 0:
		r.how, r.asks = howAny, c.list("any", src.Any)
	default:
		field := "group"
		if src.GroupID != "" {
			field = "group_id"
		}
		r.asks = []asked{c.asked(field, field, GroupRef{src.Group, src.GroupID})}
	}
	r.none = c.list("none", src.None)
	for _, n := range r.none {
		for _, a := range r.asks {
			if n.GroupRef == a.GroupRef && r.how != howAny {
				c.say(n.field, errors.New("the rule asks for this group and for not being in it: nobody could match"))
			}
		}
	}
}

// EntryField is the key of FieldPos for one entry of all, any, none or guest.
func EntryField(list string, i int) string { return fmt.Sprintf("%s.%d", list, i) }

func (c *check) list(name string, refs []GroupRef) []asked {
	if len(refs) > maxAsked {
		c.say(name, fmt.Errorf("%s has more than %d groups", name, maxAsked))
		return nil
	}
	all := make([]asked, len(refs))
	for i, ref := range refs {
		field := EntryField(name, i)
		at := field
		if _, placed := c.rule.FieldPos[field]; !placed {
			at = name
		}
		switch {
		case ref.Group != "" && ref.GroupID != "":
			c.say(at, errors.New("an entry is a name or a group_id, not both"))
		case ref == GroupRef{}:
			c.say(at, errors.New("an entry is the name of a group, or a group_id"))
		default:
			all[i] = c.asked(field, at, ref)
		}
	}
	return all
}

// asked reads one group; at is where it is written.
func (c *check) asked(field, at string, ref GroupRef) asked {
	a := asked{GroupRef: ref, field: at}
	if len(ref.Group) > maxName || len(ref.GroupID) > maxName {
		c.say(at, fmt.Errorf("a group's name or id has at most %d bytes", maxName))
		return a
	}
	if ref.GroupID == "" {
		var err error
		if a.pattern, err = parsePattern(ref.Group); err != nil {
			c.say(at, err)
		}
		a.loose = a.pattern.squashed()
	}
	return a
}

// maxName bounds what a rule may ask a group by.
const maxName = 512

// targets reads give and guest; what does not parse is reported and left out.
func (c *check) targets() []target {
	var targets []target
	read := func(field, text string, s access.Standing) {
		t, unknown, err := parseTarget(text)
		if unknown != nil {
			c.say(field, unknown)
		}
		if err != nil {
			c.say(field, err)
			return
		}
		t.field, t.standing = field, s
		targets = append(targets, t)
	}
	if c.rule.Give != "" {
		read("give", c.rule.Give, access.Primary)
	} else if len(c.rule.Guest) == 0 {
		c.say("give", errors.New("a rule needs give or guest"))
	}
	if len(c.rule.Guest) > maxGuests {
		c.say("guest", fmt.Errorf("guest has more than %d entries", maxGuests))
		return targets
	}
	for i, g := range c.rule.Guest {
		read(GuestField(i), g, access.Guest)
	}
	return targets
}

// maxGuests bounds what one rule gives.
const maxGuests = 100

// GuestField is the key of FieldPos for one entry of guest.
func GuestField(i int) string { return EntryField("guest", i) }

// captures checks that what is captured is used, and what is used is captured: by the
// group, by one of all, by each of any. It returns how many levels are.
func (c *check) captures(r *rule) int {
	wrong := len(c.faults) > 0
	used, captured := map[access.Level]bool{}, map[access.Level]bool{}
	for _, a := range r.asks {
		for _, l := range a.pattern.captures() {
			captured[l] = true
		}
	}
	for _, t := range r.targets {
		for _, l := range t.captures() {
			if used[l] = true; !captured[l] {
				c.say(t.field, fmt.Errorf("{%s} is not captured by group", l))
			}
		}
	}
	if wrong || len(c.faults) > 0 {
		return len(captured)
	}
	for _, a := range r.asks {
		has := a.pattern.captures()
		for _, l := range has {
			if !used[l] {
				c.say(a.field, fmt.Errorf("{%s} is captured but neither give nor guest says under which scope it lies", l))
			}
		}
		for _, l := range levels(used) {
			if r.how == howAny && !slices.Contains(has, l) {
				c.say(a.field, fmt.Errorf("{%s} is not captured here: whichever group of any the person is in, what the rule gives must be known", l))
			}
		}
	}
	for _, n := range r.none {
		for _, l := range n.pattern.captures() {
			if !captured[l] {
				c.say(n.field, fmt.Errorf("{%s} is captured by none of the groups that the rule asks for; none can only compare what they capture", l))
			}
		}
	}
	return len(captured)
}

// levels lists them from the outermost.
func levels(set map[access.Level]bool) []access.Level { return slices.Sorted(maps.Keys(set)) }

// underCeiling proves that nothing the target could ever give is above the ceiling: it
// looks down from where the written part of its path ends, until the ceiling covers what
// lies there.
func (p *Policy) underCeiling(c *check, conn access.Connection, t target, ends []access.ScopeID, open int) {
	if !slices.Contains(conn.Ceiling.Grants, t.grant) {
		c.say(t.field, fmt.Errorf("the ceiling of %s does not allow %s", conn.ID, t.grant))
		return
	}
	for _, end := range ends {
		if above, found := p.above(conn.Ceiling.Scope, end, open); found {
			err := fmt.Errorf("%s lies above the ceiling of %s, which ends at %s", p.Describe(t.grant, above), conn.ID, p.tree.Path(conn.Ceiling.Scope))
			if t.moved(p.tree, end) {
				err = left{err}
			}
			c.say(t.field, err)
			return
		}
	}
}

// above finds the first scope so many levels below at that the ceiling does not cover.
func (p *Policy) above(ceiling, at access.ScopeID, open int) (access.ScopeID, bool) {
	if p.tree.Covers(ceiling, at) {
		return "", false
	}
	if open == 0 {
		return at, true
	}
	for _, child := range p.tree.Children(at) {
		if scope, found := p.above(ceiling, child.ID, open-1); found {
			return scope, true
		}
	}
	return "", false
}
