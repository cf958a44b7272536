package bridge

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// maxObserved bounds what waits to be written. What comes beyond it is not observed: the
// same happens again, if it matters.
const maxObserved = 10_000

// observedAgain is how soon the same is noted anew.
const observedAgain = time.Hour

// handovers is what happened with assignments that people gave, for their check-lists. It
// costs whoever makes a token a look at the assignment's sources and, for what people gave,
// entries of a map; Run writes them down.
type handovers struct {
	mu      sync.Mutex // guards the rest
	hour    time.Time
	seen    map[store.Observation]bool // noted within the hour
	waiting map[store.Observation]time.Time
}

func (h *handovers) note(o store.Observation, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hour := now.Truncate(observedAgain); !hour.Equal(h.hour) || len(h.seen) >= 10*maxObserved {
		h.hour, h.seen = hour, map[store.Observation]bool{}
	}
	if h.seen[o] || len(h.waiting) >= maxObserved {
		return
	}
	if h.waiting == nil {
		h.waiting = map[store.Observation]time.Time{}
	}
	h.seen[o], h.waiting[o] = true, now
}

// take takes some of what waits.
func (h *handovers) take() map[store.Observation]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	some := map[store.Observation]time.Time{}
	for o, when := range h.waiting {
		if len(some) == usesAtOnce {
			break
		}
		some[o] = when
		delete(h.waiting, o)
	}
	return some
}

// putBack lets wait what could not be written.
func (h *handovers) putBack(some map[store.Observation]time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for o, when := range some {
		if len(h.waiting) < maxObserved {
			h.waiting[o] = when
		}
	}
}

// byPeople reports whether people are behind an assignment.
func byPeople(a access.Assignment) bool {
	return slices.ContainsFunc(a.Sources, func(s access.Source) bool { return s.Kind != access.SourceRule })
}

// minted observes a token that stands on an assignment: what was asked for, and what of it
// the token opens.
func (h *handovers) minted(conn access.ConnectionID, a access.Assignment, asked, opened []string, now time.Time) {
	if !byPeople(a) {
		return
	}
	h.note(store.Observation{Connection: conn, Assignment: a.ID, Kind: store.SeenToken}, now)
	for _, s := range asked {
		w := access.Workflow(s)
		if !slices.Contains(access.Workflows(), w) {
			continue
		}
		kind := store.SeenRefused
		if slices.Contains(opened, s) {
			kind = store.SeenOpened
		}
		h.note(store.Observation{Connection: conn, Assignment: a.ID, Kind: kind, What: w}, now)
	}
}

// denied observes that an application was told that something may not be done by an
// assignment: because its grant does not open that, or because it lies elsewhere.
func (h *handovers) denied(conn access.ConnectionID, a access.Assignment, action string, opens bool, now time.Time) {
	if !byPeople(a) {
		return
	}
	o := store.Observation{Connection: conn, Assignment: a.ID, Kind: store.SeenOutside}
	if w := access.Workflow(action); !opens && slices.Contains(access.Workflows(), w) {
		o.Kind, o.What = store.SeenRefused, w
	}
	h.note(o, now)
}

func (b *Bridge) writeHandovers(ctx context.Context) error {
	for {
		some := b.handovers.take()
		if len(some) == 0 {
			return nil
		}
		err := b.store.Update(ctx, func(tx *store.Tx) error {
			for o, when := range some {
				if err := tx.Observe(o, when); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.handovers.putBack(some)
			return err
		}
	}
}
