//go:build lanes

package oracles

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// filterDifference is one thing in which a package selects otherwise, and why we
// think that it is wrong there. It excuses an answer only where applies says so, and
// its example must be answered otherwise than by us: one that no longer is fails.
type filterDifference struct {
	oracle, name, why string
	applies           func(a asked, is bool) bool // nil: nothing that is drawn at random
	filter, resource  string
}

// The reviewed list. Every entry says which sentence it stands on.
var filterDifferences = []filterDifference{
	{"scimmy", "case", "RFC 7643 section 2.2: an attribute is not case exact unless it says so; RFC 7644 section 3.4.2.2: comparisons follow that",
		asIfExact, `userName eq "ADA"`, `{"userName":"ada"}`},
	{"scim2-parse-filter", "case", "the same",
		asIfExact, `userName eq "ADA"`, `{"userName":"ada"}`},
	{"scim2-parse-filter", "ne of nothing", "RFC 7643 section 2.5: no value is null, and that is not identical to any value (RFC 7644 table 3)",
		func(a asked, is bool) bool { return absent(a, filter.NotEqual, false) && !is }, `title ne "Boss"`, `{"userName":"ada"}`},
	{"scim2-parse-filter", "eq null of nothing", "RFC 7643 section 2.5: unassigned and null are equal in state",
		func(a asked, is bool) bool { return absent(a, filter.Equal, true) && !is }, `title eq null`, `{"userName":"ada"}`},
	{"scim2-parse-filter", "instants as texts", "RFC 7644 table 3: dateTimes are compared chronologically",
		func(a asked, _ bool) bool { return ofInstant(a, filter.Present) },
		`meta.created eq "2026-11-21T10:00:00+01:00"`, `{"meta":{"created":"2026-11-21T09:00:00Z"}}`},
	{"scimmy", "instants as texts in eq and ne", "RFC 7643 section 2.3.5: a dateTime is an instant, whatever zone it is written in",
		func(a asked, _ bool) bool { return ofInstant(a, filter.Greater) },
		`meta.created eq "2026-11-21T10:00:00+01:00"`, `{"meta":{"created":"2026-11-21T09:00:00Z"}}`},
	{"scim2-parse-filter", "backslashes are doubled", "RFC 7644 figure 1: a string is a JSON string",
		escaped, `title eq "b\\b"`, `{"title":"b\\b"}`},
	{"scimmy", "escapes stay", "RFC 7644 figure 1: a string is a JSON string",
		escaped, `title eq "q\"q"`, `{"title":"q\"q"}`},
	{"scimmy", "an extension's attributes are not found", "RFC 7644 section 3.10: they are named by their URN",
		func(a asked, is bool) bool { c, ok := a.node.(*filter.Compare); return ok && c.Attr.Extension },
		schema.EnterpriseURN + `:department eq "ada"`, `{"` + schema.EnterpriseURN + `":{"department":"ada"}}`},
	{"scimmy", "breaks on what is not there", "RFC 7644 section 3.4.2.2: a resource without the attribute does not match",
		func(a asked, _ bool) bool { return withoutParent(a) }, `emails.value eq "ada"`, `{"userName":"ada"}`},
	{"scimmy", "breaks on a list that is there", "RFC 7644 table 3: pr holds if there is a non-empty node",
		func(a asked, _ bool) bool {
			c, ok := a.node.(*filter.Compare)
			return ok && c.Op == filter.Present && c.Attr.MultiValued
		}, `emails pr`, `{"emails":[{"value":"ada"}]}`},
	{"scimmy", "elements without the sub-attribute have it", "RFC 7644 section 3.4.2.2: what is not there is no value of the list's",
		elementsWithout, `emails.type ne "work"`, `{"emails":[{"value":"ada"},{"value":"bob","type":"work"}]}`},
	{"scimmy", "not", "RFC 7644 section 3.4.2.2: not is applied to the whole group, which may hold others",
		func(a asked, _ bool) bool { return strings.Contains(a.text(), "not (") },
		`not (userName eq "ada" and title eq "x")`, `{"userName":"ada","title":"y"}`},
	{"scim2-parse-filter", "brackets do not mean one element", "RFC 7644 section 3.4.2.2: a value path's filter is matched by an element as a whole",
		overWholeList, `emails[type eq "work" and value eq "ada"]`, `{"emails":[{"value":"ada","type":"home"},{"value":"bob","type":"work"}]}`},
	{"scimmy", "an element that is not said to be primary might be", "RFC 7643 section 2.4: where it is not specified, primary is false",
		primaryUnsaid, `emails[primary eq false]`, `{"emails":[{"value":"ada"}]}`},
	{"scim2-parse-filter", "an element that is not said to be primary might be", "the same",
		primaryUnsaid, `emails[primary eq false]`, `{"emails":[{"value":"ada"}]}`},
	{"scim2-parse-filter", "a list is no value", "RFC 7644 section 3.4.2.2 filters by emails co: what is meant is their value (RFC 7643 section 2.4)",
		nil, `emails co "ada"`, `{"emails":[{"value":"ada"}]}`},
	{"scimmy", "a list is no value", "the same", nil, `emails co "ada"`, `{"emails":[{"value":"ada"}]}`},
	{"scim2-parse-filter", "the core schema's URN finds nothing", "RFC 7644 section 3.4.2.2 has this filter as an example",
		nil, schema.UserURN + `:userName sw "a"`, `{"userName":"ada"}`},
	{"scimmy", "the core schema's URN finds nothing", "the same", nil, schema.UserURN + `:userName sw "a"`, `{"userName":"ada"}`},
	{"scim2-parse-filter", "words without quotes", "no RFC: Entra's own documents leave them out", nil, `userName eq ada`, `{"userName":"ada"}`},
	{"scim2-parse-filter", "booleans as texts", "no RFC: Entra sends them", nil, `active eq "True"`, `{"active":true}`},
	{"scim2-parse-filter", "an extension's attribute by its bare name", "no RFC: identity providers send it", nil,
		`department eq "ada"`, `{"` + schema.EnterpriseURN + `":{"department":"ada"}}`},
	{"scimmy", "of a group, a condition and another, one is lost", "RFC 7644 section 3.4.2.2: and holds if both do",
		orInsideAnd, `(userName pr or title pr) and active eq true and id eq "x"`, `{"id":"y","userName":"ada","active":true}`},
	{"scimmy", "what two conditions ask of a list is asked of one element", "RFC 7644 section 3.4.2.2: only a value path asks for the same element",
		twiceOneList, `emails.type eq "work" and emails.value eq "bob"`, twoMails},
	{"scimmy", "parentheses in parentheses", "RFC 7644 figure 1: a group holds any filter", nil, `(userName pr and (title pr or active pr)) or id pr`, `{"userName":"ada","active":true}`},
}

func absent(a asked, op filter.Op, null bool) bool {
	c, ok := a.node.(*filter.Compare)
	return ok && c.Op == op && c.Value.Null == null && len(a.values(c)) == 0
}

// ofInstant says whether a is a comparison of instants by an operator before op.
func ofInstant(a asked, before filter.Op) bool {
	c, ok := a.node.(*filter.Compare)
	return ok && c.Attr.Type == schema.DateTime && c.Op < before
}

// asIfExact: the answer is that of a comparison that heeds case.
func asIfExact(a asked, is bool) bool {
	c, ok := a.node.(*filter.Compare)
	if !ok || c.Attr.CaseExact || c.Attr.Type != schema.String || c.Value.Null || c.Op == filter.Present {
		return false
	}
	exact, attr := *c, *c.Attr
	attr.CaseExact = true
	exact.Attr = &attr
	for _, v := range a.values(c) {
		if filter.MatchesElement(&exact, schema.Object{attr.Name: v}) {
			return is
		}
	}
	return !is
}

func escaped(a asked, _ bool) bool {
	c, ok := a.node.(*filter.Compare)
	return ok && strings.ContainsAny(c.Value.Text, `"\`)
}

func withoutParent(a asked) bool {
	switch e := a.node.(type) {
	case *filter.ValuePath:
		return a.doc.Get(e.Attr) == nil
	case *filter.Compare:
		return a.in == nil && e.Attr.Parent != nil && a.doc.Get(e.Attr.Parent) == nil
	}
	return false
}

func elementsWithout(a asked, is bool) bool {
	c, ok := a.node.(*filter.Compare)
	if !ok || a.in != nil || c.Attr.Parent == nil || !c.Attr.Parent.MultiValued || c.Op != filter.NotEqual && !c.Value.Null {
		return false
	}
	return is && len(a.values(c)) < len(list(a.doc.Get(c.Attr.Parent)))
}

// overWholeList: the brackets hold more than one comparison, and the list more than
// one element for them.
func overWholeList(a asked, _ bool) bool {
	e, ok := a.node.(*filter.ValuePath)
	if !ok || len(list(a.doc.Get(e.Attr))) < 2 {
		return false
	}
	_, single := e.Term.(*filter.Compare)
	return !single
}

func primaryUnsaid(a asked, _ bool) bool {
	c, ok := a.node.(*filter.Compare)
	if !ok || !c.AssumesFalse() {
		return false
	}
	asks := 1
	if a.in == nil {
		asks = len(list(a.doc.Get(c.Attr.Parent)))
	}
	return len(a.values(c)) < asks
}

// orInsideAnd: alternatives, in a group or in brackets, stand among other conditions.
func orInsideAnd(a asked, _ bool) bool {
	and, ok := a.node.(*filter.And)
	return ok && slices.ContainsFunc(and.Terms, func(e filter.Expr) bool {
		if path, ok := e.(*filter.ValuePath); ok {
			e = path.Term
		}
		_, or := e.(*filter.Or)
		return or
	})
}

// twiceOneList: two conditions that stand together are about one list.
func twiceOneList(a asked, _ bool) bool {
	and, ok := a.node.(*filter.And)
	if !ok {
		return false
	}
	asks := map[*schema.Attribute]int{}
	for _, e := range and.Terms {
		switch e := e.(type) {
		case *filter.ValuePath:
			asks[e.Attr]++
		case *filter.Compare:
			if in := e.Attr.Parent; in != nil && in.MultiValued {
				asks[in]++
			} else if e.Attr.MultiValued {
				asks[e.Attr]++
			}
		}
	}
	for _, n := range asks {
		if n > 1 {
			return true
		}
	}
	return false
}

// patchDifference is the same for patches. Its example is one operation.
type patchDifference struct {
	oracle, name, why   string
	applies             func(p patched, o operation, theirs answer) bool // nil: nothing that is drawn at random
	operation, resource string
}

const twoMails = `{"userName":"ada","emails":[{"value":"ada","type":"work","primary":true},{"value":"bob","type":"home"}]}`

var patchDifferences = []patchDifference{
	{"scimmy", "what is there is added again", "RFC 7644 section 3.5.2.1: if the value exists already, nothing changes",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "add" && confined(p, theirs, append(slices.Clone(lists), "members")...) && sameSet(p, theirs)
		}, `{"op":"add","path":"emails","value":[{"value":"bob","type":"home"}]}`, twoMails},
	{"scimmy", "a list is replaced by adding to it", "RFC 7644 section 3.5.2.3: without a path, the attributes in the value are replaced",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "replace" && o.Path == "" && confined(p, theirs, "emails", "members")
		}, `{"op":"replace","value":{"emails":[{"value":"cleo"}]}}`, twoMails},
	{"scimmy", "sub-attributes that nobody named are lost", "RFC 7644 section 3.5.2.3: those in the value are replaced, others stay",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "replace" && o.Path == "name" && confined(p, theirs, "name")
		}, `{"op":"replace","path":"name","value":{"givenName":"ada"}}`, `{"userName":"ada","name":{"familyName":"bob"}}`},
	{"scim-patch", "sub-attributes that nobody named are lost", "RFC 7644 sections 3.5.2.1 and 3.5.2.3, the same",
		func(p patched, o operation, theirs answer) bool {
			return o.Path == "" && confined(p, theirs, "name", "emails", "urn:ietf:params:scim:schemas:extension:enterprise:2.0", schema.EnterpriseURN) && p.rt == schema.Users()
		}, `{"op":"add","value":{"name":{"givenName":"ada"}}}`, `{"userName":"ada","name":{"familyName":"bob"}}`},
	{"scimmy", "two are primary", "RFC 7644 section 3.5.2: the server sets it to false for all others",
		makesPrimary, `{"op":"add","path":"emails","value":[{"value":"cleo","primary":true}]}`, twoMails},
	{"scim-patch", "two are primary", "the same",
		makesPrimary, `{"op":"add","path":"emails","value":[{"value":"cleo","primary":true}]}`, twoMails},
	{"scimmy", "an element of the same value and type is added beside the first", "RFC 7643 section 2.4: the same type and value come once",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "add" && confined(p, theirs, lists...) && twins(theirs)
		}, `{"op":"add","path":"emails","value":[{"value":"bob","type":"home","display":"Bob"}]}`, twoMails},
	{"scim-patch", "an element of the same value and type is added beside the first", "the same",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "add" && confined(p, theirs, lists...) && twins(theirs)
		}, `{"op":"add","path":"emails","value":[{"value":"bob","type":"home","display":"Bob"}]}`, twoMails},
	{"scim-patch", "what is there is added again", "RFC 7644 section 3.5.2.1: if the value exists already, nothing changes",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "add" && o.Path == "" && confined(p, theirs, append(slices.Clone(lists), "members")...) && sameSet(p, theirs)
		}, `{"op":"add","value":{"emails":[{"value":"bob","type":"home"}]}}`, twoMails},
	{"scim-patch", "what a replaced element said stays", "RFC 7644 section 3.5.2.3: all matching record values are replaced",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "replace" && strings.HasSuffix(o.Path, "]") && confined(p, theirs, lists...)
		}, `{"op":"replace","path":"emails[type eq \"home\"]","value":{"display":"Cleo","type":"home"}}`, twoMails},
	{"scimmy", "what is replaced is removed first, and not found then", "RFC 7644 section 3.5.2.3: the values that the filter matches are replaced",
		func(p patched, o operation, _ answer) bool {
			path, err := filter.ParsePath(p.rt, o.Path)
			c, ok := path.Filter.(*filter.Compare)
			return err == nil && ok && o.Op == "replace" && c.Attr == path.Sub
		}, `{"op":"replace","path":"emails[value eq \"bob\"].value","value":"cleo"}`, twoMails},
	{"scimmy", "filters", "as listed above", selectsOtherwise("scimmy"), `{"op":"remove","path":"emails[type eq \"WORK\"]"}`, twoMails},
	{"scim-patch", "filters", "as listed above", selectsOtherwise("scim2-parse-filter"), `{"op":"remove","path":"emails[type eq \"WORK\"]"}`, twoMails},
	{"scimmy", "what is selected is removed, and one is added", "RFC 7644 section 3.5.2.3: all matching values are replaced, and none is noTarget",
		func(_ patched, o operation, _ answer) bool {
			return o.Op == "replace" && strings.HasSuffix(o.Path, "]")
		}, `{"op":"replace","path":"emails[type eq \"other\"]","value":{"value":"cleo"}}`, twoMails},
	{"scimmy", "an element stays that says only its type", "RFC 7644 section 3.5.2.2 would keep it, too: ours is a divergence",
		leavesHusk, `{"op":"remove","path":"emails[type eq \"home\"].value"}`, twoMails},
	{"scim-patch", "an element stays that says only its type", "the same",
		leavesHusk, `{"op":"remove","path":"emails[type eq \"home\"].value"}`, twoMails},
	{"scim-patch", "to remove what is not there is refused", "RFC 7644 section 3.5.2.2: the values matched are removed, also where there are none",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "remove" && strings.Contains(o.Path, "[") && p.refused == nil && theirs.Refused != nil && reflect.DeepEqual(canonical(p.before.Encode()), canonical(p.after.Encode()))
		}, `{"op":"remove","path":"emails[type eq \"other\"].value"}`, twoMails},
	{"scim-patch", "a required attribute is removed", "RFC 7644 section 3.5.2.2: that is refused",
		func(p patched, o operation, theirs answer) bool {
			return o.Op == "remove" && o.Path == "userName"
		}, `{"op":"remove","path":"userName"}`, twoMails},
	{"scim-patch", "what a filter does not find is made", "RFC 7644 section 3.5.2.1 and table 9: a filter that yields no match is noTarget",
		func(p patched, o operation, theirs answer) bool {
			return o.Op != "remove" && strings.Contains(o.Path, "[") && p.refused != nil && p.refused.Kind == schema.NoTarget && theirs.Refused == nil
		}, `{"op":"add","path":"emails[type eq \"other\"].value","value":"cleo"}`, twoMails},
}

// confined says whether both changed the resource, and differ in nothing but the
// named attributes.
func confined(p patched, theirs answer, names ...string) bool {
	if p.refused != nil || theirs.Refused != nil {
		return false
	}
	x, _ := canonical(p.after.Encode()).(map[string]any)
	y, _ := canonical(theirs.Is).(map[string]any)
	for _, name := range slices.Concat(slices.Collect(maps.Keys(x)), slices.Collect(maps.Keys(y))) {
		if !reflect.DeepEqual(x[name], y[name]) && !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// sameSet says whether both left the same elements, if each counts once.
func sameSet(p patched, theirs answer) bool {
	once := func(v any) map[string]bool {
		set := map[string]bool{}
		o, _ := v.(map[string]any)
		for _, name := range append(slices.Clone(lists), "members") {
			for _, e := range list(o[name]) {
				b, _ := json.Marshal(e)
				set[name+string(b)] = true
			}
		}
		return set
	}
	return maps.Equal(once(canonical(p.after.Encode())), once(canonical(theirs.Is)))
}

// makesPrimary: the operation makes somebody primary beside others, or several at
// once, which we refuse.
func makesPrimary(p patched, o operation, theirs answer) bool {
	if !strings.Contains(string(o.Value), "true") || theirs.Refused != nil {
		return false
	}
	if p.refused != nil {
		return p.refused.Kind == schema.InvalidValue && strings.HasSuffix(o.Path, "].primary")
	}
	return confined(p, theirs, lists...)
}

// twins says whether two elements of a list have the same value and type.
func twins(theirs answer) bool {
	o, _ := canonical(theirs.Is).(map[string]any)
	for _, name := range lists {
		seen := map[string]bool{}
		for _, e := range list(o[name]) {
			element, _ := e.(map[string]any)
			key := schema.Fold(fmt.Sprint(element["value"], "\n", element["type"]))
			if seen[key] {
				return true
			}
			seen[key] = true
		}
	}
	return false
}

// selectsOtherwise: one of the differences between filters bears on an element that
// the path selects, or not.
func selectsOtherwise(oracle string) func(patched, operation, answer) bool {
	return func(p patched, o operation, _ answer) bool {
		path, err := filter.ParsePath(p.rt, o.Path)
		if err != nil || path.Filter == nil {
			return false
		}
		for _, e := range list(p.before.Get(path.Attr)) {
			a := asked{path.Filter, e.(schema.Object), path.Attr}
			for _, known := range filterDifferences {
				if known.oracle == oracle && known.applies != nil && known.applies(a, !a.ours()) {
					return true
				}
			}
		}
		return false
	}
}

func leavesHusk(p patched, o operation, theirs answer) bool {
	attr, _, _ := strings.Cut(o.Path, "[")
	return o.Op == "remove" && strings.Contains(o.Path, "].") && confined(p, theirs, attr)
}
