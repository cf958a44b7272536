package filter

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func TestWhatIsNeverShownCannotBeAskedFor(t *testing.T) {
	all, faults := schema.ParseDefinitions([]byte(`{"id":"urn:example:scim:s","attributes":[{"name":"pin","mutability":"writeOnly"},{"name":"open"},
		{"name":"safe","type":"complex","returned":"never","subAttributes":[{"name":"value"},{"name":"n","type":"integer"}]},
		{"name":"keys","type":"complex","multiValued":true,"subAttributes":[{"name":"value","returned":"never"},{"name":"type"}]}]}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	types, err := schema.Standard().ExtendUsers(schema.Extension{Schema: all[0]})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`pin eq "1"`, `pin pr`, `not (pin pr)`, `urn:example:scim:s:pin sw "4"`, `safe pr`, `safe.n gt 3`, `safe eq "x"`, `keys eq "x"`, `keys.value eq "x"`, `keys[value eq "x"]`, `keys[type eq "a"].value sw "x"`} {
		if _, err := Parse(types.Users, text); err == nil {
			t.Errorf("%s is a filter", text)
		}
	}
	for _, by := range []string{"pin", "safe.n", "keys", "keys.value"} {
		if _, err := ParseSort(types.Users, by, ""); err == nil {
			t.Errorf("%s sorts", by)
		}
	}
	for _, text := range []string{`open pr`, `keys pr`, `keys[type eq "a"]`} {
		if _, err := Parse(types.Users, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAListWithoutSubAttributesIsSelectedAsAWhole(t *testing.T) {
	all, faults := schema.ParseDefinitions([]byte(`{"id":"urn:example:scim:s","attributes":[{"name":"depots","multiValued":true},{"name":"points","type":"integer","multiValued":true}]}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	types, err := schema.Standard().ExtendUsers(schema.Extension{Schema: all[0]})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`depots[value eq "a"]`, `points[value gt 3]`} {
		_, inFilter := Parse(types.Users, text)
		_, inPath := ParsePath(types.Users, "urn:example:scim:s:"+text)
		if inFilter == nil || inPath == nil {
			t.Errorf("%s: %v, %v", text, inFilter, inPath)
		}
	}
	for _, text := range []string{`depots eq "a"`, `points gt 3 and points lt 9`} {
		if _, err := Parse(types.Users, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
