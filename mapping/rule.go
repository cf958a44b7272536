package mapping

import (
	"errors"
	"fmt"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

// check gathers the faults of one rule.
type check struct {
	rule   RuleSource
	faults Faults
}

func (c *check) say(field string, err error) {
	pos, ok := c.rule.FieldPos[field]
	if !ok {
		pos = c.rule.Pos
	}
	f := Fault{Pos: pos, Rule: c.rule.ID, Message: err.Error()}
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
	conn, known := p.connections[src.From]
	if !known {
		c.say("from", hinted{fmt.Sprintf("there is no connection %q", src.From), suggest.Closest(string(src.From), p.connectionIDs())})
	}
	r := &rule{RuleSource: src}
	r.pattern = c.group()
	r.loose = r.pattern.squashed()
	targets, standings := c.targets()
	c.captures(r.pattern, targets)
	for _, t := range targets {
		if scopes, ok := p.reaches(c, t); ok && known && t.grant.Known() {
			p.underCeiling(c, conn, t, scopes)
		}
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	outcomes, err := outcomesOf(p.tree, r.pattern, targets, standings)
	if err != nil {
		c.say("group", err)
		return nil, c.faults
	}
	if r.pattern == nil {
		outcomes = map[string]outcome{src.GroupID: outcomes[""]}
	}
	r.outcomes = outcomes
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

func (c *check) group() pattern {
	r := c.rule
	switch {
	case r.Group == "" && r.GroupID == "":
		c.say("group", errors.New("a rule needs group or group_id"))
	case r.Group != "" && r.GroupID != "":
		c.say("group_id", errors.New("a rule has either group or group_id, not both"))
	case r.Group != "":
		p, err := parsePattern(r.Group)
		if err != nil {
			c.say("group", err)
		}
		return p
	}
	return nil
}

// targets reads give and guest; what does not parse is reported and left out.
func (c *check) targets() ([]target, []access.Standing) {
	var targets []target
	var standings []access.Standing
	read := func(field, text string, s access.Standing) {
		t, unknown, err := parseTarget(text)
		if unknown != nil {
			c.say(field, unknown)
		}
		if err != nil {
			c.say(field, err)
			return
		}
		t.field = field
		targets, standings = append(targets, t), append(standings, s)
	}
	if c.rule.Give != "" {
		read("give", c.rule.Give, access.Primary)
	} else if len(c.rule.Guest) == 0 {
		c.say("give", errors.New("a rule needs give or guest"))
	}
	for i, g := range c.rule.Guest {
		read(GuestField(i), g, access.Guest)
	}
	return targets, standings
}

// GuestField is the key of FieldPos for one entry of guest.
func GuestField(i int) string { return EntryField("guest", i) }

// EntryField is the key of FieldPos for one entry of a list: "all.0", "none.1".
func EntryField(list string, i int) string { return fmt.Sprintf("%s.%d", list, i) }

// captures checks that what is captured is used, and what is used is captured.
func (c *check) captures(p pattern, targets []target) {
	captured := p.captures()
	used := map[access.Level]bool{}
	for _, t := range targets {
		for _, l := range t.captures() {
			used[l] = true
			if !slices.Contains(captured, l) {
				c.say(t.field, fmt.Errorf("{%s} is not captured by group", l))
			}
		}
	}
	for _, l := range captured {
		if !used[l] && len(c.faults) == 0 {
			c.say("group", fmt.Errorf("{%s} is captured but neither give nor guest says under which scope it lies", l))
		}
	}
}

// reaches lists every scope that a target could ever name.
func (p *Policy) reaches(c *check, t target) ([]access.ScopeID, bool) {
	scopes, err := t.reach(p.tree)
	if err != nil {
		c.say(t.field, err)
	}
	return scopes, err == nil
}

// underCeiling proves that nothing the target could ever give is above the ceiling.
func (p *Policy) underCeiling(c *check, conn access.Connection, t target, scopes []access.ScopeID) {
	if !slices.Contains(conn.Ceiling.Grants, t.grant) {
		c.say(t.field, fmt.Errorf("the ceiling of %s does not allow %s", conn.ID, t.grant))
		return
	}
	for _, s := range scopes {
		if !conn.Ceiling.Allows(p.tree, t.grant, s) {
			c.say(t.field, fmt.Errorf("%s lies above the ceiling of %s, which ends at %s", p.Describe(t.grant, s), conn.ID, p.tree.Path(conn.Ceiling.Scope)))
			return
		}
	}
}
