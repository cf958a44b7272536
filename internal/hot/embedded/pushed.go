package embedded

import (
	"context"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// pushed are the requests that were sent ahead and not brought back yet.
type pushed struct {
	mu    sync.Mutex // guards shelf
	shelf *shelf[string, hot.Pushed]
}

func newPushed(count, bytes int) *pushed {
	return &pushed{shelf: newShelf[string](bounds{count: count, bytes: bytes}, func(hot.Pushed) {})}
}

// PutPushed implements hot.Engine.
func (s *pushed) PutPushed(_ context.Context, name string, p hot.Pushed) error {
	const op = "embedded.PutPushed"
	if err := p.Check(op, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shelf.sweep(p.Created)
	owner := string(p.Client) + " " + p.From // a client that proves itself has an account apart from whoever is in its network
	return s.shelf.put(op, owner, name, p, 768+2*len(name)+2*len(owner)+len(p.Client)+len(p.Params), p.Expires, spare)
}

// TakePushed implements hot.Engine.
func (s *pushed) TakePushed(_ context.Context, name string, client access.ClientID, now time.Time) (hot.Pushed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.shelf.get(name)
	if !ok || e.value.Client != client || !now.Before(e.value.Expires) {
		return hot.Pushed{}, hot.NotUnderWay("embedded.TakePushed")
	}
	s.shelf.drop(e)
	return e.value, nil
}
