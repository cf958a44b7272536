package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// How many requests may wait for the database at once, and each for how long: what some
// thousand writes a second work off within a second. Beyond that, waiting longer helps
// nobody: whoever comes is refused at once, before anything was done, and comes again.
const (
	mostWriting = 4096
	mostReading = 4096
	longestWait = 5 * time.Second
)

// ReasonBusy is why somebody is refused because too many wait for the database.
const ReasonBusy = "busy"

// crowd counts who waits for the engine, or is with it.
type crowd struct{ writing, reading atomic.Int64 }

type behind struct{}

// Behind marks what a node does behind requests: there is little of it at a time, and it is
// not refused because requests are many.
func Behind(ctx context.Context) context.Context { return context.WithValue(ctx, behind{}, true) }

// crowded is an engine that lets no more wait than it can serve in time.
type crowded struct {
	Engine
	*crowd
}

// crowdedAside is crowded for an engine that has room beside what waits.
type crowdedAside struct {
	crowded
	beside Aside
}

// Aside implements Aside: nobody waits there.
func (e crowdedAside) Aside(ctx context.Context, write bool, fn func(Querier) error) error {
	return e.beside.Aside(ctx, write, fn)
}

func withCrowd(e Engine) Engine {
	c := crowded{e, &crowd{}}
	if beside, can := e.(Aside); can {
		return crowdedAside{c, beside}
	}
	return c
}

func (e crowded) Update(ctx context.Context, lane access.ConnectionID, fn func(Querier) error, committed func()) error {
	waiting, leave, err := enter(ctx, "store.Update", &e.writing, mostWriting)
	if err != nil {
		return err
	}
	defer leave()
	return e.Engine.Update(waiting, lane, fn, committed)
}

func (e crowded) View(ctx context.Context, fn func(Querier) error) error {
	waiting, leave, err := enter(ctx, "store.View", &e.reading, mostReading)
	if err != nil {
		return err
	}
	defer leave()
	return e.Engine.View(waiting, fn)
}

// enter lets somebody wait; the context is the one to wait by. leave ends it.
func enter(ctx context.Context, op string, n *atomic.Int64, most int64) (waiting context.Context, leave func(), err error) {
	if ctx.Value(behind{}) != nil {
		return ctx, func() {}, nil
	}
	if n.Add(1) > most {
		n.Add(-1)
		return nil, nil, fault.New(fault.Unavailable, op, "too many requests wait for the database; try again a little later").Because(ReasonBusy)
	}
	waiting, cancel := context.WithTimeout(ctx, longestWait)
	return waiting, func() { cancel(); n.Add(-1) }, nil
}
