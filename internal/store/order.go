package store

import (
	"fmt"
	"slices"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// order is a list's order in SQL. Ties, and everything where value is "", go by row
// key; descending is ascending read from its end.
type order struct {
	value   string // NULL for whoever has no value
	indexed bool   // an index keeps value, which is never NULL
	desc    bool
}

// order compiles a sort, nil for oldest first.
func (c *compiler) order(s *filter.Sort) order {
	if s == nil {
		return order{indexed: true}
	}
	o := order{desc: s.Descending}
	if top := s.By.Parent == nil && !s.By.Extension; top && slices.Contains(c.unique, s.By.Name) {
		o.value, o.indexed = c.column[s.By.Name], true
		return o
	}
	o.value = c.sortKey(s.By)
	return o
}

// sortKey is the value that a row is sorted by.
func (c *compiler) sortKey(a *schema.Attribute) string {
	v := c.single(a)
	switch a.Type {
	case schema.Boolean, schema.Integer, schema.Decimal:
		return v.expr
	case schema.DateTime:
		if column(v) {
			return v.expr
		}
		return "nullif(instant(" + v.expr + "), '')"
	}
	x := v.expr
	if !a.CaseExact && !v.folded {
		x = "fold(" + x + ")"
	}
	return fmt.Sprintf("substr(%s, 1, %d)", x, filter.SortedText)
}

// single is the one value of an attribute that counts: of several, the primary's,
// else the first's.
func (c *compiler) single(a *schema.Attribute) values {
	top := a
	if a.Parent != nil {
		top = a.Parent
	}
	switch {
	case a.Parent == nil && a.URN == "" && a.Name == "schemas":
		return values{expr: c.bind(c.resource.Core.ID)} // the first, whatever follows
	case a.Path() == "meta.location":
		return values{expr: c.column["id"], folded: true} // what addresses differ in
	case top.Relation:
		n := c.suffix()
		if a.Name == "$ref" {
			a = top.SubAttribute("value") // what addresses differ in
		}
		return values{expr: "(select " + c.relatedExpr(a, n) + " from " + fmt.Sprintf(c.relation.from+" order by "+c.relation.order, n) + " limit 1)"}
	case top != a && top.MultiValued:
		return values{expr: c.dialect.typed(c.dialect.JSON(c.chosen(top), a.Name), a.Type)}
	}
	v := c.values(a)
	if v.from != "" {
		return values{expr: "(select " + v.expr + " from " + v.from + " limit 1)"}
	}
	return v
}

// chosen is the element that says it is the primary one, else the first.
func (c *compiler) chosen(list *schema.Attribute) string {
	path := []string{list.Name}
	if list.Extension {
		path = []string{list.URN, list.Name}
	}
	primary, first := "e"+c.suffix(), "e"+c.suffix()
	doc := c.alias + ".doc"
	return fmt.Sprintf("coalesce((select %[1]s.value from %[2]s where %[3]s = true limit 1), (select %[4]s.value from %[5]s limit 1))",
		primary, c.dialect.Each(doc, primary, path...), c.dialect.typed(c.dialect.JSON(primary+".value", "primary"), schema.Boolean), first, c.dialect.Each(doc, first, path...))
}

// by is the ORDER BY of rows with a key and an expression x ("" for none).
func (o order) by(x, key string) string {
	dir := ""
	if o.desc {
		dir = " desc"
	}
	switch {
	case o.value == "":
		return key
	case o.indexed:
		return x + dir + ", " + key + dir
	}
	return x + " is null" + dir + ", " + x + dir + ", " + key + dir
}

// behind holds for the rows that come after a place.
func (c *compiler) behind(o order, p place) string {
	key, x := c.alias+".key", o.value
	past := " > "
	if o.desc {
		past = " < "
	}
	k := c.bind(p.Key)
	switch {
	case x == "":
		return key + past + k
	case p.value() == nil && o.desc:
		return "(" + x + " is null and " + key + past + k + " or " + x + " is not null)"
	case p.value() == nil:
		return "(" + x + " is null and " + key + past + k + ")"
	}
	v := c.bind(p.value())
	switch {
	case o.indexed:
		return "(" + x + ", " + key + ")" + past + "(" + v + ", " + k + ")"
	case o.desc:
		return "(" + x + past + v + " or " + x + " = " + v + " and " + key + past + k + ")"
	}
	return "(" + x + past + v + " or " + x + " = " + v + " and " + key + past + k + " or " + x + " is null)"
}
