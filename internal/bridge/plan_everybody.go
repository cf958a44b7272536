package bridge

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// pages hands out parts of everybody, in order, and no more of them than may wait for
// one before them.
type pages struct {
	mu    sync.Mutex
	after store.PersonKey
	next  int
	ended bool
}

// numbered is a page's place among all, and what came of it.
type numbered struct {
	at int
	planned
}

// everybody judges all people, a page at a time on every processor, and takes in what
// comes of it in order.
func (r *planRun) everybody(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var p pages
	var workers sync.WaitGroup
	ahead := make(chan struct{}, planAhead)
	results := make(chan numbered)
	tallies := make(chan planTally, runtime.GOMAXPROCS(0))
	for range cap(tallies) {
		workers.Go(func() {
			w := r.planner.worker()
			if err := r.work(ctx, w, &p, ahead, results); err != nil {
				cancel(err)
			}
			tallies <- w.finish()
		})
	}
	go func() { workers.Wait(); close(results) }() // ends with the workers, who end with ctx
	waiting, next := map[int]planned{}, 0
	for page := range results {
		waiting[page.at] = page.planned
		for now, ready := waiting[next]; ready; now, ready = waiting[next] {
			delete(waiting, next)
			next++
			if err := r.take(now); err != nil {
				cancel(err)
			}
			<-ahead
		}
	}
	close(tallies)
	for t := range tallies {
		r.tally.add(t)
	}
	if err := context.Cause(ctx); err != nil {
		var known *fault.Error
		if errors.As(err, &known) {
			return err
		}
		return fault.Wrap(fault.Unavailable, "bridge.PlanPolicy", err)
	}
	return nil
}

// work judges page after page until there is none left.
func (r *planRun) work(ctx context.Context, w *planWorker, p *pages, ahead chan struct{}, results chan<- numbered) error {
	for {
		select {
		case ahead <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		var page numbered
		more := false
		err := r.store.View(ctx, func(v *store.View) error {
			after, upTo, at, err := p.turn(v, r.planner.census)
			if err != nil || upTo == 0 {
				return err
			}
			more, page.at = true, at
			people, err := r.planner.census.People(v, after, upTo, r.planner.docs)
			if err != nil {
				return err
			}
			page.planned, err = w.judge(v, people)
			return err
		})
		if err != nil || !more {
			<-ahead
			return err
		}
		select {
		case results <- page:
		case <-ctx.Done():
			return nil
		}
	}
}

// turn is the next page.
func (p *pages) turn(v *store.View, census *store.Census) (after, upTo store.PersonKey, at int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return 0, 0, 0, nil
	}
	after, at = p.after, p.next
	if upTo, err = census.Next(v, after, planPage); err != nil {
		return 0, 0, 0, err
	}
	p.ended = upTo == 0
	p.after, p.next = upTo, at+1
	return after, upTo, at, nil
}
