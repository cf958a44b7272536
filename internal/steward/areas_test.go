package steward

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// A person learns by no way of asking whether a scope of somebody else is there: it is
// answered as one that is invented, whatever they ask for.
func TestAForeignAreaIsAnsweredAsAnInventedOne(t *testing.T) {
	k := newDesks(t)
	k.glass()
	first := k.asks(k.samActs, k.visit())
	k.approves(k.hob, first.ID, Approval{})
	waits := k.visit()
	waits.Until = waits.Until.Add(time.Hour)
	open := k.asks(k.samActs, waits)
	ways := map[string]func(a Actor, area string) error{
		"propose": func(a Actor, area string) error {
			ask := k.visit()
			ask.For, ask.Area = PersonRef{}, area
			return second(k.steward.Propose(k.ctx, a, ask))
		},
		"ask": func(a Actor, area string) error {
			ask := k.visit()
			ask.For, ask.Area = PersonRef{}, area
			return second(k.steward.Ask(k.ctx, a, ask))
		},
		"ask for somebody": func(a Actor, area string) error {
			ask := k.visit()
			ask.Area = area
			return second(k.steward.Ask(k.ctx, a, ask))
		},
		"extend": func(a Actor, area string) error {
			return second(k.steward.Ask(k.ctx, a, Ask{Extends: first.ID, Area: area, Until: k.clock.Now().Add(20 * 24 * time.Hour), Reason: "More"}))
		},
		"propose to extend": func(a Actor, area string) error {
			return second(k.steward.Propose(k.ctx, a, Ask{Extends: first.ID, Area: area, Until: k.clock.Now().Add(20 * 24 * time.Hour), Reason: "More"}))
		},
		"break glass": func(a Actor, area string) error {
			return second(k.steward.Ask(k.ctx, a, Ask{Workflows: []access.Workflow{access.LiveView}, Grant: access.Standard, Area: area, Reason: "Incident", BreakGlass: true}))
		},
		"approve less": func(a Actor, area string) error {
			return second(k.steward.Approve(k.ctx, a, open.ID, Approval{Less: &Less{Area: area}}))
		},
		"list requests": func(a Actor, area string) error { return second(k.steward.Requests(k.ctx, a, Query{Area: area})) },
		"list permits":  func(a Actor, area string) error { return second(k.steward.Permits(k.ctx, a, PermitQuery{Area: area})) },
	}
	approvers := map[string]bool{"approve less": true}
	foreign := []string{"southern", "southern/reefline", "southern/reefline/cairns", "boreal/tundra", "."}
	for _, path := range foreign[:4] {
		foreign = append(foreign, string(k.scope(path)))
	}
	for name, way := range ways {
		a := k.samActs
		if approvers[name] {
			a = k.hob
		}
		invented := way(a, "AREA")
		if !fault.Is(invented, fault.NotFound) {
			t.Fatalf("%s an invented area: %v", name, invented)
		}
		for _, area := range foreign {
			err := way(a, area)
			if !fault.Is(err, fault.NotFound) || fault.ReasonOf(err) != fault.ReasonOf(invented) || err.Error() != strings.ReplaceAll(invented.Error(), "AREA", area) {
				t.Errorf("%s %s: %v; of an invented one it says %v", name, area, err, invented)
			}
		}
	}
}

// What exists for a person: within the root of their connection, and where they hold
// something, for as long as they hold it. For the operator everything does.
func TestWhatMayBeAskedFor(t *testing.T) {
	k := newDesks(t)
	propose := func(a Actor, area string) error {
		ask := k.visit()
		ask.Area = area
		return second(k.steward.Propose(k.ctx, a, ask))
	}
	const cairns = "southern/reefline/cairns"
	for _, step := range []struct {
		a    Actor
		area string
		want bool
	}{{k.samActs, "southern/banksia", true}, {k.samActs, cairns, false}, {k.ann, cairns, false}, {k.pat, cairns, true}, {k.pat, "boreal", false}, {k.own, "boreal", true}, {k.operator, cairns, true}} {
		if err := propose(step.a, step.area); (err == nil) != step.want {
			t.Errorf("%+v asks for %s: %v", step.a, step.area, err)
		}
	}
	w := k.world
	w.permit(banksia, k.sam, access.Standard, cairns, access.Permit{Until: k.clock.Now().Add(time.Hour)})
	if err := propose(k.samActs, cairns); err != nil {
		t.Errorf("where they hold something: %v", err)
	}
	if err := propose(k.samActs, "southern/reefline"); !fault.Is(err, fault.NotFound) {
		t.Errorf("above where they hold something: %v", err)
	}
	k.clock.Add(time.Hour)
	if err := propose(k.samActs, cairns); !fault.Is(err, fault.NotFound) {
		t.Errorf("where they held something: %v", err)
	}
}
