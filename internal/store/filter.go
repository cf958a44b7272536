package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// table says how a resource type lies in columns. What no column holds is looked
// up in the document.
type table struct {
	dialect  Dialect
	name     string
	alias    string
	columns  string
	counter  string // of connections: how many rows there are for the client
	always   string // holds for every row that exists for the client
	resource *schema.ResourceType
	column   map[string]string  // attribute path to expression, folded where the attribute is not case exact
	ready    []string           // paths whose expression is folded already
	indexed  []string           // attributes that an index finds by equality
	unique   []string           // those of them that every row has and no two share: their indexes keep an order, too
	lists    map[string]listing // paths into lists of which an index knows the rows
	relation relation
	base     string // of the client's addresses
}

// listing is how an index finds the rows of which an element has a value.
type listing struct {
	keys  string // a query for their keys; %[1]s is the value, folded
	exact bool   // and for no others
	many  bool   // they may be very many
}

// relation is the attribute that is rows: groups of a person, members of a group.
type relation struct {
	name     string
	endpoint string            // where the others live
	from     string            // with %[1]s for a fresh suffix
	order    string            // of from, as answers show it, with %[1]s
	sub      map[string]string // sub-attribute to expression, with %[1]s
}

func peopleTable(d Dialect, rt *schema.ResourceType) table {
	return table{dialect: d, name: "people", alias: "p", columns: personColumns, counter: "people", always: "true", resource: rt,
		column: columns("p", "User", map[string]string{"userName": "p.user_name_key", "active": "p.active"}),
		ready:  []string{"id", "userName"}, indexed: []string{"id", "userName", "externalId"}, unique: []string{"id", "userName"},
		lists: map[string]listing{
			"emails.value": {keys: "select key from people where conn = $1 and email_key = %[1]s union all " +
				"select person from more_emails where conn = $1 and email_key = %[1]s union all " +
				"select key from people where conn = $1 and emails_at <> version"},
			"groups.value": {exact: true, many: true, keys: "select person from groups join memberships on memberships.grp = groups.key " +
				"where groups.conn = $1 and groups.id = %[1]s and not groups.dissolving"}},
		relation: relation{name: "groups", endpoint: "/Groups",
			from:  "memberships m%[1]s join groups g%[1]s on g%[1]s.conn = p.conn and g%[1]s.key = m%[1]s.grp and not g%[1]s.dissolving where m%[1]s.person = p.key",
			order: "m%[1]s.grp",
			sub:   map[string]string{"value": "g%[1]s.id", "display": "g%[1]s.display_name", "type": "'direct'"}}}
}

func groupsTable(d Dialect, rt *schema.ResourceType) table {
	return table{dialect: d, name: "groups", alias: "g", columns: groupColumns, counter: "groups", always: "not g.dissolving", resource: rt,
		column: columns("g", "Group", map[string]string{"displayName": "g.name_key"}),
		ready:  []string{"id", "displayName"}, indexed: []string{"id", "displayName", "externalId"}, unique: []string{"id", "displayName"},
		lists: map[string]listing{
			"members.value": {exact: true, keys: "select grp from people join memberships on memberships.person = people.key where people.conn = $1 and people.id = %[1]s"}},
		relation: relation{name: "members", endpoint: "/Users",
			from:  "memberships m%[1]s join people p%[1]s on p%[1]s.conn = g.conn and p%[1]s.key = m%[1]s.person where m%[1]s.grp = g.key",
			order: "m%[1]s.person",
			sub:   map[string]string{"value": "p%[1]s.id", "display": "nullif(p%[1]s.display_name, '')", "type": "'User'"}}}
}

func columns(alias, resource string, more map[string]string) map[string]string {
	all := map[string]string{
		"id": alias + ".id", "externalId": alias + ".external_id",
		"meta": "'meta'", "meta.resourceType": "'" + resource + "'",
		"meta.created": alias + ".created_at", "meta.lastModified": alias + ".updated_at",
		"meta.version": `'W/"' || ` + alias + `.version || '"'`,
	}
	for path, expr := range more {
		all[path] = expr
	}
	return all
}

// where compiles a filter to a condition that is true or false, never NULL, so that
// NOT means what RFC 7644 says. Clients' texts travel as parameters only; $1 is the
// connection.
func (c *compiler) where(e filter.Expr) string {
	where := c.alias + ".conn = $1 and " + c.always
	if planted.Bug(planted.ListWithoutConnection) {
		where = "$1 = $1 and " + c.always
	}
	if e != nil {
		where += " and " + c.expr(e, element{})
	}
	return where
}

// narrow reports whether an index finds what e asks for.
func (t table) narrow(e filter.Expr) bool {
	return finds(e, func(term filter.Expr) bool { _, _, ok := t.listed(term); return ok || isIndexed(t.indexed, term) })
}

// few reports whether an index finds what e asks for, and at most one row for each
// of its terms: many may share an externalId.
func (t table) few(e filter.Expr) bool {
	return finds(e, func(term filter.Expr) bool { return isIndexed(t.unique, term) })
}

// finds reports whether e finds its rows by terms that do.
func finds(e filter.Expr, term func(filter.Expr) bool) bool {
	by := func(e filter.Expr) bool { return finds(e, term) }
	switch e := e.(type) {
	case *filter.And:
		return slices.ContainsFunc(e.Terms, by)
	case *filter.Or:
		return !slices.ContainsFunc(e.Terms, func(term filter.Expr) bool { return !by(term) })
	case *filter.Compare, *filter.ValuePath:
		return term(e)
	}
	return false
}

// isIndexed reports whether e asks for one value of one of these attributes.
func isIndexed(indexed []string, e filter.Expr) bool {
	c, ok := e.(*filter.Compare)
	return ok && c.Attr.Parent == nil && !c.Attr.Extension && c.Op == filter.Equal && !c.Value.Null && slices.Contains(indexed, c.Attr.Name)
}

// listed is the list whose index finds all rows for which e holds, and the value to
// look for.
func (t table) listed(e filter.Expr) (l listing, value string, ok bool) {
	switch e := e.(type) {
	case *filter.Compare:
		top := e.Attr.Parent
		if top == nil || top.Extension || e.Op != filter.Equal || e.Value.Null || e.Value.Text == "" {
			return listing{}, "", false
		}
		l, ok = t.lists[top.Name+"."+e.Attr.Name]
		return l, Fold(e.Value.Text), ok
	case *filter.ValuePath:
		l, value, ok = t.listedBy(e.Term)
		l.exact = false
		return l, value, ok
	}
	return listing{}, "", false
}

// listedBy looks into the conjunction of a value path.
func (t table) listedBy(term filter.Expr) (listing, string, bool) {
	and, ok := term.(*filter.And)
	if !ok {
		return t.listed(term)
	}
	for _, one := range and.Terms {
		if l, value, ok := t.listed(one); ok {
			return l, value, true
		}
	}
	return listing{}, "", false
}

// weigh counts the comparisons of a filter, and reports whether one of them looks
// at rows of the relation.
func weigh(e filter.Expr) (comparisons int, related bool) {
	add := func(terms ...filter.Expr) {
		for _, term := range terms {
			n, r := weigh(term)
			comparisons, related = comparisons+n, related || r
		}
	}
	switch e := e.(type) {
	case *filter.And:
		add(e.Terms...)
	case *filter.Or:
		add(e.Terms...)
	case *filter.Not:
		add(e.Term)
	case *filter.ValuePath:
		add(e.Term)
		related = related || e.Attr.Relation
	case *filter.Compare:
		top := e.Attr
		if top.Parent != nil {
			top = top.Parent
		}
		return 1, top.Relation
	}
	return comparisons, related
}

type compiler struct {
	table
	args  []any
	fresh int
	err   error
}

func (c *compiler) bind(v any) string {
	c.args = append(c.args, v)
	return fmt.Sprintf("$%d", len(c.args))
}

// suffix tells the aliases of one statement apart.
func (c *compiler) suffix() string {
	c.fresh++
	return fmt.Sprint(c.fresh)
}

// element is what the sub-attributes of a value path are looked up in: an array
// element's expression, or a row of the relation. Zero outside a value path.
type element struct{ json, related string }

// expr compiles e.
func (c *compiler) expr(e filter.Expr, in element) string {
	switch e := e.(type) {
	case *filter.And:
		return c.terms(e.Terms, " and ", in)
	case *filter.Or:
		if in == (element{}) && c.narrow(e) {
			return c.alternatives(e.Terms)
		}
		return c.terms(e.Terms, " or ", in)
	case *filter.Not:
		return "not " + c.expr(e.Term, in)
	case *filter.ValuePath:
		return c.found(e, func() string { return c.valuePath(e) })
	case *filter.Compare:
		if in != (element{}) {
			return c.compare(e, c.sub(e.Attr, in))
		}
		return c.found(e, func() string { return c.compare(e, c.values(e.Attr)) })
	}
	c.fail("store: no such filter: %T", e)
	return "false"
}

// found lets an index find the rows, where one can, before the condition looks at them.
func (c *compiler) found(e filter.Expr, condition func() string) string {
	l, value, ok := c.listed(e)
	if !ok {
		return condition()
	}
	keys := c.alias + ".key in (" + fmt.Sprintf(l.keys, c.bind(value)) + ")"
	if l.exact {
		return keys
	}
	return "(" + keys + " and " + condition() + ")"
}

// alternatives looks each term up in its own index: one condition that joins them by
// or would be held against every row.
func (c *compiler) alternatives(terms []filter.Expr) string {
	parts := make([]string, len(terms))
	for i, t := range terms {
		parts[i] = "select " + c.alias + ".key from " + c.name + " " + c.alias + " where " + c.alias + ".conn = $1 and " + c.always + " and " + c.expr(t, element{})
	}
	return c.alias + ".key in (" + strings.Join(parts, " union all ") + ")"
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fault.New(fault.Unsupported, "store.filter", format, args...)
	}
}

func (c *compiler) terms(terms []filter.Expr, by string, in element) string {
	parts := make([]string, len(terms))
	for i, t := range terms {
		parts[i] = c.expr(t, in)
	}
	return "(" + strings.Join(parts, by) + ")"
}

// values are what a comparison looks at: one expression (from is ""), or one for
// each row of from. folded: the expression needs no fold.
type values struct {
	from   string // "… [where …]"
	expr   string
	folded bool
}

func (c *compiler) values(a *schema.Attribute) values {
	path := []string{a.Name}
	top := a
	if a.Parent != nil {
		top, path = a.Parent, []string{a.Parent.Name, a.Name}
	}
	name := strings.Join(path, ".")
	switch {
	case top.Relation:
		return c.related(a)
	case top.Extension:
		path = append([]string{top.URN}, path...)
	case name == "schemas":
		return c.schemas()
	case name == "meta.location":
		return values{expr: c.address(c.resource.Endpoint, c.alias+".id")}
	default:
		if column, ok := c.column[name]; ok {
			return values{expr: column, folded: slices.Contains(c.ready, name)}
		}
	}
	return c.document(a, top, path)
}

// document finds values in the stored document.
func (c *compiler) document(a, top *schema.Attribute, path []string) values {
	doc := c.alias + ".doc"
	switch {
	case a != top && top.MultiValued:
		alias := "e" + c.suffix()
		return values{from: c.dialect.Each(doc, alias, path[:len(path)-1]...), expr: c.dialect.typed(c.dialect.JSON(alias+".value", a.Name), a.Type)}
	case a.MultiValued:
		alias := "e" + c.suffix()
		return values{from: c.dialect.Each(doc, alias, path...), expr: c.dialect.typed(alias+".value", a.Type)}
	}
	return values{expr: c.dialect.typed(c.dialect.JSON(doc, path...), a.Type)}
}

// sub is a sub-attribute of one element.
func (c *compiler) sub(a *schema.Attribute, in element) values {
	if in.related != "" {
		return values{expr: c.relatedExpr(a, in.related), folded: a.Name == "value"}
	}
	if a.MultiValued {
		alias := "e" + c.suffix()
		return values{from: c.dialect.Each(in.json, alias, a.Name), expr: c.dialect.typed(alias+".value", a.Type)}
	}
	return values{expr: c.dialect.typed(c.dialect.JSON(in.json, a.Name), a.Type)}
}

// related are values of the relation; one that is not stored is absent.
func (c *compiler) related(a *schema.Attribute) values {
	n := c.suffix()
	if a.Parent == nil {
		return values{from: fmt.Sprintf(c.relation.from, n), expr: "1"}
	}
	return values{from: fmt.Sprintf(c.relation.from, n), expr: c.relatedExpr(a, n), folded: a.Name == "value"}
}

// address is where a resource is found.
func (c *compiler) address(endpoint, id string) string {
	return "(" + c.bind(strings.TrimSuffix(c.base, "/")+endpoint+"/") + " || " + id + ")"
}

func (c *compiler) relatedExpr(a *schema.Attribute, n string) string {
	if a.Name == "$ref" {
		return c.address(c.relation.endpoint, fmt.Sprintf(c.relation.sub["value"], n))
	}
	expr, ok := c.relation.sub[a.Name]
	if !ok {
		return "null"
	}
	if strings.Contains(expr, "%") {
		return fmt.Sprintf(expr, n)
	}
	return expr
}

// schemas are the core schema and the extensions that the document has.
func (c *compiler) schemas() values {
	all := "select " + c.bind(c.resource.Core.ID) + " as value"
	for _, e := range c.resource.Extensions {
		all += " union all select " + c.bind(e.Schema.ID) + " where " + c.carries(e.Schema)
	}
	alias := "s" + c.suffix()
	return values{from: "(" + all + ") " + alias + " where true", expr: alias + ".value"} // some adds its condition behind a where of from's own
}

// carries holds for a document that shows something of an extension. What is stored
// under an own schema's URN may be of an earlier form of it.
func (c *compiler) carries(s *schema.Schema) string {
	doc := c.alias + ".doc"
	if !s.Custom {
		return c.dialect.JSON(doc, s.ID) + " is not null"
	}
	some := []string{"false"}
	for _, a := range s.Attributes {
		if a.Searchable() {
			some = append(some, c.dialect.JSON(doc, s.ID, a.Name)+" is not null")
		}
	}
	return "(" + strings.Join(some, " or ") + ")"
}

func (c *compiler) valuePath(e *filter.ValuePath) string {
	if e.Attr.Relation {
		n := c.suffix()
		return "exists (select 1 from " + fmt.Sprintf(c.relation.from, n) + " and " + c.expr(e.Term, element{related: n}) + ")"
	}
	path := []string{e.Attr.Name}
	if e.Attr.Extension {
		path = []string{e.Attr.URN, e.Attr.Name}
	}
	alias := "e" + c.suffix()
	return "exists (select 1 from " + c.dialect.Each(c.alias+".doc", alias, path...) + " where " + c.expr(e.Term, element{json: alias + ".value"}) + ")"
}

// compare is filter.holds in SQL: an absent attribute satisfies ne, eq null, and no
// other comparison.
func (c *compiler) compare(e *filter.Compare, v values) string {
	if e.AssumesFalse() {
		v.expr = "coalesce(" + v.expr + ", " + c.bind(false) + ")"
	}
	present := v.expr + " is not null"
	switch {
	case e.Op == filter.Present, e.Value.Null && e.Op == filter.NotEqual:
		return v.some(present)
	case e.Value.Null:
		return "not " + v.some(present)
	}
	test := v.some("(" + present + " and " + c.test(e, v) + ")")
	if e.Op == filter.NotEqual {
		return "(not " + v.some(present) + " or " + test + ")"
	}
	return test
}

// some holds when the condition does for any value.
func (v values) some(condition string) string {
	switch {
	case v.from == "":
		return "(" + condition + ")"
	case strings.Contains(v.from, " where "):
		return "exists (select 1 from " + v.from + " and " + condition + ")"
	}
	return "exists (select 1 from " + v.from + " where " + condition + ")"
}

func (c *compiler) test(e *filter.Compare, v values) string {
	x := v.expr
	switch e.Attr.Type {
	case schema.Boolean:
		return x + sign(e.Op) + c.bind(e.Value.Bool)
	case schema.Integer:
		return x + sign(e.Op) + c.bind(e.Value.Int)
	case schema.Decimal:
		return x + sign(e.Op) + c.bind(e.Value.Float)
	case schema.DateTime:
		if column(v) {
			return c.instant(e.Op, x, e.Value)
		}
		return "(instant(" + x + ") <> '' and instant(" + x + ")" + sign(e.Op) + c.bind(instantKey(e.Value.Time)) + ")"
	}
	if e.Attr.CaseExact {
		return c.text(e.Op, x, e.Value.Text)
	}
	if !v.folded {
		x = "fold(" + x + ")"
	}
	return c.text(e.Op, x, e.Value.Folded)
}

// column reports whether an instant is one of the row's own, in milliseconds.
func column(v values) bool { return strings.HasSuffix(v.expr, "_at") }

// instant compares a column of milliseconds. An instant between two of them is behind the
// one and before the other.
func (c *compiler) instant(op filter.Op, x string, v filter.Value) string {
	whole := v.Time.UnixMilli()
	if v.Time.Nanosecond()%1e6 == 0 {
		return x + sign(op) + c.bind(whole)
	}
	switch op {
	case filter.Greater, filter.GreaterEqual:
		return x + " > " + c.bind(whole)
	case filter.Less, filter.LessEqual:
		return x + " <= " + c.bind(whole)
	case filter.NotEqual:
		return "true"
	}
	return "false"
}

// text compares folded or exact text. SQL and Go agree on the order of UTF-8 bytes.
func (c *compiler) text(op filter.Op, x, want string) string {
	p := c.bind(want)
	switch op {
	case filter.Contains:
		return "(" + p + " = '' or replace(" + x + ", " + p + ", '') <> " + x + ")"
	case filter.StartsWith: // the first condition is for an index
		return "(" + x + " >= " + p + " and substr(" + x + ", 1, length(" + p + ")) = " + p + ")"
	case filter.EndsWith:
		return "(length(" + x + ") >= length(" + p + ") and substr(" + x + ", length(" + x + ") - length(" + p + ") + 1) = " + p + ")"
	}
	return x + sign(op) + p
}

func sign(op filter.Op) string {
	switch op {
	case filter.NotEqual:
		return " <> "
	case filter.Greater:
		return " > "
	case filter.GreaterEqual:
		return " >= "
	case filter.Less:
		return " < "
	case filter.LessEqual:
		return " <= "
	}
	return " = "
}
