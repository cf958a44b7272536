package embedded

import (
	"container/heap"
	"container/list"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// rank says which entries make room when a shelf is full: all that are spare go
// before any that is held, the oldest of a rank first.
type rank uint8

const (
	spare rank = iota
	held
	ranks
)

// bounds limit a shelf. Spare entries within the reserve stay even if held ones
// have to go, so that who holds all the rest cannot push every newcomer out.
type bounds struct {
	count, bytes               int
	reserveCount, reserveBytes int
}

// shelf keeps entries until an instant, bounded in number and bytes. Not safe for
// concurrent use: its owner holds a lock. Whether an entry still counts is judged
// by its reader; the shelf only makes room.
type shelf[K comparable, V any] struct {
	bounds
	byKey   map[K]*slot[K, V]
	byEnd   ends[K, V]
	byRank  [ranks]queue
	dropped func(V) // told of each entry that goes
}

// queue holds the slots of a rank, the oldest in front.
type queue struct {
	list.List
	bytes int
}

type slot[K comparable, V any] struct {
	key   K
	value V
	until time.Time
	bytes int
	rank  rank
	at    int           // in byEnd
	place *list.Element // in the queue of its rank
}

func newShelf[K comparable, V any](b bounds, dropped func(V)) *shelf[K, V] {
	return &shelf[K, V]{byKey: map[K]*slot[K, V]{}, bounds: b, dropped: dropped}
}

// sweep drops the entries whose end has come.
func (s *shelf[K, V]) sweep(now time.Time) {
	for len(s.byEnd) > 0 && !now.Before(s.byEnd[0].until) {
		s.drop(s.byEnd[0])
	}
}

// put adds an entry, in the place of others if the shelf is full: to refuse would
// let whoever fills it keep everybody else out. A key in use is fault.Conflict, an
// entry that would not fit an empty shelf fault.Limited.
func (s *shelf[K, V]) put(op string, k K, v V, bytes int, until time.Time, r rank) error {
	if _, taken := s.byKey[k]; taken {
		return fault.New(fault.Conflict, op, "the id is taken")
	}
	if bytes > s.bounds.bytes {
		return fault.New(fault.Limited, op, "this sign-in is larger than there is room for")
	}
	for len(s.byKey) >= s.count || s.used()+bytes > s.bounds.bytes {
		s.drop(s.next())
	}
	e := &slot[K, V]{key: k, value: v, until: until, bytes: bytes, rank: r}
	s.byKey[k] = e
	heap.Push(&s.byEnd, e)
	s.enqueue(e)
	return nil
}

// used is how many bytes all entries hold.
func (s *shelf[K, V]) used() int { return s.byRank[spare].bytes + s.byRank[held].bytes }

// next is the entry that makes room. Held entries go too, the oldest first: who has
// waited longest has most likely given up, and begins again with one click, while
// a refusal would leave everybody new outside. The shelf must not be empty.
func (s *shelf[K, V]) next() *slot[K, V] {
	first := &s.byRank[spare]
	if first.Len() <= s.reserveCount && first.bytes <= s.reserveBytes && s.byRank[held].Len() > 0 {
		first = &s.byRank[held]
	}
	return first.Front().Value.(*slot[K, V])
}

func (s *shelf[K, V]) get(k K) (*slot[K, V], bool) {
	e, ok := s.byKey[k]
	return e, ok
}

// resize says that an entry has shrunk or grown.
func (s *shelf[K, V]) resize(e *slot[K, V], bytes int) {
	s.byRank[e.rank].bytes += bytes - e.bytes
	e.bytes = bytes
}

// move gives an entry another rank, in which it is the newest.
func (s *shelf[K, V]) move(e *slot[K, V], r rank) {
	if e.rank != r {
		s.dequeue(e)
		e.rank = r
		s.enqueue(e)
	}
}

// keep gives an entry another end.
func (s *shelf[K, V]) keep(e *slot[K, V], until time.Time) {
	e.until = until
	heap.Fix(&s.byEnd, e.at)
}

func (s *shelf[K, V]) drop(e *slot[K, V]) {
	heap.Remove(&s.byEnd, e.at)
	s.dequeue(e)
	delete(s.byKey, e.key)
	s.dropped(e.value)
}

func (s *shelf[K, V]) enqueue(e *slot[K, V]) {
	q := &s.byRank[e.rank]
	e.place = q.PushBack(e)
	q.bytes += e.bytes
}

func (s *shelf[K, V]) dequeue(e *slot[K, V]) {
	q := &s.byRank[e.rank]
	q.Remove(e.place)
	q.bytes -= e.bytes
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
