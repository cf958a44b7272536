package traffic

import (
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// What a customer's own schema never returns is not written down here either, not
// even where it is one of the words that the schema suggests.
func TestWhatASchemaNeverReturnsIsNotRecorded(t *testing.T) {
	all, faults := schema.ParseDefinitions([]byte(`{"id":"urn:example:scim:s","attributes":[{"name":"pin","mutability":"writeOnly","canonicalValues":["4711"]},
		{"name":"armed","type":"boolean","returned":"never"},{"name":"safe","type":"complex","returned":"never","subAttributes":[{"name":"open","type":"boolean"},{"name":"colour","canonicalValues":["red"]}]}]}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	types, err := schema.Standard().ExtendUsers(schema.Extension{Schema: all[0]})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Join(Outline(types.Users, false, nil, []byte(`{"urn:example:scim:s":{"pin":"4711","armed":true,"safe":{"open":false,"colour":"red"}}}`)), "\n")
	if strings.Contains(lines, "4711") || strings.Contains(lines, "true") || strings.Contains(lines, "false") || strings.Contains(lines, "red") || strings.Count(lines, neverShown) != 4 {
		t.Errorf("the record says\n%s", lines)
	}
}
