package scim

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/dialect"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

const enterprise = schema.EnterpriseURN

// leniencies is one request for each leniency: read as what was meant, and noted,
// unless the connection is strict; then it is refused. ${id} is a user's, ${group} a
// group's.
var leniencies = []struct {
	field  string // of schema.Leniency
	note   string
	method string
	target string
	body   string
}{
	{"StringBooleans", schema.NoteStringBoolean, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"lee","active":"True"}`},
	{"StringBooleans", schema.NoteStringBoolean, "PUT", "/Users/${id}", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim","active":"false"}`},
	{"StringBooleans", schema.NoteStringBoolean, "PATCH", "/Users/${id}", `[{"op":"replace","path":"active","value":"False"}]`},
	{"StringBooleans", schema.NoteStringBoolean, "PATCH", "/Users/${id}", `[{"op":"replace","path":"roles[primary eq \"True\"].value","value":"x"}]`},
	{"StringBooleans", schema.NoteStringBoolean, "GET", "/Users?filter=active+eq+%22true%22", ""},
	{"StringBooleans", schema.NoteStringBoolean, "GET", "/Users?filter=active+eq+True", ""},
	{"BareValues", schema.NoteBareValue, "PATCH", "/Users/${id}", `[{"op":"replace","path":"` + enterprise + `:manager","value":"per_x"}]`},
	{"BareValues", schema.NoteBareValue, "PATCH", "/Groups/${group}", `[{"op":"add","path":"members","value":["${id}"]}]`},
	{"Wrapped", schema.NoteWrapped, "PATCH", "/Users/${id}", `[{"op":"replace","path":"title","value":["x"]}]`},
	{"Wrapped", schema.NoteWrapped, "PATCH", "/Users/${id}", `[{"op":"replace","path":"title","value":{"value":"x"}}]`},
	{"Wrapped", schema.NoteWrapped, "PATCH", "/Users/${id}", `[{"op":"replace","value":[{"title":"x"}]}]`},
	{"Unwrapped", schema.NoteUnwrapped, "PATCH", "/Users/${id}", `[{"op":"replace","path":"roles","value":{"value":"x"}}]`},
	{"Unwrapped", schema.NoteUnwrapped, "PATCH", "/Groups/${group}", `[{"op":"add","path":"members","value":{"value":"${id}"}}]`},
	{"UnknownSchemas", schema.NoteUnknownSchema, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:scim:schemas:core:1.0"],"userName":"max"}`},
	{"UnknownSchemas", schema.NoteUnknownSchema, "POST", "/Users", `{"userName":"max"}`},
	{"UnknownSchemas", schema.NoteUnknownSchema, "PATCH", "/Users/${id}", `{"Operations":[{"op":"replace","path":"title","value":"x"}]}`},
	{"UnknownNames", schema.NoteUnknownName, "PUT", "/Users/${id}", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim","shoeSize":44}`},
	{"UnknownNames", schema.NoteUnknownName, "PATCH", "/Users/${id}", `[{"op":"replace","value":{"shoeSize":44}}]`},
	{"UnknownNames", schema.NoteUnknownName, "PATCH", "/Users/${id}", `[{"op":"replace","path":"name","value":{"nobiliary":"von"}}]`},
	{"AnyCase", schema.NoteAnyCase, "PATCH", "/Users/${id}", `[{"op":"Replace","path":"title","value":"x"}]`},
	{"CreateMissing", schema.NoteCreated, "PATCH", "/Users/${id}", `[{"op":"replace","path":"emails[type eq \"work\"].value","value":"x@y.example"}]`},
	{"RemoveByValue", schema.NoteRemoved, "PATCH", "/Groups/${group}", `[{"op":"remove","path":"members","value":[{"value":"${id}"}]}]`},
	{"RemoveByValue", schema.NoteRemoved, "PATCH", "/Users/${id}", `[{"op":"remove","path":"roles","value":[{"value":"x"}]}]`},
	{"NoOperations", schema.NoteNoOperations, "PATCH", "/Users/${id}", `[]`},
	{"PathNames", schema.NotePathName, "PATCH", "/Users/${id}", `[{"op":"replace","value":{"name.givenName":"Kim"}}]`},
	{"PathNames", schema.NotePathName, "PATCH", "/Users/${id}", `[{"op":"replace","value":{"` + enterprise + `:department":"D"}}]`},
	{"PathNames", schema.NotePathName, "PATCH", "/Users/${id}", `[{"op":"replace","value":{"emails[type eq \"home\"].value":"x@y.example"}}]`},
	{"ReadOnlyNames", schema.NoteReadOnlyNamed, "PATCH", "/Users/${id}", `[{"op":"replace","value":{"id":"${id}","title":"x"}}]`},
	{"ReadOnlyNames", schema.NoteReadOnlyNamed, "PATCH", "/Users/${id}", `[{"op":"add","value":{"groups":[{"value":"${group}"}]}}]`},
	{"ReadOnlyNames", schema.NoteReadOnlyNamed, "PATCH", "/Groups/${group}", `[{"op":"replace","value":{"id":"${group}","meta":{"resourceType":"Group"}}}]`},
	{"Aliases", schema.NoteAlias, "PATCH", "/Users/${id}", `[{"op":"replace","path":"department","value":"D"}]`},
	{"Aliases", schema.NoteAlias, "PATCH", "/Users/${id}", `[{"op":"replace","path":"` + enterprise + `.department","value":"D"}]`},
	{"Aliases", schema.NoteAlias, "PATCH", "/Users/${id}", `[{"op":"add","path":"` + enterprise + `:roles","value":[{"value":"x"}]}]`},
	{"Aliases", schema.NoteAlias, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"pat","department":"D"}`},
	{"Aliases", schema.NoteAlias, "GET", "/Users?filter=manager+pr", ""},
	{"BareWords", schema.NoteBareWord, "GET", "/Users?filter=userName+eq+kim", ""},
}

func TestStrictRefusesEachLeniency(t *testing.T) {
	covered := map[string]bool{}
	for _, l := range leniencies {
		covered[l.field] = true
		if !slices.Contains(dialect.Leniencies(), l.note) {
			t.Errorf("%s is not counted as a leniency", l.note)
		}
		for _, strict := range []bool{false, true} {
			f := newFixture(t)
			id := f.addUser("kim")
			putIn := strings.NewReplacer("${id}", id, "${group}", f.addGroup("Depot", id))
			dir := f.gate.dirs[southern]
			dir.Strict = strict
			f.gate.dirs[southern] = dir
			body := putIn.Replace(l.body)
			if l.method == "PATCH" && strings.HasPrefix(body, "[") {
				body = patchOps(body)
			}
			got := f.send(l.method, putIn.Replace(l.target), body)
			noted := slices.ContainsFunc(f.seen[len(f.seen)-1].Notes, func(n string) bool { return strings.HasPrefix(n, l.note+": ") })
			if strict != (got.status == 400) || strict == noted {
				t.Errorf("%s, strict %v: %d, noted %v: %s %s %s\n%s", l.field, strict, got.status, noted, l.method, l.target, l.body, got.text)
			}
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[schema.Leniency]()) {
		if !covered[field.Name] {
			t.Errorf("no request relies on %s", field.Name)
		}
	}
}

func TestStrictReadsAnEmptyTextAsNone(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim")
	dir := f.gate.dirs[southern]
	dir.Strict = true
	f.gate.dirs[southern] = dir
	f.send("PATCH", "/Users/"+id, patchOps(`[{"op":"replace","path":"title","value":"x"}]`)).is(200).has("x", "title")
	f.send("PATCH", "/Users/"+id, patchOps(`[{"op":"replace","path":"title","value":""}]`)).is(200).has(nil, "title")
	f.send("PATCH", "/Users/"+id, patchOps(`[{"op":"replace","path":"userName","value":""}]`)).is(400)
}
