package bridge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestAPolicyWhoseTestsFailIsNotApplied: the one in force stays, and is not asked to
// pass again when time has made a test of it fail.
func TestAPolicyWhoseTestsFailIsNotApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	src := samplePolicy(t)
	none := "none"
	src.Tests = []mapping.TestSource{{Name: "managers are nobody", As: mapping.TestPerson{From: banksia,
		Groups: []mapping.TestGroup{{GroupRef: mapping.GroupRef{Group: "GL Geelong Managers"}}}}, Primary: &none}}
	_, err = w.bridge.ApplyPolicy(w.ctx, src)
	if !fault.Is(err, fault.Invalid) || fault.ReasonOf(err) != bridge.ReasonTestsFail || !strings.Contains(fault.DetailOf(err), "managers are nobody") {
		t.Fatalf("a policy whose test fails: %v", err)
	}
	after, err := w.bridge.PolicyInForce(w.ctx)
	w.do(err)
	if after.Version != before.Version {
		t.Fatalf("version %d became %d", before.Version, after.Version)
	}

	place := "technician @ southern/banksia"
	src.Tests = []mapping.TestSource{{Name: "an installer works", As: mapping.TestPerson{From: "southern-entra",
		Groups: []mapping.TestGroup{{GroupRef: mapping.GroupRef{Group: "Field Installers"}, Since: w.clock.Now()}}}, Primary: &place}}
	src.Tests[0].As.Certification.Level = "Trainer"
	done, err := w.bridge.ApplyPolicy(w.ctx, src)
	w.do(err)
	w.clock.Add(365 * 24 * time.Hour)
	again, err := w.bridge.ApplyPolicy(w.ctx, src)
	if err != nil || again.Version != done.Version {
		t.Errorf("the policy in force, a year later: %+v, %v", again, err)
	}
}
