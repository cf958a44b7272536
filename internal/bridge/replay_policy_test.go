package bridge_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestADayIsReplayedUnderOtherRules: who joined before the span, in it and left again,
// and who was switched off; everything else of the world stays as it was.
func TestADayIsReplayedUnderOtherRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam, joe, mia := w.person(banksia, "sam@banksia.example", "sam"), w.person(banksia, "joe@banksia.example", "joe"), w.person(banksia, "mia@banksia.example", "mia")
	managers := w.group(banksia, "GL Geelong Managers", sam, mia)
	admins := w.group(banksia, "GL Account Admins")
	w.clock.Add(48 * time.Hour)
	since := w.clock.Now()
	w.clock.Add(time.Hour)
	w.addMember(banksia, managers, joe)
	w.clock.Add(2 * time.Hour)
	w.addMember(banksia, admins, joe)
	w.clock.Add(3 * time.Hour)
	w.removeMember(banksia, managers, joe)
	w.patchUser(banksia, sam, `{"op":"replace","path":"active","value":false}`)
	w.clock.Add(4 * time.Hour)

	src := samplePolicy(t)
	src.Rules = slices.DeleteFunc(src.Rules, func(r mapping.RuleSource) bool { return r.ID == "banksia-managers" })
	got, err := w.bridge.ReplayPolicy(w.ctx, src, since, 0)
	w.do(err)
	var said []string
	for _, d := range got.Differences {
		said = append(said, d.UserName+" "+d.At.Sub(since).String()+" to "+d.Until.Sub(since).String()+" +"+strings.Join(d.Gains, ",")+" -"+strings.Join(d.Loses, ","))
	}
	want := []string{"sam@banksia.example 0s to 6h0m0s + -standard @ southern/banksia/geelong",
		"joe@banksia.example 1h0m0s to 6h0m0s + -standard @ southern/banksia/geelong"}
	if !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
	if got.People != 2 || got.Changes != 4 || got.Affected != 2 || got.AtEnd != 0 || len(got.Unknown) != 0 {
		t.Errorf("%+v", got)
	}
	if len(got.Totals) != 2 || got.Totals[0].UserName != "sam@banksia.example" || got.Totals[0].Loses[0] != (bridge.ReplayedHolding{Is: "standard @ southern/banksia/geelong", Seconds: 6 * 3600}) {
		t.Errorf("totals %+v", got.Totals)
	}
	w.must(204, banksia, "DELETE", "/Groups/"+managers, "")
	if got, err = w.bridge.ReplayPolicy(w.ctx, src, since, 0); err != nil || len(got.Unknown) != 1 || !strings.HasPrefix(got.Unknown[0], "Groups that are no longer here: 1.") {
		t.Errorf("a group is gone: %q, %v", got.Unknown, err)
	}
	if _, err = w.bridge.ReplayPolicy(w.ctx, src, since.AddDate(0, -2, 0), 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("two months: %v", err)
	}
}

// An id that two groups have feeds no rule in a replay either: at its end it holds what
// is held.
func TestAReplayKnowsIDsThatSeveralGroupsHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "sam")
	since := w.clock.Now()
	w.clock.Add(time.Hour)
	for _, name := range []string{"Desk", "Desk (old)"} {
		w.must(201, banksia, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"`+name+`","externalId":"oid-7","members":`+memberList([]string{sam})+`}`)
	}
	w.clock.Add(time.Hour)
	src := samplePolicy(t)
	src.Rules = append(src.Rules, mapping.RuleSource{ID: "desk", From: banksia, GroupID: "oid-7", Give: "standard @ southern/banksia"})
	got, err := w.bridge.ReplayPolicy(w.ctx, src, since, 0)
	w.do(err)
	if got.Changes == 0 || got.Differing != 0 || got.AtEnd != 0 {
		t.Errorf("%+v", got)
	}
}
