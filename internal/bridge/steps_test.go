package bridge_test

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// steps is told of every step that a use case takes: around each transaction, at
// each statement, at each verb of the hot engine, at each look at the clock. What
// reach gives back is what the step fails with. It is for one goroutine.
type steps struct {
	reach func(kind, what string) error // nil: nobody is interested
	busy  bool                          // reach is running: what it does itself is no step
}

// The kinds of step. A statement runs inside a transaction, the others between.
const (
	stepBoundary  = "boundary"
	stepStatement = "statement"
	stepHot       = "hot"
	stepClock     = "clock"
)

func (s *steps) at(kind, what string) error {
	if s.reach == nil || s.busy {
		return nil
	}
	s.busy = true
	defer func() { s.busy = false }()
	return s.reach(kind, what)
}

// stepping puts steps between a world's parts.
func stepping(s *steps) func(*world) {
	return func(w *world) {
		w.aroundStore = func(e store.Engine) store.Engine { return stepStore{e, s} }
		w.aroundHot = func(h hot.Engine) hot.Engine { return stepHotEngine{h, s} }
		w.clock.look = func() { _ = s.at(stepClock, "now") }
	}
}

type stepStore struct {
	store.Engine
	s *steps
}

func (e stepStore) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	if err := e.s.at(stepBoundary, "before update"); err != nil {
		return err
	}
	err := e.Engine.Update(ctx, lane, func(q store.Querier) error {
		if err := fn(stepQuerier{q, e.s}); err != nil {
			return err
		}
		return e.s.at(stepStatement, "commit")
	}, committed)
	if err != nil {
		return err
	}
	return e.s.at(stepBoundary, "after update")
}

func (e stepStore) View(ctx context.Context, fn func(store.Querier) error) error {
	if err := e.s.at(stepBoundary, "before view"); err != nil {
		return err
	}
	if err := e.Engine.View(ctx, func(q store.Querier) error { return fn(stepQuerier{q, e.s}) }); err != nil {
		return err
	}
	return e.s.at(stepBoundary, "after view")
}

// failedRow is a row that could not be read.
type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

type stepQuerier struct {
	store.Querier
	s *steps
}

func (q stepQuerier) Of(conn int64) store.Querier { return stepQuerier{q.Querier.Of(conn), q.s} }

func (q stepQuerier) Exec(query string, args ...any) (int64, error) {
	if err := q.s.at(stepStatement, query); err != nil {
		return 0, err
	}
	return q.Querier.Exec(query, args...)
}

func (q stepQuerier) Insert(query string, args ...any) (int64, error) {
	if err := q.s.at(stepStatement, query); err != nil {
		return 0, err
	}
	return q.Querier.Insert(query, args...)
}

func (q stepQuerier) Each(scan func(store.Row) error, query string, args ...any) error {
	if err := q.s.at(stepStatement, query); err != nil {
		return err
	}
	return q.Querier.Each(scan, query, args...)
}

func (q stepQuerier) QueryRow(query string, args ...any) store.Row {
	if err := q.s.at(stepStatement, query); err != nil {
		return failedRow{err}
	}
	return q.Querier.QueryRow(query, args...)
}

// lastStep is what is asked at once, at the end of a view.
const lastStep = "last"

func (q stepQuerier) Last(questions ...store.Question) error {
	if err := q.s.at(stepStatement, lastStep); err != nil {
		return err
	}
	return q.Querier.Last(questions...)
}

func (q stepQuerier) Search(ctx context.Context, scan func(store.Row) error, query string, args ...any) error {
	if err := q.s.at(stepStatement, query); err != nil {
		return err
	}
	return q.Querier.Search(ctx, scan, query, args...)
}

type stepHotEngine struct {
	hot.Engine
	s *steps
}

func (e stepHotEngine) PutCode(ctx context.Context, code credential.Digest, g hot.CodeGrant, now time.Time) error {
	if err := e.s.at(stepHot, "PutCode"); err != nil {
		return err
	}
	return e.Engine.PutCode(ctx, code, g, now)
}

func (e stepHotEngine) ConsumeCode(ctx context.Context, code credential.Digest, by hot.Showing, now time.Time) (hot.CodeGrant, hot.Outcome, error) {
	if err := e.s.at(stepHot, "ConsumeCode"); err != nil {
		return hot.CodeGrant{}, hot.Unknown, err
	}
	return e.Engine.ConsumeCode(ctx, code, by, now)
}

func (e stepHotEngine) PutFamily(ctx context.Context, f hot.Family) error {
	if err := e.s.at(stepHot, "PutFamily"); err != nil {
		return err
	}
	return e.Engine.PutFamily(ctx, f)
}

func (e stepHotEngine) Family(ctx context.Context, id string, now time.Time) (hot.Family, error) {
	if err := e.s.at(stepHot, "Family"); err != nil {
		return hot.Family{}, err
	}
	return e.Engine.Family(ctx, id, now)
}

func (e stepHotEngine) Rotate(ctx context.Context, r hot.Rotation) (hot.Family, hot.Outcome, error) {
	if err := e.s.at(stepHot, "Rotate"); err != nil {
		return hot.Family{}, hot.Unknown, err
	}
	return e.Engine.Rotate(ctx, r)
}

func (e stepHotEngine) EndFamily(ctx context.Context, id string) error {
	if err := e.s.at(stepHot, "EndFamily"); err != nil {
		return err
	}
	return e.Engine.EndFamily(ctx, id)
}

func (e stepHotEngine) EndSession(ctx context.Context, id session.ID) error {
	if err := e.s.at(stepHot, "EndSession"); err != nil {
		return err
	}
	return e.Engine.EndSession(ctx, id)
}

// kim is a person with a primary place and a guest place, both for 14 days.
func (w *world) kim() (person, group string) {
	w.t.Helper()
	person = w.must(201, southern, "POST", "/Users", kimBody)["id"].(string)
	return person, w.group(southern, "Field Installers", person)
}

const kimBody = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:drawbridge:scim:schemas:extension:fleet:2.0:User"],
	"userName":"kim@southern.example","externalId":"oid-kim","active":true,
	"urn:drawbridge:scim:schemas:extension:fleet:2.0:User":{"technicianCertification":"Installation Certified Technician G2","certificationExpires":"2027-06-30T00:00:00Z"}}`

// guestPlace is the assignment that a session does not stand on.
func guestPlace(s visit) access.AssignmentID {
	for _, c := range s.browser.Choices {
		if c.ID != s.browser.Assignment.ID {
			return c.ID
		}
	}
	return ""
}
