package redis

import (
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/planted"
)

// redeemed remembers, of the codes that this node has redeemed and whose families it has yet to
// store, the mark under which it would have been told that one must not be. It is the one place
// where Redis's having nothing says yes: had it lost what it had meanwhile, a code that was replayed
// would get its family after all.
type redeemed struct {
	mu    sync.Mutex // guards what follows
	under map[string]redemption
	order []string // families, the oldest first
}

type redemption struct {
	mark mark
	at   time.Time // by this node's clock, for tidying
}

// mostRedeemed bounds what is remembered: a family is stored within a second or never.
const mostRedeemed = 100_000

func newRedeemed() *redeemed { return &redeemed{under: map[string]redemption{}} }

func (r *redeemed) note(family string, m mark, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 && (len(r.order) >= mostRedeemed || now.Sub(r.under[r.order[0]].at) > hot.CodeMemory) {
		delete(r.under, r.order[0])
		r.order = r.order[1:]
	}
	if _, known := r.under[family]; !known {
		r.order = append(r.order, family)
	}
	r.under[family] = redemption{m, now}
}

// holds reports whether nothing can have been lost since a family's code was redeemed here; yes
// for one that was not.
func (r *redeemed) holds(family string, m mark) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, known := r.under[family]
	if planted.Bug(planted.RedisNothingAllows) {
		return true
	}
	return !known || was.mark.incarnation == m.incarnation
}
