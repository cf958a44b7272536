package bridge

import (
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// ReasonTestsFail is why a policy is not applied that does not pass its own tests.
const ReasonTestsFail = "tests_fail"

// refuseFailing refuses a policy whose own tests fail. It is asked where a policy is
// about to take the place of another, never about the one in force: time alone may make
// a test fail.
func refuseFailing(p *mapping.Policy, now time.Time) error {
	failing := mapping.FailedTests(mapping.RunTests(p, p.Source().Tests, now))
	if len(failing) == 0 {
		return nil
	}
	const most = 5
	var b strings.Builder
	for _, r := range failing[:min(most, len(failing))] {
		fmt.Fprintf(&b, "; %q", r.Name)
		if at := r.Pos.String(); at != "" {
			fmt.Fprintf(&b, " (%s)", at)
		}
		fmt.Fprintf(&b, ": %s", r.Failures[0])
	}
	if more := len(failing) - most; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return fault.New(fault.Invalid, "bridge.ApplyPolicy", "%d of the %d tests of the policy fail, so it is not applied%s", len(failing), len(p.Source().Tests), b.String()).Because(ReasonTestsFail)
}
