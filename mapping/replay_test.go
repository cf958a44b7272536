package mapping

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestReplayComparesOverTime: who joins, what ends by time alone, and who leaves again;
// stretches that say the same are one.
func TestReplayComparesOverTime(t *testing.T) {
	installers := RuleSource{ID: "i", From: "ironbark-entra", Group: "Installers", Give: "standard @ pacific/ironbark/adelaide", For: 48 * time.Hour}
	longer, desk := installers, RuleSource{ID: "d", From: "ironbark-entra", Group: "Desk", Give: "elevated @ pacific/ironbark"}
	longer.For = 72 * time.Hour
	was, next := compile(t, installers, desk), compile(t, longer)
	facts := func(names ...string) Facts {
		f := Facts{Connection: "ironbark-entra", Person: "p", Active: true}
		for _, n := range names {
			f.Memberships = append(f.Memberships, Membership{Group: "g-" + "x", Name: n, Since: noon})
		}
		return f
	}
	moment := func(after time.Duration, request string, f Facts) Moment {
		return Moment{noon.Add(after), request, f, f}
	}
	got := Replay(was, next, []Moment{
		moment(-time.Hour, "", facts()),
		moment(0, "req-1", facts("Installers")),
		moment(12*time.Hour, "req-2", facts("Installers", "Desk")),
		moment(13*time.Hour, "req-3", facts("Installers", "Desk", "Nothing")),
		moment(24*time.Hour, "req-4", facts("Installers")),
	}, noon.Add(96*time.Hour))
	var said []string
	for _, s := range got.Stretches {
		line := fmt.Sprintf("%v to %v %s", s.From.Sub(noon), s.Until.Sub(noon), s.Request)
		for _, p := range s.Gains {
			line += " + " + next.Describe(p.Grant, p.Scope)
		}
		for _, p := range s.Loses {
			line += " - " + was.Describe(p.Grant, p.Scope)
		}
		said = append(said, line)
	}
	want := []string{"12h0m0s to 24h0m0s req-2 - elevated @ pacific/ironbark", "48h0m0s to 72h0m0s  + standard @ pacific/ironbark/adelaide"}
	if !slices.Equal(said, want) || got.Decisions != 7 || got.Differing != 3 {
		t.Errorf("%d decisions, %d differ:\n%s\nwant\n%s", got.Decisions, got.Differing, strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	if same := Replay(was, was, []Moment{moment(0, "", facts("Installers", "Desk"))}, noon.Add(time.Hour)); len(same.Stretches) > 0 || same.Differing > 0 {
		t.Errorf("a policy differs from itself: %+v", same)
	}
}
