package bridge

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

// toucher is a bridge of which only touches are written, with some connections.
func toucher(t *testing.T, now time.Time, conns ...access.ConnectionID) *Bridge {
	t.Helper()
	engine, err := sqlite.OpenEngine(t.Context(), filepath.Join(t.TempDir(), "drawbridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	s, err := store.New(t.Context(), engine)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		for _, c := range conns {
			if _, err := tx.PutConnection(access.Connection{ID: c}, now); err != nil {
				return err
			}
			if err := tx.PutSCIMToken(store.SCIMToken{PublicID: "t-" + string(c), Connection: c}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = store.New(t.Context(), storetest.OwnLanes(t, engine)); err != nil {
		t.Fatal(err)
	}
	return &Bridge{store: s}
}

// written is when a connection and its token were last used, as it is stored.
func (b *Bridge) written(t *testing.T, c access.ConnectionID) (conn, token time.Time) {
	t.Helper()
	err := b.store.View(t.Context(), func(v *store.View) error {
		d, err := v.In(c)
		if err != nil {
			return err
		}
		row, err := d.Counted()
		if err != nil {
			return err
		}
		tokens, err := v.SCIMTokens(c)
		if err == nil && len(tokens) == 1 {
			conn, token = row.LastSCIM, tokens[0].LastUsed
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn, token
}

// When a token, a client, a connection or an assignment was last used outlives a write that fails.
func TestLastUsesSurviveAFailedWrite(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	b := toucher(t, now, "c")
	use := store.ClientUse{Client: "k"}
	b.touches.token("c", "t-c", now)
	b.touches.client("c", use, now)
	b.uses.note("c", "asg_1", now)
	gone, stop := context.WithCancel(t.Context())
	stop()
	if err := b.writeTouches(gone); err == nil {
		t.Fatal("a write in a context that has ended succeeds")
	}
	u := &b.touches
	if u.tokens["t-c"] != now || u.clients[use] != now || u.heard["c"] != now || b.uses.waiting["c"]["asg_1"] != now {
		t.Errorf("what is left to write: %v, %v, %v, %v", u.tokens, u.clients, u.heard, b.uses.waiting)
	}
	if err := b.writeTouches(t.Context()); err != nil || len(u.tokens)+len(u.clients)+len(u.heard)+len(b.uses.waiting) != 0 {
		t.Errorf("written: %v; left: %v, %v, %v, %v", err, u.tokens, u.clients, u.heard, b.uses.waiting)
	}
	if conn, token := b.written(t, "c"); !conn.Equal(now) || !token.Equal(now) {
		t.Errorf("stored: the connection at %v, the token at %v", conn, token)
	}
}

// What many connections have used is written in the lane of each, however much it is: no transaction
// holds what is written in one while it waits for another.
func TestLastUsesAreWrittenInTheLaneOfEachConnection(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	conns := make([]access.ConnectionID, 100)
	for i := range conns {
		conns[i] = access.ConnectionID(fmt.Sprintf("c%02d", i))
	}
	b := toucher(t, now, conns...)
	for i, c := range conns {
		b.touches.token(c, "t-"+string(c), now)
		for n := range usesAtOnce/10 + 3*i { // of some, more than one transaction writes
			b.uses.note(c, access.AssignmentID(fmt.Sprint("asg_", n)), now)
		}
	}
	if err := b.writeTouches(t.Context()); err != nil || len(b.uses.waiting) != 0 {
		t.Fatalf("%v; left: %v", err, b.uses.waiting)
	}
	for _, c := range conns {
		if conn, token := b.written(t, c); !conn.Equal(now) || !token.Equal(now) {
			t.Errorf("%s was used at %v, its token at %v", c, conn, token)
		}
	}
}
