package cluster

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Works lets this node do work that one node does at a time, when it has a turn at it. A turn is
// a row of the store; it lasts for some seconds, and is renewed for as long as the node
// lives. The zero Works are those of a node that is alone: all is its own, without a turn.
type Works struct {
	Store   *store.Store  // nil: this node is alone
	Node    string        // names this run of the node; no other may be called so
	Turn    time.Duration // how long one lasts that is not renewed; 0: 8 s
	Observe func(error)   // is told what could not be taken, renewed or given back; nil: nobody listens
}

// turn is how long one lasts where nobody says: with the look at what is free, which comes every
// quarter of it, the work of a node that dies is another's within 10 seconds.
const turn = 8 * time.Second

// Work runs run while the work of that name is this node's, and returns when ctx ends, or run
// does by itself; the work is then free at once. The ctx of run ends when the turn has been
// taken away, or could not be renewed in time: by this machine's clock, counted from before the
// renewal was sent. Then run is called again when the work is this node's again, never twice at
// the same time.
//
// A node that was frozen finds out late: for moments two may do the same work. Whatever must
// not be done twice compares in its transaction what it expects, as the relay does with its mark.
func (w Works) Work(ctx context.Context, name string, run func(context.Context)) {
	if w.Store == nil {
		run(ctx)
		return
	}
	if w.Turn == 0 {
		w.Turn = turn
	}
	look := time.NewTicker(w.Turn / 4)
	defer look.Stop()
	for {
		if t, until, taken := w.take(ctx, name); taken && w.do(ctx, t, until, run) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// take takes the work if it is free. Until until, by this machine's clock, nobody else does.
func (w Works) take(ctx context.Context, name string) (t store.Turn, until time.Time, taken bool) {
	before := time.Now()
	free := true
	err := w.Store.View(ctx, func(v *store.View) error { // mostly another has it: no need to write
		all, err := v.Turns()
		for _, t := range all {
			free = free && (t.Work != name || t.Left <= 0)
		}
		return err
	})
	if err == nil && free {
		err = w.Store.Update(ctx, func(tx *store.Tx) (err error) { t, taken, err = tx.TakeTurn(name, w.Node, w.Turn); return err })
	}
	if err != nil {
		w.note(ctx, err)
		return store.Turn{}, time.Time{}, false
	}
	return t, w.until(before), taken
}

// until is when work ends whose turn was taken or renewed after before: earlier than the
// turn, for work needs some time to end.
func (w Works) until(before time.Time) time.Time { return before.Add(w.Turn - w.Turn/8) }

// do runs run for as long as the turn is renewed. over says that nothing is left to do:
// run has ended by itself, or ctx has.
func (w Works) do(ctx context.Context, t store.Turn, until time.Time, run func(context.Context)) (over bool) {
	working, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(working)
	}()
	renewing := w.keep(ctx, t, until, done)
	select {
	case <-done:
		over = true
	default:
	}
	stop()
	<-done
	<-renewing
	giving, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.Turn/4)
	defer cancel()
	w.note(giving, w.Store.Update(giving, func(tx *store.Tx) error { return tx.EndTurn(t) }))
	return over || ctx.Err() != nil
}

// renewal is what came of one.
type renewal struct {
	before  time.Time
	renewed bool
	err     error
}

// keep renews the turn until it is lost, ctx ends or the work is done. What it gives is
// closed when no renewal is under way any more.
func (w Works) keep(ctx context.Context, t store.Turn, until time.Time, done <-chan struct{}) <-chan struct{} {
	renew := time.NewTicker(w.Turn / 4)
	defer renew.Stop()
	lapse := time.NewTimer(time.Until(until))
	defer lapse.Stop()
	came := make(chan renewal, 1)
	idle, renewing := make(chan struct{}), false
	close(idle)
	for {
		select {
		case <-done:
			return idle
		case <-ctx.Done():
			return idle
		case <-lapse.C:
			return idle
		case r := <-came:
			renewing = false
			w.note(ctx, r.err)
			if r.err == nil && !r.renewed {
				return idle
			}
			if r.err == nil {
				lapse.Reset(time.Until(w.until(r.before)))
			}
		case <-renew.C:
			if !renewing { // else the store is slow
				idle, renewing = w.renew(ctx, t, came), true
			}
		}
	}
}

// renew sends one renewal, and gives what is closed when it is over.
func (w Works) renew(ctx context.Context, t store.Turn, came chan<- renewal) chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		r := renewal{before: time.Now()}
		sending, cancel := context.WithTimeout(ctx, w.Turn)
		defer cancel()
		r.err = w.Store.Update(sending, func(tx *store.Tx) (err error) { r.renewed, err = tx.RenewTurn(t, w.Turn); return err })
		came <- r
	}()
	return over
}

func (w Works) note(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && w.Observe != nil {
		w.Observe(err)
	}
}
