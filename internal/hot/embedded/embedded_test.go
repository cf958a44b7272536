package embedded

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/hot/hottest"
)

func open(t *testing.T, dir string, l Limits) *Engine {
	t.Helper()
	e, err := Open(t.Context(), filepath.Join(dir, "hot.db"), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestContract(t *testing.T) {
	hottest.Run(t, func(t *testing.T) hot.Engine { return open(t, t.TempDir(), Limits{}) })
}

// Threats: T-B9.
func TestI4_OneLiveLeafPerFamily(t *testing.T) {
	hottest.OneLiveLeafPerFamily(t, open(t, t.TempDir(), Limits{}))
	hottest.OneLiveLeafPerFamily(t, forgetful{open(t, t.TempDir(), Limits{})})
}

// forgetful drops every family from memory before each verb.
type forgetful struct{ *Engine }

func (f forgetful) forget() {
	for i := range f.stripes {
		s := &f.stripes[i]
		s.mu.Lock()
		clear(s.known)
		s.mu.Unlock()
	}
}

func (f forgetful) Family(ctx context.Context, id string, now time.Time) (hot.Family, error) {
	f.forget()
	return f.Engine.Family(ctx, id, now)
}

func (f forgetful) Rotate(ctx context.Context, r hot.Rotation) (hot.Family, hot.Outcome, error) {
	f.forget()
	return f.Engine.Rotate(ctx, r)
}

// Nothing depends on a family being in memory.
func TestContractWithoutMemory(t *testing.T) {
	hottest.Run(t, func(t *testing.T) hot.Engine { return forgetful{open(t, t.TempDir(), Limits{})} })
}

func TestContractAcrossRestarts(t *testing.T) {
	hottest.RunDurable(t, func(t *testing.T, dir string) hot.Engine { return open(t, dir, Limits{}) })
}
