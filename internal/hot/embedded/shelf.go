package embedded

import (
	"container/heap"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// shelf keeps entries until an instant, bounded in number and bytes. Not safe for
// concurrent use: its owner holds a lock. Whether an entry still counts is judged
// by its reader; the shelf only makes room.
type shelf[K comparable, V any] struct {
	byKey    map[K]*slot[K, V]
	byEnd    ends[K, V]
	bytes    int
	maxCount int
	maxBytes int
	dropped  func(V) // told of each entry that goes
}

type slot[K comparable, V any] struct {
	key   K
	value V
	until time.Time
	bytes int
	at    int // in byEnd
}

func newShelf[K comparable, V any](maxCount, maxBytes int, dropped func(V)) *shelf[K, V] {
	return &shelf[K, V]{byKey: map[K]*slot[K, V]{}, maxCount: maxCount, maxBytes: maxBytes, dropped: dropped}
}

// put adds an entry. Entries whose end has come at now make room, the oldest end
// first; a shelf still full is fault.Limited, a key in use fault.Conflict.
func (s *shelf[K, V]) put(op string, k K, v V, bytes int, until, now time.Time) error {
	for len(s.byEnd) > 0 && !now.Before(s.byEnd[0].until) {
		s.drop(s.byEnd[0])
	}
	if _, taken := s.byKey[k]; taken {
		return fault.New(fault.Conflict, op, "the id is taken")
	}
	if len(s.byKey) >= s.maxCount || s.bytes+bytes > s.maxBytes {
		return fault.New(fault.Limited, op, "too many sign-ins are under way: try again in a few minutes")
	}
	e := &slot[K, V]{key: k, value: v, until: until, bytes: bytes}
	s.byKey[k] = e
	s.bytes += bytes
	heap.Push(&s.byEnd, e)
	return nil
}

func (s *shelf[K, V]) get(k K) (*slot[K, V], bool) {
	e, ok := s.byKey[k]
	return e, ok
}

// resize says that an entry has shrunk or grown.
func (s *shelf[K, V]) resize(e *slot[K, V], bytes int) {
	s.bytes += bytes - e.bytes
	e.bytes = bytes
}

func (s *shelf[K, V]) drop(e *slot[K, V]) {
	heap.Remove(&s.byEnd, e.at)
	delete(s.byKey, e.key)
	s.bytes -= e.bytes
	s.dropped(e.value)
}

// ends is a heap of slots, the earliest end first.
type ends[K comparable, V any] []*slot[K, V]

func (h ends[K, V]) Len() int           { return len(h) }
func (h ends[K, V]) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h ends[K, V]) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }

// Push implements heap.Interface.
func (h *ends[K, V]) Push(x any) {
	e := x.(*slot[K, V])
	e.at = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *ends[K, V]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
