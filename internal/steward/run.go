package steward

import (
	"context"
	"time"
)

// Run does the background work until ctx ends, each second: what time brings to requests
// and cases, to the certification register and to reviews, and what a policy means for the
// list of exceptions. All of it may be killed at any
// instant and goes on at the next start; nothing that is refused waits for it. Errors are
// observed, and what failed is tried again.
func (s *Steward) Run(ctx context.Context, observe func(ctx context.Context, err error)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, part := range []func(context.Context) error{s.Tick, s.register, s.TickReviews, s.exceptions} {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				observe(ctx, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Steward) register(ctx context.Context) error {
	if !s.bridge.HasPolicy() {
		return nil
	}
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = s.TickRegister(ctx); err != nil {
			return err
		}
	}
	return nil
}

// exceptionParts is how many parts of everybody are looked at in one turn.
const exceptionParts = 20

func (s *Steward) exceptions(ctx context.Context) error {
	if !s.bridge.HasPolicy() {
		return nil
	}
	more, err := true, error(nil)
	for part := 0; part < exceptionParts && more && err == nil && ctx.Err() == nil; part++ {
		more, err = s.TickExceptions(ctx)
	}
	return err
}
