package bridge_test

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestAStaleVersionChangesNothing: every verb that writes to a person or a group
// holds If-Match against the stored version (RFC 7644 section 3.14): another one is
// 412 and writes nothing, the stored one passes.
func TestAStaleVersionChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	person := w.person(banksia, "kim@banksia.example", "kim")
	group := w.group(banksia, "GL Geelong Managers", person)
	ask := func(method, path, match, body string) int {
		r := httptest.NewRequest(method, "/scim/v2/"+banksia+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
		r.Header.Set("If-Match", match)
		if body != "" {
			r.Header.Set("Content-Type", "application/scim+json")
		}
		rec := httptest.NewRecorder()
		w.scim.ServeHTTP(rec, r)
		return rec.Code
	}
	const patch = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"Another"}]}`
	user := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"other@banksia.example"}`
	folder := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Another"}`
	before := w.dump(banksia, person, group)
	for _, path := range []string{"/Users/" + person, "/Groups/" + group} {
		body := map[bool]string{true: user, false: folder}[strings.HasPrefix(path, "/Users/")]
		for method, text := range map[string]string{"PUT": body, "PATCH": patch, "DELETE": ""} {
			if got := ask(method, path, `W/"9999"`, text); got != 412 {
				t.Errorf("%s %s with a stale version answered %d, want 412", method, path, got)
			}
		}
	}
	if after := w.dump(banksia, person, group); after != before {
		t.Errorf("a refused write changed something:\n%s\nwas\n%s", after, before)
	}
	stored := func(path string) string {
		return w.must(200, banksia, "GET", path, "")["meta"].(map[string]any)["version"].(string)
	}
	if got := ask("PATCH", "/Users/"+person, stored("/Users/"+person), patch); got != 200 {
		t.Errorf("the stored version was answered %d, want 200", got)
	}
	if got := ask("DELETE", "/Groups/"+group, stored("/Groups/"+group), ""); got != 204 {
		t.Errorf("the stored version was answered %d, want 204", got)
	}
}
