package store

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// givingUp is an engine whose database ends a transaction by itself: rolling back to
// a savepoint fails from then on.
type givingUp struct {
	Engine
	ran []string
}

func (e *givingUp) Update(_ context.Context, fn func(Querier) error, _ func()) error {
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

// After a database has given up a transaction, statements would be kept one by one:
// no later step runs, and the whole is refused although every step was swallowed.
func TestNothingIsDoneInATransactionThatIsLost(t *testing.T) {
	e := &givingUp{}
	s := &Store{engine: e}
	full := errors.New("the disk is full")
	err := s.Update(t.Context(), func(tx *Tx) error {
		if err := tx.Step(func() error { return full }); !errors.Is(err, full) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("the step that lost it: %v", err)
		}
		if err := tx.Step(func() error { t.Error("a later step runs"); return nil }); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a later step: %v", err)
		}
		return nil
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("the transaction ends in %v", err)
	}
	e.ran = nil
	err = s.Update(t.Context(), func(tx *Tx) error {
		return tx.Step(func() error {
			_ = tx.Step(func() error { return full }) // swallowed
			return nil
		})
	})
	if !fault.Is(err, fault.Unavailable) || len(e.ran) != 3 {
		t.Errorf("a step around it ends in %v, after %q", err, e.ran)
	}
}
