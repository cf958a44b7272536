package bridge_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

func newUser(name string) string {
	return fmt.Sprintf(`{%s,"userName":%q,"externalId":"oid-x"}`, userURN, name)
}

func newGroup(name string) string {
	return fmt.Sprintf(`{%s,"displayName":%q}`, groupURN, name)
}

// one finds the only resource of that name, as identity providers look it up.
func (w *world) one(c access.ConnectionID, collection, attribute, name string) string {
	w.t.Helper()
	found := w.must(200, c, "GET", "/"+collection+"?filter="+url.QueryEscape(fmt.Sprintf("%s eq %q", attribute, name)), "")
	list, _ := found["Resources"].([]any)
	if len(list) != 1 {
		w.t.Fatalf("%d have the name %s, want one", len(list), name)
	}
	return list[0].(map[string]any)["id"].(string)
}

// A POST whose answer was lost is sent again: it is refused as taken, says how to
// find who is there, and there is one, under the id that the lost answer named.
func TestACreateThatIsSentAgainFindsWhatTheLostOneMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ collection, attribute, name, body string }{
		{"Users", "userName", "sam@banksia.example", newUser("sam@banksia.example")},
		{"Groups", "displayName", "GL Geelong Managers", newGroup("GL Geelong Managers")},
	} {
		made := w.must(201, banksia, "POST", "/"+c.collection, c.body)["id"]
		again := w.must(409, banksia, "POST", "/"+c.collection, c.body)
		if again["scimType"] != "uniqueness" || !strings.Contains(fmt.Sprint(again["detail"]), "filter "+c.attribute+" eq") {
			t.Errorf("%s sent again: %v", c.collection, again)
		}
		if found := w.one(banksia, c.collection, c.attribute, strings.ToUpper(c.name)); found != made {
			t.Errorf("%s: found %s, made %s", c.collection, found, made)
		}
	}
}

// A 409 never becomes permanent: whatever takes the holder of a name away, the name
// is free at once, in any case, and whoever gets it is somebody new.
func TestANameIsFreeAsSoonAsItsHolderIsGone(t *testing.T) {
	t.Parallel()
	rename := func(attribute string) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":%q,"value":"somebody else"}]}`, attribute)
	}
	bulk := func(op string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + op + `]}`
	}
	for _, c := range []struct {
		collection, attribute, name, again string
		body                               func(string) string
	}{
		{"Users", "userName", "Åsa@banksia.example", "åSA@BANKSIA.example", newUser},
		{"Groups", "displayName", "GL Düsseldorf Fahrer", "gl DÜSSELDORF fahrer", newGroup},
	} {
		for how, release := range map[string]func(w *world, at string){
			"deleted": func(w *world, at string) { w.must(204, banksia, "DELETE", at, "") },
			"deleted in a bulk": func(w *world, at string) {
				w.must(200, banksia, "POST", "/Bulk", bulk(`{"method":"DELETE","path":"`+at+`"}`))
			},
			"renamed": func(w *world, at string) {
				if status, out := w.send(banksia, "PATCH", at, rename(c.attribute)); status != 200 && status != 204 {
					w.t.Fatal(status, out)
				}
			},
			"replaced": func(w *world, at string) { w.must(200, banksia, "PUT", at, c.body("somebody else")) },
			"deleted, then restarted": func(w *world, at string) {
				w.must(204, banksia, "DELETE", at, "")
				w.restart()
			},
		} {
			t.Run(c.collection+" "+how, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				first := w.must(201, banksia, "POST", "/"+c.collection, c.body(c.name))["id"].(string)
				w.must(409, banksia, "POST", "/"+c.collection, c.body(c.again))
				release(w, "/"+c.collection+"/"+first)
				second := w.must(201, banksia, "POST", "/"+c.collection, c.body(c.again))["id"].(string)
				if second == first {
					t.Error("an id was used again")
				}
				if found := w.one(banksia, c.collection, c.attribute, c.name); found != second {
					t.Errorf("by the name %s is found, want %s", found, second)
				}
				w.must(409, banksia, "POST", "/"+c.collection, c.body(c.name))
			})
		}
	}
}

// Within one bulk, a name that an operation frees is free for the next one; and what
// is undone takes no name.
func TestABulkFreesANameForItsNextOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.person(banksia, "sam@banksia.example", "oid-sam")
	status := func(ops string) (all []string) {
		out := w.must(200, banksia, "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+ops+`]}`)
		for _, op := range out["Operations"].([]any) {
			all = append(all, op.(map[string]any)["status"].(string))
		}
		return all
	}
	post := func(bulkID, body string) string {
		return `{"method":"POST","path":"/Users","bulkId":"` + bulkID + `","data":` + body + `}`
	}
	if got := status(`{"method":"DELETE","path":"/Users/` + first + `"},` + post("a", newUser("SAM@banksia.example")) + `,` + post("b", newUser("sam@banksia.example"))); !slices.Equal(got, []string{"204", "201", "409"}) {
		t.Errorf("delete, create, create again: %v", got)
	}
	ring := func(id, name, manager string) string {
		return post(id, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"userName":%q,
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:%s"}}}`, name, manager))
	}
	if got := status(ring("a", "new@banksia.example", "b") + "," + ring("b", "sam@banksia.example", "a")); !slices.Equal(got, []string{"409", "409"}) {
		t.Errorf("a circle of which one is taken: %v", got)
	}
	w.must(201, banksia, "POST", "/Users", newUser("new@banksia.example"))
}

// A change that was refused because a name was taken succeeds once the holder is
// gone, unchanged.
func TestAChangeThatWasRefusedSucceedsOnceTheNameIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	holder, other := w.person(banksia, "sam@banksia.example", "oid-sam"), w.person(banksia, "ada@banksia.example", "oid-ada")
	group, old := w.group(banksia, "Depot North", other), w.group(banksia, "Depot")
	patch := func(attribute, name string) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":%q,"value":%q}]}`, attribute, name)
	}
	w.must(409, banksia, "PATCH", "/Users/"+other, patch("userName", "Sam@banksia.example"))
	w.must(409, banksia, "PUT", "/Users/"+other, newUser("Sam@banksia.example"))
	w.must(409, banksia, "PATCH", "/Groups/"+group, patch("displayName", "DEPOT"))
	if got := w.must(200, banksia, "GET", "/Users/"+other, ""); got["userName"] != "ada@banksia.example" {
		t.Errorf("a refused change left %v", got)
	}
	w.must(204, banksia, "DELETE", "/Users/"+holder, "")
	w.must(204, banksia, "DELETE", "/Groups/"+old, "")
	w.must(200, banksia, "PATCH", "/Users/"+other, patch("userName", "Sam@banksia.example"))
	w.must(204, banksia, "PATCH", "/Groups/"+group, patch("displayName", "DEPOT"))
	if members := w.must(200, banksia, "GET", "/Groups/"+group, "")["members"].([]any); len(members) != 1 {
		t.Errorf("the renamed group has %d members", len(members))
	}
	w.must(200, banksia, "PATCH", "/Users/"+other, patch("userName", "SAM@banksia.example")) // one's own name is not taken
}

// A large group that is being dissolved holds its name no longer: one that is made
// under it is empty, gives nobody anything, and outlives the old one's end.
func TestAGroupMadeUnderADissolvingOnesNameIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	everybody := w.people(banksia, 450)
	old := w.group(banksia, "GL Geelong Managers", everybody...)
	w.drain()
	w.must(204, banksia, "DELETE", "/Groups/"+old, "")
	fresh := w.group(banksia, "gl geelong managers", everybody[0])
	if fresh == old {
		t.Error("an id was used again")
	}
	w.must(404, banksia, "GET", "/Groups/"+old, "")
	if found := w.one(banksia, "Groups", "displayName", "GL Geelong Managers"); found != fresh {
		t.Errorf("by its name %s is found, want %s", found, fresh)
	}
	for _, when := range []string{"before the old one is gone", "after it"} {
		if _, _, err := w.signIn(banksia, externalID(1)); reasonOf(err) != "no_rule_matched" {
			t.Errorf("%s, a member of the old group signs in: %v", when, err)
		}
		if members := w.must(200, banksia, "GET", "/Groups/"+fresh, "")["members"].([]any); len(members) != 1 {
			t.Errorf("%s, the new group has %d members", when, len(members))
		}
		w.drain()
	}
	if got := w.holds(userName(0)); !slices.Equal(got, []string{"primary standard @ southern/banksia/geelong"}) {
		t.Errorf("the new group's member holds %v", got)
	}
}
