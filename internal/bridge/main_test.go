package bridge_test

import (
	"runtime/debug"
	"testing"
)

// TestMain collects garbage later: these tests make much and keep little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	m.Run()
}
