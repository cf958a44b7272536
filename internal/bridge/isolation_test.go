package bridge_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// TestAnotherConnectionsIdsAreUnknownIds: whatever A asks with B's ids, in path,
// filter, members or precondition, is answered as for ids that never were, byte for
// byte; and B is untouched.
func TestAnotherConnectionsIdsAreUnknownIds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := w.person(southern, "same@name.example", "same-id")
	theirGroup := w.group(southern, "GL Geelong Managers", theirs)
	mine := w.person(banksia, "same@name.example", "same-id")
	myGroup := w.group(banksia, "GL Geelong Managers", mine)
	nobody, noGroup := "per_"+strings.Repeat("0", len(theirs)-4), "grp_"+strings.Repeat("0", len(theirGroup)-4)
	before := w.dump(southern, theirs, theirGroup)
	for _, ask := range crossings(mine, myGroup) {
		swap := func(person, group string) string {
			r := strings.NewReplacer("PERSON", person, "GROUP", group)
			req := httptest.NewRequest(ask.method, "/scim/v2/"+banksia+r.Replace(ask.path), strings.NewReader(r.Replace(ask.body)))
			req.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
			if ask.body != "" {
				req.Header.Set("Content-Type", "application/scim+json")
			}
			if ask.match != "" {
				req.Header.Set("If-Match", ask.match)
			}
			rec := httptest.NewRecorder()
			w.scim.ServeHTTP(rec, req)
			undo := strings.NewReplacer(person, "PERSON", group, "GROUP")
			return undo.Replace(fmt.Sprint(rec.Code, versionless(rec.Header().Get("ETag")), " ", rec.Body))
		}
		unknown, foreign := swap(nobody, noGroup), swap(theirs, theirGroup)
		if versionless(unknown) != versionless(foreign) {
			t.Errorf("%s %s:\nunknown id  %s\nforeign id  %s", ask.method, ask.path, unknown, foreign)
		}
	}
	if after := w.dump(southern, theirs, theirGroup); after != before {
		t.Errorf("the other connection changed from\n%s\nto\n%s", before, after)
	}
	if got := w.holds(mine); !slices.Equal(got, []string{"primary standard @ southern/banksia/geelong"}) {
		t.Errorf("its own person holds %v", got)
	}
}

type crossing struct{ method, path, body, match string }

func crossings(mine, myGroup string) []crossing {
	patch := func(op string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + op + `]}`
	}
	user := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"stolen@name.example","active":false}`
	group := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stolen","members":[]}`
	off := patch(`{"op":"replace","path":"active","value":false}`)
	search := func(members string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],` + members + `}`
	}
	var all []crossing
	for _, match := range []string{"", `W/"1"`, `W/"99"`, "*"} {
		all = append(all,
			crossing{"GET", "/Users/PERSON", "", match}, crossing{"PUT", "/Users/PERSON", user, match}, crossing{"PATCH", "/Users/PERSON", off, match}, crossing{"DELETE", "/Users/PERSON", "", match},
			crossing{"GET", "/Groups/GROUP", "", match}, crossing{"PUT", "/Groups/GROUP", group, match}, crossing{"DELETE", "/Groups/GROUP", "", match},
			crossing{"PATCH", "/Groups/GROUP", patch(`{"op":"add","path":"members","value":[{"value":"` + mine + `"}]}`), match})
	}
	bulk := func(op string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + op + `]}`
	}
	return append(all,
		crossing{"POST", "/Bulk", bulk(`{"method":"DELETE","path":"/Users/PERSON"},{"method":"PATCH","path":"/Groups/GROUP","data":` + off + `},{"method":"PUT","path":"/Users/PERSON","version":"W/\"1\"","data":` + user + `}`), ""},
		crossing{"POST", "/Bulk", bulk(`{"method":"PATCH","path":"/Groups/` + myGroup + `","data":` + patch(`{"op":"add","path":"members","value":[{"value":"PERSON"}]}`) + `}`), ""},
		crossing{"GET", `/Users?filter=id+eq+"PERSON"`, "", ""}, crossing{"GET", `/Users?filter=groups.value+eq+"GROUP"`, "", ""},
		crossing{"GET", `/Groups?filter=id+eq+"GROUP"`, "", ""}, crossing{"GET", `/Groups?filter=members.value+eq+"PERSON"`, "", ""},
		crossing{"GET", `/Groups?filter=members[value+eq+"PERSON"]`, "", ""},
		crossing{"GET", `/Users?filter=id+eq+"PERSON"&sortBy=userName&cursor`, "", ""},
		crossing{"POST", "/Users/.search", search(`"filter":"groups.value eq \"GROUP\"","sortBy":"groups.display"`), ""},
		crossing{"POST", "/Groups/.search", search(`"filter":"members.value eq \"PERSON\""`), ""},
		crossing{"POST", "/.search", search(`"filter":"id eq \"PERSON\" or members.value eq \"PERSON\" or id eq \"GROUP\"","cursor":""`), ""},
		crossing{"PATCH", "/Groups/" + myGroup, patch(`{"op":"add","path":"members","value":[{"value":"PERSON"}]}`), ""},
		crossing{"PATCH", "/Groups/" + myGroup, patch(`{"op":"remove","path":"members[value eq \"PERSON\"]"}`), ""},
		crossing{"PATCH", "/Groups/" + myGroup, patch(`{"op":"replace","path":"members","value":[{"value":"PERSON"}]}`), ""},
		crossing{"PATCH", "/Groups/" + myGroup, patch(`{"op":"replace","path":"members","value":[{"value":"PERSON"},{"value":"` + mine + `"}]}`), ""})
}

// versionless leaves out what time alone changes.
func versionless(s string) string {
	return stamp.ReplaceAllString(s, "")
}

// dump is what a connection's provider can see of two of its resources.
func (w *world) dump(c access.ConnectionID, person, group string) string {
	_, p := w.send(c, "GET", "/Users/"+person, "")
	_, g := w.send(c, "GET", "/Groups/"+group, "")
	return fmt.Sprint(p, g)
}

// TestATokenOpensItsOwnConnectionOnly: A's token at B's URL, at one that never was,
// and nonsense at A's, are one and the same 401.
func TestATokenOpensItsOwnConnectionOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answer := func(connection, token string) string {
		req := httptest.NewRequest("GET", "/scim/v2/"+connection+"/Users", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		w.scim.ServeHTTP(rec, req)
		return fmt.Sprint(rec.Code, rec.Header(), rec.Body)
	}
	want := answer(banksia, "nonsense")
	if !strings.HasPrefix(want, "401") {
		t.Fatal(want)
	}
	for name, got := range map[string]string{
		"another connection's": answer(southern, w.tokens[banksia]),
		"no such connection":   answer("nobody-entra", w.tokens[banksia]),
		"cut":                  answer(banksia, w.tokens[banksia][:20]),
		"one letter more":      answer(banksia, w.tokens[banksia]+"a"),
	} {
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestANewcomerInheritsNothing: somebody provisioned under a leaver's names is
// somebody else (T-A7): a new id, no group, no session, no sign-in of the leaver's.
func TestANewcomerInheritsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leaver := w.person(banksia, "sam@banksia.example", "oid-sam")
	group := w.group(banksia, "GL Geelong Managers", leaver)
	s := w.session(banksia, "oid-sam")
	w.must(204, banksia, "DELETE", "/Users/"+leaver, "")
	newcomer := w.person(banksia, "sam@banksia.example", "oid-sam")
	if newcomer == leaver {
		t.Error("an id was used again")
	}
	w.allDead(s, "after the newcomer came")
	if got := w.holds(newcomer); len(got) != 0 {
		t.Errorf("the newcomer holds %v", got)
	}
	if members := w.must(200, banksia, "GET", "/Groups/"+group, "")["members"]; fmt.Sprint(members) != "[]" {
		t.Errorf("the group's members are %v", members)
	}
	if _, _, err := w.signIn(banksia, "oid-sam"); err == nil {
		t.Error("the newcomer signs in without any access")
	}
	w.addMember(banksia, group, newcomer)
	w.allDead(s, "after the newcomer got access of their own")
}

// TestI24_ARefusedSignInWritesAuditOnly: whoever is refused, and why ever: no table
// but the audit and the outbox gains, loses or changes a row (I-24).
func TestI24_ARefusedSignInWritesAuditOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(banksia, "nothing@banksia.example", "oid-nothing")
	off := w.person(banksia, "off@banksia.example", "oid-off")
	w.group(banksia, "GL Geelong Managers", off)
	w.patchUser(banksia, off, `{"op":"replace","path":"active","value":false}`)
	gone := w.person(banksia, "gone@banksia.example", "oid-gone")
	w.must(204, banksia, "DELETE", "/Users/"+gone, "")
	twins := []string{w.person(banksia, "one@banksia.example", "oid-twin"), w.person(banksia, "two@banksia.example", "oid-twin")}
	contact := w.person(banksia, "contact@banksia.example", "oid-contact")
	w.group(banksia, "GL FIP Contacts", contact)
	w.group(banksia, "GL Hobart Managers", twins...)
	for subject, want := range map[string]string{"oid-nothing": "no_rule_matched", "oid-off": "deactivated_by_idp", "oid-gone": "not_provisioned",
		"oid-twin": "ambiguous", "oid-contact": "contact_only", "oid-stranger": "not_provisioned", "nothing@banksia.example": "not_provisioned"} {
		before := w.tables()
		_, _, err := w.signIn(banksia, subject)
		if got := reasonOf(err); got != want {
			t.Errorf("%s is refused as %q, want %q", subject, got, want)
		}
		if after := w.tables(); after != before {
			t.Errorf("the refusal of %s changed\n%s\nto\n%s", subject, before, after)
		}
	}
}

// tables digests every table but the two that tell what happened.
func (w *world) tables() string {
	w.t.Helper()
	var out strings.Builder
	w.do(w.rows.View(w.ctx, func(q store.Querier) error {
		names, err := column(q, `select name from sqlite_master where type = 'table' and name not in ('audit', 'outbox', 'audit_heads') and name not like 'sqlite_%' order by name`)
		for _, name := range names {
			fmt.Fprintf(&out, "%s %v\n", name, contents(w.t, q, name))
		}
		return err
	}))
	return out.String()
}
