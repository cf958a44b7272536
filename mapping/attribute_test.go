package mapping

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// badge is a schema of a customer's own, with an attribute of every type.
const badge = `{"id":"urn:ironbark:scim:schemas:extension:badge:1.0:User","name":"Badge","attributes":[
 {"name":"number","type":"integer"},{"name":"weight","type":"decimal"},{"name":"held","type":"boolean"},
 {"name":"issued","type":"dateTime"},{"name":"zones","multiValued":true},
 {"name":"cards","type":"complex","multiValued":true,"subAttributes":[{"name":"value"},{"name":"grade","type":"integer"}]},
 {"name":"desk","type":"complex","subAttributes":[{"name":"floor"}]}]}`

func withBadge() access.SCIM {
	return access.SCIM{UserExtensions: []access.Extension{{Schema: json.RawMessage(badge)}}}
}

// What conditions see of a document is typed; what is not there, or of another type, is
// absent.
func TestLook(t *testing.T) {
	types, err := TypesOf(withBadge())
	if err != nil {
		t.Fatal(err)
	}
	const urn = "urn:ironbark:scim:schemas:extension:badge:1.0:User"
	doc := schema.Object{
		"userName": "sam", "active": true,
		"roles":              []any{schema.Object{"value": "standard"}, schema.Object{"type": "x"}, schema.Object{"value": "ent_standard"}},
		"entitlements":       []any{schema.Object{"value": "ent_standard"}, schema.Object{"value": "ent_parking"}},
		"emails":             []any{schema.Object{"value": "sam@ironbark.example", "type": "work"}},
		"name":               schema.Object{"givenName": "Sam"},
		schema.EnterpriseURN: schema.Object{"department": "Support", "manager": schema.Object{"value": "per_9"}},
		urn: schema.Object{"number": int64(7), "weight": int64(2), "held": "yes", "issued": "2026-05-01T10:00:00+10:00", "zones": []any{"a", int64(1), "b"},
			"cards": []any{schema.Object{"value": "c1", "grade": int64(3)}, schema.Object{"value": "c2"}}, "desk": schema.Object{"floor": "3"}},
	}
	for _, c := range []struct {
		path string
		want any
	}{
		{"userName", "sam"},
		{"active", true},
		{"title", nil},
		{"name.givenName", "Sam"},
		{"name.familyName", nil},
		{"emails", []any{"sam@ironbark.example"}},
		{"emails.type", []any{"work"}},
		{"phoneNumbers", nil},
		{"roles", []any{"standard", "ent_standard"}}, // ids are theirs, where they are not of entitlements
		{"entitlements", []any{"standard", "ent_parking"}},
		{"entitlements.value", []any{"standard", "ent_parking"}},
		{"department", "Support"},
		{schema.EnterpriseURN + ":department", "Support"},
		{"manager.value", "per_9"},
		{urn + ":number", int64(7)},
		{urn + ":weight", 2.0},
		{urn + ":held", nil}, // a text where the schema says boolean
		{urn + ":issued", time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)},
		{urn + ":zones", []any{"a", "b"}},
		{urn + ":cards", []any{"c1", "c2"}},
		{urn + ":cards.grade", []any{int64(3)}},
		{urn + ":desk.floor", "3"},
	} {
		at, err := types.Users.Attribute(c.path)
		if err != nil {
			t.Fatal(err)
		}
		look := []Attribute{{Name: "x", At: at}}
		got := Look(look, doc)["x"]
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is %#v, want %#v", c.path, got, c.want)
		}
		if list := at.MultiValued || at.Parent != nil && at.Parent.MultiValued; look[0].List() != list {
			t.Errorf("%s: a list: %v", c.path, look[0].List())
		}
		if same := SameLook(look, doc, schema.Object{}); same != (c.want == nil) {
			t.Errorf("%s: nobody notices when all is gone: %v", c.path, same)
		}
	}
	if Look([]Attribute{{Name: "x", At: types.Users.Core.Attributes[0]}}, schema.Object{}) != nil {
		t.Error("an empty document has attributes")
	}
}
