package bridge_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestARenameSaysWhichRulesItEnteredAndLeft: it is followed in its own transaction, and
// the trail names the rules that matched by name.
func TestARenameSaysWhichRulesItEnteredAndLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	g := w.group(banksia, "GL Geelong Managers", sam)
	s := w.session(banksia, "oid-sam")
	w.rename(banksia, g, "Nobody Asks For This")
	w.allDead(s, "after its group was renamed")
	w.rename(banksia, g, "GL Account Admins")
	if got := w.holds("sam@banksia.example"); len(got) != 1 || !strings.Contains(got[0], "administrator @") {
		t.Errorf("holds %v", got)
	}
	w.rename(banksia, g, "GL Hobart Managers")
	w.rename(banksia, g, "GL Geelong Managers") // the same rule by another name
	var said []string
	for _, e := range w.facts(banksia) {
		if e.Type == event.GroupRenamed {
			said = append(said, "in "+e.Data["rules_entered"]+" out "+e.Data["rules_left"])
		}
	}
	want := []string{"in  out banksia-managers", "in banksia-admins out ", "in banksia-managers out banksia-admins", "in  out "}
	if !slices.Equal(said, want) {
		t.Errorf("said %q", said)
	}
	third := w.later()
	w.rename(banksia, g, "Nobody Asks For This")
	for _, sealed := range []bool{false, true} { // told by the end of the trail, and by its index
		if sealed {
			w.seal()
		}
		now, err := w.bridge.Explain(w.ctx, "sam@banksia.example", banksia)
		w.do(err)
		then, err := w.bridge.ExplainAt(w.ctx, "sam@banksia.example", banksia, third)
		w.do(err)
		told := now[0].Memberships[0].Renames
		if len(told) != 5 || !slices.Equal(told[4].Left, []string{"banksia-managers"}) || len(told[4].Entered) > 0 || !told[4].At.Equal(w.clock.Now()) {
			t.Errorf("explained, sealed %t: %+v", sealed, told)
		}
		if held := then[0].Holds[0].Chain[0]; held.MatchedBy != "name" || len(held.Group.Renames) != 4 || !slices.Equal(held.Group.Renames[1].Entered, []string{"banksia-admins"}) {
			t.Errorf("explained before, sealed %t: %+v", sealed, held)
		}
	}
}

// TestAGroupDeletedAndMadeAgainIsANewGroup: its members joined anew, so a time limit
// starts anew; a rule bound to the name follows, one bound to the externalId as well.
func TestAGroupDeletedAndMadeAgainIsANewGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(func(p *mapping.PolicySource) {
		p.Rules = slices.Clone(p.Rules)
		at := slices.IndexFunc(p.Rules, func(r ruleSource) bool { return r.ID == "southern-installers" })
		byID := p.Rules[at]
		byID.ID, byID.Group, byID.GroupID, byID.Guest, byID.Give = "by-id", "", "oid-installers", nil, "technician @ southern/banksia/geelong"
		p.Rules = append(p.Rules, byID)
	})
	kim := w.must(201, southern, "POST", "/Users", kimBody)["id"].(string)
	body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Field Installers","externalId":"oid-installers","members":` + memberList([]string{kim}) + `}`
	first := w.must(201, southern, "POST", "/Groups", body)["id"].(string)
	w.clock.Add(10 * 24 * time.Hour)
	if n := len(w.holds("kim@southern.example")); n != 3 {
		t.Fatalf("holds %v", w.holds("kim@southern.example"))
	}
	w.must(204, southern, "DELETE", "/Groups/"+first, "")
	if got := w.holds("kim@southern.example"); len(got) != 0 {
		t.Errorf("between: %v", got)
	}
	second := w.must(201, southern, "POST", "/Groups", body)["id"].(string)
	if first == second {
		t.Fatal("an id was used twice")
	}
	if got := w.joined(southern, second)[kim]; !got.Equal(w.clock.Now()) {
		t.Errorf("joined at %s", got)
	}
	w.clock.Add(13 * 24 * time.Hour) // after the first group's fourteen days, within the second's
	if n := len(w.holds("kim@southern.example")); n != 3 {
		t.Errorf("holds %v", w.holds("kim@southern.example"))
	}
	w.clock.Add(24 * time.Hour)
	if got := w.holds("kim@southern.example"); len(got) != 0 {
		t.Errorf("after fourteen days: %v", got)
	}
}
