package store

import (
	"encoding/json"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
)

const reviewColumns = `rv.id, rv.state, rv.cause, rv.began_at, rv.deadline, rv.ended_at, rv.next_at, rv.mark, rv.items, rv.undecided, rv.kept, rv.removed, rv.lowered, rv.gone, rv.lapsed`

func scanReview(r Row) (one review.Review, err error) { return scanReviewWith(r) }

func scanReviewWith(r Row, more ...any) (one review.Review, err error) {
	var cause []byte
	var began, deadline, ended, next int64
	c := &one.Counts
	err = r.Scan(append([]any{&one.ID, &one.State, &cause, &began, &deadline, &ended, &next, &one.Mark,
		&c.Items, &c.Open, &c.Kept, &c.Removed, &c.Lowered, &c.Gone, &c.Lapsed}, more...)...)
	if err != nil {
		return one, err
	}
	one.Began, one.Deadline, one.Ended, one.Next = at(began), at(deadline), at(ended), at(next)
	if one.State != review.Gathering && one.Mark != "" { // what is gathered needs no mark
		one.Closed = new(review.Closed)
		if err := json.Unmarshal([]byte(one.Mark), one.Closed); err != nil {
			return one, err
		}
		one.Mark = ""
	}
	return one, json.Unmarshal(cause, &one.Cause)
}

// OpenReview writes down a review that begins. fault.Conflict if there is one of that id.
func (tx *Tx) OpenReview(r review.Review) error {
	const op = "store.OpenReview"
	cause, err := json.Marshal(r.Cause)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	schedule := ""
	if r.Cause.Trigger == review.BySchedule {
		schedule = r.Cause.Name
	}
	_, err = tx.exec(op, `insert into reviews (id, schedule, state, cause, began_at, deadline, ended_at, next_at, mark, items, undecided, kept, removed, lowered, gone, lapsed)
		values ($1, $2, $3, $4, $5, $6, 0, $7, '', 0, 0, 0, 0, 0, 0, 0)`, string(r.ID), schedule, string(r.State), string(cause), ms(r.Began), ms(r.Deadline), ms(r.Next))
	return err
}

// MoveReview writes where a review stands now: its state, its mark, when it is due next,
// when it ends or ended, and how it was closed early. Its counters are kept by the verbs that change items.
func (tx *Tx) MoveReview(r review.Review) error {
	if r.Closed != nil {
		text, err := json.Marshal(r.Closed)
		if err != nil {
			return fault.Wrap(fault.Internal, "store.MoveReview", err)
		}
		r.Mark = string(text)
	}
	n, err := tx.exec("store.MoveReview", `update reviews set state = $2, ended_at = $3, next_at = $4, mark = $5, deadline = $6 where id = $1`,
		string(r.ID), string(r.State), ms(r.Ended), ms(r.Next), r.Mark, ms(r.Deadline))
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "store.MoveReview", "there is no review %s", r.ID)
	}
	return err
}

// Review is one of them; fault.NotFound if there is none of that id.
func (v *View) Review(id access.ReviewID) (review.Review, error) {
	r, err := scanReview(v.q.QueryRow(`select `+reviewColumns+` from reviews rv where rv.id = $1`, string(id)))
	return r, v.found(err, "store.Review", "review")
}

// Reviews lists at most limit of all, the latest first, behind an id; "" is the first page.
func (v *View) Reviews(before access.ReviewID, limit int) ([]review.Review, error) {
	if before == "" {
		return list(v, "store.Reviews", scanReview, `select `+reviewColumns+` from reviews rv where rv.id > '' order by rv.id desc limit $1`, limit)
	}
	return list(v, "store.Reviews", scanReview, `select `+reviewColumns+` from reviews rv where rv.id < $1 order by rv.id desc limit $2`, string(before), limit)
}

// ReviewsAt lists those with something at or below a scope, the latest first, behind an
// id. Their counts are of what lies there, as far as it is known: items, and what is open.
func (v *View) ReviewsAt(scope access.ScopeID, before access.ReviewID, limit int) ([]review.Review, error) {
	behind, args := "", []any{string(scope), limit}
	if before != "" {
		behind, args = ` and p.review < $3`, append(args, string(before))
	}
	return list(v, "store.ReviewsAt", func(r Row) (review.Review, error) {
		var here review.Counts
		one, err := scanReviewWith(r, &here.Items, &here.Open)
		one.Counts = here
		return one, err
	}, `select `+reviewColumns+`, p.items, p.undecided from review_places p join reviews rv on rv.id = p.review
		where p.scope = $1`+behind+` order by p.review desc limit $2`, args...)
}

// GatheringReviews are those that are being gathered, the oldest first.
func (v *View) GatheringReviews(limit int) ([]review.Review, error) {
	return list(v, "store.GatheringReviews", scanReview, `select `+reviewColumns+` from reviews rv where rv.state = 'gathering' order by rv.id limit $1`, limit)
}

// DueReviews are open ones of which something is due, the longest due first.
func (v *View) DueReviews(now time.Time, limit int) ([]review.Review, error) {
	return list(v, "store.DueReviews", scanReview, `select `+reviewColumns+` from reviews rv
		where rv.state = 'open' and rv.next_at <= $1 order by rv.next_at, rv.id limit $2`, ms(now), limit)
}

// ReviewSchedule is where a schedule stands; one that was never seen has the zero Since.
func (v *View) ReviewSchedule(name string) (s review.Schedule, err error) {
	s.Name = name
	err = v.each("store.ReviewSchedule", func(r Row) error {
		var since int64
		err := r.Scan(&since, &s.Review)
		s.Since = at(since)
		return err
	}, `select since, review from review_schedules where name = $1`, name)
	return s, err
}

// PutReviewSchedule writes where a schedule stands.
func (tx *Tx) PutReviewSchedule(s review.Schedule) error {
	_, err := tx.exec("store.PutReviewSchedule", `insert into review_schedules (name, since, review) values ($1, $2, $3)
		on conflict (name) do update set since = excluded.since, review = excluded.review`, s.Name, ms(s.Since), string(s.Review))
	return err
}

// RunningReview reports whether a schedule has begun a review that has not ended.
func (v *View) RunningReview(schedule string) (running bool, err error) {
	err = v.each("store.RunningReview", func(r Row) error { running = true; return r.Scan(nil) },
		`select id from reviews where schedule = $1 and state <> 'ended' limit 1`, schedule)
	return running, err
}
