//go:build lanes

package oracles

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// asked is one node of a filter, with what it was asked about: a resource, or an
// element of a list where the node stands in brackets.
type asked struct {
	node filter.Expr
	doc  schema.Object
	in   *schema.Attribute // nil for a resource
}

func (a asked) text() string {
	if a.in == nil {
		return filter.String(a.node)
	}
	inside := filter.String(&filter.ValuePath{Attr: a.in, Term: a.node})
	return inside[strings.IndexByte(inside, '[')+1 : len(inside)-1]
}

func (a asked) ours() bool {
	if a.in == nil {
		return filter.Matches(a.node, a.doc)
	}
	return filter.MatchesElement(a.node, a.doc)
}

func (a asked) question() question {
	return question{Filter: a.text(), Resource: a.doc.Encode()}
}

// parts are the nodes that a consists of, as far as they are asked about the same.
func (a asked) parts() []asked {
	var terms []filter.Expr
	switch e := a.node.(type) {
	case *filter.And:
		terms = e.Terms
	case *filter.Or:
		terms = e.Terms
	case *filter.Not:
		terms = []filter.Expr{e.Term}
	case *filter.ValuePath:
		var elements []asked
		list, _ := a.doc.Get(e.Attr).([]any)
		for _, v := range list {
			elements = append(elements, asked{e.Term, v.(schema.Object), e.Attr})
		}
		return elements
	}
	var all []asked
	for _, term := range terms {
		all = append(all, asked{term, a.doc, a.in})
	}
	return all
}

// composed is what the parts' truths make of the whole.
func (a asked) composed(parts []bool) bool {
	any, all := false, true
	for _, p := range parts {
		any, all = any || p, all && p
	}
	switch a.node.(type) {
	case *filter.And:
		return all
	case *filter.Not:
		return !any
	default:
		return any
	}
}

// values are what a comparison looks at.
func (a asked) values(c *filter.Compare) []any {
	holder := []any{a.doc}
	if a.in == nil {
		if top := c.Attr; top.Parent != nil {
			holder = list(a.doc.Get(top.Parent))
		} else if top.Extension {
			return list(a.doc.Get(top))
		}
	}
	var all []any
	for _, h := range holder {
		o, _ := h.(schema.Object)
		all = append(all, list(o[c.Attr.Name])...)
	}
	return all
}

// crowd asks about a node and, apart, about each part of it, every question once.
type crowd struct {
	at        map[string]int
	questions []question
}

func (c *crowd) add(a asked) {
	q := a.question()
	key := q.Filter + "\n" + string(q.Resource)
	if _, known := c.at[key]; !known {
		c.at[key] = len(c.questions)
		c.questions = append(c.questions, q)
	}
	for _, p := range a.parts() {
		c.add(p)
	}
}

func (c *crowd) find(a asked) int {
	q := a.question()
	return c.at[q.Filter+"\n"+string(q.Resource)]
}

// verdict is what one package says of a: a truth, or why it refuses.
func verdict(a answer) (is bool, refused string) {
	if a.Refused != nil {
		return false, *a.Refused + " " + a.Detail
	}
	return string(a.Is) == "true", ""
}

// Every comparison is answered as by the packages, and every connective makes of its
// parts what it makes of theirs, but for what is listed.
func TestFiltersSelectAsOtherPackagesDo(t *testing.T) {
	const filters, people = 700, 3
	d := newDraw(7)
	var roots []asked
	for range filters {
		text := d.filter(3)
		e, err := filter.Parse(schema.Users(), text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for range people {
			roots = append(roots, asked{node: e, doc: d.person()})
		}
	}
	c := crowd{at: map[string]int{}}
	for _, r := range roots {
		c.add(r)
	}
	answers := ask(t, c.questions)
	tally := map[string]int{}
	for _, r := range roots {
		for _, oracle := range []string{"scimmy", "scim2-parse-filter"} {
			judge(t, &c, answers, oracle, r, tally)
		}
	}
	t.Logf("%d filters, %d questions: %v", filters, len(c.questions), tally)
}

func judge(t *testing.T, c *crowd, answers []map[string]answer, oracle string, a asked, tally map[string]int) {
	is, refused := verdict(answers[c.find(a)][oracle])
	parts := a.parts()
	want := a.ours()
	if len(parts) > 0 {
		var own, theirs []bool
		for _, p := range parts {
			judge(t, c, answers, oracle, p, tally)
			truth, broken := verdict(answers[c.find(p)][oracle])
			if broken != "" {
				refused = "a part is refused"
			}
			own, theirs = append(own, p.ours()), append(theirs, truth)
		}
		if want != a.composed(own) {
			t.Errorf("%s on %s: we say %v, and of its parts %v", a.text(), a.doc.Encode(), want, own)
		}
		want = a.composed(theirs)
	}
	if refused == "a part is refused" {
		return // it was judged there
	}
	if refused == "" && is == want {
		tally[oracle+" agrees"]++
		return
	}
	for _, known := range filterDifferences {
		if known.oracle == oracle && known.applies != nil && known.applies(a, is) {
			tally[oracle+": "+known.name]++
			return
		}
	}
	if tally["unlisted"]++; tally["unlisted"] < 20 {
		t.Errorf("%s: %s\non %s\nsays %v %s; parts make %v", oracle, a.text(), a.doc.Encode(), is, refused, want)
	}
}

// appliesWithin says whether a difference excuses an answer about a or a part of it.
func appliesWithin(d filterDifference, a asked) bool {
	if d.applies(a, !a.ours()) {
		return true
	}
	for _, p := range a.parts() {
		if appliesWithin(d, p) {
			return true
		}
	}
	return false
}

// What is listed must still differ, or the list tells stories.
func TestTheListedFilterDifferencesAreThere(t *testing.T) {
	var questions []question
	for _, d := range filterDifferences {
		questions = append(questions, question{Filter: d.filter, Resource: json.RawMessage(d.resource)})
	}
	answers := ask(t, questions)
	for i, d := range filterDifferences {
		e, err := filter.Parse(schema.Users(), d.filter)
		if err != nil {
			t.Errorf("%s: %v", d.filter, err)
			continue
		}
		doc, err := schema.Stored([]byte(d.resource))
		if err != nil {
			t.Fatal(err)
		}
		is, refused := verdict(answers[i][d.oracle])
		if refused == "" && is == filter.Matches(e, doc) {
			t.Errorf("%s answers %s on %s as we do by now: take %q off the list", d.oracle, d.filter, d.resource, d.name)
		}
		if d.why == "" {
			t.Errorf("%s, %s: nobody has said why", d.oracle, d.name)
		}
		if d.applies != nil && !appliesWithin(d, asked{node: e, doc: doc}) {
			t.Errorf("%s, %s: the example is not what the entry applies to", d.oracle, d.name)
		}
	}
}
