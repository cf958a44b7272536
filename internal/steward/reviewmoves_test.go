package steward

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// move puts a scope under another, as somebody who planned it does.
func (w *world) move(path, under string) {
	w.t.Helper()
	if !w.moves(w.scope(path), w.scope(under)) {
		w.t.Fatalf("%s cannot be moved to %s", path, under)
	}
	w.recompute()
}

// treeInStore keeps the scope tree in the store, where scopes can be moved.
func (w *world) treeInStore() {
	w.t.Helper()
	p := worldPolicy(w.t)
	tree, err := access.NewTree(p.Scopes)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range p.Connections {
		c := &p.Connections[i]
		c.Root, c.Ceiling.Scope = mapping.ProvisionalID(tree.Path(c.Root)), mapping.ProvisionalID(tree.Path(c.Ceiling.Scope))
	}
	p.Scopes, p.TreeInStore = p.Scopes[:1], true
	w.apply(p)
	w.recompute()
}

// seen is what somebody sees of a review: the counts, and of each card the paths.
func (w *world) seen(a Actor, id access.ReviewID) string {
	w.t.Helper()
	one, err := w.steward.Review(w.ctx, a, id)
	listed, err2 := w.steward.Reviews(w.ctx, a, "", 0)
	if err2 != nil {
		w.t.Fatal(err2)
	}
	for _, r := range listed.Reviews {
		if r.ID == id && r.Counts.Items != one.Counts.Items {
			w.t.Errorf("listed with %+v, shown with %+v", r.Counts, one.Counts)
		}
		if r.ID == id && err != nil {
			w.t.Errorf("listed, and not there: %v", err)
		}
	}
	_, err2 = w.steward.Cards(w.ctx, a, id, CardQuery{})
	if fault.Is(err, fault.NotFound) && fault.Is(err2, fault.NotFound) {
		return "not there"
	}
	if err != nil || err2 != nil {
		w.t.Fatal(err, err2)
	}
	var said []string
	for _, c := range w.cards(a, id) {
		var paths []string
		for _, i := range c.Items {
			paths = append(paths, i.Area.Path)
		}
		said = append(said, fmt.Sprintf("%s: %s", c.For.DisplayName, strings.Join(paths, ", ")))
	}
	slices.Sort(said)
	return fmt.Sprintf("%d/%d %s", one.Counts.Items, one.Counts.Open, strings.Join(said, "; "))
}

// What is under review goes with its scope: whoever administers the new place finds it in
// the instant of the move, and decides it; whoever administered the old one does not, with
// all workers stopped and afterwards. The move begins a review of its own.
func TestAReviewFollowsAMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.treeInStore()
	ada := w.acts(banksia, w.person(banksia, "Ada", accountAdmins), access.Administrator)
	rita := w.person(southern, "Rita")
	w.permit(southern, rita, access.Administrator, "southern/reefline", access.Permit{})
	ritaActs := w.acts(southern, rita, access.Administrator)
	gus, kim := w.person(banksia, "Gus"), w.person(banksia, "Kim", geelongManagers)
	w.permit(banksia, gus, access.Standard, "southern/banksia/hobart", access.Permit{})
	w.permit(banksia, kim, access.Standard, "southern/banksia/hobart", access.Permit{})
	one := w.review(theOperator, NewReview{Area: "southern/banksia"})
	other := w.review(theOperator, NewReview{Area: "southern/banksia/geelong"})
	over := w.review(theOperator, NewReview{Area: "southern/banksia/hobart"})
	if _, err := w.steward.CloseReview(w.ctx, theOperator, over.ID, true); err != nil {
		t.Fatal(err)
	}
	if got := w.seen(ritaActs, one.ID); got != "not there" {
		t.Errorf("before the move Rita sees %s", got)
	}
	w.clock.Add(time.Minute)
	w.move("southern/banksia/hobart", "southern/reefline")
	for _, when := range []string{"at once", "once all cards are placed"} {
		if got := w.seen(ada, one.ID); got != "2/2 Ada: southern/banksia; Kim: southern/banksia/geelong" {
			t.Errorf("%s Ada sees %s", when, got)
		}
		if got := w.seen(ritaActs, one.ID); got != "2/2 Gus: southern/reefline/hobart; Kim: southern/reefline/hobart" {
			t.Errorf("%s Rita sees %s", when, got)
		}
		if got := w.seen(ritaActs, other.ID); got != "not there" {
			t.Errorf("%s Rita sees of Geelong's %s", when, got)
		}
		w.tickReviews()
	}
	w.placedAsHeld(one.ID)
	card := cardOf(t, w.cards(ritaActs, one.ID), gus)
	if _, err := w.steward.DecideReview(w.ctx, ada, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: card.Items[0].ID}}}); !fault.Is(err, fault.NotFound) {
		t.Errorf("who administered the old place decides: %v", err)
	}
	if _, err := w.steward.DecideReview(w.ctx, ritaActs, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: card.Items[0].ID}}}); err != nil {
		t.Errorf("who administers the new place: %v", err)
	}
	if got := w.seen(ritaActs, one.ID); !strings.HasPrefix(got, "2/1 ") {
		t.Errorf("after a decision Rita sees %s", got)
	}
	if n := w.said(event.ReviewStarted, ""); n != 4 {
		t.Errorf("%d reviews began, want three by hand and one by the move", n)
	}
	page, err := w.steward.Reviews(w.ctx, theOperator, "", 0)
	if err != nil || page.Reviews[0].Trigger != review.ByScope || page.Reviews[0].State != review.Open || page.Reviews[0].Counts.Items != 2 {
		t.Errorf("of the move there is %+v (%v)", page.Reviews[0], err)
	}
	if got := w.seen(ritaActs, page.Reviews[0].ID); got != "2/2 Gus: southern/reefline/hobart; Kim: southern/reefline/hobart" {
		t.Errorf("of the move's review Rita sees %s", got)
	}
}

// What is decided between a move and the placing of the cards is counted where it lies now.
func TestADecisionBeforeTheCardsArePlaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.treeInStore()
	rita := w.person(southern, "Rita")
	w.permit(southern, rita, access.Administrator, "southern/reefline", access.Permit{})
	ritaActs := w.acts(southern, rita, access.Administrator)
	gus := w.person(banksia, "Gus", geelongManagers)
	w.permit(banksia, gus, access.Standard, "southern/banksia/hobart", access.Permit{})
	one := w.review(theOperator, NewReview{})
	w.move("southern/banksia/hobart", "southern/reefline")
	w.move("southern/reefline", "boreal") // the account that it has come to, too
	card := cardOf(t, w.cards(ritaActs, one.ID), gus)
	if _, err := w.steward.DecideReview(w.ctx, ritaActs, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: card.Items[0].ID}}}); err != nil {
		t.Fatal(err)
	}
	w.tickReviews()
	w.placedAsHeld(one.ID)
}

// placedAsHeld compares what lies where, and what is undecided there, with the items under
// the tree of now.
func (w *world) placedAsHeld(id access.ReviewID) {
	w.t.Helper()
	want, got := map[access.ScopeID]review.Counts{}, map[access.ScopeID]review.Counts{}
	err := w.store.View(w.ctx, func(v *store.View) error {
		if _, moving, err := v.ReviewMove(id); moving || err != nil {
			w.t.Errorf("cards are being placed still (%v)", err)
		}
		items, err := v.ReviewItems(id, store.ItemPlace{}, 1000)
		if err != nil {
			return err
		}
		tree := w.tree()
		for _, i := range items {
			for _, s := range covering(tree, i.Scope) {
				c := want[s]
				c.Items++
				if i.Answer.Verdict == review.Undecided {
					c.Open++
				}
				want[s] = c
			}
		}
		for _, s := range tree.Under(w.scope(".")) {
			c, err := v.ReviewAt(id, s)
			if err != nil {
				return err
			}
			if c != (review.Counts{}) {
				got[s] = c
			}
			cards, err := v.ReviewCards(id, s, store.CardPlace{Rank: -1}, false, 1000)
			if err != nil {
				return err
			}
			var sum review.Counts
			for _, card := range cards {
				sum.Items, sum.Open = sum.Items+card.Items, sum.Open+card.Undecided
			}
			if sum != c {
				w.t.Errorf("at %s the cards count %+v, the place %+v", tree.Path(s), sum, c)
			}
		}
		return nil
	})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("placed %v, want %v (%v)", got, want, err)
	}
}

func (w *world) tree() (t *access.Tree) {
	w.t.Helper()
	if err := w.bridge.Reading(w.ctx, func(_ *store.View, p *mapping.Policy, _ time.Time) error { t = p.Tree(); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return t
}
