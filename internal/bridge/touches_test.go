package bridge

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

// When a token or a client was last used outlives a write that fails.
func TestLastUsesSurviveAFailedWrite(t *testing.T) {
	engine, err := sqlite.OpenEngine(t.Context(), filepath.Join(t.TempDir(), "drawbridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.PutConnection(access.Connection{ID: "c"}, now); err != nil {
			return err
		}
		return tx.PutSCIMToken(store.SCIMToken{PublicID: "t", Connection: "c"})
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &Bridge{store: s, used: map[string]time.Time{}, usedClients: map[store.ClientUse]time.Time{}}
	b.touch("t", now)
	b.touchClient(store.ClientUse{Client: "k"}, now)
	b.uses.note("c", "asg_1", now)
	gone, stop := context.WithCancel(t.Context())
	stop()
	if err := b.writeTouches(gone); err == nil {
		t.Fatal("a write in a context that has ended succeeds")
	}
	if b.used["t"] != now || b.usedClients[store.ClientUse{Client: "k"}] != now || b.uses.waiting[store.AssignmentUse{Connection: "c", Assignment: "asg_1"}] != now {
		t.Errorf("what is left to write: %v, %v, %v", b.used, b.usedClients, b.uses.waiting)
	}
	if err := b.writeTouches(t.Context()); err != nil || len(b.used)+len(b.usedClients)+len(b.uses.waiting) != 0 {
		t.Errorf("written: %v; left: %v, %v", err, b.used, b.usedClients)
	}
	err = s.View(t.Context(), func(v *store.View) error {
		tokens, err := v.SCIMTokens("c")
		if err == nil && (len(tokens) != 1 || !tokens[0].LastUsed.Equal(now)) {
			t.Errorf("stored: %+v", tokens)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
