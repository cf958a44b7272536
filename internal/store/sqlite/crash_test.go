package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

const crashDir = "DRAWBRIDGE_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		writeUntilKilled(dir, os.Getenv("DRAWBRIDGE_CRASH_ROUND"))
	}
	os.Exit(m.Run())
}

const crashConn access.ConnectionID = "crash"

// writeUntilKilled provisions people from many goroutines, each into one group, and
// prints the id of everyone who was acknowledged.
func writeUntilKilled(dir, round string) {
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(dir, "data.db"))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("per_%s_%d_%d", round, w, i)
				err := s.Update(ctx, func(tx *store.Tx) error { return provision(tx, id) })
				mu.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println("ack", id)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

var crashDay = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

func provision(tx *store.Tx, id string) error {
	d, err := tx.In(crashConn)
	if err != nil {
		return err
	}
	p := store.Person{ID: access.PersonID(id), UserName: id, Active: true, Epoch: 1, Version: 1, Doc: []byte(`{}`), Created: crashDay, Updated: crashDay}
	if err := d.InsertPerson(&p); err != nil {
		return err
	}
	g, err := d.Group("grp_1")
	if err != nil {
		return err
	}
	if _, err := d.AddMembers(&g, []store.PersonKey{p.Key}, crashDay); err != nil {
		return err
	}
	return tx.Append(event.Event{Type: event.PersonProvisioned, Actor: event.ByScim, At: crashDay, Connection: crashConn, Person: p.ID})
}

// I-9: kill -9 at any moment loses no acknowledged write and leaves no half of an
// unacknowledged one.
// Threats: T-B6.
func TestKillLosesNoAcknowledgedWrite(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), filepath.Join(dir, "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.PutConnection(access.Connection{ID: crashConn}, crashDay); err != nil {
			return err
		}
		d, err := tx.In(crashConn)
		if err != nil {
			return err
		}
		return d.InsertGroup(&store.Group{ID: "grp_1", DisplayName: "Team", Version: 1, Doc: []byte(`{}`), Created: crashDay, Updated: crashDay})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	for round := range 6 {
		acks := crash(t, dir, round, time.Duration(100+rand.IntN(400))*time.Millisecond)
		acknowledged = append(acknowledged, acks...)
		checkAfterCrash(t, dir, acknowledged)
	}
	if len(acknowledged) < 100 {
		t.Errorf("only %d writes were acknowledged: this proves little", len(acknowledged))
	}
	t.Logf("%d acknowledged writes survived", len(acknowledged))
}

// crash runs a writer and kills it after it has written for a while.
func crash(t *testing.T, dir string, round int, after time.Duration) (acks []string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashDir+"="+dir, fmt.Sprintf("DRAWBRIDGE_CRASH_ROUND=%d", round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var timer *time.Timer
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line that was cut off is not an acknowledgement
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
		if timer == nil {
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // SIGKILL; a process that is gone needs none
			defer timer.Stop()
		}
		id, ack := strings.CutPrefix(strings.TrimSpace(line), "ack ")
		if !ack {
			t.Errorf("round %d: %s", round, line)
			continue
		}
		acks = append(acks, id)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the writer ended by itself")
	}
	return acks
}

func checkAfterCrash(t *testing.T, dir string, acknowledged []string) {
	t.Helper()
	e, err := OpenEngine(t.Context(), filepath.Join(dir, "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = e.View(t.Context(), func(q store.Querier) error {
		there := idSet(t, q, `select id from people`)
		for _, id := range acknowledged {
			if !there[id] {
				t.Errorf("%s was acknowledged and is gone", id)
			}
		}
		for what, query := range map[string]string{
			"memberships": `select p.id from memberships m join people p on p.key = m.person`,
			"audit rows":  `select person from audit`,
			"outbox rows": `select a.person from outbox o join audit a on a.id = o.id`,
		} {
			if got := idSet(t, q, query); len(got) != len(there) {
				t.Errorf("%d people and %d %s", len(there), len(got), what)
			}
		}
		var verdict string
		var counted, members int
		if err := q.QueryRow(`pragma integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("integrity_check says %q (%v)", verdict, err)
		}
		err := q.QueryRow(`select c.people, g.member_count from connections c join groups g on g.conn = c.key`).Scan(&counted, &members)
		if err != nil || counted != len(there) || members != len(there) {
			t.Errorf("%d people, counted as %d and as %d members (%v)", len(there), counted, members, err)
		}
		return noForeignKeyBroken(t, q)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func idSet(t *testing.T, q store.Querier, query string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	each(t, q, query, func(rows store.Row) error {
		var id string
		err := rows.Scan(&id)
		all[id] = true
		return err
	})
	return all
}

func noForeignKeyBroken(t *testing.T, q store.Querier) error {
	t.Helper()
	each(t, q, `select "table" from pragma_foreign_key_check`, func(rows store.Row) error {
		var table string
		err := rows.Scan(&table)
		t.Errorf("a row of %s points at nothing", table)
		return err
	})
	return nil
}

func each(t *testing.T, q store.Querier, query string, scan func(store.Row) error) {
	t.Helper()
	if err := q.Each(scan, query); err != nil {
		t.Fatal(err)
	}
}
