//go:build lanes

package torture

import (
	"os"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
)

func freePort(t testing.TB) int {
	t.Helper()
	port, err := lanes.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// memory is a folder for as long as the test runs.
func memory(t testing.TB, name string) string {
	t.Helper()
	dir, err := lanes.InMemory("torture-" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// within waits for something that others do by themselves.
func within(t testing.TB, d time.Duration, what string, is func() error) {
	t.Helper()
	if err := lanes.Until(d, is); err != nil {
		t.Fatalf("after %s, %s: %v", d, what, err)
	}
}
