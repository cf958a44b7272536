package steward

import (
	"context"
	"time"
)

// Run does the background work until ctx ends, each second: what time brings to requests
// and cases, to the certification register, and to reviews. All of it may be killed at any
// instant and goes on at the next start; nothing that is refused waits for it. Errors are
// observed, and what failed is tried again.
func (s *Steward) Run(ctx context.Context, observe func(ctx context.Context, err error)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, part := range []func(context.Context) error{s.Tick, s.register, s.TickReviews} {
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
