//go:build failpoints

package failpoint

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// set lets a process strike as its environment says, for one test.
func set(t *testing.T, env map[string]string) {
	t.Helper()
	was := asked
	t.Cleanup(func() { asked = was })
	asked = read(func(name string) string { return env[name] })
}

func TestItStrikesOnceAndWhereItIsAskedTo(t *testing.T) {
	set(t, map[string]string{"BRIDGE_FAILPOINT": "F7-before-commit:error:3"})
	for n, want := range []bool{false, false, true, false} {
		if err := Hit(t.Context(), AfterCommit); err != nil {
			t.Errorf("another point: %v", err)
		}
		if err := Hit(t.Context(), BeforeCommit); errors.Is(err, errStruck) != want {
			t.Errorf("passing %d: %v", n+1, err)
		}
	}
}

func TestItSleepsUntilItIsArmed(t *testing.T) {
	armed := filepath.Join(t.TempDir(), "armed")
	set(t, map[string]string{"BRIDGE_FAILPOINT": "F7-before-commit:error", "BRIDGE_FAILPOINT_ARMED": armed})
	if err := Hit(t.Context(), BeforeCommit); err != nil {
		t.Errorf("asleep: %v", err)
	}
	if err := os.WriteFile(armed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Hit(t.Context(), BeforeCommit); !errors.Is(err, errStruck) {
		t.Errorf("armed: %v", err)
	}
	if _, err := os.Stat(armed); !os.IsNotExist(err) {
		t.Errorf("nobody can see that it struck: %v", err)
	}
}

func TestItPanicsAndStandsStill(t *testing.T) {
	set(t, map[string]string{"BRIDGE_FAILPOINT": "F7-before-commit:panic"})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it does not panic")
			}
		}()
		_ = Hit(t.Context(), BeforeCommit) //nolint:errcheck // it does not return
	}()
	set(t, map[string]string{"BRIDGE_FAILPOINT": "F7-before-commit:stall", "BRIDGE_FAILPOINT_STALL": "1h"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := Hit(ctx, BeforeCommit); err != nil || ctx.Err() == nil {
		t.Errorf("it stands still until its caller goes: %v", err)
	}
}

func TestWhatMeansNothingIsSaidAtOnce(t *testing.T) {
	for _, text := range []string{"F7-before-commit", "F7-before-commit:melt", "F7-before-commit:kill:0", "F7-before-commit:kill:x", "a:kill:1:2", "a: :1"} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
