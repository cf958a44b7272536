package bridge_test

import (
	"context"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// lastEnds is an engine whose views end with what is asked last, as PostgreSQL's do. Every world has it.
type lastEnds struct{ store.Engine }

func (e lastEnds) View(ctx context.Context, fn func(store.Querier) error) error {
	return e.Engine.View(ctx, func(q store.Querier) error { return fn(lastEndsQuerier{q, new(bool)}) })
}

type lastEndsQuerier struct {
	store.Querier
	ended *bool
}

func (q lastEndsQuerier) over() error {
	if !*q.ended {
		return nil
	}
	return fault.New(fault.Internal, "lastEnds", "something is asked after what was said to be the last")
}

func (q lastEndsQuerier) Of(conn int64) store.Querier {
	return lastEndsQuerier{q.Querier.Of(conn), q.ended}
}

func (q lastEndsQuerier) Each(scan func(store.Row) error, query string, args ...any) error {
	if err := q.over(); err != nil {
		return err
	}
	return q.Querier.Each(scan, query, args...)
}

func (q lastEndsQuerier) QueryRow(query string, args ...any) store.Row {
	if err := q.over(); err != nil {
		return failedRow{err}
	}
	return q.Querier.QueryRow(query, args...)
}

func (q lastEndsQuerier) Last(questions ...store.Question) error {
	if err := q.over(); err != nil {
		return err
	}
	*q.ended = true
	return q.Querier.Last(questions...)
}

// Nothing is read in a view behind what ended it, also where a page of people is read with their groups.
func TestNothingIsReadBehindTheEndOfAView(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	kim := w.person(banksia, "kim@banksia.example", "oid-kim")
	group := w.group(banksia, "GL Geelong Managers", sam, kim)
	w.session(banksia, "oid-sam")
	for _, path := range []string{"/Users", "/Users?count=1", "/Users?attributes=userName", "/Users?cursor", "/Users/" + sam, "/Users/" + sam + "?attributes=userName", "/Groups", "/Groups/" + group} {
		w.must(200, banksia, "GET", path, "")
	}
}
