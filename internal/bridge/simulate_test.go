package bridge_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func (w *world) simulate(s bridge.Supposed) bridge.Simulation {
	w.t.Helper()
	got, err := w.bridge.Simulate(w.ctx, s)
	w.do(err)
	return got
}

func held(s bridge.Simulated) (is []string) {
	for _, h := range s.Holds {
		is = append(is, string(h.Standing)+" "+h.Is)
	}
	return is
}

// TestSimulatingChangesNothing: somebody leaves a group, joins another, is switched
// off or certified, in thought; everything stays as it was.
func TestSimulatingChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	w.group(banksia, "GL Account Admins")
	no := false
	geelong, admin := "primary standard @ southern/banksia/geelong", "primary administrator @ southern/banksia"
	for name, c := range map[string]struct {
		s    bridge.Supposed
		want []string
	}{
		"nothing":      {bridge.Supposed{Person: "sam@banksia.example"}, []string{geelong}},
		"left":         {bridge.Supposed{Person: sam, RemoveGroups: []string{"gl geelong managers"}}, nil},
		"joined":       {bridge.Supposed{Person: sam, AddGroups: []string{"GL Account Admins"}}, []string{admin, "guest standard @ southern/banksia/geelong"}},
		"joined again": {bridge.Supposed{Person: sam, AddGroups: []string{"GL Geelong Managers"}}, []string{geelong}},
		"inactive":     {bridge.Supposed{Person: sam, Active: &no}, nil},
		"planned group": {bridge.Supposed{Person: sam, Hypothetical: true, AddGroups: []string{"GL Hobart Managers"}},
			[]string{geelong, "guest standard @ southern/banksia/hobart"}},
	} {
		got := w.simulate(c.s)
		if !slices.Equal(held(got.Then), c.want) || got.Now == nil || !slices.Equal(held(*got.Now), []string{geelong}) {
			t.Errorf("%s: now %v, then %v, want %v", name, got.Now, held(got.Then), c.want)
		}
		if (len(c.want) == 0) != (got.Then.Refusal != "") || len(got.Then.Reasons) == 0 {
			t.Errorf("%s: refusal %q, reasons %v", name, got.Then.Refusal, got.Then.Reasons)
		}
	}
	if after := w.holds("sam@banksia.example"); !slices.Equal(after, []string{"primary standard @ southern/banksia/geelong"}) {
		t.Errorf("after all that sam holds %v", after)
	}
}

// TestSimulatingSomebodyMadeUp: the certification that is supposed counts, time runs
// from joining, and a policy that is not in force may be tried.
func TestSimulatingSomebodyMadeUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group("southern-entra", "Field Installers")
	at := w.clock.Now().Add(24 * time.Hour)
	made := bridge.Supposed{Connection: "southern-entra", AddGroups: []string{"Field Installers"}, At: at,
		Certification: &access.Certification{Level: "Trainer"}}
	got := w.simulate(made)
	if want := []string{"primary technician @ southern/banksia", "guest technician @ southern/reefline/cairns"}; !slices.Equal(held(got.Then), want) || got.Now != nil {
		t.Errorf("%+v", got)
	}
	if got.Then.ValidUntil != at.Add(14*24*time.Hour) {
		t.Errorf("it ends at %v", got.Then.ValidUntil)
	}
	other := samplePolicy(t)
	other.Rules = slices.DeleteFunc(other.Rules, func(r mapping.RuleSource) bool { return r.ID == "southern-installers" })
	made.Policy = &other
	if got := w.simulate(made); len(got.Then.Holds) > 0 || got.Then.Refusal == "" {
		t.Errorf("without the rule: %+v", got.Then)
	}
}

// TestASimulationIsATest: what a simulation writes down as a test passes under the
// same policy, after it has crossed the API.
func TestASimulationIsATest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lee := w.person("southern-entra", "lee@southern.example", "oid-lee")
	w.group("southern-entra", "Field Installers", lee)
	w.group("southern-entra", "Service Desk", lee)
	w.clock.Add(3 * 24 * time.Hour)
	no := false
	for name, s := range map[string]bridge.Supposed{
		"as it is":  {Person: lee},
		"certified": {Person: lee, Certification: &access.Certification{Level: "Trainer", Until: w.clock.Now().Add(time.Hour)}},
		"later":     {Person: lee, Certification: &access.Certification{Level: "Trainer"}, At: w.clock.Now().Add(30 * 24 * time.Hour)},
		"inactive":  {Person: lee, Active: &no},
		"made up":   {Connection: "tundra-okta", Hypothetical: true, AddGroups: []string{"gl-tromso-ops", "gl-safety", "nonsense"}},
	} {
		body, err := json.Marshal(w.simulate(s))
		w.do(err)
		var got bridge.Simulation
		w.do(json.Unmarshal(body, &got))
		policy, err := mapping.Compile(samplePolicy(t))
		w.do(err)
		results := mapping.RunTests(policy, []mapping.TestSource{got.Test}, w.clock.Now().Add(1000*time.Hour))
		if !results[0].Passed {
			t.Errorf("%s: %s\n%v", name, body, results[0].Failures)
		}
		if text, _ := json.Marshal(got.Test); strings.Contains(string(text), "lee") {
			t.Errorf("%s: the test names a person: %s", name, text)
		}
	}
}

// TestWhatASimulationDoesNotKnow: people, connections and groups that are not here are
// refused with what was probably meant.
func TestWhatASimulationDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	w.group("southern-entra", "GL Account Admins")
	for _, c := range []struct {
		s    bridge.Supposed
		kind fault.Kind
		says string
	}{
		{bridge.Supposed{Person: "nobody@banksia.example"}, fault.NotFound, "nobody here"},
		{bridge.Supposed{}, fault.Invalid, "name a person"},
		{bridge.Supposed{Connection: "banksia-entr"}, fault.NotFound, `did you mean "banksia-entra"`},
		{bridge.Supposed{Person: sam, AddGroups: []string{"GL Gelong Managers"}}, fault.NotFound, `did you mean "GL Geelong Managers"`},
		{bridge.Supposed{Person: sam, AddGroups: []string{"GL Account Admins"}}, fault.NotFound, "has no group"}, // another connection's
		{bridge.Supposed{Person: sam, RemoveGroups: []string{"GL Geelong Manager"}}, fault.Invalid, `did you mean "GL Geelong Managers"`},
		{bridge.Supposed{Person: sam, Attributes: map[string]any{"departmnt": "x"}}, fault.Invalid, "departmnt"},
	} {
		_, err := w.bridge.Simulate(w.ctx, c.s)
		if fault.KindOf(err) != c.kind || !strings.Contains(fault.DetailOf(err), c.says) {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
}
