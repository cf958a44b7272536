package steward

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// fill puts reviews of ten items each into a store; the newest of them are open.
func (w *world) fill(reviews int) (last access.ReviewID) {
	w.t.Helper()
	at, host := w.scope("southern/banksia"), w.scope(".")
	for from := 0; from < reviews; from += 100 {
		err := w.store.Update(w.ctx, func(tx *store.Tx) error {
			for n := from; n < min(from+100, reviews); n++ {
				r := review.Begin(access.ReviewID(fmt.Sprintf("rev_%08d", n)), review.Cause{Trigger: review.ByHand, Name: "filled", Within: 30 * 24 * time.Hour}, w.clock.Now())
				if err := tx.OpenReview(r); err != nil {
					return err
				}
				var items []review.Item
				for p := range 10 {
					h := review.Held{Connection: banksia, Person: access.PersonID(fmt.Sprintf("per_%d", p)), Grant: access.Standard, Scope: at, Level: access.Account, Risk: access.Risk(p % 3)}
					items = append(items, review.Item{Held: h, Placed: []access.ScopeID{at, host}})
				}
				if _, err := tx.AddReviewItems(r.ID, items); err != nil {
					return err
				}
				if err := tx.MoveReview(r.Opened(w.clock.Now())); err != nil {
					return err
				}
				last = r.ID
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return last
}

// BenchmarkReviews: what is asked of reviews costs the same, however many there are.
func BenchmarkReviews(b *testing.B) {
	for _, size := range []int{100, 10_000} {
		w := newWorld(b)
		reviewer := w.acts(banksia, w.person(banksia, "Ada", accountAdmins), access.Administrator)
		last := w.fill(size)
		for _, c := range []struct {
			name string
			do   func() error
		}{
			{"list", func() error { _, err := w.steward.Reviews(w.ctx, theOperator, "", 50); return err }},
			{"list-of-a-scope", func() error { _, err := w.steward.Reviews(w.ctx, reviewer, "", 50); return err }},
			{"cards", func() error { _, err := w.steward.Cards(w.ctx, reviewer, last, CardQuery{Count: 10}); return err }},
			{"tick", func() error { return w.steward.TickReviews(w.ctx) }},
		} {
			b.Run(fmt.Sprintf("%s/reviews=%d", c.name, size), func(b *testing.B) {
				for b.Loop() {
					if err := c.do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
