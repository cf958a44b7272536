package bridge_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestAttributesDecide: what a rule asks of a person is judged when it arrives, is taken
// back or ends, in the transaction that brings it; a change that no rule looks at decides
// nobody.
func TestAttributesDecide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(func(src *mapping.PolicySource) {
		src.Attributes = []mapping.AttributeSource{{Name: "department", From: "department"}, {Name: "passed", From: "urn:drawbridge:scim:schemas:extension:fleet:2.0:User:certificationExpires"}}
		src.Rules = append([]mapping.RuleSource{
			{ID: "support", From: banksia, Group: "Staff", Give: "elevated @ southern/banksia", When: `attr.department == "Support"`},
			{ID: "passed", From: banksia, All: []mapping.GroupRef{{Group: "Staff"}, {Group: "Trained"}}, None: []mapping.GroupRef{{Group: "Suspended"}},
				Give: "standard @ southern/banksia", When: `attr.passed > now && !("Contractors" in user.groups)`},
		}, src.Rules...)
	})
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "Staff", sam)
	is := func(when string, want ...string) {
		t.Helper()
		if got := w.holds("sam@banksia.example"); !slices.Equal(got, want) {
			t.Errorf("%s: holds %q, want %q", when, got, want)
		}
	}
	is("without an attribute")
	w.patchUser(banksia, sam, `{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"Support"}`)
	is("with the department", "primary elevated @ southern/banksia")
	w.patchUser(banksia, sam, `{"op":"replace","path":"title","value":"Lead"}`)
	is("with a title", "primary elevated @ southern/banksia")
	w.patchUser(banksia, sam, `{"op":"remove","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"}`)
	is("without the department")

	until := w.clock.Now().Add(time.Hour).UTC()
	w.patchUser(banksia, sam, `{"op":"add","path":"urn:drawbridge:scim:schemas:extension:fleet:2.0:User:certificationExpires","value":"`+until.Format(time.RFC3339)+`"}`)
	is("in one group of two")
	w.group(banksia, "Trained", sam)
	is("in both", "primary standard @ southern/banksia")
	suspended := w.group(banksia, "Suspended", sam)
	is("suspended")
	w.removeMember(banksia, suspended, sam)
	is("no longer suspended", "primary standard @ southern/banksia")
	contractors := w.group(banksia, "Contractors", sam)
	is("a contractor: only the condition looks at that group")
	w.must(204, banksia, "DELETE", "/Groups/"+contractors, "")
	is("no contractor", "primary standard @ southern/banksia")
	w.clock.Add(until.Add(-time.Millisecond).Sub(w.clock.Now()))
	w.drain()
	is("a millisecond before the end", "primary standard @ southern/banksia")
	w.clock.Add(until.Sub(w.clock.Now()))
	w.drain()
	is("at the end")
}
