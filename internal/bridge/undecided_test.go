package bridge_test

import (
	"context"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// between is an engine that does something once in the middle of a snapshot, behind a query.
type between struct {
	store.Engine
	query string
	do    *func()
}

func (e between) View(ctx context.Context, fn func(store.Querier) error) error {
	return e.Engine.View(ctx, func(q store.Querier) error { return fn(betweenQuerier{q, e}) })
}

type betweenQuerier struct {
	store.Querier
	e between
}

func (q betweenQuerier) Each(scan func(store.Row) error, query string, args ...any) error {
	err := q.Querier.Each(scan, query, args...)
	if do := *q.e.do; do != nil && strings.Contains(query, q.e.query) {
		*q.e.do = nil
		do()
	}
	return err
}

// A policy that comes in force while somebody looks whom the one before has not decided has decided
// nobody: that there is nobody under the old one says nothing of it.
func TestWhoIsUndecidedIsLookedForUnderThePolicyOfTheSnapshot(t *testing.T) {
	t.Parallel()
	var do func()
	w := newWorld(t, func(w *world) {
		w.aroundStore = func(e store.Engine) store.Engine { return between{e, "where valid_until > 0", &do} }
	})
	w.group(banksia, "GL Geelong Managers", w.people(banksia, 3)...)
	w.settled()
	waiting := func() (n int64) {
		w.do(w.store.View(w.ctx, func(v *store.View) (err error) { n, err = v.CountWaiting(w.clock.Now()); return err }))
		return n
	}
	came := false
	do = func() {
		w.policy(settings(func(c *access.Connection) { c.Ceiling.Grants = append(c.Ceiling.Grants, access.Technician) })) // concerns everybody
		if came = waiting() > 0; !came {
			t.Error("nobody is to be decided anew")
		}
	}
	w.settled()
	if w.settled(); !came || waiting() > 0 {
		t.Errorf("%d people are decided by nobody", waiting())
	}
}
