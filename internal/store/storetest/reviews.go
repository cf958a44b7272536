package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func reviewIDs(all []review.Review) (ids []access.ReviewID) {
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}

func (f *fixture) openReview(id access.ReviewID, c review.Cause, began time.Time) review.Review {
	f.t.Helper()
	r := review.Begin(id, c, began)
	f.update(func(tx *store.Tx) error { return tx.OpenReview(r) })
	return r
}

// A review is read as it was written, moves from state to state, and is due when it says.
func testReviews(t *testing.T, f *fixture) {
	first := f.openReview("rev_1", review.Cause{Trigger: review.BySchedule, Name: "guests", Select: "guests", Remind: []time.Duration{time.Hour}}, day)
	second := f.openReview("rev_2", review.Cause{Trigger: review.ByCase, Case: "CASE-7", Permits: []review.Permitted{{Connection: north, Person: "per_1", Permit: "prm_1", Grant: access.Standard, Scope: "scp_fleet"}}}, day.Add(time.Second))
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.OpenReview(first) }); !fault.Is(err, fault.Conflict) {
		t.Errorf("a review opened twice: %v", err)
	}
	f.view(func(v *store.View) error {
		got, err := v.Review("rev_2")
		if err != nil || fmt.Sprint(got) != fmt.Sprint(second) {
			t.Errorf("read %+v (%v), want %+v", got, err, second)
		}
		if _, err := v.Review("rev_9"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a review that is not there: %v", err)
		}
		all, err := v.Reviews("", 10)
		behind, err2 := v.Reviews("rev_2", 10)
		gathering, err3 := v.GatheringReviews(10)
		due, err4 := v.DueReviews(day.Add(100*24*time.Hour), 10)
		if got := fmt.Sprint(reviewIDs(all), reviewIDs(behind), reviewIDs(gathering), reviewIDs(due), err, err2, err3, err4); got != "[rev_2 rev_1] [rev_1] [rev_1 rev_2] [] <nil> <nil> <nil> <nil>" {
			t.Errorf("listed %s", got)
		}
		return nil
	})
	second.Mark = "x"
	first.State, first.Closed = review.Open, &review.Closed{At: day, Connection: north, Person: "per_1"}
	f.update(func(tx *store.Tx) error {
		if err := tx.MoveReview(second); err != nil {
			return err
		}
		return tx.MoveReview(first)
	})
	reminder := first.Deadline.Add(-time.Hour)
	f.view(func(v *store.View) error {
		before, err := v.DueReviews(reminder.Add(-time.Millisecond), 10)
		due, err2 := v.DueReviews(reminder, 10)
		if got := fmt.Sprint(reviewIDs(before), reviewIDs(due), err, err2); got != "[] [rev_1] <nil> <nil>" {
			t.Errorf("due are %s", got)
		}
		closed, err := v.Review("rev_1")
		marked, err2 := v.Review("rev_2")
		if err != nil || err2 != nil || closed.Closed == nil || *closed.Closed != *first.Closed || closed.Mark != "" || marked.Mark != "x" || marked.Closed != nil {
			t.Errorf("closed %+v, gathered as far as %q (%v, %v)", closed.Closed, marked.Mark, err, err2)
		}
		return nil
	})
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.MoveReview(review.Review{ID: "rev_9"}) }); !fault.Is(err, fault.NotFound) {
		t.Errorf("a review moved that is not there: %v", err)
	}
}

func itemOf(conn access.ConnectionID, person access.PersonID, g access.Grant, s access.ScopeID, risk access.Risk, placed ...access.ScopeID) review.Item {
	return review.Item{Held: review.Held{Connection: conn, Person: person, Grant: g, Scope: s, Risk: risk}, Placed: append([]access.ScopeID{s}, placed...)}
}

// What is gathered is counted once, wherever it lies, however often it is gathered; cards
// come riskiest first and by pages; an item is answered once.
func testReviewItems(t *testing.T, f *fixture) {
	f.openReview("rev_1", review.Cause{Trigger: review.ByHand}, day)
	items := []review.Item{
		itemOf(north, "per_1", access.Standard, "scp_fleet", access.RiskLow, "scp_north", "scp_host"),
		itemOf(north, "per_1", access.Elevated, "scp_near", access.RiskHigh, "scp_north", "scp_host"),
		itemOf(south, "per_2", access.Standard, "scp_far", access.RiskMedium, "scp_south", "scp_host"),
	}
	for range 2 {
		f.update(func(tx *store.Tx) error { _, err := tx.AddReviewItems("rev_1", items); return err })
	}
	f.view(func(v *store.View) error {
		r, err := v.Review("rev_1")
		if err != nil || r.Counts != (review.Counts{Items: 3, Open: 3}) {
			t.Errorf("counted %+v (%v)", r.Counts, err)
		}
		for scope, want := range map[access.ScopeID]string{
			"scp_host":  "[{north per_1 0 2 2} {south per_2 17592186044416 1 1}]",
			"scp_north": "[{north per_1 0 2 2}]",
			"scp_fleet": "[{north per_1 35184372088832 1 1}]",
			"scp_other": "[]",
		} {
			if got, err := v.ReviewCards("rev_1", scope, store.CardPlace{Rank: -1}, false, 10); err != nil || fmt.Sprint(got) != want {
				t.Errorf("the cards at %s are %v (%v), want %s", scope, got, err, want)
			}
		}
		next, err := v.ReviewCards("rev_1", "scp_host", store.CardPlace{Rank: 0, Connection: north, Person: "per_1"}, false, 10)
		if err != nil || len(next) != 1 || next[0].Person != "per_2" {
			t.Errorf("the next page is %v (%v)", next, err)
		}
		return nil
	})
	answer := review.Answer{Verdict: review.Remove, At: day, Connection: south, Person: "per_9", Comment: "over", Ended: true}
	var second review.Item
	f.view(func(v *store.View) (err error) { second, err = v.ReviewItem("rev_1", "2"); return err })
	f.update(func(tx *store.Tx) error { return tx.AnswerReviewItem(second, answer) })
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.AnswerReviewItem(second, answer) }); !fault.Is(err, fault.Stale) {
		t.Errorf("answered twice: %v", err)
	}
	f.view(func(v *store.View) error {
		r, err := v.Review("rev_1")
		here, err2 := v.ReviewAt("rev_1", "scp_near")
		left, err3 := v.UndecidedItems("rev_1", 10)
		open, err4 := v.ReviewCards("rev_1", "scp_near", store.CardPlace{Rank: -1}, true, 10)
		if got := fmt.Sprint(r.Counts, here, len(left), open, err, err2, err3, err4); got != "{3 2 0 1 0 0 0} {1 0 0 0 0 0 0} 2 [] <nil> <nil> <nil> <nil>" {
			t.Errorf("after an answer %s", got)
		}
		at, err := v.ReviewsAt("scp_north", "", 10)
		none, err2 := v.ReviewsAt("scp_other", "", 10)
		if len(at) != 1 || at[0].Counts != (review.Counts{Items: 2, Open: 1}) || len(none) != 0 || err != nil || err2 != nil {
			t.Errorf("at a scope there are %+v, %+v (%v, %v)", at, none, err, err2)
		}
		last, err := v.LastReviewed(north, "per_1", access.Elevated, "scp_near")
		never, err2 := v.LastReviewed(north, "per_1", access.Standard, "scp_fleet")
		if err != nil || err2 != nil || never != nil || last == nil || fmt.Sprint(last.Answer) != fmt.Sprint(answer) {
			t.Errorf("last reviewed %+v, %+v (%v, %v)", last, never, err, err2)
		}
		return walkItems(t, v)
	})
	if _, err := v404(f); !fault.Is(err, fault.NotFound) {
		t.Errorf("an item that is not there: %v", err)
	}
}

func v404(f *fixture) (i review.Item, err error) {
	f.view(func(v *store.View) error { i, err = v.ReviewItem("rev_1", "9"); return nil })
	return i, err
}

func walkItems(t *testing.T, v *store.View) error {
	var met []string
	var after store.ItemPlace
	for {
		page, err := v.ReviewItems("rev_1", after, 2)
		if err != nil || len(page) == 0 {
			if fmt.Sprint(met) != "[2 1 3]" {
				t.Errorf("met %v", met)
			}
			return err
		}
		for _, i := range page {
			met = append(met, i.ID)
			after = store.PlaceOf(i)
		}
	}
}

// A schedule that was never seen stands nowhere; what it began is running until it ends.
func testReviewSchedules(t *testing.T, f *fixture) {
	f.view(func(v *store.View) error {
		s, err := v.ReviewSchedule("guests")
		running, err2 := v.RunningReview("guests")
		if err != nil || err2 != nil || running || s != (review.Schedule{Name: "guests"}) {
			t.Errorf("at first %+v, %t (%v, %v)", s, running, err, err2)
		}
		return nil
	})
	one := f.openReview("rev_1", review.Cause{Trigger: review.BySchedule, Name: "guests"}, day)
	for _, since := range []time.Time{day, day.Add(time.Hour)} {
		f.update(func(tx *store.Tx) error {
			return tx.PutReviewSchedule(review.Schedule{Name: "guests", Since: since, Review: one.ID})
		})
	}
	one.State = review.Ended
	for _, want := range []bool{true, false} {
		f.view(func(v *store.View) error {
			s, err := v.ReviewSchedule("guests")
			running, err2 := v.RunningReview("guests")
			if err != nil || err2 != nil || running != want || s != (review.Schedule{Name: "guests", Since: day.Add(time.Hour), Review: "rev_1"}) {
				t.Errorf("then %+v, %t (%v, %v)", s, running, err, err2)
			}
			return nil
		})
		f.update(func(tx *store.Tx) error { return tx.MoveReview(one) })
	}
}

// All that was ever permitted for a case is found, and all among a connection's people,
// what has ended included; those who hold the same are counted up to a number.
func testPermitsForReviews(t *testing.T, f *fixture) {
	one, two := f.person(north, "per_1", "one@north.example"), f.person(north, "per_2", "two@north.example")
	for i, p := range []store.Person{one, two, one} {
		f.write(north, func(d *store.DirectoryTx) error {
			id := access.PermitID(fmt.Sprintf("prm_%d", i))
			err := d.PutPermit(p, access.Permit{ID: id, Grant: access.Standard, Scope: "scp_fleet", Standing: access.Guest, Kind: access.SourceRequest, Case: "CASE-7", Given: day})
			if err == nil && i == 0 {
				_, err = d.EndPermit(id, access.EndPermitCase, day)
			}
			return err
		})
	}
	f.view(func(v *store.View) error {
		all, err := v.PermitsOfCase("CASE-7", "", 10)
		behind, err2 := v.PermitsOfCase("CASE-7", "prm_0", 1)
		none, err3 := v.PermitsOfCase("", "", 10)
		if len(all) != 3 || all[0].EndReason != access.EndPermitCase || len(behind) != 1 || behind[0].ID != "prm_1" || len(none) != 0 || err != nil || err2 != nil || err3 != nil {
			t.Errorf("of the case %+v, %+v, %+v (%v, %v, %v)", all, behind, none, err, err2, err3)
		}
		among, err := v.PermitsAmong(north, "", "", 2)
		rest, err2 := v.PermitsAmong(north, among[1].Person, among[1].ID, 10)
		elsewhere, err3 := v.PermitsAmong(south, "", "", 10)
		if len(among) != 2 || among[1].ID != "prm_2" || len(rest) != 1 || rest[0].ID != "prm_1" || len(elsewhere) != 0 || err != nil || err2 != nil || err3 != nil {
			t.Errorf("among the people %+v, %+v, %+v (%v, %v, %v)", among, rest, elsewhere, err, err2, err3)
		}
		return nil
	})
	for i, p := range []store.Person{one, two} {
		a := byRule(access.AssignmentID(fmt.Sprintf("asg_%d", i)), access.Standard, "scp_fleet")
		a.Person = p.ID
		if err := f.apply(p, mapping.Plan{Give: []access.Assignment{a}}); err != nil {
			t.Fatal(err)
		}
	}
	f.view(func(v *store.View) error {
		all, err := v.CountSame(access.Standard, "scp_fleet", 10)
		some, err2 := v.CountSame(access.Standard, "scp_fleet", 1)
		none, err3 := v.CountSame(access.Elevated, "scp_fleet", 10)
		if all != 2 || some != 1 || none != 0 || err != nil || err2 != nil || err3 != nil {
			t.Errorf("the same is held by %d, %d, %d (%v, %v, %v)", all, some, none, err, err2, err3)
		}
		return nil
	})
}
