package patch

import (
	"strconv"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Some of what a schema forbids shows only in the document that the whole request
// leaves; the error names the operation all the same.
func TestFaultsOfTheWholeResultNameTheirOperation(t *testing.T) {
	all, faults := schema.ParseDefinitions([]byte(`{"id":"urn:example:scim:s","attributes":[
		{"name":"card","mutability":"immutable","required":true},{"name":"points","type":"integer"},
		{"name":"box","type":"complex","subAttributes":[{"name":"seal","mutability":"immutable"}]},
		{"name":"rows","type":"complex","multiValued":true,"subAttributes":[{"name":"key","required":true},{"name":"n"}]}]}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	types, err := schema.Standard().ExtendUsers(schema.Extension{Schema: all[0], Required: true})
	if err != nil {
		t.Fatal(err)
	}
	const s = "urn:example:scim:s"
	full := `{"userName":"kim","` + s + `":{"card":"1","box":{"seal":"a"},"rows":[{"key":"k"}]}}`
	bare := `{"userName":"kim"}`
	title := `{"op":"add","path":"title","value":"x"},`
	for _, c := range []struct{ name, before, operations, want string }{
		{"immutable", full, title + `{"op":"replace","path":"` + s + `:card","value":"2"},{"op":"add","path":"` + s + `:points","value":1}`, `mutability Operations[1] ` + s + `:card:`},
		{"immutable, by a name in a value", full, title + `{"op":"replace","value":{"` + s + `":{"points":3,"card":"2"}}}`, `mutability Operations[1] ` + s + `:card:`},
		{"an immutable part", full, title + title + `{"op":"remove","path":"` + s + `:box"}`, `mutability Operations[2] ` + s + `:box.seal:`},
		{"a required part", full, title + `{"op":"add","path":"` + s + `:rows","value":[{"n":"1"}]},{"op":"add","path":"nickName","value":"K"}`, `invalidValue Operations[1] ` + s + `:rows.key:`},
		{"a required extension", `{"userName":"kim","` + s + `":{"points":1}}`, title + `{"op":"remove","path":"` + s + `:points"}`, `invalidValue Operations[1] ` + s + `:`},
		{"an extension without what it requires", bare, title + `{"op":"add","path":"` + s + `:points","value":1}`, `invalidValue Operations[1] ` + s + `:card:`},
		{"a whole extension", full, title + `{"op":"remove","path":"` + s + `"}`, `Operations[1] ` + s},
		{"a long name", bare, title + `{"op":"add","path":"userName","value":"` + strings.Repeat("x", 1025) + `"}`, `invalidValue Operations[1] userName:`},
	} {
		before, err := schema.Stored([]byte(c.before))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := Compile(types.Users, body("["+strings.TrimSuffix(c.operations, ",")+"]"), schema.Lenient())
		if err == nil {
			_, err = plan.Apply(before)
		}
		if got := describe(err); !strings.Contains(got, c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// What is immutable in an element is given once; the element may still go as a whole. And
// an element that lacks a value that it must have is refused, not taken out.
func TestWhatIsImmutableInAnElementIsGivenOnce(t *testing.T) {
	all, faults := schema.ParseDefinitions([]byte(`{"id":"urn:example:scim:s","attributes":[
		{"name":"rows","type":"complex","multiValued":true,"subAttributes":[{"name":"value"},{"name":"seal","mutability":"immutable"}]},
		{"name":"cards","type":"complex","multiValued":true,"subAttributes":[{"name":"value","required":true},{"name":"type"}]}]}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	types, err := schema.Standard().ExtendUsers(schema.Extension{Schema: all[0]})
	if err != nil {
		t.Fatal(err)
	}
	const s, sealed = "urn:example:scim:s", "mutability Operations[0] urn:example:scim:s:rows.seal:"
	before, err := schema.Stored([]byte(`{"userName":"kim","` + s + `":{"rows":[{"value":"a","seal":"1"},{"value":"b"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for operation, want := range map[string]string{
		`{"op":"replace","path":"` + s + `:rows[value eq \"a\"].seal","value":"2"}`:                 sealed,
		`{"op":"remove","path":"` + s + `:rows[value eq \"a\"].seal"}`:                              sealed,
		`{"op":"add","path":"` + s + `:rows","value":[{"value":"a","seal":"2"}]}`:                   sealed,
		`{"op":"replace","path":"` + s + `:rows[value eq \"a\"]","value":{"value":"a","seal":"2"}}`: sealed,
		`{"op":"replace","path":"` + s + `:rows[value eq \"a\"].seal","value":"1"}`:                 "",
		`{"op":"replace","path":"` + s + `:rows[value eq \"b\"].seal","value":"2"}`:                 "",
		`{"op":"remove","path":"` + s + `:rows[value eq \"a\"]"}`:                                   "",
		`{"op":"add","path":"` + s + `:cards","value":[{"type":"fuel"}]}`:                           "invalidValue Operations[0] " + s + ":cards.value:",
		`{"op":"add","path":"` + s + `:cards","value":[{"type":"fuel","value":"1"}]}`:               "",
	} {
		plan, err := Compile(types.Users, body("["+operation+"]"), schema.Leniency{})
		if err == nil {
			_, err = plan.Apply(before)
		}
		if got := describe(err); err != nil && want == "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s\n got %s\nwant %s", operation, got, want)
		}
	}
}

func TestMembersAreSelectedByTheirValueAlone(t *testing.T) {
	for path, want := range map[string]string{
		`members[value eq "a"]`:                    "remove a",
		`members[value eq "a" or value eq "b"]`:    "remove a b",
		`members[value eq "a" and type eq "User"]`: "remove a",
		`members[type eq "User"]`:                  "",
		`members[display eq "Kim"]`:                "",
		`members[value sw "a"]`:                    "",
		`members[not (value eq "a")]`:              "",
	} {
		plan, err := Compile(schema.Groups(), body(`[{"op":"remove","path":`+strconv.Quote(path)+`}]`), schema.Leniency{})
		if got := printMembers(plan.Members); got != want {
			t.Errorf("%s: %s", path, got)
		}
		if refused := strings.HasPrefix(describe(err), "invalidPath Operations[0]"); refused != (want == "") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
