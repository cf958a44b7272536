package archtest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWhatIsPlantedCanBeFoldedAway: each bug is asked for by its constant at the head of
// an if, so that the compiler sees that it is false, and each that has a name stands
// somewhere, as does each point of the crash matrix. That nothing of them is left in the
// program is held by TestNothingPlantedIsInTheProgram of cmd/drawbridge.
func TestWhatIsPlantedCanBeFoldedAway(t *testing.T) {
	asked := regexp.MustCompile(`(?m)^\s*(?:\} else )?if !?planted\.Bug\(planted\.([A-Z]\w+)\)`)
	passed := regexp.MustCompile(`failpoint\.Hit\([\w.()]+, failpoint\.([A-Z]\w+)\)`)
	var bugs, points []string
	all := sources(t)
	for path, text := range all {
		if strings.HasPrefix(path, "internal/planted/") || strings.HasPrefix(path, "internal/failpoint/") {
			continue
		}
		found, there := asked.FindAllStringSubmatch(text, -1), passed.FindAllStringSubmatch(text, -1)
		if len(found) != strings.Count(text, "planted.Bug(") {
			t.Errorf("%s asks for a planted bug in another form than `if planted.Bug(planted.Name)`", path)
		}
		if len(there) != strings.Count(text, "failpoint.Hit(") {
			t.Errorf("%s passes a failpoint in another form than `failpoint.Hit(ctx, failpoint.Name)`", path)
		}
		bugs, points = append(bugs, second(found)...), append(points, second(there)...)
	}
	same(t, "planted bugs", bugs, second(regexp.MustCompile(`(?m)^\t(\w+)\s+Name = "`).FindAllStringSubmatch(all["internal/planted/planted.go"], -1)))
	same(t, "failpoints", points, second(regexp.MustCompile(`(?m)^\t(\w+)\s+Point = "`).FindAllStringSubmatch(all["internal/failpoint/failpoint.go"], -1)))
}

func second(matches [][]string) (all []string) {
	for _, m := range matches {
		all = append(all, m[1])
	}
	return all
}

func same(t *testing.T, what string, used, named []string) {
	t.Helper()
	if len(named) < 15 {
		t.Fatalf("%s: only %d have a name", what, len(named))
	}
	for _, n := range named {
		if !slices.Contains(used, n) {
			t.Errorf("%s: %s stands nowhere in the code", what, n)
		}
	}
}
