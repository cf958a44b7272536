package steward

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
)

// moves puts a scope under another, if that may be.
func (w *world) moves(id, under access.ScopeID) (done bool) {
	w.t.Helper()
	plan, err := w.bridge.PlanScope(w.ctx, bridge.ScopePlan{Do: bridge.MoveScope, At: string(id), Under: string(under)}, bridge.PlanOptions{})
	if err != nil {
		return false
	}
	how := bridge.ApplyOptions{Author: "ops", Reason: "planned"}
	for _, g := range plan.Guards {
		switch g.Guard {
		case bridge.GuardLosing:
			how.Approvals.Losing = g.Names
		case bridge.GuardWithoutAccess:
			how.Approvals.WithoutAccess = g.Names
		default:
			how.Approvals.Administrators = g.Names
		}
	}
	_, err = w.bridge.ApplyPlan(w.ctx, plan.Hash, how)
	return err == nil
}

// many gives people things at every fleet.
func (w *world) many(n int) (people []access.PersonID) {
	w.t.Helper()
	fleets := []string{"southern/banksia/hobart", "southern/banksia/geelong", "southern/reefline/cairns", "boreal/tundra/lulea"}
	for i := range n {
		p := w.person(lantern, fmt.Sprintf("p%02d", i))
		people = append(people, p)
		for k := range 2 {
			w.permit(lantern, p, access.Standard, fleets[(i+k)%len(fleets)], access.Permit{})
		}
	}
	return people
}

// decideSome decides about one of those that are undecided, wherever it lies.
func (w *world) decideSome(by Actor, id access.ReviewID, r *rand.Rand) {
	page, err := w.steward.Cards(w.ctx, by, id, CardQuery{Open: true})
	if err != nil || len(page.Cards) == 0 {
		return
	}
	card := page.Cards[r.IntN(len(page.Cards))]
	for _, i := range card.Items {
		if i.Verdict == review.Undecided {
			_, err := w.steward.DecideReview(w.ctx, by, id, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: i.ID}}})
			if err != nil && !fault.Is(err, fault.Stale) && !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Denied) {
				w.t.Errorf("deciding: %v", err)
			}
			return
		}
	}
}

// settled does all that time brings to reviews, and compares where everything lies.
func (w *world) settled(ids ...access.ReviewID) {
	w.t.Helper()
	w.recompute()
	for range 6 {
		w.tickReviews()
	}
	for _, id := range ids {
		w.placedAsHeld(id)
	}
}

// Whatever moves where, between chunks of gathering, placing and decisions: in the end each
// item is counted where it lies, and nowhere else.
func TestItemsAreCountedWhereTheyLieWhateverMoved(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 3))
			w := newWorld(t)
			w.treeInStore()
			w.many(12)
			own := w.acts(lantern, w.person(lantern, "Own", serviceOwners), access.Administrator)
			fleets := []access.ScopeID{w.scope("southern/banksia/hobart"), w.scope("southern/banksia/geelong"), w.scope("southern/reefline/cairns"), w.scope("boreal/tundra/lulea")}
			accounts := []access.ScopeID{w.scope("southern/banksia"), w.scope("southern/reefline"), w.scope("boreal/tundra")}
			providers := []access.ScopeID{w.scope("southern"), w.scope("boreal")}
			ids, moved := []access.ReviewID{}, 0
			for range 40 {
				switch r.IntN(8) {
				case 0, 1:
					if w.moves(fleets[r.IntN(len(fleets))], accounts[r.IntN(len(accounts))]) {
						moved++
					}
				case 2:
					if w.moves(accounts[r.IntN(len(accounts))], providers[r.IntN(len(providers))]) {
						moved++
					}
				case 3:
					if one, err := w.steward.StartReview(w.ctx, theOperator, NewReview{}); err == nil && len(ids) < 4 {
						ids = append(ids, one.ID)
					}
				case 4, 5:
					if len(ids) > 0 {
						w.decideSome(own, ids[r.IntN(len(ids))], r)
					}
				default:
					w.tickReviews()
				}
			}
			w.settled(ids...)
			if moved < 2 {
				t.Errorf("only %d scopes moved", moved)
			}
			t.Logf("%d reviews, %d moves", len(ids), moved)
		})
	}
}

// Moves, the placing of cards by two bridges, and decisions at once.
func TestMovesAndDecisionsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.treeInStore()
	w.many(8)
	own := w.acts(lantern, w.person(lantern, "Own", serviceOwners), access.Administrator)
	one := w.review(theOperator, NewReview{})
	hobart, banksiaID, reefline := w.scope("southern/banksia/hobart"), w.scope("southern/banksia"), w.scope("southern/reefline")
	var all sync.WaitGroup
	for _, do := range []func(){
		func() { w.moves(hobart, reefline); w.moves(hobart, banksiaID); w.moves(hobart, reefline) },
		func() { r := rand.New(rand.NewPCG(1, 1)); w.decideSome(own, one.ID, r); w.decideSome(own, one.ID, r) },
		func() { r := rand.New(rand.NewPCG(2, 1)); w.decideSome(own, one.ID, r); w.decideSome(own, one.ID, r) },
		func() { w.placesAtOnce(one.ID) }, func() { w.placesAtOnce(one.ID) },
	} {
		all.Go(do)
	}
	all.Wait()
	w.settled(one.ID)
}

func (w *world) placesAtOnce(id access.ReviewID) {
	for range 5 {
		if _, err := w.steward.place(w.ctx, id); err != nil {
			w.t.Errorf("placing: %v", err)
		}
	}
}
