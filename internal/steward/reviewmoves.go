package steward

import (
	"context"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// placeItems is how many items one transaction looks at to place them anew.
const placeItems = 200

// covering is a scope with all that covers it; nil if the tree does not know it.
func covering(t *access.Tree, id access.ScopeID) []access.ScopeID {
	if _, known := t.Scope(id); !known {
		return nil
	}
	return append([]access.ScopeID{id}, t.Ancestors(id)...)
}

// place places the next cards of a review where their items lie now, since a scope has
// moved. It says whether there is more.
func (s *Steward) place(ctx context.Context, id access.ReviewID) (more bool, err error) {
	return more, s.bridge.Deciding(ctx, event.ByBridge, func(d *bridge.Deciding) error {
		m, moving, err := d.Tx().ReviewMove(id)
		if err != nil || !moving {
			more = false
			return err
		}
		items, err := d.Tx().ReviewItems(id, m.After, placeItems)
		if err != nil {
			return err
		}
		for n, i := range items {
			if n > 0 && items[n-1].Connection == i.Connection && items[n-1].Person == i.Person {
				continue
			}
			if err := placePerson(d, i); err != nil {
				return err
			}
		}
		if more = len(items) == placeItems; more {
			m.After = store.PlaceOf(items[len(items)-1])
		}
		return d.Tx().PutReviewMove(m, !more)
	})
}

// placePerson places what somebody has under review where it lies now.
func placePerson(d *bridge.Deciding, i review.Item) error {
	tree := d.Policy().Tree()
	return d.Tx().PlaceReviewItems(i.Review, i.Connection, i.Person, func(at access.ScopeID) []access.ScopeID { return covering(tree, at) })
}

// placedNow places an item that is about to be answered where it lies now, so that it is
// counted there.
func placedNow(d *bridge.Deciding, i *review.Item) error {
	now := covering(d.Policy().Tree(), i.Scope)
	if now == nil || slices.Equal(now, i.Placed) {
		return nil
	}
	i.Placed = now
	return placePerson(d, *i)
}
