//go:build lanes

package oracles

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

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
