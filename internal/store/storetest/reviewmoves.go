package storetest

import (
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// What is under review lies where its scope does: counted there from the transaction of the
// move on, its cards as soon as they are placed. Scopes that move with, out of and into each
// other are counted once; what has ended stays where it was looked at.
func testReviewMoves(t *testing.T, f *fixture) {
	for _, id := range []access.ReviewID{"rev_1", "rev_2", "rev_3"} {
		f.openReview(id, review.Cause{Trigger: review.ByHand}, day)
	}
	for _, id := range []access.ReviewID{"rev_1", "rev_3"} {
		f.update(func(tx *store.Tx) error {
			_, err := tx.AddReviewItems(id, []review.Item{
				itemOf(north, "per_1", access.Standard, "fleet", access.RiskLow, "account", "host"),
				itemOf(north, "per_1", access.Elevated, "account", access.RiskHigh, "host"),
				itemOf(north, "per_2", access.Standard, "fleet", access.RiskLow, "account", "host"),
			})
			return err
		})
	}
	ended, err := review.Review{}, error(nil)
	f.view(func(v *store.View) error { ended, err = v.Review("rev_3"); return err })
	ended.State = review.Ended
	f.update(func(tx *store.Tx) error { return tx.MoveReview(ended) })
	f.update(func(tx *store.Tx) error { // the fleet to another account, and the account below a provider, where the other one lies
		return tx.MoveReviewScopes([]store.ScopeMove{
			{Scope: "account", Was: []access.ScopeID{"host"}, Now: []access.ScopeID{"provider", "host"}},
			{Scope: "fleet", Was: []access.ScopeID{"account", "host"}, Now: []access.ScopeID{"provider", "other", "host"}},
		})
	})
	f.placesAre("rev_1", "fleet 2/2, account 1/1, other 2/2, provider 3/3, host 3/3")
	f.placesAre("rev_3", "fleet 2/2, account 3/3, other 0/0, provider 0/0, host 3/3")
	covering := func(at access.ScopeID) []access.ScopeID {
		return map[access.ScopeID][]access.ScopeID{"account": {"account", "provider", "host"}, "fleet": {"fleet", "provider", "other", "host"}}[at]
	}
	f.view(func(v *store.View) error {
		moves, err := v.ReviewMoves(10)
		_, moving, err2 := v.ReviewMove("rev_3")
		if fmt.Sprint(moves, moving, err, err2) != "[{rev_1 {   }}] false <nil> <nil>" {
			t.Errorf("to be placed anew: %v, %t (%v, %v)", moves, moving, err, err2)
		}
		return nil
	})
	for range 2 {
		for _, p := range []access.PersonID{"per_1", "per_2", "per_9"} {
			f.update(func(tx *store.Tx) error { return tx.PlaceReviewItems("rev_1", north, p, covering) })
		}
	}
	f.view(func(v *store.View) error {
		for scope, want := range map[access.ScopeID]int{"account": 1, "other": 2, "provider": 2, "host": 2} {
			cards, err := v.ReviewCards("rev_1", scope, store.CardPlace{Rank: -1}, false, 10)
			if err != nil || len(cards) != want {
				t.Errorf("at %s there are %+v (%v)", scope, cards, err)
			}
		}
		other, err := v.ReviewCards("rev_1", "other", store.CardPlace{Rank: -1}, false, 1)
		provider, err2 := v.ReviewCards("rev_1", "provider", store.CardPlace{Rank: -1}, false, 1)
		if err != nil || err2 != nil || other[0].Items != 1 || provider[0].Items != 2 || other[0].Rank <= provider[0].Rank {
			t.Errorf("the riskiest are %+v, %+v (%v, %v)", other, provider, err, err2)
		}
		return nil
	})
	f.answerMoved()
	f.placesAre("rev_1", "fleet 2/1, account 1/1, other 2/1, provider 3/2, host 3/2")
	after := store.ItemPlace{Connection: north, Person: "per_1"}
	f.update(func(tx *store.Tx) error {
		return tx.PutReviewMove(store.ReviewMove{Review: "rev_1", After: after}, false)
	})
	f.view(func(v *store.View) error {
		if m, moving, err := v.ReviewMove("rev_1"); !moving || m.After != after || err != nil {
			t.Errorf("%+v, %t (%v)", m, moving, err)
		}
		return nil
	})
	f.update(func(tx *store.Tx) error { return tx.PutReviewMove(store.ReviewMove{Review: "rev_1"}, true) })
	f.view(func(v *store.View) error {
		if _, moving, err := v.ReviewMove("rev_1"); moving || err != nil {
			t.Errorf("it moves still (%v)", err)
		}
		return nil
	})
}

// answerMoved answers what one person has under review in the fleet.
func (f *fixture) answerMoved() {
	f.t.Helper()
	f.update(func(tx *store.Tx) error {
		items, err := tx.ReviewItemsOf("rev_1", north, "per_2")
		if err != nil {
			return err
		}
		return tx.AnswerReviewItem(items[0], review.Answer{Verdict: review.Keep, At: day})
	})
}

// placesAre compares how much of a review lies at or below scopes.
func (f *fixture) placesAre(id access.ReviewID, want string) {
	f.t.Helper()
	got := ""
	f.view(func(v *store.View) error {
		for n, scope := range []access.ScopeID{"fleet", "account", "other", "provider", "host"} {
			c, err := v.ReviewAt(id, scope)
			if err != nil {
				return err
			}
			if n > 0 {
				got += ", "
			}
			got += fmt.Sprintf("%s %d/%d", scope, c.Items, c.Open)
		}
		return nil
	})
	if got != want {
		f.t.Errorf("of %s lie %s, want %s", id, got, want)
	}
}
