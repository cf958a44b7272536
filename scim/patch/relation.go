package patch

import (
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// relation compiles a change of members to a delta of rows.
func (c *compiler) relation(t target) error {
	later, given := t.value.(schema.Deferred)
	null := string(later) == "null"
	switch {
	case t.Sub != nil || t.Filter != nil && c.op.verb != remove:
		return schema.Errorf(schema.NotMutable, t.Attr.Path(), "a member is added or removed as a whole")
	case t.Filter != nil:
		return c.removeSelected(t)
	case c.op.verb == remove && (!given || null):
		c.plan.Members = append(c.plan.Members, MemberEdit{Kind: RemoveAllMembers, Index: c.op.index})
		return nil
	case null && !t.named:
		// A null among other attributes says nothing of members; emptying a group
		// takes [] or a path.
		return nil
	case !given:
		return schema.Errorf(schema.InvalidValue, t.Attr.Path(), "an array of members is expected")
	}
	if c.op.verb == remove {
		if err := c.byValue(t.Attr); err != nil {
			return err
		}
	}
	ids, err := c.MemberIDs(t.Attr, later)
	if err != nil {
		return err
	}
	return c.memberEdit(c.op.verb.ofMembers(), ids)
}

func (v verb) ofMembers() MemberKind {
	switch v {
	case add:
		return AddMembers
	case replace:
		return ReplaceMembers
	default:
		return RemoveMembers
	}
}

// memberEdit adds a delta. To add or remove nobody is nothing: "remove" with an
// empty array must not empty the group.
func (c *compiler) memberEdit(kind MemberKind, ids []string) error {
	if len(ids) == 0 && kind != ReplaceMembers {
		return nil
	}
	if c.members += len(ids); c.members > schema.MaxMembers {
		return schema.Errorf(schema.TooMany, "members", "more than %d members; send them in several requests", schema.MaxMembers)
	}
	c.plan.Members = append(c.plan.Members, MemberEdit{Kind: kind, IDs: ids, Index: c.op.index})
	c.sayMembers(len(ids))
	return nil
}

func (c *compiler) removeSelected(t target) error {
	ids, ok := selected(t.Filter)
	if !ok {
		return schema.Errorf(schema.InvalidPath, schema.Clip(t.Raw), `members are selected by value: members[value eq "…"]`)
	}
	return c.memberEdit(RemoveMembers, ids)
}

// selected reads the ids out of value eq "a", and several of them joined by or. That
// a member is a user says nothing, since all are.
func selected(e filter.Expr) ([]string, bool) {
	switch e := e.(type) {
	case *filter.Compare:
		return []string{e.Value.Text}, e.Attr.Name == "value" && e.Op == filter.Equal && !e.Value.Null
	case *filter.And:
		if len(e.Terms) != 2 {
			return nil, false
		}
		switch {
		case saysUser(e.Terms[0]):
			return selected(e.Terms[1])
		case saysUser(e.Terms[1]):
			return selected(e.Terms[0])
		}
	case *filter.Or:
		var all []string
		for _, term := range e.Terms {
			ids, ok := selected(term)
			if !ok {
				return nil, false
			}
			all = append(all, ids...)
		}
		return all, true
	}
	return nil, false
}

func saysUser(e filter.Expr) bool {
	c, ok := e.(*filter.Compare)
	return ok && c.Attr.Name == "type" && c.Op == filter.Equal && strings.EqualFold(c.Value.Text, "User")
}
