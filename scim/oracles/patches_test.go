//go:build lanes

package oracles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// operation is one of a PATCH, as sent.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

func (o operation) String() string {
	b, _ := json.Marshal(o)
	return string(b)
}

// patched is one PATCH of one resource, and what we make of it.
type patched struct {
	rt         *schema.ResourceType
	operations []operation
	before     schema.Object
	after      schema.Object // nil if it is refused
	refused    *schema.Error
}

func (p patched) question() question {
	operations, _ := json.Marshal(p.operations)
	return question{Type: p.rt.Name, Operations: operations, Resource: p.before.Encode()}
}

// apply is what our PATCH makes of a resource, read strictly: the RFC is what is
// compared with, not what identity providers need.
func apply(t *testing.T, rt *schema.ResourceType, before schema.Object, operations []operation) patched {
	t.Helper()
	p := patched{rt: rt, operations: operations, before: before}
	body, err := json.Marshal(map[string]any{"schemas": []string{patch.MessageURN}, "Operations": operations})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := patch.Compile(rt, body, schema.Leniency{})
	if err == nil {
		doc := before.Clone()
		delete(doc, "members")
		p.after, err = plan.Apply(doc)
	}
	if err != nil {
		e, ok := errors.AsType[*schema.Error](err)
		if !ok {
			t.Fatal(err)
		}
		p.refused, p.after = e, nil
		return p
	}
	ids := memberIDs(before)
	for _, edit := range plan.Members {
		ids = edited(ids, edit)
	}
	p.after = p.after.Clone()
	if len(ids) > 0 {
		p.after["members"] = members(ids)
	}
	return p
}

func memberIDs(group schema.Object) (ids []string) {
	for _, m := range list(group["members"]) {
		ids = append(ids, m.(schema.Object).Text("value"))
	}
	return ids
}

func members(ids []string) []any {
	var all []any
	for _, id := range ids {
		all = append(all, schema.Object{"value": id})
	}
	return all
}

func edited(ids []string, e patch.MemberEdit) []string {
	gone := func(id string) bool { return slices.Contains(e.IDs, id) }
	switch e.Kind {
	case patch.AddMembers:
		return append(slices.DeleteFunc(slices.Clone(ids), gone), e.IDs...)
	case patch.RemoveMembers:
		return slices.DeleteFunc(slices.Clone(ids), gone)
	case patch.ReplaceMembers:
		return e.IDs
	}
	return nil
}

// canonical is a resource without what servers may choose: order in lists, values
// that are none, what is assumed, who wrote it.
func canonical(resource []byte) any {
	var v any
	if err := json.Unmarshal(resource, &v); err != nil {
		return err
	}
	if top, ok := v.(map[string]any); ok {
		for _, name := range []string{"schemas", "meta", "id"} {
			delete(top, name)
		}
	}
	return tidied(v)
}

func tidied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, in := range v {
			if in = tidied(in); in == nil || name == "primary" && in == false {
				delete(v, name)
			} else {
				v[name] = in
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		var kept []any
		for _, in := range v {
			if in = tidied(in); in != nil {
				kept = append(kept, in)
			}
		}
		if len(kept) == 0 {
			return nil
		}
		slices.SortFunc(kept, func(a, b any) int {
			x, _ := json.Marshal(a)
			y, _ := json.Marshal(b)
			return bytes.Compare(x, y)
		})
		return kept
	}
	return v
}

// Every operation alone does what the packages do, and so does a request of several
// whose operations all did, but for what is listed.
func TestPatchesChangeAsOtherPackagesDo(t *testing.T) {
	const sequences = 1500
	d := newDraw(11)
	var all []patched
	var whole [][2]int // which of all are the parts of a sequence; the sequence itself follows
	for range sequences {
		rt, doc, draw := schema.Users(), d.patchedPerson(), d.userOperation
		if d.oneIn(4) {
			rt, doc, draw = schema.Groups(), d.patchedGroup(), d.groupOperation
		}
		first, start := len(all), doc
		var sent []operation
		for range 1 + d.IntN(4) {
			p := apply(t, rt, doc, []operation{draw()})
			all = append(all, p)
			if p.refused == nil {
				doc, sent = p.after, append(sent, p.operations...)
			}
		}
		if len(sent) > 1 {
			whole = append(whole, [2]int{first, len(all)})
			all = append(all, apply(t, rt, start, sent))
		}
	}
	var questions []question
	for _, p := range all {
		questions = append(questions, p.question())
	}
	answers := ask(t, questions)
	tally := map[string]int{}
	for _, oracle := range []string{"scimmy", "scim-patch"} {
		differs := make([]bool, len(all))
		for i, p := range all {
			sequence := slices.IndexFunc(whole, func(w [2]int) bool { return w[1] == i })
			if sequence >= 0 && slices.Contains(differs[whole[sequence][0]:i], true) {
				tally[oracle+" sequences with a difference"]++
				continue // it was judged there
			}
			differs[i] = !compare(t, oracle, p, answers[i][oracle], tally)
		}
	}
	t.Logf("%d requests: %v", len(all), tally)
}

// compare reports whether a package made of a PATCH what we did.
func compare(t *testing.T, oracle string, p patched, theirs answer, tally map[string]int) bool {
	if agrees(p, theirs) {
		tally[oracle+" agrees"]++
		return true
	}
	for _, known := range patchDifferences {
		if known.oracle == oracle && known.applies != nil && len(p.operations) == 1 && known.applies(p, p.operations[0], theirs) {
			tally[oracle+": "+known.name]++
			return false
		}
	}
	if tally["unlisted"]++; tally["unlisted"] < 20 {
		says := string(theirs.Is)
		if theirs.Refused != nil {
			says = *theirs.Refused + " " + theirs.Detail
		}
		t.Errorf("%s: %s\non   %s\nsays %s\nwe   %s %v", oracle, p.operations, p.before.Encode(), says, p.after.Encode(), p.refused)
	}
	return false
}

func agrees(p patched, theirs answer) bool {
	switch {
	case (p.refused != nil) != (theirs.Refused != nil):
		return false
	case p.refused != nil:
		return true
	}
	return reflect.DeepEqual(canonical(p.after.Encode()), canonical(theirs.Is))
}

func (d draw) patchedPerson() schema.Object {
	doc := d.person()
	delete(doc, "meta")
	delete(doc, "id")
	for _, name := range lists {
		for _, e := range list(doc[name]) {
			plain(name, e.(schema.Object))
		}
	}
	return doc
}

// plain takes out of an element the types that scimmy refuses to hear of, so that
// it can be asked about the rest.
func plain(name string, element schema.Object) schema.Object {
	if kind := element.Text("type"); kind == "Work" || name == "roles" {
		delete(element, "type")
	}
	return element
}

func (d draw) patchedGroup() schema.Object {
	doc := schema.Object{"displayName": pick(d, words...)}
	if d.oneIn(2) {
		doc["externalId"] = pick(d, words...)
	}
	var ids []string
	for _, id := range []string{"per_1", "per_2", "per_3"} {
		if d.oneIn(2) {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		doc["members"] = members(ids)
	}
	return doc
}

func (d draw) groupOperation() operation {
	ids := []string{"per_1", "per_2", "per_3", "per_4"}
	some := func() json.RawMessage {
		d.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		return schema.Object{"x": members(ids[:1+d.IntN(3)])}.Encode()
	}
	list := func() json.RawMessage {
		return bytes.TrimSuffix(bytes.TrimPrefix(some(), []byte(`{"x":`)), []byte("}"))
	}
	switch d.IntN(8) {
	case 0:
		return operation{"add", "members", list()}
	case 1:
		return operation{"replace", "members", list()}
	case 2:
		return operation{"remove", fmt.Sprintf("members[value eq %q]", pick(d, ids...)), nil}
	case 3:
		return operation{"remove", "members", nil}
	case 4:
		return operation{"replace", "displayName", json.RawMessage(quoted(pick(d, words...)))}
	case 5:
		return operation{pick(d, "add", "replace"), "", json.RawMessage(`{"members":` + string(list()) + `}`)}
	case 6:
		return operation{"remove", "externalId", nil}
	}
	return operation{pick(d, "add", "replace"), "", json.RawMessage(`{"displayName":` + quoted(pick(d, words...)) + `}`)}
}

var lists = []string{"emails", "phoneNumbers", "roles"}

func (d draw) userOperation() operation {
	verb := pick(d, "add", "replace", "remove")
	op := operation{Op: verb}
	text := json.RawMessage(quoted(pick(d, words...)))
	switch d.IntN(10) {
	case 0, 1:
		op.Path, op.Value = pick(d, "title", "nickName", "displayName", "userName", "externalId", "name.givenName", "name.familyName"), text
	case 2:
		op.Path, op.Value = "active", json.RawMessage(pick(d, "true", "false"))
	case 3:
		op.Path, op.Value = "name", schema.Object{pick(d, "givenName", "familyName"): pick(d, words...)}.Encode()
	case 4:
		op.Path, op.Value = schema.EnterpriseURN+":"+pick(d, "department", "employeeNumber"), text
	case 5:
		name := pick(d, lists...)
		op.Path, op.Value = name, d.some(name)
	case 6:
		name := pick(d, lists...)
		op.Path, op.Value = d.selected(name), plain(name, d.element()).Encode()
	case 7, 8:
		name := pick(d, lists...)
		sub := pick(d, subsOf(name)...)
		op.Path, op.Value = d.selected(name)+"."+sub, text
		switch sub {
		case "primary":
			op.Value = json.RawMessage(pick(d, "true", "false"))
		case "type":
			op.Value = json.RawMessage(pick(d, `"work"`, `"home"`))
		}
	default:
		op.Op, op.Value = pick(d, "add", "replace"), d.attributes().Encode()
	}
	if op.Op == "remove" {
		op.Value = nil
	}
	return op
}

func subsOf(name string) []string {
	if name == "roles" {
		return []string{"value", "display", "primary"}
	}
	return subs
}

func (d draw) selected(name string) string { return name + "[" + d.compare(subsOf(name)) + "]" }

func (d draw) some(name string) json.RawMessage {
	var all []string
	primary := d.IntN(3)
	for i := range 1 + d.IntN(2) {
		e := plain(name, d.element())
		if i == primary {
			e["primary"] = true
		}
		all = append(all, string(e.Encode()))
	}
	return json.RawMessage("[" + strings.Join(all, ",") + "]")
}

func (d draw) attributes() schema.Object {
	o := schema.Object{pick(d, "title", "nickName", "displayName"): pick(d, words...)}
	if d.oneIn(2) {
		o["active"] = d.oneIn(2)
	}
	if d.oneIn(3) {
		o["name"] = schema.Object{"givenName": pick(d, words...)}
	}
	if d.oneIn(3) {
		if e := d.elements(); e != nil {
			for _, one := range list(e) {
				plain("emails", one.(schema.Object))
			}
			o["emails"] = e
		}
	}
	if d.oneIn(4) {
		o[schema.EnterpriseURN] = schema.Object{"department": pick(d, words...)}
	}
	return o
}

func TestTheListedPatchDifferencesAreThere(t *testing.T) {
	var all []patched
	var questions []question
	for _, d := range patchDifferences {
		doc, err := schema.Stored([]byte(d.resource))
		if err != nil {
			t.Fatal(err)
		}
		var o operation
		if err := json.Unmarshal([]byte(d.operation), &o); err != nil {
			t.Fatalf("%s: %v", d.operation, err)
		}
		p := apply(t, schema.Users(), doc, []operation{o})
		all, questions = append(all, p), append(questions, p.question())
	}
	answers := ask(t, questions)
	for i, d := range patchDifferences {
		theirs := answers[i][d.oracle]
		if agrees(all[i], theirs) {
			t.Errorf("%s makes of %s what we do by now: take %q off the list", d.oracle, d.operation, d.name)
		}
		if d.applies != nil && !d.applies(all[i], all[i].operations[0], theirs) {
			t.Errorf("%s, %s: the example is not what the entry applies to", d.oracle, d.name)
		}
	}
}
