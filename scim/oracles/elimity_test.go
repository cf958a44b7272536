package oracles

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	elimity "github.com/elimity-com/scim"
	"github.com/elimity-com/scim/optional"
	upstream "github.com/elimity-com/scim/schema"

	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// taker is a resource handler of elimity's server that takes every patch: what is
// compared is which of them the server lets through.
type taker struct{ elimity.ResourceHandler }

func (taker) Patch(*http.Request, string, []elimity.PatchOperation) (elimity.Resource, error) {
	return elimity.Resource{}, nil
}

func elimityServer(t *testing.T) http.Handler {
	t.Helper()
	server, err := elimity.NewServer(&elimity.ServerArgs{
		ServiceProviderConfig: &elimity.ServiceProviderConfig{SupportPatch: true},
		ResourceTypes: []elimity.ResourceType{{ID: optional.NewString("User"), Name: "User", Endpoint: "/Users", Schema: upstream.CoreUserSchema(),
			SchemaExtensions: []elimity.SchemaExtension{{Schema: upstream.ExtensionEnterpriseUser()}}, Handler: taker{}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// elimityRefuses asks the server; "" means that it took the operation.
func elimityRefuses(server http.Handler, o operation) (why string) {
	defer func() {
		if p := recover(); p != nil {
			why = fmt.Sprint("panic: ", p)
		}
	}()
	r := httptest.NewRequest(http.MethodPatch, "/Users/1", strings.NewReader(patchBody(o)))
	r.Header.Set("Content-Type", "application/scim+json")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	if w.Code < http.StatusBadRequest {
		return ""
	}
	return w.Body.String()
}

func patchBody(operations ...operation) string {
	body, _ := json.Marshal(map[string]any{"schemas": []string{patch.MessageURN}, "Operations": operations})
	return string(body)
}

func weRefuse(t *testing.T, o operation) *schema.Error {
	t.Helper()
	_, err := patch.Compile(schema.Users(), []byte(patchBody(o)), schema.Leniency{})
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*schema.Error](err)
	if !ok {
		t.Fatal(err)
	}
	return e
}

// wild is an operation that is often wrong: a path that names nothing, a value of
// another type, what nobody may write.
func (d draw) wild() operation {
	paths := []string{"title", "active", "name", "name.givenName", "emails", "emails.value", "emails.primary", `emails[type eq "work"]`, `emails[type eq "work"].value`, `emails[type eq "work"].primary`, `emails[primary eq true]`,
		"userName", "id", "meta", "groups", "shoe", "name.shoe", "emails.shoe", `emails[shoe eq "x"]`, `name[givenName eq "x"]`, `title[value eq "x"]`, `emails[type eq "work"`, "emails[]", "", "roles", "addresses", `addresses[type eq "work"].region`,
		schema.EnterpriseURN + ":department", schema.EnterpriseURN + ":manager", schema.EnterpriseURN + ":shoe", "urn:example:x:title"}
	values := []string{`"ada"`, `true`, `7`, `1.5`, `null`, `{}`, `[]`, `{"value":"ada"}`, `[{"value":"ada"}]`, `{"value":"ada","type":"work","primary":true}`, `[{"value":"a","primary":true},{"value":"b","primary":true}]`,
		`{"givenName":"Ada"}`, `{"title":"x"}`, `{"active":"yes"}`, `{"shoe":"x"}`, `{"emails":[{"value":"x"}]}`, `["ada"]`, `[["ada"]]`}
	o := operation{Op: pick(d, "add", "replace", "remove", "move"), Path: pick(d, paths...)}
	if o.Op != "remove" || d.oneIn(5) {
		o.Value = json.RawMessage(pick(d, values...))
	}
	return o
}

// elimityDifference is a kind of operation that elimity's server lets through, and we
// do not, or the other way round. An entry without a detail is about what we take.
type elimityDifference struct {
	name, why string
	detail    string // of our refusal
	applies   func(o operation) bool
	example   operation
}

func value(json string) json.RawMessage { return []byte(json) }

var elimityDifferences = []elimityDifference{
	{name: "readOnly attributes are taken", why: "RFC 7644 section 3.5.2: a client must not modify them, and is told mutability",
		detail: "the attribute is readOnly", example: operation{"replace", "groups", value(`[{"value":"x"}]`)}},
	{name: "required attributes are removed", why: "RFC 7644 section 3.5.2.2: that is an error",
		detail: "the attribute is required and cannot be removed", example: operation{"remove", "userName", nil}},
	{name: "unknown sub-attributes are passed over", why: "RFC 7644 section 3.12: what does not follow the schema is invalid; ours does so unless it reads strictly",
		detail: "no such sub-attribute", example: operation{"add", "name", value(`{"shoe":"x"}`)}},
	{name: "one value stands for an array", why: "RFC 7643 section 2.4: the value is an array; ours does so unless it reads strictly",
		detail: "multi-valued: the value is an array", example: operation{"add", "emails", value(`{"value":"x"}`)}},
	{name: "an array stands for one value", why: "RFC 7644 section 3.5.2.3 replaces each value that is selected by one",
		detail: "one complex is expected, not an array", example: operation{"replace", `emails[type eq "work"]`, value(`[{"value":"a"},{"value":"b"}]`)}},
	{name: "two values are primary", why: "RFC 7643 section 2.4: true must appear no more than once",
		detail: "at most one value is the primary one", example: operation{"replace", "emails", value(`[{"value":"a","primary":true},{"value":"b","primary":true}]`)}},
	{name: "elements of what has none", why: "RFC 7644 figure 7: a value path selects values of a multi-valued attribute",
		detail: "has no elements to select from", example: operation{"remove", `name[givenName eq "x"]`, nil}},
	{name: "a remove with a value", why: "RFC 7644 section 3.5.2.2 knows none: to read over it could remove all; ours reads it unless strictly",
		detail: "a remove operation has no value", example: operation{"remove", "emails", value(`[{"value":"x"}]`)}},
	{name: "null and empty are refused", why: "RFC 7643 section 2.5: they are a value that is unassigned",
		applies: func(o operation) bool {
			return o.Op != "remove" && (string(o.Value) == "null" || string(o.Value) == "[]")
		},
		example: operation{"replace", "title", value("null")}},
	{name: "the value of a remove must fit", why: "RFC 7644 section 3.5.2.2 gives it no meaning",
		applies: func(o operation) bool { return o.Op == "remove" && o.Value != nil }, example: operation{"remove", "title", value("7")}},
}

func TestPatchesAreRefusedAsByElimity(t *testing.T) {
	server, d := elimityServer(t), newDraw(5)
	for range 4000 {
		o := d.wild()
		ours, theirs := weRefuse(t, o), elimityRefuses(server, o)
		if (ours != nil) != (theirs != "") && !slices.ContainsFunc(elimityDifferences, func(d elimityDifference) bool { return d.excuses(o, ours) }) {
			t.Errorf("%s\nwe say %v\nelimity %s", o, ours, theirs)
		}
	}
	for _, d := range elimityDifferences {
		ours, theirs := weRefuse(t, d.example), elimityRefuses(server, d.example)
		if (ours != nil) == (theirs != "") {
			t.Errorf("elimity says of %s what we do by now: take %q off the list", d.example, d.name)
		}
		if !d.excuses(d.example, ours) {
			t.Errorf("%s: the example is not what the entry is about (%v)", d.name, ours)
		}
	}
}

func (d elimityDifference) excuses(o operation, ours *schema.Error) bool {
	if d.applies != nil {
		return ours == nil && d.applies(o)
	}
	return ours != nil && strings.Contains(ours.Detail, d.detail)
}
