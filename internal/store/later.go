package store

import (
	"context"
	"sync"
	"time"
)

type laterKey struct{}

// Later is a context under which Update returns before other nodes know what was committed: they are
// told at once, and who works a piece at a time goes on meanwhile. It must call wait before anything is
// answered that rests on one of the pieces, whatever came of it: from then on it is as if
// each Update had waited, and has taken no longer than the last.
func Later(ctx context.Context) (later context.Context, wait func()) {
	all := &sync.WaitGroup{}
	return context.WithValue(ctx, laterKey{}, all), all.Wait
}

// orLater waits for other nodes, or lets whoever called Later do so. This node knows at once what is
// wide, by which the next piece decides.
func (s *Store) orLater(ctx context.Context, wide bool, wait func()) {
	all, later := ctx.Value(laterKey{}).(*sync.WaitGroup)
	if !later {
		wait()
		return
	}
	all.Go(wait)
	if wide && s.shared {
		ctx, cancel := untilLongest(ctx, time.Now())
		defer cancel()
		s.rereadHere(ctx)
	}
}
