package access

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func ptr[T any](v T) *T { return &v }

func TestATableThatSaysNothingIsTheGuides(t *testing.T) {
	if !(Catalogue{}).IsZero() || (Catalogue{}).Check() != nil {
		t.Error("the guide's table is not the zero one, or is wrong")
	}
	var s struct {
		C Catalogue `json:"c,omitzero"`
	}
	s.C.Grants = map[Grant]Terms{}
	if text, err := json.Marshal(s); err != nil || string(text) != "{}" {
		t.Errorf("an empty table is written %s, %v: a policy without one keeps its hash only if it is left out", text, err)
	}
}

func TestATableComesBackAsItWasWritten(t *testing.T) {
	c := Catalogue{
		Grants: map[Grant]Terms{Standard: {PublicName: "Viewer", PublicDescription: "Watches.", Workflows: &[]Workflow{LiveView}, Risk: ptr(RiskMedium)}, Elevated: {Workflows: &[]Workflow{}}},
		Scopes: map[Level]Risk{Account: RiskHigh}, Events: map[EventFlag]Risk{EventsStandard: RiskLow}, Video: ptr(RiskMedium)}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Catalogue
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("%s is read %+v, %v", text, back, err)
	}
}

func TestATableNarrowsAndWidensWhatAGrantOpens(t *testing.T) {
	c := Catalogue{Grants: map[Grant]Terms{
		Standard:   {Workflows: &[]Workflow{MediaView, EventsView, Reports, LiveView}},
		Elevated:   {Workflows: &[]Workflow{}},
		Technician: {Workflows: &[]Workflow{IVSDashboard, EventsView, EventsDownload, MediaView, Reports}},
		Associate:  {Workflows: &[]Workflow{LiveView}}, // Check refuses it, and it opens nothing
	}}
	all := Flags{EventsRestricted, true}
	for _, row := range []struct {
		grant    Grant
		flags    Flags
		standing Standing
		want     string
	}{
		{Standard, Flags{}, Primary, "live_view reports"},
		{Standard, all, Primary, "live_view reports events.view media.view"},
		{Standard, all, Guest, "live_view events.view media.view"}, // a guest never opens reports
		{Elevated, all, Primary, ""},
		{Technician, Flags{}, Primary, "ivs_dashboard reports"}, // flags gate events and media whatever the table says
		{Technician, all, Guest, "ivs_dashboard events.view media.view events.download"},
		{Associate, all, Primary, ""},
		{"owner", all, Primary, ""},
		{Administrator, Flags{}, Guest, "live_view playback settings.view addresses.view settings.manage addresses.manage users.manage"}, // not named: the guide's
	} {
		if got := words(c.Opens(row.grant, row.flags, row.standing)); got != row.want {
			t.Errorf("%s %s with %+v opens %q, want %q", row.standing, row.grant, row.flags, got, row.want)
		}
	}
}

func TestRiskIsTheHighestOfThreeWhateverTheTable(t *testing.T) {
	c := Catalogue{Grants: map[Grant]Terms{Elevated: {Risk: ptr(RiskLow)}, Associate: {Risk: ptr(RiskHigh)}},
		Scopes: map[Level]Risk{Account: RiskLow}, Events: map[EventFlag]Risk{EventsStandard: RiskLow, EventsRestricted: RiskMedium}, Video: ptr(RiskLow)}
	for _, row := range []struct {
		level Level
		grant Grant
		flags Flags
		want  Risk
	}{
		{Account, Elevated, Flags{}, RiskLow},
		{Account, Elevated, Flags{EventsStandard, true}, RiskLow},
		{Account, Elevated, Flags{EventsRestricted, true}, RiskMedium},
		{Fleet, Associate, Flags{}, RiskHigh},
		{ServiceProvider, Elevated, Flags{}, RiskHigh},
		{Fleet, Technician, Flags{}, RiskMedium},
		{0, Elevated, Flags{}, RiskHigh},
		{Fleet, Elevated, Flags{Events: "other"}, RiskHigh}, // what is not known is high
	} {
		if got := c.RiskOf(row.level, row.grant, row.flags); got != row.want {
			t.Errorf("%s at a %s with %+v is %s, want %s", row.grant, row.level, row.flags, got, row.want)
		}
	}
}

func TestCustomersReadTheTablesWords(t *testing.T) {
	c := Catalogue{Grants: map[Grant]Terms{Standard: {PublicName: "Viewer"}, "owner": {PublicName: "Owner"}}}
	if c.PublicName(Standard) != "Viewer" || c.PublicDescription(Standard) != (Catalogue{}).PublicDescription(Standard) || c.PublicName("owner") != "" || c.PublicName(Elevated) != "Elevated user" {
		t.Errorf("%q %q %q", c.PublicName(Standard), c.PublicDescription(Standard), c.PublicName("owner"))
	}
}

func TestAWrongTableIsRefusedWithAllThatIsWrong(t *testing.T) {
	c := Catalogue{
		Grants: map[Grant]Terms{"owner": {}, Associate: {Workflows: &[]Workflow{LiveView}}, Standard: {PublicName: "Elevated USER", Workflows: &[]Workflow{"fly"}},
			Technician: {PublicName: strings.Repeat("x", MaxPublicName+1), PublicDescription: "two\nlines"}},
		Scopes: map[Level]Risk{0: RiskLow}, Events: map[EventFlag]Risk{EventsNone: RiskHigh}}
	err := c.Check()
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{`"owner" is not one of the five`, "associate never signs in", `standard: "fly" is not a workflow`, "technician: public_name is longer than 60",
		"technician: public_description holds a character", "names a level", "not of \"none\"", "standard and elevated are both called"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q in:\n%v", want, err)
		}
	}
}
