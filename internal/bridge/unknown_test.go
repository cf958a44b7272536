package bridge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// drift are the ids that a connection's findings name, in order.
func (w *world) drift(c access.ConnectionID) (ids []string) {
	w.t.Helper()
	found, err := w.bridge.Drift(w.ctx, c)
	w.do(err)
	for _, x := range found {
		ids = append(ids, x.Member)
	}
	slices.Sort(ids)
	return ids
}

// TestUnknownMembersAreKeptUntilTheyAreNamedNoMore: an id that names nobody never
// hinders the others; it is shown once, with how often it came, until the identity
// provider sends the group without it, takes it out, or deletes the group.
func TestUnknownMembersAreKeptUntilTheyAreNamedNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	foreign := w.person(southern, "kim@southern.example", "oid-kim")
	group := w.group(banksia, "GL Geelong Managers", "per_gone", sam)
	for _, step := range []struct {
		method, body string
		want         []string
	}{
		{"", "", []string{"per_gone"}},
		{"PATCH", memberOp("add", []string{"per_gone", foreign, sam}), inOrder("per_gone", foreign)},
		{"PATCH", memberOp("remove", []string{"per_never"}), inOrder("per_gone", foreign)}, // to take away who is not there is no drift
		{"PATCH", patchOp(`{"op":"remove","path":"members[value eq \"per_gone\"]"}`), []string{foreign}},
		{"PATCH", patchOp(`{"op":"add","path":"members","value":[{"value":"per_a"},{"value":"per_b"}]},{"op":"remove","path":"members","value":[{"value":"per_a"}]}`), inOrder(foreign, "per_b")},
		{"PUT", fmt.Sprintf(`{"displayName":"GL Geelong Managers","members":%s}`, memberList([]string{sam, "per_c"})), []string{"per_c"}},
		{"PATCH", memberOp("replace", []string{sam}), nil},
		{"PATCH", memberOp("add", []string{"per_d"}), []string{"per_d"}},
		{"PATCH", patchOp(`{"op":"remove","path":"members"}`), nil},
		{"PATCH", memberOp("replace", []string{sam, "per_e"}), []string{"per_e"}},
		{"DELETE", "", nil},
	} {
		if step.method != "" {
			if status, out := w.send(banksia, step.method, "/Groups/"+group, step.body); status/100 != 2 {
				t.Fatalf("%s %s: %d %v", step.method, step.body, status, out)
			}
		}
		if got := w.drift(banksia); !slices.Equal(got, step.want) {
			t.Errorf("after %s %s the findings name %v, want %v", step.method, step.body, got, step.want)
		}
	}
	if got := w.drift(southern); len(got) != 0 {
		t.Errorf("the other connection has findings: %v", got)
	}
}

// TestDriftIsBoundedCountedAndAcknowledged: however often and however much is named,
// what is kept is bounded and each id stands there once; what has been seen goes, and
// comes again if it is named again.
func TestDriftIsBoundedCountedAndAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	group := w.group(banksia, "GL Geelong Managers", sam)
	other := w.group(banksia, "GL Hobart Managers", "per_other")
	for range 3 {
		w.addMember(banksia, group, "per_gone")
	}
	found, err := w.bridge.Drift(w.ctx, banksia)
	w.do(err)
	for _, x := range found {
		if x.Member == "per_gone" && (x.Times != 3 || x.Group != access.GroupID(group) || x.GroupName != "GL Geelong Managers") {
			t.Errorf("%+v", x)
		}
	}
	if n, err := w.bridge.AcknowledgeDrift(w.ctx, banksia, access.GroupID(group)); n != 1 || err != nil {
		t.Errorf("%d were forgotten (%v)", n, err)
	}
	if got := w.drift(banksia); !slices.Equal(got, []string{"per_other"}) {
		t.Errorf("left: %v", got)
	}
	var many []string
	for i := range 2 * store.DriftOfGroup {
		many = append(many, fmt.Sprint("per_", i, strings.Repeat("x", 300)))
	}
	w.addMember(banksia, group, append(many, sam)...)
	w.addMember(banksia, group, many[store.DriftOfGroup:]...)
	if got := w.drift(banksia); len(got) != store.DriftOfGroup+1 || len(got[0]) > 256 {
		t.Errorf("%d findings are kept", len(got))
	}
	if n, err := w.bridge.AcknowledgeDrift(w.ctx, banksia, ""); int(n) != store.DriftOfGroup+1 || err != nil {
		t.Errorf("%d were forgotten (%v)", n, err)
	}
	w.addMember(banksia, other, "per_other")
	if got := w.drift(banksia); !slices.Equal(got, []string{"per_other"}) {
		t.Errorf("named again: %v", got)
	}
}

// TestForgottenDriftIsNowhere: what was named as a member and is nobody's id may be
// somebody's address; the audit trail, which is for good, says how many there were.
func TestForgottenDriftIsNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(banksia, "GL Geelong Managers", "anna.lindgren@banksia.example")
	if n, err := w.bridge.AcknowledgeDrift(w.ctx, banksia, ""); n != 1 || err != nil {
		t.Fatalf("%d were forgotten (%v)", n, err)
	}
	told := false
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.Unsealed(10_000)
		for _, row := range rows {
			told = told || strings.Contains(string(row.Body), string(event.MemberUnknown))
			if strings.Contains(string(row.Body)+string(row.Personal), "lindgren") {
				t.Errorf("the trail still says %s %s", row.Body, row.Personal)
			}
		}
		return err
	}))
	if !told {
		t.Error("the trail does not say that there were any")
	}
}

// TestUnknownMembersAreRefusedWhereThatIsTheChoice: with unknown_members: refuse,
// nothing of a change that names nobody is done, and the answer says which operation
// and which ids; another customer's id is answered as one that never was.
func TestUnknownMembersAreRefusedWhereThatIsTheChoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(func(src *mapping.PolicySource) {
		for i := range src.Connections {
			if src.Connections[i].ID == banksia {
				src.Connections[i].SCIM.UnknownMembers = access.RefuseUnknown
			}
		}
	})
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	foreign := w.person(southern, "kim@southern.example", "oid-kim")
	group := w.group(banksia, "GL Geelong Managers")
	many := w.people(banksia, 250)
	refused := func(method, path, body, where string) {
		t.Helper()
		var said [2]string
		for i, id := range []string{foreign, "per_" + strings.Repeat("0", len(foreign)-4)} {
			status, out := w.send(banksia, method, path, strings.ReplaceAll(body, "NOBODY", id))
			detail, _ := out["detail"].(string)
			if status != 400 || out["scimType"] != "invalidValue" || !strings.Contains(detail, where) || !strings.Contains(detail, id) {
				t.Errorf("%s %s: %d %v", method, body[:min(200, len(body))], status, out)
			}
			said[i] = strings.ReplaceAll(detail, id, "NOBODY")
		}
		if said[0] != said[1] {
			t.Errorf("a foreign id is answered %q, an unknown one %q", said[0], said[1])
		}
	}
	some := memberList([]string{sam, "NOBODY"})
	refused("PATCH", "/Groups/"+group, patchOp(`{"op":"replace","path":"displayName","value":"Other"},{"op":"add","path":"members","value":`+some+`}`), "Operations[1] members:")
	refused("PATCH", "/Groups/"+group, memberOp("replace", []string{sam, "NOBODY"}), "Operations[0] members:")
	refused("PATCH", "/Groups/"+group, memberOp("add", append(slices.Clone(many), "NOBODY")), "Operations[0] members:")
	refused("PUT", "/Groups/"+group, `{"displayName":"Other","members":`+some+`}`, "members:")
	refused("POST", "/Groups", `{"displayName":"Another","members":`+some+`}`, "members:")
	got := w.bulk(banksia, operation{Method: "PATCH", Path: "/Groups/" + group, Data: []byte(memberOp("add", []string{sam, "per_0"}))},
		operation{Method: "POST", Path: "/Users", BulkID: "u", Data: []byte(`{"userName":"bulk@banksia.example"}`)})
	if got[0].Status != "400" || got[1].Status != "201" {
		t.Errorf("in a bulk: %v", got)
	}
	if got := w.must(200, banksia, "GET", "/Groups/"+group, ""); got["displayName"] != "GL Geelong Managers" || len(got["members"].([]any)) != 0 {
		t.Errorf("something was done: %v", got)
	}
	if total := w.must(200, banksia, "GET", "/Groups?count=0", "")["totalResults"]; total != 1.0 {
		t.Errorf("%v groups", total)
	}
	w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("remove", []string{"per_gone"}))
	w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("add", []string{sam}))
}
