//go:build lanes

package postgres

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Who serves several connections in one commit is waited for by what is written in each of them, and
// waits for none of it: where the server looks for deadlocks after an hour only, nobody notices.
func TestWhatIsWrittenInEachConnectionHoldsNoOther(t *testing.T) {
	e, err := OpenEngine(t.Context(), deadlocked(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	conns := []access.ConnectionID{"c1", "c2", "c3", "c4"}
	for _, c := range conns {
		populated(t, s, c)
	}
	began, used := time.Now(), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	touched := make(chan error, 1)
	err = e.Update(t.Context(), "c4", func(q store.Querier) error {
		count := func(c access.ConnectionID) error {
			if err := q.Enter(c); err != nil {
				return err
			}
			_, err := q.Exec("update connections set people = people + 1 where id = $1", string(c))
			return err
		}
		if err := count("c4"); err != nil {
			return err
		}
		go func() {
			_, err := s.UpdateEach(t.Context(), conns, func(d *store.DirectoryTx) error { return d.TouchSCIM(used) })
			touched <- err
		}()
		time.Sleep(300 * time.Millisecond) // those that can have been written, and the others wait
		return count("c1")
	}, func() {})
	if err != nil {
		t.Error(err)
	}
	if err := <-touched; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > lockTime/2 {
		t.Errorf("they waited for each other: %s", took)
	}
	for _, c := range conns {
		var last int64
		if err := e.View(t.Context(), func(q store.Querier) error {
			return q.QueryRow("select last_scim_at from connections where id = $1", string(c)).Scan(&last)
		}); err != nil || last != used.UnixMilli() {
			t.Errorf("%s was used at %d (%v)", c, last, err)
		}
	}
}
