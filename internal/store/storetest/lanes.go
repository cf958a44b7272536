package storetest

import (
	"context"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// OwnLanes is an engine on which every transaction that writes in a connection must be in that
// connection's lane, and must write in no other: who holds one connection's rows while they wait
// for another's may be waited for there. It is for what a node does behind requests.
func OwnLanes(t testing.TB, e store.Engine) store.Engine { return ownLanes{e, t} }

type ownLanes struct {
	store.Engine
	t testing.TB
}

// Update implements store.Engine.
func (e ownLanes) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	return e.Engine.Update(ctx, lane, func(q store.Querier) error { return fn(laneQuerier{q, e.t, lane}) }, committed)
}

type laneQuerier struct {
	store.Querier
	t    testing.TB
	lane access.ConnectionID
}

// Of implements store.Querier.
func (q laneQuerier) Of(conn int64) store.Querier {
	return laneQuerier{q.Querier.Of(conn), q.t, q.lane}
}

// Enter implements store.Querier.
func (q laneQuerier) Enter(conn access.ConnectionID) error {
	if conn != q.lane {
		q.t.Errorf("a transaction in the lane of %q enters connection %q", q.lane, conn)
	}
	return q.Querier.Enter(conn)
}

// Exec implements store.Querier.
func (q laneQuerier) Exec(query string, args ...any) (int64, error) {
	q.look(query)
	return q.Querier.Exec(query, args...)
}

// Expect implements store.Querier.
func (q laneQuerier) Expect(rows int64, query string, args ...any) (int64, error) {
	q.look(query)
	return q.Querier.Expect(rows, query, args...)
}

// look knows the one table whose rows belong to connections and can be reached without entering them.
func (q laneQuerier) look(query string) {
	if q.lane == "" && strings.HasPrefix(query, "update connections ") {
		q.t.Errorf("a transaction in nobody's lane writes in a connection: %s", query)
	}
}
