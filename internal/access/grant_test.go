package access

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestGrantsOpenWhatTheGuideSays is the table of the guide: grant, flags, standing
// and the workflows they open.
func TestGrantsOpenWhatTheGuideSays(t *testing.T) {
	elevated := "live_view playback reports events.view settings.view addresses.view events.download"
	admin := elevated + " settings.manage addresses.manage users.manage"
	for _, c := range []struct {
		grant Grant
		flags Flags
		want  string
	}{
		{Associate, Flags{EventsRestricted, true}, ""},
		{Technician, Flags{}, "ivs_dashboard recordings.download"},
		{Technician, Flags{EventsRestricted, true}, "ivs_dashboard recordings.download"},
		{Standard, Flags{}, "live_view playback reports"},
		{Standard, Flags{Events: EventsStandard}, "live_view playback reports events.view"},
		{Standard, Flags{Events: EventsRestricted}, "live_view playback reports events.view"},
		{Standard, Flags{Video: true}, "live_view playback reports media.view"},
		{Elevated, Elevated.Floor(), elevated},
		{Elevated, Flags{}, "live_view playback reports settings.view addresses.view"}, // narrowed for one person
		{Elevated, Flags{EventsRestricted, true}, "live_view playback reports events.view media.view settings.view addresses.view events.download"},
		{Administrator, Administrator.Floor(), admin},
		{"viewer", Flags{EventsRestricted, true}, ""},
		{"", Flags{}, ""},
	} {
		open := (Catalogue{}).Opens(c.grant, c.flags, Primary)
		if got := words(open); got != c.want {
			t.Errorf("%s %+v opens %q, want %q", c.grant, c.flags, got, c.want)
		}
		guest := strings.Join(strings.Fields(strings.ReplaceAll(" "+c.want+" ", " reports ", " ")), " ")
		if got := words(Catalogue{}.Opens(c.grant, c.flags, Guest)); got != guest {
			t.Errorf("a guest's %s %+v opens %q, want %q", c.grant, c.flags, got, guest)
		}
	}
}

func words(ws []Workflow) string {
	var s []string
	for _, w := range ws {
		s = append(s, string(w))
	}
	return strings.Join(s, " ")
}

// TestRiskIsTheHighestOfScopeGrantAndFlags is the guide's table of risk.
func TestRiskIsTheHighestOfScopeGrantAndFlags(t *testing.T) {
	for _, c := range []struct {
		level Level
		grant Grant
		flags Flags
		want  Risk
	}{
		{Fleet, Associate, Flags{}, RiskLow},
		{Fleet, Standard, Flags{}, RiskLow},
		{Fleet, Technician, Flags{}, RiskMedium},
		{Fleet, Elevated, Flags{}, RiskHigh},
		{Fleet, Administrator, Flags{}, RiskHigh},
		{Account, Associate, Flags{}, RiskMedium},
		{Account, Standard, Flags{}, RiskMedium},
		{Account, Technician, Flags{}, RiskMedium},
		{ServiceProvider, Associate, Flags{}, RiskHigh},
		{Host, Standard, Flags{}, RiskHigh},
		{0, Standard, Flags{}, RiskHigh}, // an unknown level is never called low
		{Fleet, Standard, Flags{Events: EventsStandard}, RiskMedium},
		{Fleet, Standard, Flags{Events: EventsRestricted}, RiskHigh},
		{Fleet, Standard, Flags{Video: true}, RiskHigh},
	} {
		if got := (Catalogue{}).RiskOf(c.level, c.grant, c.flags); got != c.want {
			t.Errorf("%s at a %s with %+v is %s, want %s", c.grant, c.level, c.flags, got, c.want)
		}
	}
}

func TestOnlyAssociatesNeverSignInAndOnlyTechniciansNeedACertificate(t *testing.T) {
	for _, g := range Grants() {
		if g.MaySignIn() == (g == Associate) {
			t.Errorf("%s: may sign in is %v", g, g.MaySignIn())
		}
		if g.NeedsCertification() != (g == Technician) {
			t.Errorf("%s: needs a certification is %v", g, g.NeedsCertification())
		}
		if (Catalogue{}).PublicName(g) == "" {
			t.Errorf("%s has no name for customers", g)
		}
	}
	if Grant("").MaySignIn() || Grant("Standard").Known() || (Catalogue{}).PublicName("x") != "" {
		t.Error("what is not one of the five is nothing")
	}
}

func TestTheUnionOfFlagsIsTheWiderOfEach(t *testing.T) {
	all := []Flags{}
	for _, e := range []EventFlag{EventsNone, EventsStandard, EventsRestricted} {
		all = append(all, Flags{e, false}, Flags{e, true})
	}
	for _, a := range all {
		for _, b := range all {
			u := a.Union(b)
			if u != b.Union(a) || u.Union(a) != u || u.Union(b) != u || a.Union(a) != a {
				t.Errorf("%+v and %+v give %+v", a, b, u)
			}
			if u.Video != (a.Video || b.Video) || u.Events.rank() != max(a.Events.rank(), b.Events.rank()) {
				t.Errorf("%+v and %+v give %+v", a, b, u)
			}
		}
	}
}

func TestFlagsAreWrittenInTheWireWords(t *testing.T) {
	for flags, want := range map[Flags]string{
		{}:                       `{"events":"none","video":false}`,
		{EventsRestricted, true}: `{"events":"restricted","video":true}`,
	} {
		got, err := json.Marshal(flags)
		if err != nil || string(got) != want {
			t.Errorf("%+v is written %s, %v", flags, got, err)
		}
		var back Flags
		if err := json.Unmarshal(got, &back); err != nil || back != flags {
			t.Errorf("%s is read %+v, %v", got, back, err)
		}
	}
	var f EventFlag
	if err := f.UnmarshalText([]byte("all")); err == nil || f != EventsNone {
		t.Error("an unknown flag is refused and changes nothing")
	}
}

func TestLevelsAreWrittenInTheWireWords(t *testing.T) {
	for _, l := range []Level{Host, ServiceProvider, Account, Fleet} {
		text, err := l.MarshalText()
		var back Level
		if err != nil || back.UnmarshalText(text) != nil || back != l {
			t.Errorf("%s is read %s", text, back)
		}
	}
	var l Level
	if l.String() != "none" || l.UnmarshalText([]byte("none")) == nil || l.UnmarshalText([]byte("Fleet")) == nil {
		t.Error("no level has no wire word, and words keep their case")
	}
}

func TestRiskNeverLooksLowerThanItIs(t *testing.T) {
	if Risk(200).String() != "high" {
		t.Error("an unknown risk is high")
	}
	if text, err := RiskMedium.MarshalText(); err != nil || string(text) != "medium" {
		t.Errorf("%s %v", text, err)
	}
	for _, r := range []Risk{RiskLow, RiskMedium, RiskHigh} {
		var back Risk
		if err := back.UnmarshalText([]byte(r.String())); err != nil || back != r {
			t.Errorf("%s is read %s, %v", r, back, err)
		}
	}
	high := RiskHigh
	if err := high.UnmarshalText([]byte("none")); err == nil || high != RiskHigh {
		t.Error("an unknown risk is refused and changes nothing")
	}
}

func TestListsAreCopies(t *testing.T) {
	Grants()[0], Workflows()[0], CertificationLevels()[0] = "x", "x", "x"
	if !slices.Contains(Grants(), Associate) || !slices.Contains(Workflows(), IVSDashboard) || CertificationLevels()[0] == "x" {
		t.Error("a caller changed the list of everybody")
	}
}
