//go:build lanes

package main

import (
	"testing"
	"time"
)

// The seam moves the wall clock alone: what has passed is measured as before.
func TestTheClockThatLanesSet(t *testing.T) {
	before := now()
	clockOff.Store(3600)
	t.Cleanup(func() { clockOff.Store(0) })
	after := now()
	if wall := after.Round(0).Sub(before.Round(0)); wall < time.Hour || wall > time.Hour+time.Minute {
		t.Errorf("the wall clock went on by %s", wall)
	}
	if mono := after.Sub(before); mono < 0 || mono > time.Minute {
		t.Errorf("the monotonic clock went on by %s", mono)
	}
	clockOff.Store(-3600)
	if wall := now().Round(0).Sub(before.Round(0)); wall > -time.Hour+time.Minute || wall < -time.Hour-time.Minute {
		t.Errorf("the wall clock went back by %s", wall)
	}
}
