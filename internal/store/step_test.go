package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// givingUp is an engine whose database ends a transaction by itself: rolling back to
// a savepoint fails from then on.
type givingUp struct {
	Engine
	ran []string
}

func (e *givingUp) Update(_ context.Context, _ access.ConnectionID, fn func(Querier) error, _ func()) error {
	return fn(giver{e: e})
}

type giver struct {
	Querier
	e *givingUp
}

func (g giver) Exec(query string, _ ...any) (int64, error) {
	g.e.ran = append(g.e.ran, query)
	if strings.HasPrefix(query, "rollback to") {
		return 0, errors.New("no such savepoint: step")
	}
	return 0, nil
}

func (g giver) Written() int64 { return int64(len(g.e.ran)) }

// write is a statement of a step.
func (g *givingUp) write() { g.ran = append(g.ran, "insert") }

// After a database has given up a transaction, statements would be kept one by one:
// no later step runs, and the whole is refused although every step was swallowed. The
// first time steps have no savepoints; the second time it is the database that fails.
func TestNothingIsDoneInATransactionThatIsLost(t *testing.T) {
	e := &givingUp{}
	s := &Store{engine: e}
	full := errors.New("the disk is full")
	runs := 0
	err := s.Update(t.Context(), func(tx *Tx) error {
		runs++
		if err := tx.Step(func() error { e.write(); return full }); !errors.Is(err, full) && runs == 2 || !fault.Is(err, fault.Unavailable) {
			t.Errorf("the step that lost it: %v", err)
		}
		if err := tx.Step(func() error { t.Error("a later step runs"); return nil }); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a later step: %v", err)
		}
		return nil
	})
	if !fault.Is(err, fault.Unavailable) || runs != 2 {
		t.Errorf("the transaction ends in %v, after %d runs", err, runs)
	}
	e.ran = nil
	err = s.Update(t.Context(), func(tx *Tx) error {
		return tx.Step(func() error {
			_ = tx.Step(func() error { e.write(); return full }) // swallowed
			return nil
		})
	})
	if want := []string{"insert", "savepoint step", "savepoint step", "insert", "rollback to savepoint step"}; !fault.Is(err, fault.Unavailable) || !slices.Equal(e.ran, want) {
		t.Errorf("a step around it ends in %v, after %q", err, e.ran)
	}
}

// Where the database fails in the middle of a step, nothing is tried a second time.
func TestADatabaseThatFailsInAStepEndsTheTransaction(t *testing.T) {
	e := &givingUp{}
	s := &Store{engine: e}
	down := fault.New(fault.Unavailable, "test", "the disk is full")
	runs := 0
	err := s.Update(t.Context(), func(tx *Tx) error {
		runs++
		_ = tx.Step(func() error { e.write(); return down }) // swallowed
		return nil
	})
	if !errors.Is(err, down) || runs != 1 {
		t.Errorf("%v after %d runs", err, runs)
	}
}

// A step that fails before it has written anything costs nobody a savepoint.
func TestAStepThatWroteNothingIsNotRunAgain(t *testing.T) {
	e := &givingUp{}
	s := &Store{engine: e}
	runs := 0
	err := s.Update(t.Context(), func(tx *Tx) error {
		runs++
		if err := tx.Step(func() error { return errors.New("there is no such person") }); err == nil || fault.Is(err, fault.Unavailable) {
			t.Errorf("the step that failed: %v", err)
		}
		return tx.Step(func() error { e.write(); return nil })
	})
	if err != nil || runs != 1 || !slices.Equal(e.ran, []string{"insert"}) {
		t.Errorf("%v after %d runs of %q", err, runs, e.ran)
	}
}
