package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// The limits of conditions and attributes.
const (
	maxAttributes = 256
	maxConditions = 256
	maxCondition  = 4 << 10 // bytes of one
	maxNesting    = 20      // conditions that use conditions
)

// condition is compiled CEL that says true or false of a person.
type condition struct {
	name    string // "" if the rule itself says it
	text    string
	program cel.Program
	refs    []Attribute  // that it asks for, in the order of the text
	uses    []*condition // likewise
	looks   lookedGroups
	turns   []turn
	cost    uint64 // estimated, without what it uses
}

// label is what the condition is called in reasons.
func (c *condition) label() string { return cmp.Or(c.name, c.text) }

// each calls fn with the condition and all that it uses, each once.
func (c *condition) each(fn func(*condition)) {
	seen := map[*condition]bool{}
	var visit func(*condition)
	visit = func(c *condition) {
		if seen[c] {
			return
		}
		seen[c] = true
		fn(c)
		for _, u := range c.uses {
			visit(u)
		}
	}
	visit(c)
}

// attributes are all that the condition looks at, each once, in the order in which it
// meets them.
func (c *condition) attributes() []Attribute {
	var all []Attribute
	c.each(func(c *condition) {
		for _, a := range c.refs {
			if !slices.ContainsFunc(all, func(b Attribute) bool { return b.Name == a.Name }) {
				all = append(all, a)
			}
		}
	})
	return all
}

func (c *condition) groups() lookedGroups {
	var all lookedGroups
	c.each(func(c *condition) { all.join(c.looks) })
	return all
}

// attributes are those that conditions of the rules look at, by name.
func (s *ruleset) attributes() []Attribute {
	all := map[string]Attribute{}
	for _, r := range s.rules {
		if r.when == nil {
			continue
		}
		for _, a := range r.when.attributes() {
			all[a.Name] = a
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Attribute) int { return cmp.Compare(a.Name, b.Name) })
}

// lookedGroups are groups that a condition looks at beside those that its rule asks for.
type lookedGroups struct {
	all   bool            // there is no telling which
	names map[string]bool // folded
}

func (l *lookedGroups) add(name string) {
	if l.names == nil {
		l.names = map[string]bool{}
	}
	l.names[schema.Fold(name)] = true
}

func (l *lookedGroups) join(o lookedGroups) {
	l.all = l.all || o.all
	for name := range o.names {
		l.add(name)
	}
}

func (l lookedGroups) at(folded string) bool { return l.all || l.names[folded] }

// conditions compiles what a policy calls attributes and conditions, for the schemas of
// the connections whose rules use them.
type conditions struct {
	src   PolicySource
	named map[string]ConditionSource
	paths map[string]AttributeSource
	envs  map[string]*environment // by the schemas that a connection's people have of its own
	order []*environment
	used  map[string]bool // conditions that compiled, or were reported
	list  Faults
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// taken are names that mean something in CEL.
var taken = []string{"attr", "user", "now", "in", "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "let", "loop",
	"package", "namespace", "null", "return", "true", "var", "void", "while", "bool", "bytes", "double", "int", "list", "map", "null_type", "string",
	"type", "uint", "has", "all", "exists", "exists_one", "filter", "fold", "size", "matches", "duration", "timestamp", "dyn", "google"}

func newConditions(src PolicySource) (*conditions, Faults) {
	c := &conditions{src: src, named: map[string]ConditionSource{}, paths: map[string]AttributeSource{}, envs: map[string]*environment{}, used: map[string]bool{}}
	if len(src.Attributes) > maxAttributes {
		return c, Faults{{Pos: src.Attributes[maxAttributes].Pos, Message: fmt.Sprintf("a policy has at most %d attributes", maxAttributes)}}
	}
	if len(src.Conditions) > maxConditions {
		return c, Faults{{Pos: src.Conditions[maxConditions].Pos, Message: fmt.Sprintf("a policy has at most %d conditions", maxConditions)}}
	}
	var faults Faults
	name := func(kind, name string, pos Pos, dup bool) bool {
		f := Fault{Pos: pos}
		switch {
		case !identifier.MatchString(name):
			f.Message = fmt.Sprintf("%s %q: a name is made of lower-case letters, digits and _, and begins with a letter", kind, name)
		case slices.Contains(taken, name) && kind == "condition":
			f.Message = fmt.Sprintf("condition %q: the word means something in CEL", name)
		case dup:
			f.Message = fmt.Sprintf("%s %q: the name is taken", kind, name)
		default:
			return true
		}
		faults = append(faults, f)
		return false
	}
	for _, a := range src.Attributes {
		if _, dup := c.paths[a.Name]; name("attribute", a.Name, a.Pos, dup) {
			c.paths[a.Name] = a
		}
	}
	for _, s := range src.Conditions {
		if _, dup := c.named[s.Name]; name("condition", s.Name, s.Pos, dup) {
			c.named[s.Name] = s
		}
	}
	if len(src.Attributes)+len(src.Conditions) > 0 {
		faults = append(faults, c.reachable()...)
	}
	return c, faults
}

// reachable refuses attributes that the people of no connection have.
func (c *conditions) reachable() Faults {
	if len(c.src.Connections) == 0 {
		c.env(access.SCIM{})
	}
	for _, conn := range c.src.Connections {
		c.env(conn.SCIM)
	}
	var faults Faults
	for _, a := range c.src.Attributes {
		if len(c.order) == 0 || slices.ContainsFunc(c.order, func(e *environment) bool { return e.missing[a.Name] == nil }) {
			continue
		}
		err := c.order[0].missing[a.Name]
		f := Fault{Pos: at(a.Written, "from"), Lacking: true, Message: fmt.Sprintf("attribute %q: %v", a.Name, err)}
		if h, ok := errors.AsType[hinted](err); ok {
			f.Suggestion = h.suggestion
		} else if path, ok := errors.AsType[noAttribute](err); ok {
			f.Suggestion = suggest.Closest(string(path), paths(c.order[0].users))
		}
		faults = append(faults, f)
	}
	return faults
}

func at(w Written, field string) Pos {
	if pos, ok := w.FieldPos[field]; ok {
		return pos
	}
	return w.Pos
}

// environment is what conditions may say about the people of connections whose schemas
// are the same.
type environment struct {
	cel      *cel.Env
	users    *schema.ResourceType
	has      map[string]Attribute
	missing  map[string]error // of those that they do not have
	compiled map[string]*condition
	broken   map[string]*maker // named conditions that are wrong
}

// env is the environment of a connection's people; nil if its schemas are broken, which
// is not the conditions' fault.
func (c *conditions) env(s access.SCIM) *environment {
	key := schemas(s)
	if e, known := c.envs[key]; known {
		return e
	}
	e := c.newEnvironment(s)
	c.envs[key] = e
	if e != nil {
		c.order = append(c.order, e)
	}
	return e
}

// schemas tells apart connections whose people are made of different things.
func schemas(s access.SCIM) string {
	var key strings.Builder
	for _, e := range s.UserExtensions {
		key.Write(e.Schema)
		key.WriteByte(0)
	}
	return key.String()
}

func (c *conditions) newEnvironment(s access.SCIM) *environment {
	kinds, err := TypesOf(s)
	if err != nil {
		return nil
	}
	e := &environment{users: kinds.Users, has: map[string]Attribute{}, missing: map[string]error{}, compiled: map[string]*condition{}, broken: map[string]*maker{}}
	var vars []cel.EnvOption
	for _, name := range slices.Sorted(maps.Keys(c.paths)) {
		a, err := attributeAt(kinds.Users, name, c.paths[name].From)
		if err != nil {
			e.missing[name] = err
			continue
		}
		e.has[name] = a
		vars = append(vars, cel.Variable(attrPrefix+name, a.celType()), cel.Variable(hasPrefix+name, cel.BoolType))
	}
	for _, name := range slices.Sorted(maps.Keys(c.named)) {
		vars = append(vars, cel.Variable(name, cel.BoolType))
	}
	if e.cel, err = newCEL(vars); err != nil {
		return nil
	}
	return e
}

// noAttribute is the path of an attribute that people do not have.
type noAttribute string

func (path noAttribute) Error() string {
	return fmt.Sprintf("people have no attribute %q", string(path))
}

// attributeAt finds the attribute of people that a policy gives a name.
func attributeAt(users *schema.ResourceType, name, path string) (Attribute, error) {
	if strings.ContainsAny(path, "[]") {
		return Attribute{}, errors.New("a path names an attribute, and filters nothing; lists are compared in the condition")
	}
	at, err := users.Attribute(path)
	if err != nil {
		return Attribute{}, noAttribute(path)
	}
	top := at
	if at.Parent != nil {
		top = at.Parent
	}
	a := Attribute{Name: name, At: at}
	switch {
	case top.Relation:
		return a, errors.New("groups are user.groups in a condition")
	case top.Dropped || !at.Searchable() || !top.Searchable():
		return a, fmt.Errorf("%s is never shown, and so not to conditions", at.Path())
	case slices.Contains([]string{"id", "meta", "schemas"}, top.Name) && top.URN == "":
		return a, fmt.Errorf("%s is the bridge's own, and says nothing about the person", at.Path())
	case a.leaf() == nil || a.leaf().Type == schema.Complex:
		var parts []string
		for _, sub := range at.Sub {
			parts = append(parts, at.Path()+"."+sub.Name)
		}
		return a, hinted{fmt.Sprintf("%s has parts; name one of %s", at.Path(), strings.Join(parts, ", ")), parts[0]}
	}
	return a, nil
}

// paths lists what attributes of people are called, for suggestions.
func paths(users *schema.ResourceType) []string {
	var all []string
	enter := func(attributes []*schema.Attribute) {
		for _, a := range attributes {
			all = append(all, a.Path())
			if a.Extension {
				all = append(all, a.Name)
			}
			for _, sub := range a.Sub {
				all = append(all, sub.Path())
			}
		}
	}
	enter(users.Core.Attributes)
	for _, e := range users.Extensions {
		enter(e.Schema.Attributes)
	}
	return all
}

// celType is the type that an attribute has in conditions.
func (a Attribute) celType() *cel.Type {
	t := cel.StringType
	switch a.leaf().Type {
	case schema.Boolean:
		t = cel.BoolType
	case schema.Integer:
		t = cel.IntType
	case schema.Decimal:
		t = cel.DoubleType
	case schema.DateTime:
		t = cel.TimestampType
	}
	if a.List() {
		return cel.ListType(t)
	}
	return t
}

// of compiles what a rule asks for, for the people of its connection; nil if that is
// wrong, which has been reported by then.
func (c *conditions) of(by *check, conn access.Connection) *condition {
	e := c.env(conn.SCIM)
	if e == nil {
		by.say("when", fmt.Errorf("the schemas of %s cannot be read", conn.ID))
		return nil
	}
	text := strings.TrimSpace(by.rule.When)
	if _, named := c.named[text]; named {
		m := &maker{conditions: c, env: e}
		made := m.byName(text)
		m.report(by, conn, "")
		return made
	}
	if made := e.compiled[text]; made != nil {
		return made
	}
	m := &maker{conditions: c, env: e}
	made := m.make("", by.rule.When)
	m.report(by, conn, by.rule.When)
	if made != nil {
		e.compiled[text] = made
	}
	return made
}

// anywhere is of for a rule of a connection that is not there: what the people of any
// connection make right is right.
func (c *conditions) anywhere(by *check) {
	text := strings.TrimSpace(by.rule.When)
	if _, named := c.named[text]; named {
		return // looked at with the other named ones
	}
	for _, conn := range c.src.Connections {
		c.env(conn.SCIM)
	}
	if len(c.order) == 0 {
		c.env(access.SCIM{})
	}
	var first *maker
	for _, e := range c.order {
		m := &maker{conditions: c, env: e}
		if m.make("", by.rule.When); len(m.wrong) == 0 {
			return
		}
		if first == nil {
			first = m
		}
	}
	if first != nil {
		first.absent = nil
		first.report(by, access.Connection{}, by.rule.When)
	}
}

// faults are what is wrong with conditions, those that no rule uses included: one that
// holds for the people of any connection is right.
func (c *conditions) faults() Faults {
	for _, s := range c.src.Conditions {
		if c.used[s.Name] || len(c.order) == 0 {
			continue
		}
		var first *maker
		for _, e := range c.order {
			m := &maker{conditions: c, env: e}
			m.byName(s.Name)
			if len(m.wrong)+len(m.absent) == 0 {
				first = nil
				break
			}
			if first == nil {
				first = m
			}
		}
		if first != nil {
			first.report(nil, access.Connection{}, "")
			for _, a := range first.absent {
				c.add(Fault{Pos: at(s.Written, "cel"), Lacking: true, Message: fmt.Sprintf("condition %q: %v", s.Name, a)})
			}
		}
	}
	return c.list
}

// add keeps a fault, once.
func (c *conditions) add(f Fault) {
	if !slices.Contains(c.list, f) {
		c.list = append(c.list, f)
	}
}

// misfit is something wrong inside the text of a condition.
type misfit struct {
	name    string // the condition's
	inside  place
	message string
	hint    string
}

// maker compiles one condition with those that it uses.
type maker struct {
	*conditions
	env    *environment
	stack  []string
	wrong  []misfit
	absent []error // attributes that these people do not have
}

// report tells the faults where they stand: of a named condition at its text, once; of a
// rule's own, or what its connection lacks, at the rule.
func (m *maker) report(by *check, conn access.Connection, own string) {
	for _, w := range m.wrong {
		if w.name != "" {
			s := m.named[w.name]
			m.add(Fault{Pos: at(s.Written, "cel"), Inside: w.inside.known(), Offset: w.inside.offset(s.CEL), Message: fmt.Sprintf("condition %q: %s", w.name, w.message), Suggestion: w.hint})
			continue
		}
		by.sayInside("when", w)
	}
	if by == nil {
		return
	}
	for _, a := range m.absent {
		by.say("when", fmt.Errorf("%w, which people of %s do not have", a, conn.ID))
		by.faults[len(by.faults)-1].Lacking = true
	}
	by.broken = by.broken || len(m.wrong) > 0
}

// byName compiles a named condition, once for each environment.
func (m *maker) byName(name string) *condition {
	m.used[name] = true
	const named = "\x00" // no text begins so
	if made, ok := m.env.compiled[named+name]; ok {
		return made
	}
	if slices.Contains(m.stack, name) {
		m.wrong = append(m.wrong, misfit{name: m.stack[len(m.stack)-1],
			message: "conditions use each other in a circle: " + strings.Join(append(slices.Clone(m.stack), name), " → ")})
		return nil
	}
	if len(m.stack) >= maxNesting {
		m.wrong = append(m.wrong, misfit{name: name, message: fmt.Sprintf("conditions use each other more than %d deep", maxNesting)})
		return nil
	}
	if was := m.env.broken[name]; was != nil {
		m.inherit(was)
		return nil
	}
	inner := &maker{conditions: m.conditions, env: m.env, stack: append(slices.Clone(m.stack), name)}
	made := inner.make(name, m.named[name].CEL)
	if made == nil {
		m.env.broken[name] = inner
		m.inherit(inner)
		return nil
	}
	m.env.compiled[named+name] = made
	return made
}

// inherit takes over what is wrong with a condition that this one uses, each fault once:
// conditions that use each other twice each would repeat it without end.
func (m *maker) inherit(o *maker) {
	for _, w := range o.wrong {
		if !slices.Contains(m.wrong, w) {
			m.wrong = append(m.wrong, w)
		}
	}
	for _, a := range o.absent {
		if !slices.Contains(m.absent, a) {
			m.absent = append(m.absent, a)
		}
	}
}

func (m *maker) make(name, text string) *condition {
	before := len(m.wrong) + len(m.absent)
	say := func(inside place, hint, format string, args ...any) {
		m.wrong = append(m.wrong, misfit{name, inside, fmt.Sprintf(format, args...), hint})
	}
	if strings.TrimSpace(text) == "" || len(text) > maxCondition {
		say(place{}, "", "a condition has 1 to %d bytes of CEL", maxCondition)
		return nil
	}
	parsed, issues := m.env.cel.Parse(text)
	if issues.Err() != nil {
		tell(issues.Errors()[:1], text, say) // in what cannot be read, the rest follows from the first
		return nil
	}
	c := &condition{name: name, text: strings.TrimSpace(text)}
	r := &reader{maker: m, condition: c, info: parsed.NativeRep().SourceInfo(), say: say}
	r.read(parsed.NativeRep().Expr(), nil, 0)
	if len(m.wrong)+len(m.absent) > before {
		return nil
	}
	checked, issues := m.env.cel.Check(parsed)
	if issues.Err() != nil {
		tell(issues.Errors(), text, say)
		return nil
	}
	if checked.OutputType() != types.BoolType {
		say(place{}, "", "a condition says true or false, and this is a %s", checked.OutputType())
		return nil
	}
	if err := m.plan(c, checked); err != nil {
		say(place{}, "", "%v", err)
		return nil
	}
	return c
}

// turn is a comparison with now: the value of one side decides when it changes.
type turn struct {
	side int64 // the expression whose value is compared with now
	at   bool  // it changes at that value; otherwise right after it
	text string
}

// place is a line and a column of a text, from 1; zero: nowhere.
type place struct{ line, col int }

func (p place) known() bool { return p.line > 0 }

// offset is how many characters into the text the place is.
func (p place) offset(text string) int {
	lines := strings.SplitAfter(text, "\n")
	if p.line < 1 || p.line > len(lines) {
		return 0
	}
	return utf8.RuneCountInString(strings.Join(lines[:p.line-1], "")) + p.col - 1
}

// begin is where an expression begins.
func begin(info *ast.SourceInfo, e ast.Expr) place {
	l := info.GetStartLocation(e.ID())
	if l.Line() < 1 {
		return place{}
	}
	return place{line: l.Line(), col: l.Column() + 1}
}
