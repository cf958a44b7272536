package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// RunFaults shows what becomes of a store whose engine fails at the n-th statement,
// for every n. open puts what wrap makes between the engine and the store.
func RunFaults(t *testing.T, open func(t *testing.T, wrap func(store.Engine) store.Engine) *store.Store) {
	t.Run("I-23: no error is taken for acceptance", func(t *testing.T) { testFaultyCurrent(t, open) })
	t.Run("a failed write is no write", func(t *testing.T) { testFaultyUpdate(t, open) })
}

func testFaultyCurrent(t *testing.T, open func(t *testing.T, wrap func(store.Engine) store.Engine) *store.Store) {
	var broken *faulty
	s := open(t, func(e store.Engine) store.Engine { broken = &faulty{Engine: e}; return broken })
	f := newFixture(t, s)
	p := f.person(north, "per_1", "one@north.example")
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_1", p)) })
	sub := credential.Subject{Connection: north, Person: p.ID, Session: "ses_1"}
	for name, ask := range map[string]func() (credential.Current, error){
		"window": func() (credential.Current, error) { return s.Current(t.Context(), sub) },
		"transaction": func() (c credential.Current, err error) {
			err = s.View(t.Context(), func(v *store.View) error { c, err = v.Current(sub); return err })
			return c, err
		},
	} {
		failures := 0
		for n := int64(1); ; n++ {
			f.update(func(tx *store.Tx) error { // forget what the window knows
				d, err := tx.In(north)
				if err != nil {
					return err
				}
				return errors.Join(d.UpdatePerson(p), tx.UpdateSession(newSession("ses_1", p).Session, nil))
			})
			broken.failAt(n)
			c, err := ask()
			hit := broken.heal()
			if !hit {
				if err != nil || !c.Alive {
					t.Errorf("%s: a healthy engine: %+v (%v)", name, c, err)
				}
				break
			}
			failures++
			if !fault.Is(err, fault.Unavailable) || c != (credential.Current{}) {
				t.Errorf("%s: statement %d failed, and the answer was %+v (%v)", name, n, c, err)
			}
		}
		if failures < 2 {
			t.Errorf("%s: only %d statements were made to fail", name, failures)
		}
	}
}

// Whichever statement fails, the update reports it and leaves no trace.
func testFaultyUpdate(t *testing.T, open func(t *testing.T, wrap func(store.Engine) store.Engine) *store.Store) {
	var broken *faulty
	s := open(t, func(e store.Engine) store.Engine { broken = &faulty{Engine: e}; return broken })
	broken.late = true
	f := newFixture(t, s)
	p := f.person(north, "per_1", "one@north.example")
	f.group(north, "grp_1", "Team", p)
	f.update(func(tx *store.Tx) error { return tx.InsertSession(newSession("ses_1", p)) })
	if err := f.apply(p, planOf(byRule("asg_1", "standard", "scp_fleet"))); err != nil {
		t.Fatal(err)
	}
	for n := int64(1); ; n++ {
		broken.failAt(n)
		err := f.try(north, func(d *store.DirectoryTx) error { return d.DeletePerson(p, day) })
		if !broken.heal() {
			if err != nil {
				t.Errorf("a healthy engine: %v", err)
			}
			if n < 5 {
				t.Errorf("only %d statements were made to fail", n-1)
			}
			return
		}
		if err == nil {
			t.Fatalf("statement %d failed and nobody said so", n)
		}
		f.read(north, func(d *store.Directory) error {
			held, err := d.Assignments(p)
			if err != nil || len(held) != 1 || counted(f.t, d).People != 1 {
				t.Errorf("after a failure at statement %d: holds %v of %d people (%v)", n, held, counted(f.t, d).People, err)
			}
			return err
		})
		if g := f.groupNow(north, "grp_1"); g.MemberCount != 1 {
			t.Errorf("after a failure at statement %d: %d members", n, g.MemberCount)
		}
	}
}

// faulty is an engine that fails at a chosen statement.
type faulty struct {
	store.Engine
	left atomic.Int64 // 0: healthy; n: the n-th statement from now fails
	late bool         // what only reads does not fail: after a commit, it makes no difference
	hit  atomic.Bool
}

var errInjected = errors.New("the disk is gone")

func (e *faulty) failAt(n int64) { e.hit.Store(false); e.left.Store(n) }

// heal ends the failures and reports whether there was one.
func (e *faulty) heal() bool { e.left.Store(0); return e.hit.Load() }

func (e *faulty) fails() bool {
	if e.left.Load() == 0 || e.left.Add(-1) != 0 {
		return false
	}
	e.hit.Store(true)
	return true
}

func (e *faulty) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	return e.Engine.Update(ctx, lane, func(q store.Querier) error { return fn(faultyQuerier{q, e}) }, committed)
}

func (e *faulty) View(ctx context.Context, fn func(store.Querier) error) error {
	if e.late {
		return e.Engine.View(ctx, fn)
	}
	return e.Engine.View(ctx, func(q store.Querier) error { return fn(faultyQuerier{q, e}) })
}

// failedRow is a row that could not be read.
type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

type faultyQuerier struct {
	store.Querier
	e *faulty
}

func (q faultyQuerier) Of(conn int64) store.Querier { return faultyQuerier{q.Querier.Of(conn), q.e} }

func (q faultyQuerier) Exec(query string, args ...any) (int64, error) {
	if q.e.fails() {
		return 0, errInjected
	}
	return q.Querier.Exec(query, args...)
}

func (q faultyQuerier) Insert(query string, args ...any) (int64, error) {
	if q.e.fails() {
		return 0, errInjected
	}
	return q.Querier.Insert(query, args...)
}

func (q faultyQuerier) QueryRow(query string, args ...any) store.Row {
	if q.e.fails() {
		return failedRow{errInjected}
	}
	return q.Querier.QueryRow(query, args...)
}

func (q faultyQuerier) Expect(rows int64, query string, args ...any) (int64, error) {
	if q.e.fails() {
		return 0, errInjected
	}
	return q.Querier.Expect(rows, query, args...)
}

func (q faultyQuerier) Tally(by int64, query string, args ...any) error {
	if q.e.fails() {
		return errInjected
	}
	return q.Querier.Tally(by, query, args...)
}

func (q faultyQuerier) Steady(query string, args ...any) store.Row {
	if q.e.fails() {
		return failedRow{errInjected}
	}
	return q.Querier.Steady(query, args...)
}

func (q faultyQuerier) Each(scan func(store.Row) error, query string, args ...any) error {
	if q.e.fails() {
		return errInjected
	}
	return q.Querier.Each(scan, query, args...)
}

func (q faultyQuerier) Last(questions ...store.Question) error {
	if q.e.fails() {
		return errInjected
	}
	return q.Querier.Last(questions...)
}

func (q faultyQuerier) Search(ctx context.Context, scan func(store.Row) error, query string, args ...any) error {
	if q.e.fails() {
		return errInjected
	}
	return q.Querier.Search(ctx, scan, query, args...)
}
