package scim

import (
	"encoding/json"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// TestOwnAttributesAreReturnedAsTheirSchemaSays: always, whatever is asked; never,
// whatever is asked; on request to who names the attribute itself, not to who names
// its schema (RFC 7643 section 7); and a part likewise, where its whole is shown.
func TestOwnAttributesAreReturnedAsTheirSchemaSays(t *testing.T) {
	const s = "urn:example:scim:s"
	all, faults := schema.ParseDefinitions([]byte(`{"id":"` + s + `","attributes":[{"name":"a","returned":"always"},{"name":"d"},{"name":"r","returned":"request"},{"name":"n","returned":"never"},
		{"name":"box","type":"complex","subAttributes":[{"name":"a","returned":"always"},{"name":"d"},{"name":"r","returned":"request"},{"name":"n","returned":"never"}]},
		{"name":"big","type":"complex","returned":"request","subAttributes":[{"name":"d"},{"name":"e"}]}]}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	types, err := schema.Standard().ExtendUsers(schema.Extension{Schema: all[0]})
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	dir := f.gate.dirs[southern]
	dir.Types, f.southern.people.rt = types, types.Users
	f.gate.dirs[southern] = dir
	const own = `"` + s + `":{"a":"1","d":"1","r":"1","n":"1","box":{"a":"1","d":"1","r":"1","n":"1"},"big":{"d":"1","e":"1"}}`
	const body = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","` + s + `"],"userName":"kim",` + own + `}`
	made := f.send("POST", "/Users", body).is(201)
	at := "/Users/" + made.id()
	usual := `{"a":"1","box":{"a":"1","d":"1"},"d":"1"}`
	for _, c := range []struct{ query, want string }{
		{"", usual},
		{"attributes=userName", `{"a":"1"}`},
		{"attributes=" + s, usual},
		{"attributes=" + s + ":d", `{"a":"1","d":"1"}`},
		{"attributes=" + s + ":r", `{"a":"1","r":"1"}`},
		{"attributes=" + s + ":n", `{"a":"1"}`},
		{"attributes=" + s + ":box", `{"a":"1","box":{"a":"1","d":"1"}}`},
		{"attributes=" + s + ":box.d", `{"a":"1","box":{"a":"1","d":"1"}}`},
		{"attributes=" + s + ":box.r", `{"a":"1","box":{"a":"1","r":"1"}}`},
		{"attributes=" + s + ":box.n", `{"a":"1","box":{"a":"1"}}`},
		{"attributes=" + s + "," + s + ":r", `{"a":"1","box":{"a":"1","d":"1"},"d":"1","r":"1"}`},
		{"attributes=" + s + ":box," + s + ":box.r", `{"a":"1","box":{"a":"1","d":"1","r":"1"}}`},
		{"attributes=" + s + ":box.r," + s, `{"a":"1","box":{"a":"1","d":"1","r":"1"},"d":"1"}`},
		{"attributes=" + s + ":big", `{"a":"1","big":{"d":"1","e":"1"}}`},
		{"attributes=" + s + ",userName," + s + ":big.d", `{"a":"1","big":{"d":"1"},"box":{"a":"1","d":"1"},"d":"1"}`},
		{"excludedAttributes=userName", usual},
		{"excludedAttributes=" + s, `{"a":"1"}`},
		{"excludedAttributes=" + s + ":a", usual},
		{"excludedAttributes=" + s + ":d," + s + ":r", `{"a":"1","box":{"a":"1","d":"1"}}`},
		{"excludedAttributes=" + s + ":box", `{"a":"1","d":"1"}`},
		{"excludedAttributes=" + s + ":box.a," + s + ":box.d", `{"a":"1","box":{"a":"1"},"d":"1"}`},
	} {
		own, err := json.Marshal(f.send("GET", at+"?"+c.query, "").is(200).at(s))
		if err != nil || string(own) != c.want {
			t.Errorf("%s: %s %v", c.query, own, err)
		}
	}
	for _, again := range []reply{made, f.send("PUT", at, body).is(200), f.send("PATCH", at, patchOps(`[{"op":"replace","value":{`+own+`}}]`)).is(200)} {
		if own, err := json.Marshal(again.at(s)); err != nil || string(own) != `{"a":"1","big":{"d":"1","e":"1"},"box":{"a":"1","d":"1","r":"1"},"d":"1","r":"1"}` {
			t.Errorf("who names it in a write is shown %s %v", own, err)
		}
	}
}
