package bridge_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// lives is how many random lives are lived where nobody asks for a number by -rapid.checks,
// and seeds of how many seeds other random histories are made.
var lives, seeds = 5, uint64(3)

// within reports what a world finds to rapid, which looks for a shorter life then.
type within struct {
	testing.TB
	r *rapid.T
}

func (t within) Helper()                           {}
func (t within) Log(args ...any)                   { t.r.Log(args...) }
func (t within) Logf(format string, args ...any)   { t.r.Logf(format, args...) }
func (t within) Error(args ...any)                 { t.r.Error(args...) }
func (t within) Errorf(format string, args ...any) { t.r.Errorf(format, args...) }
func (t within) Fatal(args ...any)                 { t.r.Fatal(args...) }
func (t within) Fatalf(format string, args ...any) { t.r.Fatalf(format, args...) }
func (t within) Failed() bool                      { return t.r.Failed() }
func (t within) FailNow()                          { t.r.FailNow() }

// life is what happens to a bridge, and what the test knows of it without asking.
type life struct {
	*world
	r      *rapid.T
	src    mapping.PolicySource // in force
	rules  []refRule
	people []*refPerson
	groups []*refGroup
	made   int // so far: for names that nobody has had
	was    []moment
	held   []access.ScopeID // at which somebody holds something, in the order of the tree
	said   string           // the step taken last
	steps  []string
}

// moment is what was so at an instant.
type moment struct {
	at   time.Time
	said map[access.PersonID]string
}

// TestI8_WhatIsHeldIsWhatASecondReadingOfTheRulesSays: random rules, trees, people,
// groups and time, step by step. After each step everybody holds what a secondReading
// says, which reads the rules in its own way and knows nothing of what the bridge remembers
// (I-8), and nothing outside the ceiling (I-5); a policy is taken if, and only if, none of
// its rules could rise above it; what its plan foretold is what it did; and what was held
// at an earlier step is what the record says of that instant.
// Threats: T-B14.
func TestI8_WhatIsHeldIsWhatASecondReadingOfTheRulesSays(t *testing.T) {
	t.Parallel()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	lived, failed := 0, false
	rapid.Check(t, func(r *rapid.T) {
		if lived++; lived > lives && !asked && !failed {
			return
		}
		l := &life{world: newWorld(t), r: r}
		l.t = within{t, r}
		defer l.close()
		defer func() {
			if r.Failed() {
				failed = true
				r.Logf("the whole life:\n%s", strings.Join(l.steps, "\n"))
			}
		}()
		l.begin()
		r.Repeat(map[string]func(*rapid.T){
			"":                l.check,
			"somebody comes":  l.comes,
			"somebody turns":  l.turns,
			"somebody goes":   l.goes,
			"a group comes":   l.forms,
			"a group turns":   l.reforms,
			"a group goes":    l.dissolves,
			"members":         l.joins,
			"members again":   l.joins,
			"rules":           l.rewrites,
			"the tree":        l.grows,
			"the tree again":  l.grows,
			"the ceiling":     l.lowers,
			"time":            l.waits,
			"to the instant":  l.waitsFor,
			"the record says": l.remembers,
		})
	})
}

func draw[T any](l *life, of ...T) T { return rapid.SampledFrom(of).Draw(l.r, "of") }

func (l *life) chance(oneIn int) bool { return rapid.IntRange(1, oneIn).Draw(l.r, "chance") == oneIn }

// step writes down what is about to happen, a millisecond after what happened last.
func (l *life) step(format string, args ...any) {
	l.clock.Add(time.Millisecond)
	l.said = fmt.Sprintf(format, args...)
	l.steps = append(l.steps, l.clock.Now().Format("Jan 02 15:04:05.000  ")+l.said)
}

// begin is the sample tree with the attributes and conditions of refConditions, some
// rules, people and groups.
func (l *life) begin() {
	l.src = l.inForce()
	l.src.Rules, l.src.Tests = nil, nil
	l.src.Attributes = []mapping.AttributeSource{{Name: "department", From: departmentPath}, {Name: "passed", From: fleetURN + ":certificationExpires"}}
	l.src.Conditions = []mapping.ConditionSource{{Name: "in_support", CEL: `attr.department == "Support"`}}
	l.src.Guard = anything
	for range 3 {
		l.comes(l.r)
	}
	for range 4 {
		l.forms(l.r)
	}
	l.policy("the first rules", l.src, []refRule{
		{id: "fleets", how: "one", level: access.Fleet, asks: []refAsk{{before: "GL ", after: " Managers", captures: true}}, gives: []refGive{{grant: access.Standard, scope: l.at("southern/banksia"), captures: true, standing: access.Primary}}},
		{id: "crews", how: "any", level: access.Account, asks: []refAsk{{before: "Crew ", captures: true}}, gives: []refGive{{grant: access.Elevated, scope: l.at("southern"), captures: true, standing: access.Guest}}},
		{id: "plain", how: "one", asks: []refAsk{{name: "alpha"}}, gives: []refGive{{grant: access.Administrator, scope: l.at("southern/reefline"), standing: access.Primary}}, none: []refAsk{{name: "Contractors"}}},
	}, true)
}

func (l *life) at(path string) access.ScopeID {
	tree := treeOf(l.src.Scopes)
	at := slices.IndexFunc(l.src.Scopes, func(s access.Scope) bool { return tree.path(s.ID) == path })
	return l.src.Scopes[at].ID
}

const (
	fleetURN       = "urn:drawbridge:scim:schemas:extension:fleet:2.0:User"
	departmentPath = enterpriseURN + ":department"
)

func (l *life) inForce() (src mapping.PolicySource) {
	row, err := l.bridge.PolicyInForce(l.ctx)
	l.do(err)
	l.do(json.Unmarshal(row.Source, &src))
	return src
}

func (l *life) reading() *secondReading {
	at := slices.IndexFunc(l.src.Connections, func(c access.Connection) bool { return c.ID == southern })
	return &secondReading{tree: treeOf(l.src.Scopes), ceiling: l.src.Connections[at].Ceiling, rules: l.rules, groups: l.groups, now: l.clock.Now()}
}

// People.

func (l *life) comes(*rapid.T) {
	if len(l.people) == 5 {
		l.r.Skip("there are enough")
	}
	l.made++
	p := &refPerson{name: fmt.Sprintf("p%d@southern.example", l.made), active: !l.chance(5), department: draw(l, "", "", "Support", "Sales", "Yard"), level: draw(l, "Trainer", "Trainer", "None", "")}
	body := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": p.name, "externalId": fmt.Sprint("oid-", l.made), "active": p.active}
	fleet := map[string]any{}
	if p.level != "" {
		fleet["technicianCertification"] = p.level
	}
	if l.chance(2) {
		p.expires = l.soon()
		fleet["certificationExpires"] = p.expires.Format(time.RFC3339Nano)
	}
	if body[fleetURN] = fleet; p.department != "" {
		body[enterpriseURN] = map[string]any{"department": p.department}
	}
	text, err := json.Marshal(body)
	l.do(err)
	l.step("%s comes: active %t, department %q, certified %q until %v", p.name, p.active, p.department, p.level, p.expires)
	p.id = l.must(201, southern, "POST", "/Users", string(text))["id"].(string)
	l.people = append(l.people, p)
}

// soon is an instant within a fortnight, or a little ago.
func (l *life) soon() time.Time {
	return l.clock.Now().Add(time.Duration(rapid.IntRange(-48, 14*24).Draw(l.r, "hours")) * time.Hour).Add(time.Millisecond)
}

func (l *life) someone() *refPerson {
	if len(l.people) == 0 {
		l.r.Skip("there is nobody")
	}
	return draw(l, l.people...)
}

func (l *life) turns(*rapid.T) {
	p := l.someone()
	path, value := "", any(nil)
	switch draw(l, "active", "department", "level", "expires") {
	case "active":
		p.active = !p.active
		path, value = "active", p.active
	case "department":
		p.department = draw(l, "", "Support", "Sales")
		path, value = departmentPath, p.department
	case "level":
		p.level = draw(l, "Trainer", "None")
		path, value = fleetURN+":technicianCertification", p.level
	default:
		p.expires = l.soon()
		path, value = fleetURN+":certificationExpires", p.expires
	}
	op := map[string]any{"op": "add", "path": path, "value": value}
	if value == "" {
		op = map[string]any{"op": "remove", "path": path}
	}
	text, err := json.Marshal(op)
	l.do(err)
	l.step("%s: %s", p.name, text)
	l.patched("/Users/"+p.id, string(text))
}

// patched is whether a PATCH was taken. A name that is another's is none.
func (l *life) patched(path, op string) bool {
	status, out := l.send(southern, "PATCH", path, patchOp(op))
	if status != 200 && status != 204 && status != 409 {
		l.t.Fatalf("PATCH %s answered %d %v", path, status, out)
	}
	return status != 409
}

func (l *life) goes(*rapid.T) {
	p := l.someone()
	l.step("%s is deleted", p.name)
	l.must(204, southern, "DELETE", "/Users/"+p.id, "")
	l.people = slices.DeleteFunc(l.people, func(o *refPerson) bool { return o == p })
	for _, g := range l.groups {
		delete(g.since, p.id)
	}
}

// Groups.

// groupName is the name of a group that some rule may ask for.
func (l *life) groupName() string {
	form := draw(l, "Alpha", "ALPHA", "Béta", "Contractors", "GL %s Managers", "gl %s MANAGERS", "GL %s Managers", "Crew %s", "Crew %s")
	if !strings.Contains(form, "%s") {
		return form
	}
	texts := []string{"nowhere", "North", "luleå"} // the last two may come to name something
	for _, s := range l.src.Scopes {
		if s.Level >= access.Account {
			texts = append(append(texts, s.Name, s.Slug), s.Was...)
		}
	}
	return fmt.Sprintf(form, draw(l, texts...))
}

func (l *life) some() (ids []string) {
	for _, p := range l.people {
		if !l.chance(3) {
			ids = append(ids, p.id)
		}
	}
	return ids
}

func (l *life) forms(*rapid.T) {
	if len(l.groups) == 7 {
		l.r.Skip("there are enough")
	}
	g := &refGroup{name: l.groupName(), external: draw(l, "", "", "x-1", "x-2"), since: map[string]time.Time{}}
	members := l.some()
	l.step("group %q (%s) comes with %v", g.name, g.external, l.names(members))
	status, out := l.send(southern, "POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"externalId":%q,"members":%s}`, g.name, g.external, memberList(members)))
	if status == 409 {
		return
	}
	if status != 201 {
		l.t.Fatalf("answered %d %v", status, out)
	}
	g.id = out["id"].(string)
	for _, id := range members {
		g.since[id] = l.clock.Now()
	}
	l.groups = append(l.groups, g)
}

func (l *life) names(ids []string) (names []string) {
	for _, p := range l.people {
		if slices.Contains(ids, p.id) {
			names = append(names, p.name)
		}
	}
	return names
}

func (l *life) group() *refGroup {
	if len(l.groups) == 0 {
		l.r.Skip("there is no group")
	}
	return draw(l, l.groups...)
}

func (l *life) reforms(*rapid.T) {
	g := l.group()
	if l.chance(3) {
		external := draw(l, "x-1", "x-2", "x-3")
		l.step("group %q gets the externalId %s", g.name, external)
		if l.patched("/Groups/"+g.id, fmt.Sprintf(`{"op":"replace","path":"externalId","value":%q}`, external)) {
			g.external = external
		}
		return
	}
	name := l.groupName()
	l.step("group %q is now called %q", g.name, name)
	if l.patched("/Groups/"+g.id, fmt.Sprintf(`{"op":"replace","path":"displayName","value":%q}`, name)) {
		g.name = name
	}
}

func (l *life) dissolves(*rapid.T) {
	g := l.group()
	l.step("group %q is deleted", g.name)
	l.must(204, southern, "DELETE", "/Groups/"+g.id, "")
	l.groups = slices.DeleteFunc(l.groups, func(o *refGroup) bool { return o == g })
	if l.chance(2) { // and comes again, as a new one
		old := slices.Sorted(maps.Keys(g.since))
		l.step("group %q comes again with %v", g.name, l.names(old))
		again := &refGroup{id: l.world.group(southern, g.name, old...), name: g.name, since: map[string]time.Time{}}
		for _, id := range old {
			again.since[id] = l.clock.Now()
		}
		l.groups = append(l.groups, again)
	}
}

func (l *life) joins(*rapid.T) {
	g, ids := l.group(), l.some()
	verb := draw(l, "add", "add", "add", "remove", "replace")
	l.step("members of %q: %s %v", g.name, verb, l.names(ids))
	if len(ids) == 0 {
		return
	}
	l.must(204, southern, "PATCH", "/Groups/"+g.id, patchOp(fmt.Sprintf(`{"op":%q,"path":"members","value":%s}`, verb, memberList(ids))))
	apply(g.since, verb, ids, l.clock.Now())
}

// Rules, the tree and the ceiling: each is planned, and then applied.

func (l *life) rewrites(*rapid.T) {
	rules := slices.Clone(l.rules)
	for range rapid.IntRange(0, 2).Draw(l.r, "fewer") {
		if len(rules) > 0 {
			at := rapid.IntRange(0, len(rules)-1).Draw(l.r, "which")
			rules = slices.Delete(rules, at, at+1)
		}
	}
	for range rapid.IntRange(1, 3).Draw(l.r, "more") {
		if len(rules) < 8 {
			at := rapid.IntRange(0, len(rules)).Draw(l.r, "where")
			rules = slices.Insert(rules, at, l.rule())
		}
	}
	l.policy("other rules", l.src, rules, l.chance(4))
}

func (l *life) rule() refRule {
	l.made++
	r := refRule{id: fmt.Sprint("r", l.made), how: draw(l, "one", "one", "any", "all"), when: rapid.IntRange(0, len(refConditions)-1).Draw(l.r, "when") * max(0, rapid.IntRange(-1, 1).Draw(l.r, "asks")),
		flags: access.Flags{Events: draw(l, access.EventsNone, access.EventsStandard), Video: rapid.Bool().Draw(l.r, "video")},
		lasts: draw(l, 0, 0, 0, time.Hour, 5*24*time.Hour), shadow: l.chance(6), level: draw(l, 0, 0, access.Fleet, access.Fleet, access.Account)}
	begins := l.clock.Now().Truncate(time.Hour)
	if l.chance(6) {
		begins = l.soon()
		r.notBefore = begins
	}
	for _, end := range []*time.Time{&r.until, &r.expires} {
		if l.chance(6) {
			*end = begins.Add(time.Duration(rapid.IntRange(1, 9*24).Draw(l.r, "hours")) * time.Hour)
		}
	}
	for range map[string]int{"one": 1, "any": 2, "all": 2}[r.how] {
		r.asks = append(r.asks, l.ask(r.level))
	}
	if r.how == "all" && l.chance(2) {
		r.asks[1] = l.ask(0) // captures nothing, beside one that does
	}
	if l.chance(3) {
		n := l.ask(draw(l, 0, r.level))
		if !slices.Contains(r.asks, n) {
			r.none = append(r.none, n)
		}
	}
	for i := range rapid.IntRange(1, 2).Draw(l.r, "gives") {
		g := refGive{grant: draw(l, access.Grants()...), standing: access.Guest, captures: r.level > 0}
		if i == 0 && !l.chance(5) {
			g.standing = access.Primary
		}
		g.scope = l.place(r.level, l.chance(8))
		r.gives = append(r.gives, g)
	}
	slices.SortStableFunc(r.gives, func(a, b refGive) int { return strings.Compare(string(b.standing), string(a.standing)) }) // primary is said first
	return r
}

// place is a scope for a target: what is captured lies one level below it.
func (l *life) place(captured access.Level, any bool) access.ScopeID {
	var ids []access.ScopeID
	for _, s := range l.src.Scopes {
		ref := l.reading()
		if (captured == 0 || s.Level == captured-1) && (any || ref.tree.live(s.ID) && ref.tree.in(ref.ceiling.Scope, s.ID)) {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		l.r.Skip("there is no such place")
	}
	return draw(l, ids...)
}

func (l *life) ask(level access.Level) refAsk {
	switch level {
	case access.Fleet:
		return draw(l, refAsk{before: "GL ", after: " Managers", captures: true}, refAsk{before: "crew ", captures: true})
	case access.Account:
		return refAsk{before: "Crew ", captures: true}
	}
	return draw(l, refAsk{name: "alpha"}, refAsk{name: "BÉTA"}, refAsk{name: "Contractors"}, refAsk{external: "x-1"}, refAsk{external: "x-2"})
}

// grows adds, renames, moves, retires or restores a scope.
func (l *life) grows(*rapid.T) {
	src := l.src
	src.Scopes = slices.Clone(src.Scopes)
	at := rapid.IntRange(0, len(src.Scopes)-1).Draw(l.r, "scope")
	if n := len(l.held); n > 0 && l.chance(2) { // one that matters
		id := l.held[rapid.IntRange(0, n-1).Draw(l.r, "held")]
		at = slices.IndexFunc(src.Scopes, func(s access.Scope) bool { return s.ID == id })
	}
	s := &src.Scopes[at]
	l.made++
	verbs := []string{}
	for verb, fits := range map[string]bool{"add": s.Level < access.Fleet && len(src.Scopes) < 14, "rename": s.Level != access.Host, "move": s.Level > access.ServiceProvider,
		"retire": s.Level != access.Host && s.Retired.IsZero(), "restore": !s.Retired.IsZero()} {
		if fits {
			verbs = append(verbs, verb)
		}
	}
	if slices.Sort(verbs); len(verbs) == 0 {
		l.r.Skip("not of that scope")
	}
	what := ""
	switch draw(l, verbs...) {
	case "add":
		fresh := access.Scope{Slug: fmt.Sprint("s", l.made), Level: s.Level + 1, Parent: s.ID, Name: draw(l, "North", "Luleå", "Hobart Depot", fmt.Sprint("Place ", l.made))}
		fresh.ID = mapping.ProvisionalID(strings.TrimPrefix(treeOf(src.Scopes).path(s.ID)+"/"+fresh.Slug, "./"))
		if fresh.Level == access.Fleet {
			fresh.TimeZone = "Australia/Hobart"
		}
		what = fmt.Sprintf("a %s %q called %q comes below %s", fresh.Level, fresh.Slug, fresh.Name, treeOf(src.Scopes).path(s.ID))
		src.Scopes = append(src.Scopes, fresh)
	case "rename":
		what = fmt.Sprintf("%s is now s%d", treeOf(src.Scopes).path(s.ID), l.made)
		s.Was = append(slices.Clone(s.Was), s.Slug)
		s.Slug = fmt.Sprint("s", l.made)
		if l.chance(2) {
			s.Name = draw(l, "North", "LULEÅ", "Depot")
			what += fmt.Sprintf(", called %q", s.Name)
		}
	case "move":
		to := l.place(s.Level, true)
		what = fmt.Sprintf("%s moves below %s", treeOf(src.Scopes).path(s.ID), treeOf(src.Scopes).path(to))
		s.Parent = to
	case "retire":
		what = treeOf(src.Scopes).path(s.ID) + " is retired"
		s.Retired = l.clock.Now()
	default:
		what = treeOf(src.Scopes).path(s.ID) + " lives again"
		s.Retired = time.Time{}
	}
	l.policy(what, src, l.rules, l.chance(3))
}

func (l *life) lowers(*rapid.T) {
	src := l.src
	src.Connections = slices.Clone(src.Connections)
	for i := range src.Connections {
		if c := &src.Connections[i]; c.ID == southern {
			c.Ceiling = access.Ceiling{Scope: c.Root, Grants: access.Grants()}
			if l.chance(2) {
				c.Ceiling.Scope = l.place(0, true)
			}
			if l.chance(4) {
				c.Ceiling.Grants = []access.Grant{access.Standard, access.Technician}
			}
			l.policy(fmt.Sprintf("the ceiling is %v of %s", c.Ceiling.Grants, treeOf(src.Scopes).path(c.Ceiling.Scope)), src, l.rules, l.chance(3))
			return
		}
	}
}

// policy plans and applies what a step leads to. Rules that it forbids are left out,
// unless the policy is to be refused for them.
func (l *life) policy(what string, src mapping.PolicySource, rules []refRule, whole bool) {
	before := *l
	l.src = src
	ref := l.reading()
	mustNot, unsure := false, false
	rules = slices.DeleteFunc(slices.Clone(rules), func(r refRule) bool {
		may, not := ref.under(r)
		if !may && !whole {
			return true
		}
		mustNot, unsure = mustNot || not, unsure || !may && !not
		return false
	})
	l.rules = rules
	src.Rules = nil
	for _, r := range rules {
		src.Rules = append(src.Rules, r.source(ref.tree))
		what += "\n                       " + r.words(ref.tree)
	}
	l.step("policy: %s", what)
	version := l.store.PolicyVersion()
	_, err := mapping.Compile(src)
	if refused := err != nil; refused != mustNot && !unsure {
		l.t.Fatalf("a rule could rise above the ceiling: %t; what the bridge says: %v", mustNot, err)
	}
	plan := l.foretells(src, what)
	if err != nil {
		if _, err := l.bridge.PlanPolicy(l.ctx, src, bridge.PlanOptions{}); !fault.Is(err, fault.Invalid) || l.store.PolicyVersion() != version {
			l.t.Fatalf("a policy that does not hold is planned: %+v (%v)", plan.Summary, err)
		}
		l.src, l.rules = before.src, before.rules
		return
	}
	l.src = l.inForce()
	renamed := map[access.ScopeID]access.ScopeID{}
	for i := range src.Scopes {
		renamed[src.Scopes[i].ID] = l.src.Scopes[i].ID
	}
	for i := range l.rules {
		l.rules[i].gives = slices.Clone(l.rules[i].gives)
		for j, g := range l.rules[i].gives {
			l.rules[i].gives[j].scope = renamed[g.scope]
		}
	}
}

func (r refRule) source(tree refTree) mapping.RuleSource {
	out := mapping.RuleSource{ID: r.id, From: southern, When: refConditions[r.when].cel, Flags: r.flags, For: r.lasts, NotBefore: r.notBefore, Until: r.until, Expires: r.expires}
	if r.shadow {
		out.Mode = mapping.Shadow
	}
	refs := func(asks []refAsk) (all []mapping.GroupRef) {
		for _, a := range asks {
			ref := mapping.GroupRef{Group: a.name, GroupID: a.external}
			if a.captures {
				ref.Group = a.before + "{" + r.level.String() + "}" + a.after
			}
			all = append(all, ref)
		}
		return all
	}
	switch out.None = refs(r.none); r.how {
	case "all":
		out.All = refs(r.asks)
	case "any":
		out.Any = refs(r.asks)
	default:
		out.Group, out.GroupID = refs(r.asks)[0].Group, refs(r.asks)[0].GroupID
	}
	for _, g := range r.gives {
		text := string(g.grant) + " @ " + tree.path(g.scope)
		if g.captures {
			text = strings.Replace(text+"/{"+r.level.String()+"}", "@ ./", "@ ", 1)
		}
		if g.standing == access.Primary && out.Give == "" {
			out.Give = text
		} else {
			out.Guest = append(out.Guest, text)
		}
	}
	return out
}

func (r refRule) words(tree refTree) string {
	text, err := json.Marshal(r.source(tree))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Time.

func (l *life) waits(*rapid.T) {
	d := draw(l, time.Minute, time.Hour, 30*time.Hour, 6*24*time.Hour)
	l.step("%v pass", d)
	l.clock.Add(d)
}

// waitsFor goes to an instant at which something begins or ends, or to just before.
func (l *life) waitsFor(*rapid.T) {
	now := l.clock.Now()
	var next []time.Time
	for _, p := range l.people {
		next = append(next, p.expires)
	}
	for _, r := range l.rules {
		next = append(next, r.notBefore, r.until, r.expires)
		for _, g := range l.groups {
			for _, p := range l.people {
				if since, in := g.since[p.id]; in && r.lasts > 0 {
					next = append(next, since.Add(r.lasts))
				}
			}
		}
	}
	next = slices.DeleteFunc(next, func(t time.Time) bool { return t.Sub(now) < 3*time.Millisecond })
	if len(next) == 0 {
		l.r.Skip("nothing begins or ends")
	}
	at := slices.MinFunc(next, time.Time.Compare).Add(draw(l, -time.Millisecond, 0))
	l.clock.Add(at.Sub(now) - time.Millisecond)
	l.step("it is %v", at)
}

// check holds everybody against reference, the directory's own facts and the ceiling.
func (l *life) check(*rapid.T) {
	l.drain()
	if n := l.reconcile(); n != 0 {
		l.t.Errorf("after: %s\n%d people do not hold what they should", l.said, n)
	}
	ref, held := l.reading(), map[access.ScopeID]bool{}
	(&history{world: l.world}).inView(func(dir *store.Directory, policy *mapping.Policy) error {
		for _, p := range l.people {
			row, err := dir.Person(access.PersonID(p.id))
			if err != nil {
				return err
			}
			all, err := dir.Assignments(row)
			if err != nil {
				return err
			}
			scratch, err := fromScratch(dir, policy, row, ref.now)
			if err != nil {
				return err
			}
			want := uses(ref.decide(p))
			if got := uses(all); !slices.Equal(got, want) {
				l.t.Errorf("after: %s\n%s holds\n  %s\nby the rules\n  %s", l.said, p.name, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
			if got := uses(scratch); !slices.Equal(got, want) {
				l.t.Errorf("after: %s\n%s decided from scratch is to hold\n  %s\nby the rules\n  %s", l.said, p.name, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
			for _, a := range all {
				held[a.Scope] = true
				if !slices.Contains(ref.ceiling.Grants, a.Grant) || !ref.tree.in(ref.ceiling.Scope, a.Scope) || !ref.tree.live(a.Scope) {
					l.t.Errorf("after: %s\n%s holds %s @ %s, outside the ceiling", l.said, p.name, a.Grant, ref.tree.path(a.Scope))
				}
			}
		}
		return nil
	})
	l.held = nil
	for _, s := range l.src.Scopes {
		if held[s.ID] {
			l.held = append(l.held, s.ID)
		}
	}
	if len(l.was) < 40 && l.chance(3) {
		l.was = append(l.was, moment{l.clock.Now(), (&history{world: l.world}).standing()})
	}
}

// remembers asks what was so at an earlier step.
func (l *life) remembers(*rapid.T) {
	if len(l.was) == 0 {
		l.r.Skip("nothing was noted")
	}
	m := draw(l, l.was...)
	l.step("asked for %v", m.at)
	if l.chance(4) {
		l.seal()
	}
	for _, id := range slices.Sorted(maps.Keys(m.said)) {
		found, err := l.bridge.ExplainAt(l.ctx, string(id), southern, m.at)
		l.do(err)
		if len(found) != 1 {
			l.t.Fatalf("%s at %v: %d explanations", id, m.at, len(found))
		}
		if got := wordsOf(found[0]); got != m.said[id] {
			l.t.Errorf("%s at %v was\n%s\nthe record says\n%s", id, m.at, m.said[id], got)
		}
	}
}
