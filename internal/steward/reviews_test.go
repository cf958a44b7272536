package steward

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// permit gives somebody something by people's decision.
func (w *world) permit(c access.ConnectionID, person access.PersonID, grant access.Grant, path string, t access.Permit) access.PermitID {
	w.t.Helper()
	t.Grant, t.Scope, t.Kind, t.Standing = grant, w.scope(path), access.SourceRequest, access.Guest
	t.ID, t.Given = access.PermitID(credential.NewIDAt("prm", w.clock.Now())), w.clock.Now()
	if t.Request == "" {
		t.Request = access.RequestID(credential.NewIDAt("req", w.clock.Now()))
	}
	err := w.bridge.Deciding(w.ctx, event.ByPerson, func(d *bridge.Deciding) error {
		p, err := d.Settled(c, person)
		if err != nil {
			return err
		}
		dir, err := d.In(c)
		if err != nil {
			return err
		}
		if err := dir.PutPermit(p, t); err != nil {
			return err
		}
		if p, err = dir.Person(person); err != nil {
			return err
		}
		return d.Decide(c, p)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return t.ID
}

// holds lists what somebody holds, by grant and path.
func (w *world) holds(c access.ConnectionID, person access.PersonID) string {
	w.t.Helper()
	var all []string
	err := w.bridge.Reading(w.ctx, func(_ *store.View, p *mapping.Policy, _ time.Time) error {
		all = nil
		for _, a := range w.held(c, person) {
			all = append(all, fmt.Sprintf("%s @ %s", a.Grant, p.Tree().Path(a.Scope)))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(all, ", ")
}

func (w *world) tickReviews() {
	w.t.Helper()
	if err := w.steward.TickReviews(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// review begins a review by hand, and gathers it.
func (w *world) review(a Actor, in NewReview) ReviewView {
	w.t.Helper()
	one, err := w.steward.StartReview(w.ctx, a, in)
	if err != nil {
		w.t.Fatal(err)
	}
	for range 100 {
		w.tickReviews()
		if one, err = w.steward.Review(w.ctx, a, one.ID); err != nil {
			w.t.Fatal(err)
		}
		if one.State != review.Gathering {
			return one
		}
	}
	w.t.Fatal("it is gathered for ever")
	return one
}

func (w *world) cards(a Actor, id access.ReviewID) []CardView {
	w.t.Helper()
	page, err := w.steward.Cards(w.ctx, a, id, CardQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Cards
}

// item is the item of a card for a grant at a path.
func (c CardView) item(t testing.TB, grant access.Grant, path string) ItemView {
	t.Helper()
	for _, i := range c.Items {
		if i.Grant == grant && i.Area.Path == path {
			return i
		}
	}
	t.Fatalf("%s @ %s is not on the card of %s: %+v", grant, path, c.For.UserName, c.Items)
	return ItemView{}
}

func cardOf(t testing.TB, all []CardView, person access.PersonID) CardView {
	t.Helper()
	for _, c := range all {
		if c.For.Person == person {
			return c
		}
	}
	t.Fatalf("there is no card of %s", person)
	return CardView{}
}

var theOperator = Actor{Operator: "night shift"}

// A review of an account: what people gave ends at once when it is removed, what a rule
// gives is withheld, and what is kept stays; nothing of it is decided twice.
func TestDecisionsOfAReview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.person(banksia, "Ada", accountAdmins)
	guest := w.person(banksia, "Gus", geelongManagers)
	w.permit(banksia, guest, access.Standard, "southern/banksia/hobart", access.Permit{Case: "CASE-7", Until: w.clock.Now().Add(30 * 24 * time.Hour)})
	reviewer := w.acts(banksia, admin, access.Administrator)
	one := w.review(theOperator, NewReview{Name: "spring", Area: "southern/banksia"})
	if one.Counts.Items != 3 || one.State != review.Open {
		t.Fatalf("the review is %+v", one)
	}
	card := cardOf(t, w.cards(reviewer, one.ID), guest)
	byPeople, byRule := card.item(t, access.Standard, "southern/banksia/hobart"), card.item(t, access.Standard, "southern/banksia/geelong")
	if !strings.Contains(byPeople.Why[0].Text, "for case CASE-7") || !strings.Contains(byRule.Why[0].Text, geelongManagers) || !byRule.AtIdP || byPeople.AtIdP {
		t.Errorf("why they have it: %+v, %+v", byPeople, byRule)
	}
	if _, err := w.steward.DecideReview(w.ctx, theOperator, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: byPeople.ID}}}); fault.ReasonOf(err) != ReasonNeedsPerson {
		t.Errorf("the operator decided: %v", err)
	}
	done, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Remove, Comment: "project is over", Items: []ItemSeen{{ID: byPeople.ID}, {ID: byRule.ID}}})
	if err != nil || len(done) != 2 {
		t.Fatalf("removed %+v: %v", done, err)
	}
	if got := w.holds(banksia, guest); got != "" {
		t.Errorf("after the removal %s", got)
	}
	if !strings.Contains(done[1].Decided.Text, "identity provider") || strings.Contains(done[0].Decided.Text, "identity provider") {
		t.Errorf("said of them: %q, %q", done[0].Decided.Text, done[1].Decided.Text)
	}
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Keep, Items: []ItemSeen{{ID: byRule.ID, Seen: byRule.Seen}}}); fault.ReasonOf(err) != ReasonAlreadyDecided {
		t.Errorf("decided twice: %v", err)
	}
	own := cardOf(t, w.cards(reviewer, one.ID), admin)
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Keep, Items: []ItemSeen{{ID: own.Items[0].ID, Seen: own.Items[0].Seen}}}); !own.Own || fault.ReasonOf(err) != ReasonOwnReview {
		t.Errorf("decided about themselves: %v", err)
	}
}
