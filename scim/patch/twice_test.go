package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// An operation that is sent twice, because an answer was lost, leaves what it left
// the first time (RFC 7644 section 3.5.2: add and replace with a value that is
// there change nothing). A replace that renames what its own filter asks for may
// instead find nothing to rename; and to give the primary place to whoever does not
// have it hands it around.
func TestOneOperationTwiceIsOnce(t *testing.T) {
	attributes := []string{"emails", "roles", "phoneNumbers"}
	subs := []string{"value", "type", "primary", "display"}
	words := []string{`"work"`, `"home"`, `"a@x.example"`, `"b@x.example"`, `"WORK"`}
	operand := func(t *rapid.T, sub string) string {
		if sub == "primary" {
			return rapid.SampledFrom([]string{"true", "false", `"True"`}).Draw(t, "bool")
		}
		return rapid.SampledFrom(words).Draw(t, "word")
	}
	rapid.Check(t, func(t *rapid.T) {
		doc := schema.Object{"userName": "p"}
		for _, a := range attributes {
			doc.Put(attribute(t, a), rapid.Custom(drawElements).Draw(t, a))
		}
		schema.Users().Tidy(doc)
		path := rapid.SampledFrom(attributes).Draw(t, "attribute")
		if rapid.Bool().Draw(t, "filtered") {
			sub := rapid.SampledFrom(subs).Draw(t, "filter")
			path += fmt.Sprintf("[%s eq %s]", sub, operand(t, sub))
		}
		value := fmt.Sprintf(`{"value":%s,"type":%s,"primary":%s}`, operand(t, "value"), operand(t, "type"), operand(t, "primary"))
		if rapid.Bool().Draw(t, "one sub-attribute") {
			sub := rapid.SampledFrom(subs).Draw(t, "sub")
			path += "." + sub
			value = operand(t, sub)
		}
		if strings.Contains(path, "[primary eq false]") {
			value = strings.ReplaceAll(strings.ReplaceAll(value, "true", "false"), "True", "false")
		}
		verb := rapid.SampledFrom([]string{"add", "replace", "remove"}).Draw(t, "op")
		twice(t, doc, fmt.Sprintf(`[{"op":%q,"path":%q,"value":%s}]`, verb, path, value))
	})
}

func twice(t *rapid.T, doc schema.Object, operations string) {
	plan, err := Compile(schema.Users(), body(operations), schema.Lenient())
	if err != nil {
		t.Fatalf("%s: %v", operations, err)
	}
	appliedTwice(t, plan, doc, operations)
}

// appliedTwice applies a plan twice, and to a copy that it must not touch.
func appliedTwice(t *rapid.T, plan Plan, doc schema.Object, operations string) {
	before := string(doc.Encode())
	once, err := plan.Apply(doc)
	if string(doc.Encode()) != before {
		t.Fatalf("%s changed the document itself from %s to %s", operations, before, doc.Encode())
	}
	if err != nil {
		return
	}
	again, err := plan.Apply(once)
	if e, ok := errors.AsType[*schema.Error](err); ok && e.Kind == schema.NoTarget {
		return
	}
	if err != nil || string(once.Encode()) != string(again.Encode()) {
		t.Fatalf("%s on %s\n once %s\ntwice %s %v", operations, doc.Encode(), once.Encode(), again.Encode(), err)
	}
}

// Any other operation, too: on simple and complex attributes, extensions, and
// without a path, read strictly or not.
func TestAnyOperationTwiceIsOnce(t *testing.T) {
	const enterprise = schema.EnterpriseURN
	values := map[string][]string{
		"title": {`"a"`, `"b"`, `""`, `null`}, "active": {"true", "false", `"False"`}, "name": {`{"givenName":"a"}`, `{"familyName":"b","givenName":""}`, `{}`},
		"name.givenName": {`"a"`, `null`}, enterprise + ":department": {`"a"`}, enterprise + ":manager": {`{"value":"per_1"}`, `"per_2"`, `{"displayName":"x"}`, `""`},
		enterprise + ":manager.value": {`"per_3"`}, enterprise: {`{"department":"b"}`, `{"manager":{"value":"per_4"}}`},
		"emails":         {`[{"value":"a@x.example","type":"work"}]`, `[{"value":"a@x.example"},{"value":"c@x.example","primary":true}]`, `[]`, `{"value":"d@x.example"}`},
		"emails.display": {`"x"`, `""`}, `emails[value ew "x.example"]`: {`{"display":"y"}`, `{"type":"other"}`}, `emails[type ne "work"].primary`: {"true", "false"},
		"": {`{"title":"c","name":{"givenName":"d"}}`, `{"emails":[{"value":"e@x.example","primary":true}],"` + enterprise + `":{"department":"e"}}`, `{"name.familyName":"f","` + enterprise + `:employeeNumber":"8"}`},
	}
	paths := slices.Sorted(maps.Keys(values))
	rapid.Check(t, func(t *rapid.T) {
		doc := schema.Object{"userName": "p", "title": "a", "name": schema.Object{"givenName": "a", "familyName": "b"}, enterprise: schema.Object{"manager": schema.Object{"value": "per_1", "displayName": "M"}}}
		doc.Put(attribute(t, "emails"), rapid.Custom(drawElements).Draw(t, "emails"))
		schema.Users().Tidy(doc)
		path := rapid.SampledFrom(paths).Draw(t, "path")
		o := map[string]any{"op": rapid.SampledFrom([]string{"add", "replace", "remove"}).Draw(t, "op"), "value": json.RawMessage(rapid.SampledFrom(values[path]).Draw(t, "value"))}
		if path != "" {
			o["path"] = path
		}
		if o["op"] == "remove" && rapid.Bool().Draw(t, "bare") {
			delete(o, "value")
		}
		operations, err := json.Marshal([]any{o})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []schema.Leniency{schema.Lenient(), {}} {
			if plan, err := Compile(schema.Users(), body(string(operations)), l); err == nil {
				appliedTwice(t, plan, doc, string(operations))
			}
		}
	})
}

func attribute(t *rapid.T, path string) *schema.Attribute {
	a, err := schema.Users().Attribute(path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func drawElements(t *rapid.T) []any {
	list := []any{}
	primary := rapid.IntRange(-1, 2).Draw(t, "primary")
	for i := range rapid.IntRange(0, 3).Draw(t, "elements") {
		o := schema.Object{"value": rapid.SampledFrom([]string{"a@x.example", "b@x.example"}).Draw(t, "value")}
		if rapid.Bool().Draw(t, "typed") {
			o["type"] = rapid.SampledFrom([]string{"work", "home"}).Draw(t, "type")
		}
		if i == primary {
			o["primary"] = true
		}
		list = append(list, o)
	}
	return list
}

// patched is a user after one strict operation.
func patched(t *testing.T, doc schema.Object, operation string) string {
	t.Helper()
	plan, err := Compile(schema.Users(), body("["+operation+"]"), schema.Leniency{})
	if err != nil {
		t.Fatal(err)
	}
	after, err := plan.Apply(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(after.Encode())
}

func TestAnElementLeftWithItsTypeAloneIsTakenOut(t *testing.T) {
	doc := schema.Object{"userName": "p", "emails": []any{schema.Object{"value": "a@x.example", "type": "work", "primary": true}, schema.Object{"value": "b@x.example", "type": "home"}}}
	got := patched(t, doc, `{"op":"remove","path":"emails[type eq \"work\"].value"}`)
	if want := `{"userName":"p","emails":[{"value":"b@x.example","type":"home"}]}`; got != want {
		t.Errorf("left %s, want %s", got, want)
	}
}

func TestToRemoveWhatIsNotThereIsNoError(t *testing.T) {
	doc := schema.Object{"userName": "p", "emails": []any{schema.Object{"value": "a@x.example", "type": "work"}}}
	for _, path := range []string{`emails[type eq \"home\"]`, `emails[type eq \"home\"].value`, `phoneNumbers[value pr]`, "title", "name.givenName"} {
		if got := patched(t, doc, `{"op":"remove","path":"`+path+`"}`); got != string(doc.Encode()) {
			t.Errorf("%s left %s", path, got)
		}
	}
}
