package steward

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// said counts the events of a type that name a review.
func (w *world) said(t event.Type, id access.ReviewID) (n int) {
	w.t.Helper()
	err := w.store.View(w.ctx, func(v *store.View) error {
		for after := int64(0); ; {
			rows, err := v.Outbox(after, 1000)
			if err != nil || len(rows) == 0 {
				return err
			}
			for _, row := range rows {
				after = row.ID
				if strings.Contains(string(row.Body), `"type":"`+string(t)+`"`) && (id == "" || strings.Contains(string(row.Body), `"`+string(id)+`"`)) {
					n++
				}
			}
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) get(id access.ReviewID) ReviewView {
	w.t.Helper()
	r, err := w.steward.Review(w.ctx, theOperator, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// Reviewers are reminded once for each instant, and at the deadline it is over: with all
// workers stopped nothing is decided any more, and once they run what nobody answered is
// removed, but for the last administrator, who is kept.
func TestAReviewEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.person(banksia, "Ada", accountAdmins)
	guest := w.person(banksia, "Gus", geelongManagers)
	w.permit(banksia, guest, access.Standard, "southern/banksia/hobart", access.Permit{})
	reviewer := w.acts(banksia, admin, access.Administrator)
	one := w.review(theOperator, NewReview{Area: "southern/banksia", Unanswered: mapping.RemoveUnanswered})
	item := cardOf(t, w.cards(reviewer, one.ID), guest).Items[0]
	for _, step := range []struct {
		to   time.Duration // before the deadline
		want int
	}{{7*24*time.Hour + time.Millisecond, 0}, {7 * 24 * time.Hour, 1}, {25 * time.Hour, 1}, {24 * time.Hour, 2}, {time.Millisecond, 2}} {
		w.clock.Add(one.Deadline.Add(-step.to).Sub(w.clock.Now()))
		w.tickReviews()
		w.tickReviews()
		if got := w.said(event.ReviewReminded, one.ID); got != step.want {
			t.Errorf("%s before the end they were reminded %d times, want %d", step.to, got, step.want)
		}
	}
	if got := w.get(one.ID); got.State != review.Open {
		t.Errorf("a millisecond before its end it is %s", got.State)
	}
	w.clock.Add(time.Millisecond)
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: item.ID}}}); fault.ReasonOf(err) != ReasonReviewOver {
		t.Errorf("decided at the deadline, with all workers stopped: %v", err)
	}
	if got := w.holds(banksia, guest); got == "" {
		t.Error("removed before anything ran")
	}
	w.tickReviews()
	w.tickReviews()
	after := w.get(one.ID)
	if after.State != review.Ended || after.Counts != (review.Counts{Items: 3, Lapsed: 3}) || w.said(event.ReviewEnded, one.ID) != 1 {
		t.Errorf("it has ended as %+v", after)
	}
	if got := w.holds(banksia, guest); got != "" {
		t.Errorf("what nobody answered is held: %s", got)
	}
	if got := w.holds(banksia, admin); got != "administrator @ southern/banksia" {
		t.Errorf("the last administrator holds %q", got)
	}
	var kept []string
	page, err := w.steward.ReviewReport(w.ctx, theOperator, one.ID, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range page.Lines {
		if l.Because == ReasonLastAdministrator {
			kept = append(kept, l.UserName)
		}
	}
	if fmt.Sprint(kept) != "[Ada@banksia.example]" {
		t.Errorf("the report says that %v were kept", kept)
	}
	alarms, err := w.bridge.Raised(w.ctx, banksia)
	if err != nil || len(alarms) != 1 || alarms[0].Kind != bridge.KindLastUnanswered || alarms[0].Count != 1 || alarms[0].Base != 3 || !strings.Contains(bridge.Sentence(alarms[0]), "last administrator") {
		t.Errorf("alarms: %+v (%v)", alarms, err)
	}
	if others, err := w.bridge.Raised(w.ctx, southern); err != nil || len(others) != 0 {
		t.Errorf("alarms of another connection: %+v (%v)", others, err)
	}
}

// The last administrator of a scope goes only with a successor or a confirmation.
func TestTheLastAdministratorIsNotRemovedUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.person(banksia, "Ada", accountAdmins)
	fleet := w.person(banksia, "Finn", hobartAdmins)
	provider := w.person(southern, "Petra", providerAdmins)
	other := w.person(banksia, "Gus", geelongManagers)
	reviewer := w.acts(banksia, admin, access.Administrator)
	one := w.review(theOperator, NewReview{Area: "southern/banksia/hobart"})
	item := cardOf(t, w.cards(reviewer, one.ID), fleet).Items[0]
	if !item.Last {
		t.Error("the card does not say that nobody else administers it")
	}
	decide := func(in Decision) string {
		in.Verdict, in.Items = review.Remove, []ItemSeen{{ID: item.ID}}
		_, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, in)
		return fault.ReasonOf(err)
	}
	if got := decide(Decision{}); got != ReasonLastAdministrator {
		t.Errorf("without a word: %q", got)
	}
	for _, who := range []PersonRef{{banksia, fleet}, {banksia, other}, {banksia, "per_nobody"}, {"nowhere", "per_1"}} {
		if got := decide(Decision{Successor: &who}); got != ReasonNoSuccessor {
			t.Errorf("with %v as successor: %q", who, got)
		}
	}
	if got := decide(Decision{Successor: &PersonRef{southern, provider}}); got != "" || w.holds(banksia, fleet) != "" {
		t.Errorf("with a successor: %q, and they hold %s", got, w.holds(banksia, fleet))
	}
}

// What is kept is what was seen; of high risk nothing is kept at one stroke.
func TestWhatIsKeptIsWhatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.person(banksia, "Ada", accountAdmins)
	guest := w.person(banksia, "Gus", geelongManagers)
	w.permit(banksia, guest, access.Elevated, "southern/banksia/hobart", access.Permit{})
	reviewer := w.acts(banksia, admin, access.Administrator)
	one := w.review(theOperator, NewReview{Area: "southern/banksia"})
	card := cardOf(t, w.cards(reviewer, one.ID), guest)
	if card.Risk != access.RiskHigh || card.Items[0].Grant != access.Elevated && card.Items[1].Grant != access.Elevated {
		t.Fatalf("the card is %+v", card)
	}
	ref := &PersonRef{banksia, guest}
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Keep, Card: ref, Seen: card.Seen}); fault.ReasonOf(err) != ReasonNameEachHighRisk {
		t.Errorf("kept at one stroke: %v", err)
	}
	high, low := card.item(t, access.Elevated, "southern/banksia/hobart"), card.item(t, access.Standard, "southern/banksia/geelong")
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Keep, Items: []ItemSeen{{ID: high.ID}}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("kept without a word about what was seen: %v", err)
	}
	w.permit(banksia, guest, access.Standard, "southern/banksia/geelong", access.Permit{Flags: access.Flags{Video: true}})
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Keep, Items: []ItemSeen{{ID: low.ID, Seen: low.Seen}}}); fault.ReasonOf(err) != ReasonItemChanged {
		t.Errorf("kept what nobody saw: %v", err)
	}
	card = cardOf(t, w.cards(reviewer, one.ID), guest)
	low = card.item(t, access.Standard, "southern/banksia/geelong")
	none := access.Flags{}
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Lower, Flags: &low.Flags, Items: []ItemSeen{{ID: low.ID, Seen: low.Seen}}}); fault.ReasonOf(err) != ReasonNotLower {
		t.Errorf("lowered to the same: %v", err)
	}
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Lower, Flags: &none, Items: []ItemSeen{{ID: low.ID, Seen: low.Seen}}}); err != nil || !low.Changed {
		t.Errorf("lowered: %v; the card said changed %t", err, low.Changed)
	}
	for _, a := range w.held(banksia, guest) {
		if a.Grant == access.Standard && a.Flags != none {
			t.Errorf("after it was lowered %+v", a.Flags)
		}
	}
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Keep, Items: []ItemSeen{{ID: high.ID, Seen: high.Seen}}}); err != nil {
		t.Errorf("kept what was seen: %v", err)
	}
}

// Whoever administers one fleet sees of a review what lies there, decides that alone, and
// of the rest learns only that there is more.
func TestAReviewIsSeenWithinTheOwnScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(banksia, "Ada", accountAdmins)
	fleet := w.person(banksia, "Finn", hobartAdmins)
	guest := w.person(banksia, "Gus", geelongManagers)
	w.permit(banksia, guest, access.Standard, "southern/banksia/hobart", access.Permit{})
	reviewer := w.acts(banksia, fleet, access.Administrator)
	one := w.review(theOperator, NewReview{Area: "southern/banksia"})
	away := w.review(theOperator, NewReview{Area: "southern/banksia/geelong"})
	cards := w.cards(reviewer, one.ID)
	card := cardOf(t, cards, guest)
	if len(cards) != 2 || len(card.Items) != 1 || !card.Elsewhere || card.Items[0].Area.Path != "southern/banksia/hobart" {
		t.Errorf("they see %+v", cards)
	}
	if seen := w.getBy(reviewer, one.ID); seen.Counts.Items != 2 {
		t.Errorf("they count %+v", seen.Counts)
	}
	outside := cardOf(t, w.cards(theOperator, one.ID), guest).item(t, access.Standard, "southern/banksia/geelong")
	for _, err := range []error{
		second(w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: outside.ID}}})),
		second(w.steward.Review(w.ctx, reviewer, away.ID)),
		second(w.steward.Cards(w.ctx, reviewer, away.ID, CardQuery{})),
		second(w.steward.ReviewReport(w.ctx, reviewer, away.ID, "", 0)),
		second(w.steward.StartReview(w.ctx, reviewer, NewReview{Area: "southern/banksia"})),
		second(w.steward.AccessReport(w.ctx, reviewer, "southern/banksia", "", 0)),
		second(w.steward.Reviews(w.ctx, w.acts(banksia, guest, access.Standard), "", 0)),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("outside the scope: %v", err)
		}
	}
	if _, err := w.steward.CloseReview(w.ctx, reviewer, one.ID, true); !fault.Is(err, fault.Denied) {
		t.Errorf("closed what is about more than their scope: %v", err)
	}
	page, err := w.steward.Reviews(w.ctx, reviewer, "", 0)
	if err != nil || len(page.Reviews) != 1 || page.Reviews[0].ID != one.ID {
		t.Errorf("they list %+v: %v", page, err)
	}
}

func second[T any](_ T, err error) error { return err }

func (w *world) getBy(a Actor, id access.ReviewID) ReviewView {
	w.t.Helper()
	r, err := w.steward.Review(w.ctx, a, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// A schedule begins one period after it was first seen, makes up for what was missed by
// one review, and waits while its earlier review is open.
func TestSchedules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(banksia, "Ada", accountAdmins)
	w.tickReviews()
	count := func() (n int) {
		page, err := w.steward.Reviews(w.ctx, theOperator, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Reviews {
			if r.Name == review.Guests {
				n++
			}
		}
		return n
	}
	const days = 24 * time.Hour
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{30*days - time.Millisecond, 0}, {time.Millisecond, 1}, {0, 1}, {10 * days, 1}, {95 * days, 2}, {0, 2}} {
		w.clock.Add(step.after)
		for range 3 {
			w.tickReviews()
		}
		if got := count(); got != step.want {
			t.Errorf("after %s more there are %d reviews, want %d", step.after, got, step.want)
		}
	}
}

// What happens where reviews begin: a scope moves, a connection ends. One is begun in the
// same transaction.
func TestWhatBeginsAReview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	guest := w.person(banksia, "Gus", geelongManagers)
	w.permit(banksia, guest, access.Standard, "southern/banksia/hobart", access.Permit{})
	p := worldPolicy(t)
	p.Connections = slices.DeleteFunc(p.Connections, func(c access.Connection) bool { return c.ID == tundra })
	p.Rules = slices.DeleteFunc(p.Rules, func(r mapping.RuleSource) bool { return r.From == tundra })
	w.apply(p)
	if got := w.said(event.ReviewStarted, ""); got != 1 {
		t.Errorf("%d reviews began with the end of a connection", got)
	}
	if err := w.bridge.EndConnection(w.ctx, banksia); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.tickReviews()
	}
	page, err := w.steward.Reviews(w.ctx, theOperator, "", 0)
	if err != nil || len(page.Reviews) != 2 {
		t.Fatalf("there are %+v: %v", page, err)
	}
	for _, r := range page.Reviews {
		if want := map[string]int64{"the connection tundra-okta ended": 0, "the connection banksia-entra ended": 1}[r.About]; r.Trigger != review.ByConnection || r.Counts.Items != want {
			t.Errorf("the review is %+v, want %d items", r, want)
		}
	}
}

// Gathering may be killed at any instant: what has been committed is there once, and the
// rest follows; nothing is missed and nothing is doubled.
func TestGatheringGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := map[access.PersonID]int{}
	for i := range 230 {
		people[w.person(banksia, fmt.Sprintf("p%03d", i), geelongManagers)] = 0
	}
	one, err := w.steward.StartReview(w.ctx, theOperator, NewReview{})
	if err != nil {
		t.Fatal(err)
	}
	killed := errors.New("killed")
	for n := 0; w.get(one.ID).State == review.Gathering; n++ {
		if n > 100 {
			t.Fatal("it is gathered for ever")
		}
		steward := w.steward
		err := w.bridge.Deciding(w.ctx, event.ByBridge, func(d *bridge.Deciding) error { // the work of a bridge that dies before its commit
			r, err := d.Tx().Review(one.ID)
			if err != nil {
				return err
			}
			g := &gathering{d: d, r: r, holdings: newHoldings(d.Policy(), d.Now()), met: map[access.ConnectionID]map[access.PersonID]map[mapping.Pair]review.Held{}}
			if _, err := g.chunk(); err != nil {
				return err
			}
			if _, err := d.Tx().AddReviewItems(one.ID, g.items); err != nil {
				return err
			}
			return killed
		})
		if !errors.Is(err, killed) {
			t.Fatal(err)
		}
		if _, err := steward.gather(w.ctx, one.ID); err != nil {
			t.Fatal(err)
		}
	}
	for after := ""; ; {
		page, err := w.steward.ReviewReport(w.ctx, theOperator, one.ID, after, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Lines {
			people[l.Person]++
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for id, n := range people {
		if n != 1 {
			t.Errorf("%s is under review %d times", id, n)
		}
	}
	if got := w.get(one.ID).Counts; got.Items != 230 || got.Open != 230 {
		t.Errorf("counted %+v", got)
	}
}

// However decisions, the end of the review, the end of the reviewer's right and the end of
// the person come together: each item has one answer, and a permit ends once.
func TestDecisionsRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, other := w.person(banksia, "Ada", accountAdmins), w.person(southern, "Petra", providerAdmins)
	guest := w.person(banksia, "Gus", geelongManagers)
	w.permit(banksia, guest, access.Standard, "southern/banksia/hobart", access.Permit{})
	a, b := w.acts(banksia, first, access.Administrator), w.acts(southern, other, access.Administrator)
	one := w.review(theOperator, NewReview{Area: "southern/banksia"})
	item := cardOf(t, w.cards(a, one.ID), guest).item(t, access.Standard, "southern/banksia/hobart")
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	remove := func(by Actor) {
		items, err := w.steward.DecideReview(w.ctx, by, one.ID, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: item.ID}}})
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && items[0].Verdict == review.Remove:
			done++
		case err == nil && items[0].Verdict == review.Gone, fault.Is(err, fault.Stale), fault.Is(err, fault.Denied):
		default:
			t.Errorf("deciding: %v", err)
		}
	}
	for _, do := range []func(){
		func() { remove(a) }, func() { remove(b) }, func() { remove(a) },
		func() { w.activate(banksia, guest, false) },
		func() { w.leave(banksia, first, accountAdmins) },
		func() {
			if _, err := w.steward.CloseReview(w.ctx, theOperator, one.ID, true); err != nil && !fault.Is(err, fault.Stale) {
				t.Errorf("closing: %v", err)
			}
		},
	} {
		wg.Go(do)
	}
	wg.Wait()
	w.tickReviews()
	after := w.get(one.ID)
	c := after.Counts
	if done > 1 || after.State != review.Ended || c.Open != 0 || c.Kept+c.Removed+c.Lowered+c.Gone+c.Lapsed != c.Items || w.said(event.PermitEnded, "") != 1 {
		t.Errorf("removed %d times, %d permits ended, the review is %+v", done, w.said(event.PermitEnded, ""), after)
	}
}

// A report says what became of each item, and its pages come to all of it.
func TestReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.person(banksia, "Ada", accountAdmins)
	guest := w.person(banksia, "Gus", geelongManagers)
	reviewer := w.acts(banksia, admin, access.Administrator)
	one := w.review(theOperator, NewReview{Area: "southern/banksia"})
	item := cardOf(t, w.cards(reviewer, one.ID), guest).Items[0]
	if _, err := w.steward.DecideReview(w.ctx, reviewer, one.ID, Decision{Verdict: review.Keep, Comment: "=needed", Items: []ItemSeen{{ID: item.ID, Seen: item.Seen}}}); err != nil {
		t.Fatal(err)
	}
	var lines []review.Line
	for after := ""; ; {
		page, err := w.steward.AccessReport(w.ctx, theOperator, "", after, 1)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, page.Lines...)
		if after = page.Next; after == "" {
			break
		}
	}
	if len(lines) != 2 {
		t.Fatalf("the report of access has %+v", lines)
	}
	at := slices.IndexFunc(lines, func(l review.Line) bool { return l.Person == guest })
	if l := lines[at]; l.Verdict != review.Keep || l.ReviewedBy != "Ada" || l.Comment != "=needed" || !strings.Contains(l.Why, geelongManagers) {
		t.Errorf("of the guest it says %+v", l)
	}
}
