package store

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/lease"
	"github.com/drawbridge-id/drawbridge/internal/planted"
)

const (
	// mostSeen is how many pieces of news are announced again for one transaction; for more, it
	// waits out every lease.
	mostSeen = 64
	// mostTold bounds how many pieces are remembered of which this node knows that all know them.
	mostTold = 4096
)

// Confirm says that something which was asked for was so before, though the transaction may have
// changed something else: the answer waits for what has made it so. Of a transaction that has
// changed nothing this is known.
func (tx *Tx) Confirm() { tx.idle = true }

// About says that the transaction answers for nobody but one person of its connection: if it
// changes nothing, what others have done to other people does not matter to it. It does not
// hold for a transaction of several Steps.
func (tx *Tx) About(person access.PersonID) { tx.about = person }

// mayHaveSeen reports whether what a transaction answers may rest on what another one has changed:
// it, or a Step of it, has changed nothing, or was refused. What failed answers nothing.
func (tx *Tx) mayHaveSeen(err error) bool {
	switch {
	case err == nil:
		return tx.idle
	case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Internal):
		return false
	}
	return true
}

// awaitSeen makes known what a transaction may have found changed, as await does with what it has
// changed itself. Whoever repeats a request whose answer was lost changes nothing, and is told that
// it is done; the one that did it may not have been waited for.
func (s *Store) awaitSeen(ctx context.Context, lane access.ConnectionID, tx *Tx, asked time.Time) {
	if planted.Bug(planted.RetryUnawaited) || !s.shared || ctx.Value(behind{}) != nil {
		return
	}
	ctx, cancel := untilLongest(ctx, asked)
	defer cancel()
	peers := s.peers.Load()
	if peers == nil {
		s.outwait(ctx, asked)
		return
	}
	late, err := s.latest.do(ctx)
	if err != nil || !late.whole { // what there is cannot be told
		late.news = []News{{Refs: []byte(`[{"k":"` + refAll + `"}]`)}}
	}
	seen := slices.DeleteFunc(slices.Clone(late.news), func(n News) bool { return !tx.concernedBy(lane, n) })
	if len(seen) == 0 {
		return
	}
	if s.apply(ctx, seen) != nil {
		(*peers).Lapse()
	}
	if err != nil || !late.whole || len(seen) > mostSeen {
		(*peers).Outwait(asked)
	} else {
		(*peers).Await(asked, seen...)
	}
	s.known.tell(late.history, seen...)
}

// concernedBy reports whether a transaction on behalf of a connection ("": of nobody) may have read
// what one has changed that wrote these news.
func (tx *Tx) concernedBy(lane access.ConnectionID, n News) bool {
	var refs []ref
	if json.Unmarshal(n.Refs, &refs) != nil {
		return true // a later version's, perhaps
	}
	return slices.ContainsFunc(refs, func(r ref) bool {
		switch {
		case r.Connection != "" && lane != "" && r.Connection != lane:
			return false
		case r.wide():
			return true
		case tx.about == "" || tx.steps:
			return true
		}
		return r.Kind == refPerson && r.ID == string(tx.about)
	})
}

// late is the news that somebody may not know yet. Not whole: there are more, or it cannot be told.
type late struct {
	news    []News
	whole   bool
	history string // in which they have their ids
}

// readLate reads it, by one snapshot. Of another history it is not whole: numbers mean others there.
func (s *Store) readLate(ctx context.Context) (l late, err error) {
	from, found := s.known.from(time.Now())
	if !found {
		return l, nil
	}
	var now Position
	err = s.aside(ctx, false, func(q Querier) (err error) {
		v := s.over(ctx, q)
		if now, err = v.position(); err != nil {
			return err
		}
		l.news, err = list(v, "store.late", scanNews, newsColumns+`txid >= $1 order by txid, id limit $2`, from.lowest(), newsPage)
		return err
	})
	l.history = now.history
	l.whole = len(l.news) < newsPage && from.sameHistory(now)
	l.news = s.known.without(l.news, from)
	return l, err
}

// known is which news all nodes know, as far as this one can tell: it has waited for them
// itself, or has seen them so long ago that nobody can believe what was before. It is of one history:
// a server that has taken over gives ids of news again that its predecessor had given.
type known struct {
	mu           sync.Mutex // guards what follows
	polls        []seenAt   // the oldest first
	told, before map[int64]bool
}

type seenAt struct {
	place Position
	at    time.Time // after it was read
}

// polled says that this node has just read the news up to a place.
func (k *known) polled(p Position, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.polls); n > 0 && !p.sameHistory(k.polls[n-1].place) { // its numbers mean others now
		k.polls, k.told, k.before = nil, nil, nil
	}
	if n := len(k.polls); n == 0 || now.Sub(k.polls[n-1].at) >= lease.Every {
		k.polls = append(k.polls, seenAt{p, now})
	}
	k.forget(now)
}

// forget drops the polls before the last that is as old as any lease.
func (k *known) forget(now time.Time) {
	for len(k.polls) > 1 && now.Sub(k.polls[1].at) >= lease.Longest {
		k.polls = k.polls[1:]
	}
}

// from is the latest place up to which nobody can be without the news.
func (k *known) from(now time.Time) (Position, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(now)
	if len(k.polls) == 0 || now.Sub(k.polls[0].at) < lease.Longest {
		return Position{}, false
	}
	return k.polls[0].place, true
}

// history is that of the latest poll; empty: there was none.
func (k *known) history() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.historyLocked()
}

func (k *known) historyLocked() string {
	if len(k.polls) == 0 {
		return ""
	}
	return k.polls[len(k.polls)-1].place.history
}

// tell says that everybody knows these news, which were written in a history, or read there.
// Whoever has waited for them may hear only afterwards that it is over: they are then nobody's news.
func (k *known) tell(history string, news ...News) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if history == "" || history != k.historyLocked() {
		return
	}
	if k.told == nil || len(k.told) >= mostTold {
		k.told, k.before = make(map[int64]bool), k.told
	}
	for _, n := range news {
		k.told[n.ID] = true
	}
}

// without is those that not everybody is known to know.
func (k *known) without(news []News, from Position) []News {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(news, func(n News) bool { return from.covers(n.txid) || k.told[n.ID] || k.before[n.ID] })
}
