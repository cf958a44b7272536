package audit_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

var day = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

// open gives a store and a way to tamper with its rows behind its back.
func open(t *testing.T) (*store.Store, func(query string)) {
	t.Helper()
	e, err := sqlite.OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	update(t, s, func(tx *store.Tx) error {
		for _, id := range []access.ConnectionID{"north", "south"} {
			if _, err := tx.PutConnection(access.Connection{ID: id}, day); err != nil {
				return err
			}
		}
		return nil
	})
	return s, func(query string) {
		t.Helper()
		err := e.Update(t.Context(), "", func(q store.Querier) error { _, err := q.Exec(query); return err }, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func update(t *testing.T, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func say(t *testing.T, s *store.Store, conn access.ConnectionID, n int) {
	t.Helper()
	for i := range n {
		update(t, s, func(tx *store.Tx) error {
			return tx.Append(event.Event{Type: event.PersonChanged, Actor: event.ByScim, At: day, Connection: conn, Person: "per_1",
				Data: map[string]string{"n": fmt.Sprint(i)}, Personal: map[string]string{"name": "Ada"}})
		})
	}
}

func seal(t *testing.T, s *store.Store) int {
	t.Helper()
	n, err := audit.NewSealer(s, time.Second, nil).Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func verify(t *testing.T, s *store.Store, conn access.ConnectionID) audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), s, conn)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEachConnectionHasItsOwnGapFreeChain(t *testing.T) {
	s, _ := open(t)
	for range 3 {
		say(t, s, "north", 70)
		say(t, s, "south", 5)
		say(t, s, "", 1)
		seal(t, s)
	}
	for conn, rows := range map[access.ConnectionID]int64{"north": 210, "south": 15, "": 3} {
		if r := verify(t, s, conn); r.Rows != rows || r.Bad != 0 || r.Why != "" {
			t.Errorf("%q: %+v", conn, r)
		}
	}
	if n := seal(t, s); n != 0 {
		t.Errorf("%d rows were sealed twice", n)
	}
}

// Whatever is done to a sealed row, Verify names it.
func TestTamperingIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		query string
		bad   int64
	}{
		"a changed body":             {`update audit set body = replace(body, 'person', 'nobody') where seq = 7`, 7},
		"a changed personal part":    {`update audit set personal = '{"name":"Eve"}' where seq = 7`, 7},
		"a changed salt":             {`update audit set salt = x'00' where seq = 7`, 7},
		"a changed digest":           {`update audit set personal_digest = null, personal = null where seq = 7`, 7},
		"a changed hash":             {`update audit set hash = x'00' where seq = 7`, 7},
		"a removed row":              {`delete from audit where seq = 7`, 7},
		"a removed first row":        {`delete from audit where seq = 1`, 1},
		"a cut end":                  {`delete from audit where seq >= 9`, 9},
		"everything removed":         {`delete from audit`, 1},
		"two rows exchanged":         {`update audit set seq = case seq when 6 then -7 else -6 end where seq in (6, 7)`, 6},
		"a row moved to another one": {`update audit set conn = 2 where seq = 7`, 7},
		"a changed head":             {`update audit_heads set hash = x'00'`, 10},
		"a head set back":            {`update audit_heads set seq = 4`, 10},
	} {
		t.Run(name, func(t *testing.T) {
			s, tamper := open(t)
			say(t, s, "north", 10)
			seal(t, s)
			tamper(c.query)
			tamper(`update audit set seq = -seq where seq < 0`)
			if r := verify(t, s, "north"); r.Bad != c.bad || r.Why == "" {
				t.Errorf("%+v, want row %d", r, c.bad)
			}
		})
	}
}

func TestErasingKeepsTheChain(t *testing.T) {
	s, _ := open(t)
	say(t, s, "north", 3)
	seal(t, s)
	update(t, s, func(tx *store.Tx) error { return tx.ErasePersonal("north", "per_1") })
	if r := verify(t, s, "north"); r.Rows != 3 || r.Bad != 0 {
		t.Errorf("%+v", r)
	}
	err := s.View(t.Context(), func(v *store.View) error {
		rows, err := v.AuditTrail("north", 0, 10)
		if err != nil {
			return err
		}
		for _, row := range rows {
			e, err := audit.Event(row)
			if err != nil || e.Type != event.PersonChanged || e.Personal != nil || strings.Contains(string(row.Body), "Ada") {
				t.Errorf("%+v (%v)", e, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The sealer keeps up with writers, and its last act is to seal what is committed.
func TestRunSealsWhatIsCommittedUntilItIsStopped(t *testing.T) {
	s, _ := open(t)
	sealer := audit.NewSealer(s, time.Millisecond, func(err error) { t.Error(err) })
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := sealer.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() { say(t, s, "north", 25) })
	}
	writers.Wait()
	stop()
	wg.Wait()
	if r := verify(t, s, "north"); r.Rows != 100 || r.Bad != 0 {
		t.Errorf("%+v", r)
	}
	if n, _ := sealer.Sealed(); n != 100 {
		t.Errorf("it says %d", n)
	}
}

// A sealer that was slow, and another that has taken its work over, do not spoil a chain: each
// row is sealed once.
func TestTwoSealersMakeOneChain(t *testing.T) {
	s, _ := open(t)
	ctx, stop := context.WithCancel(t.Context())
	var sealing, writing sync.WaitGroup
	var sealers []*audit.Sealer
	for range 3 {
		sealer := audit.NewSealer(s, time.Millisecond, func(err error) { t.Error(err) })
		sealers = append(sealers, sealer)
		sealing.Go(func() {
			if err := sealer.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for _, conn := range []access.ConnectionID{"north", "south"} {
		writing.Go(func() { say(t, s, conn, 200) })
	}
	writing.Wait()
	stop()
	sealing.Wait()
	var sealed int64
	for _, sealer := range sealers {
		n, _ := sealer.Sealed()
		sealed += n
	}
	for _, conn := range []access.ConnectionID{"north", "south"} {
		if r := verify(t, s, conn); r.Rows != 200 || r.Bad != 0 {
			t.Errorf("%+v", r)
		}
	}
	if sealed != 400 {
		t.Errorf("400 rows were sealed %d times", sealed)
	}
}
