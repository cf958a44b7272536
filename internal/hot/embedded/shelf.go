package embedded

import (
	"container/heap"
	"container/list"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// rank says which entries of an account make room when a shelf is full: those that are
// spare go before any that is held, the oldest of a rank first.
type rank uint8

const (
	spare rank = iota
	held
	ranks
)

// bounds limit a shelf. reserve, if it is not 0, is the part, one in so many, that spare
// entries keep even if held ones have to go: who holds all the rest then cannot push
// every newcomer out.
type bounds struct {
	count, bytes int
	reserve      int
}

// shelf keeps entries until an instant, bounded in number and bytes. Each is accounted to
// somebody, and a full shelf takes from whom it holds most for. Not safe for
// concurrent use: its owner holds a lock. Whether an entry still counts is judged
// by its reader; the shelf only makes room.
type shelf[K comparable, V any] struct {
	bounds
	byKey    map[K]*slot[K, V]
	byEnd    ends[K, V]
	all      lot
	accounts map[string]*account
	byWeight heaviest
	dropped  func(V) // told of each entry that goes
}

// lot are entries by rank, the oldest of a rank in front.
type lot [ranks]queue

type queue struct {
	list.List
	bytes int
}

func (l *lot) count() int { return l[spare].Len() + l[held].Len() }
func (l *lot) bytes() int { return l[spare].bytes + l[held].bytes }

// next is the entry of a lot that makes room: a spare one, unless those are within their
// reserve. Held entries go too, the oldest first: who has waited longest has most
// likely given up, and begins again with one click, while a refusal would leave
// everybody new outside. The lot must not be empty.
func (l *lot) next(reserve int) any {
	few := l[spare].Len() == 0 || reserve > 0 && l[spare].Len()*reserve <= l.count() && l[spare].bytes*reserve <= l.bytes()
	if few && l[held].Len() > 0 {
		return l[held].Front().Value
	}
	return l[spare].Front().Value
}

// account is what a shelf holds for one owner.
type account struct {
	lot
	owner  string
	weight int // in grains
	at     int // in byWeight
}

// grains is how finely a shelf weighs: who holds less than one in so many parts of it weighs
// nothing, and is told apart from others as light by age alone.
const grains = 1024

// weigh is the larger of the account's shares, in number and in bytes.
func (b bounds) weigh(a *account) int {
	return max(a.count()*grains/b.count, a.bytes()*grains/b.bytes)
}

type slot[K comparable, V any] struct {
	key     K
	value   V
	until   time.Time
	bytes   int
	rank    rank
	at      int // in byEnd
	account *account
	place   *list.Element // in the queue of its rank, among all
	own     *list.Element // in that of its account
}

func newShelf[K comparable, V any](b bounds, dropped func(V)) *shelf[K, V] {
	return &shelf[K, V]{byKey: map[K]*slot[K, V]{}, accounts: map[string]*account{}, bounds: b, dropped: dropped}
}

// sweep drops the entries whose end has come.
func (s *shelf[K, V]) sweep(now time.Time) {
	for len(s.byEnd) > 0 && !now.Before(s.byEnd[0].until) {
		s.drop(s.byEnd[0])
	}
}

// put adds an entry of an owner, in the place of others if the shelf is full: to refuse would
// let whoever fills it keep everybody else out. A key in use is fault.Conflict, an
// entry that would not fit an empty shelf fault.Limited.
func (s *shelf[K, V]) put(op, owner string, k K, v V, bytes int, until time.Time, r rank) error {
	if _, taken := s.byKey[k]; taken {
		return hot.Taken(op)
	}
	if bytes > s.bounds.bytes {
		return hot.TooLarge(op)
	}
	for len(s.byKey) >= s.count || s.used()+bytes > s.bounds.bytes {
		s.drop(s.next())
	}
	e := &slot[K, V]{key: k, value: v, until: until, bytes: bytes, rank: r, account: s.accountOf(owner)}
	s.byKey[k] = e
	heap.Push(&s.byEnd, e)
	s.enqueue(e)
	return nil
}

func (s *shelf[K, V]) accountOf(owner string) *account {
	a, known := s.accounts[owner]
	if !known {
		a = &account{owner: owner}
		s.accounts[owner] = a
		heap.Push(&s.byWeight, a)
	}
	return a
}

// used is how many bytes all entries hold.
func (s *shelf[K, V]) used() int { return s.all.bytes() }

// next is the entry that makes room: one of the account that holds most. Who floods the
// shelf so pushes out what is their own, and nobody who holds less than they. Where nobody
// holds much, it is the next of all. The shelf must not be empty.
func (s *shelf[K, V]) next() *slot[K, V] {
	if top := s.byWeight[0]; top.weight > 0 {
		return top.next(s.reserve).(*slot[K, V])
	}
	return s.all.next(s.reserve).(*slot[K, V])
}

func (s *shelf[K, V]) get(k K) (*slot[K, V], bool) {
	e, ok := s.byKey[k]
	return e, ok
}

// resize says that an entry has shrunk or grown.
func (s *shelf[K, V]) resize(e *slot[K, V], bytes int) {
	s.all[e.rank].bytes += bytes - e.bytes
	e.account.lot[e.rank].bytes += bytes - e.bytes
	e.bytes = bytes
	s.weighAgain(e.account)
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
	if a := e.account; a.count() == 0 {
		heap.Remove(&s.byWeight, a.at)
		delete(s.accounts, a.owner)
	}
	delete(s.byKey, e.key)
	s.dropped(e.value)
}

func (s *shelf[K, V]) enqueue(e *slot[K, V]) {
	all, own := &s.all[e.rank], &e.account.lot[e.rank]
	e.place, e.own = all.PushBack(e), own.PushBack(e)
	all.bytes += e.bytes
	own.bytes += e.bytes
	s.weighAgain(e.account)
}

func (s *shelf[K, V]) dequeue(e *slot[K, V]) {
	all, own := &s.all[e.rank], &e.account.lot[e.rank]
	all.Remove(e.place)
	own.Remove(e.own)
	all.bytes -= e.bytes
	own.bytes -= e.bytes
	s.weighAgain(e.account)
}

func (s *shelf[K, V]) weighAgain(a *account) {
	if w := s.weigh(a); w != a.weight {
		a.weight = w
		heap.Fix(&s.byWeight, a.at)
	}
}

// heaviest is a heap of accounts, the one that holds most first.
type heaviest []*account

func (h heaviest) Len() int           { return len(h) }
func (h heaviest) Less(i, j int) bool { return h[i].weight > h[j].weight }
func (h heaviest) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }

// Push implements heap.Interface.
func (h *heaviest) Push(x any) {
	a := x.(*account)
	a.at = len(*h)
	*h = append(*h, a)
}

// Pop implements heap.Interface.
func (h *heaviest) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return a
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
