package cluster_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/cluster"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/storetest"
)

// TestANodeWithAnotherRedisDoesNotStart: not beside a node that runs, however long it waits. After that one
// has gone it does.
func TestANodeWithAnotherRedisDoesNotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.join("a", true)
	s, err := store.New(t.Context(), &engine{Engine: w.raw})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newFeed()
	elsewhere.restart("another")
	clocks := &clocks{began: time.Now()}
	c := cluster.Config{Store: s, Feed: elsewhere, Name: "b", Clocks: clocks.look}
	if _, err := cluster.Join(t.Context(), c); !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != store.ReasonNodeApart {
		t.Fatalf("it starts beside one that has another Redis: %v", err)
	}
	if err := a.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := cluster.Join(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Leave(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNodesOutliveARestartOfRedis: it is another incarnation then, and nodes find out one after the other.
// Those that run go on, and so does one that was forgotten and comes back; one that starts waits until the others know.
func TestNodesOutliveARestartOfRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.join("a", true), w.join("b", true)
	touches := storetest.Touches()
	w.feed.restart("two")
	if err := w.raw.Update(t.Context(), "", func(q store.Querier) error {
		_, err := q.Exec(`delete from nodes where id = $1`, b.ID())
		return err
	}, func() {}); err != nil {
		t.Fatal(err)
	}
	c := w.join("c", true)
	for i, n := range []*node{a, b, c} {
		if err := n.Ready(t.Context()); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
		if err := n.store.Update(t.Context(), touches[3+i].Do); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
		for _, other := range []*node{a, b, c} {
			w.knows(other, touches[3+i])
		}
	}
	all, err := a.store.Nodes(t.Context())
	if err != nil || len(all) != 3 {
		t.Errorf("%+v (%v)", all, err)
	}
}
