package cluster

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// worker is a node with one piece of work.
type worker struct {
	begun, ended chan struct{}
	stop         context.CancelFunc
	over         chan struct{}
}

func work(t *testing.T, w Works, busy *atomic.Int64) *worker {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	k := &worker{begun: make(chan struct{}, 10), ended: make(chan struct{}, 10), stop: stop, over: make(chan struct{})}
	go func() {
		defer close(k.over)
		w.Work(ctx, "tidy", func(ctx context.Context) {
			if n := busy.Add(1); n > 1 {
				t.Errorf("%d do the same work", n)
			}
			k.begun <- struct{}{}
			<-ctx.Done()
			busy.Add(-1)
			k.ended <- struct{}{}
		})
	}()
	t.Cleanup(func() { stop(); <-k.over })
	return k
}

func comes(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal(what, "did not happen")
	}
}

func TestOneNodeWorksAndAnotherTakesOverWhenItLeaves(t *testing.T) {
	s, busy := openStore(t), &atomic.Int64{}
	a := work(t, Works{Store: s, Node: "a", Turn: 2 * time.Second}, busy)
	comes(t, a.begun, "work at a")
	b := work(t, Works{Store: s, Node: "b", Turn: 2 * time.Second}, busy)
	time.Sleep(3 * time.Second) // longer than a turn: a renews it
	select {
	case <-b.begun:
		t.Fatal("b works while a does")
	case <-a.ended:
		t.Fatal("a ended")
	default:
	}
	left := time.Now()
	a.stop()
	comes(t, b.begun, "work at b")
	if took := time.Since(left); took > 1500*time.Millisecond {
		t.Errorf("b took over after %s although a gave the work back", took)
	}
}

// A node that dies renews nothing and gives nothing back.
func TestTheWorkOfADeadNodeIsTakenOver(t *testing.T) {
	s := openStore(t)
	err := s.Update(t.Context(), func(tx *store.Tx) error { _, _, err := tx.TakeTurn("tidy", "dead", time.Second); return err })
	if err != nil {
		t.Fatal(err)
	}
	b := work(t, Works{Store: s, Node: "b", Turn: time.Second}, &atomic.Int64{})
	comes(t, b.begun, "work at b")
}

// A node whose renewals do not arrive stops before anybody else may begin.
func TestWorkEndsWhenItsTurnCannotBeRenewed(t *testing.T) {
	s := openStore(t)
	w := Works{Store: s, Node: "a", Turn: time.Second}
	a := work(t, w, &atomic.Int64{})
	comes(t, a.begun, "work at a")
	// Another has taken it: a was frozen.
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Turns()
		if err != nil {
			return err
		}
		if err := tx.EndTurn(all[0]); err != nil {
			return err
		}
		_, _, err = tx.TakeTurn("tidy", "b", time.Second)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	comes(t, a.ended, "the end of a's work")
	comes(t, a.begun, "work at a again, when b is dead")
}

func TestWorkEndsWithTheStore(t *testing.T) {
	s := openStore(t)
	a := work(t, Works{Store: s, Node: "a", Turn: time.Second}, &atomic.Int64{})
	comes(t, a.begun, "work at a")
	release := make(chan struct{})
	held := make(chan struct{})
	go func() {
		_ = s.Update(context.WithoutCancel(t.Context()), func(*store.Tx) error { close(held); <-release; return nil })
	}()
	<-held // nothing is written any more
	comes(t, a.ended, "the end of a's work while nothing can be renewed")
	close(release)
	comes(t, a.begun, "work at a again")
}

func TestWorkThatEndsByItselfIsFree(t *testing.T) {
	s := openStore(t)
	Works{Store: s, Node: "a"}.Work(t.Context(), "once", func(context.Context) {})
	done := false
	Works{Store: s, Node: "b"}.Work(t.Context(), "once", func(context.Context) { done = true })
	if !done {
		t.Error("b did not get it")
	}
}

func TestWhoIsAloneHasEverything(t *testing.T) {
	done := false
	Works{}.Work(t.Context(), "tidy", func(context.Context) { done = true })
	if !done {
		t.Error("nothing was done")
	}
}
