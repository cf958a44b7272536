package mapping

import (
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

func TestSelections(t *testing.T) {
	guest := AssignmentFacts{Grant: access.Technician, Level: access.Fleet, Standing: access.Guest, Risk: access.RiskMedium, UnusedDays: 3, ByPeople: true}
	idle := AssignmentFacts{Grant: access.Administrator, Level: access.Account, Standing: access.Primary, Risk: access.RiskHigh, UnusedDays: 60, Permanent: true, Outside: true}
	for _, c := range []struct {
		text        string
		guest, idle bool
	}{
		{`assignment.risk == "high"`, false, true},
		{`assignment.standing == "guest"`, true, false},
		{`assignment.grant == "administrator" && assignment.unused_days >= 60`, false, true},
		{`assignment.grant in ["technician", "standard"] || assignment.outside`, true, true},
		{`assignment.by_people && !assignment.permanent`, true, false},
		{`assignment.level != "fleet"`, false, true},
		{`assignment.grant.startsWith("tech")`, true, false},
		{`assignment.grant.matches("^(tech|adm)")`, true, true},
		{"assignment.permanent ?\n  true : assignment.unused_days < 3", false, true},
	} {
		s, faults := CompileSelection(c.text)
		if len(faults) > 0 {
			t.Errorf("%s: %v", c.text, faults)
			continue
		}
		for _, of := range []struct {
			facts AssignmentFacts
			want  bool
		}{{guest, c.guest}, {idle, c.idle}} {
			if got, err := s.Match(of.facts); err != nil || got != of.want {
				t.Errorf("%s of %+v: %t %v, want %t", c.text, of.facts, got, err, of.want)
			}
		}
	}
}

func TestWrongSelectionsSayWhatIsWrongAndWhere(t *testing.T) {
	for _, c := range []struct {
		text, say, hint string
		offset          int // -1: all of it
	}{
		{"", "1 to 4096 bytes", "", -1},
		{strings.Repeat("true||", 1000) + "true", "1 to 4096 bytes", "", -1},
		{`assignment.risk == "hihg"`, `is never "hihg"`, "high", 19},
		{`"guset" != assignment.standing`, `is never "guset"`, "guest", 0},
		{`assignment.grant in ["standart"]`, `is never "standart"`, "standard", 21},
		{`assignment.lvel == "fleet"`, "assignment.lvel is unknown", "assignment.level", 0},
		{`risk == "high"`, "risk is unknown", "assignment.risk", 0},
		{`assignment`, "assignment is unknown", "", 0},
		{`assignment.unused_days`, "true or false", "", -1},
		{`assignment.unused_days > "60"`, "", "", 23},
		{`assignment.risk = "high"`, `"=" means nothing here`, "==", 16},
		{`assignment.outside &&`, "something is missing at the end", "", 21},
		{`size(assignment.grant) > 3`, "a selection has no size", "", 4},
		{`{"a": true}["a"]`, "a selection has no", "", 11},
		{`assignment.grant.matches(assignment.risk)`, "written out", "", 35},
		{`assignment.grant.matches("(")`, "not a regular expression", "", 25},
		{`[1].exists(x, x == 1)`, "a selection has no exists", "", 10},
	} {
		_, faults := CompileSelection(c.text)
		if len(faults) == 0 {
			t.Errorf("%.40s: is taken", c.text)
			continue
		}
		f := faults[0]
		at := -1
		if f.Inside {
			at = f.Offset
		}
		if !strings.Contains(f.Message, c.say) || f.Suggestion != c.hint || at != c.offset {
			t.Errorf("%.40s: %q at %d, meant %q", c.text, f.Message, at, f.Suggestion)
		}
	}
}

// FuzzSelection: what compiles says yes or no of any assignment.
func FuzzSelection(f *testing.F) {
	for _, s := range []string{`assignment.risk == "high"`, `assignment.unused_days >= 60 && !assignment.outside`, `assignment.grant.matches("a+")`, `1/0 == 1`, `[[[`, `"`} {
		f.Add(s, int64(3))
	}
	f.Fuzz(func(t *testing.T, text string, days int64) {
		s, faults := CompileSelection(text)
		if (s == nil) != (len(faults) > 0) {
			t.Fatalf("%q: %v and %v", text, s, faults)
		}
		if s == nil {
			return
		}
		if _, err := s.Match(AssignmentFacts{Grant: access.Standard, Level: access.Fleet, Standing: access.Guest, UnusedDays: days}); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
