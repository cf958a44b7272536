package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// TestACodeLivesAMinute and no longer (IPSIE SL1).
func TestACodeLivesAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	for age, good := range map[time.Duration]bool{59 * time.Second: true, time.Minute: false, time.Hour: false} {
		code, err := w.code(s.browser)
		w.do(err)
		w.clock.Add(age)
		if _, err := w.redeem(code); (err == nil) != good || err != nil && !fault.Is(err, fault.NotFound) {
			t.Errorf("a code of %s: %v", age, err)
		}
	}
}
