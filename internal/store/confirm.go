package store

import (
	"context"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lease"
)

// Confirm says that what was asked for was so before. Another node's commit may have made it so
// a moment ago, and that node may have died before it told anybody: the answer waits as that
// commit's own would have.
func (tx *Tx) Confirm() { tx.confirms = true }

// mark is a place in the news, and an instant at which this node had read up to it.
type mark struct {
	at    time.Time
	place Position
}

// marks are those of late: so many that one of them is lease.Longest old.
type marks struct {
	mu  sync.Mutex // guards all
	all []mark     // the oldest first
}

func (m *marks) add(p Position, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, mark{at, p})
	for len(m.all) > 1 && at.Sub(m.all[1].at) >= lease.Longest {
		m.all = m.all[1:]
	}
}

// settled is a place before which no news is left that anybody may not know; false if this node
// is too young to name one.
func (m *marks) settled(now time.Time) (Position, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.all) - 1; i >= 0; i-- {
		if now.Sub(m.all[i].at) >= lease.Longest {
			return m.all[i].place, true
		}
	}
	return Position{}, false
}

// settledAtOnce is how many pieces of news one answer waits for by name. Where there are more, it
// waits until whoever has not read them believes nothing.
const settledAtOnce = 64

// confirm returns when no node accepts any more what was ended before a transaction that found
// nothing left to change, but for news that the transaction has settled itself.
func (s *Store) confirm(ctx context.Context, own int64, committed time.Time) {
	known := s.peers.Load()
	if known == nil {
		s.outwait(ctx, committed)
		return
	}
	late, whole := s.late(ctx, committed)
	if !whole || len(late) > settledAtOnce || s.Hear(ctx, late...) != nil {
		(*known).Lapse() // it may not be known here, either
		time.Sleep(time.Until(committed.Add(lease.Longest)))
		return
	}
	var others sync.WaitGroup
	for _, n := range late {
		if n.ID != own {
			others.Go(func() { (*known).Settle(n) })
		}
	}
	others.Wait()
}

// late lists the news that some node may not know. Not whole: there may be others.
func (s *Store) late(ctx context.Context, now time.Time) (late []News, whole bool) {
	from, known := s.window.marks.settled(now)
	if !known {
		return nil, false
	}
	more := false
	err := s.aside(ctx, false, func(q Querier) (err error) {
		late, _, more, whole, err = s.over(ctx, q).newsSince(from)
		return err
	})
	return late, err == nil && whole && !more
}
