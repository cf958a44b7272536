package steward

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// How much one call of TickReviews does at most: reviews that it looks at, and chunks of
// each.
const (
	tickReviews = 20
	tickChunks  = 10
	settleItems = 50 // of a review that has ended, in one transaction
)

// TickReviews does a bounded part of what time brings to reviews: it begins those whose
// schedule says so, gathers what they are about, places cards where a scope has moved to,
// reminds, and ends those whose time is over. What fails of one holds up none of the
// others. It may stop at any instant and goes on at the next call, on any bridge. Nothing
// depends on when it is called but when unanswered access is removed.
func (s *Steward) TickReviews(ctx context.Context) error {
	if !s.bridge.HasPolicy() {
		return nil
	}
	var begin []mapping.ReviewSource
	var gathering, due []review.Review
	var moved []store.ReviewMove
	err := s.bridge.Reading(ctx, func(v *store.View, p *mapping.Policy, now time.Time) (err error) {
		if begin, err = turns(v, p, now); err != nil {
			return err
		}
		if gathering, err = v.GatheringReviews(tickReviews); err != nil {
			return err
		}
		if moved, err = v.ReviewMoves(tickReviews); err != nil {
			return err
		}
		due, err = v.DueReviews(now, tickReviews)
		return err
	})
	if err != nil {
		return err
	}
	for _, src := range begin {
		err = errors.Join(err, s.beginScheduled(ctx, src.Name))
	}
	for _, r := range gathering {
		err = errors.Join(err, chunks(ctx, func() (bool, error) { return s.gather(ctx, r.ID) }))
	}
	for _, m := range moved {
		err = errors.Join(err, chunks(ctx, func() (bool, error) { return s.place(ctx, m.Review) }))
	}
	for _, r := range due {
		err = errors.Join(err, chunks(ctx, func() (bool, error) { return s.due(ctx, r.ID) }))
	}
	return err
}

func chunks(ctx context.Context, step func() (more bool, err error)) error {
	for range tickChunks {
		more, err := step()
		if err != nil || !more || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// schedulesOf are the schedules of a policy, or those that are built in.
func schedulesOf(p *mapping.Policy) []mapping.ReviewSource {
	if own := p.Source().Reviews; own != nil {
		return own
	}
	return review.BuiltIn()
}

// turns are the schedules that begin a review now, or that were never seen before.
func turns(v *store.View, p *mapping.Policy, now time.Time) (all []mapping.ReviewSource, err error) {
	for _, src := range schedulesOf(p) {
		row, err := v.ReviewSchedule(src.Name)
		if err != nil {
			return nil, err
		}
		if !row.Since.IsZero() && now.Before(row.Next(src.Every)) {
			continue
		}
		running, err := v.RunningReview(src.Name)
		if err != nil {
			return nil, err
		}
		if row.Since.IsZero() || !running {
			all = append(all, src)
		}
	}
	return all, nil
}

// beginScheduled begins what one schedule says, and remembers it in the same transaction.
func (s *Steward) beginScheduled(ctx context.Context, name string) error {
	return s.bridge.Deciding(ctx, event.ByBridge, func(d *bridge.Deciding) error {
		all, err := turns(&d.Tx().View, d.Policy(), d.Now())
		if at := slices.IndexFunc(all, func(src mapping.ReviewSource) bool { return src.Name == name }); err == nil && at >= 0 {
			err = turn(d, all[at])
		}
		return err
	})
}

func turn(d *bridge.Deciding, src mapping.ReviewSource) error {
	row, err := d.Tx().ReviewSchedule(src.Name)
	if err != nil {
		return err
	}
	if row.Since.IsZero() { // its first review begins one period after it was first seen
		row.Since = d.Now()
		return d.Tx().PutReviewSchedule(row)
	}
	begins, next := row.Turn(src.Every, false, d.Now())
	if !begins {
		return nil
	}
	if next.Review, err = Open(d, review.CauseOf(src)); err != nil {
		return err
	}
	return d.Tx().PutReviewSchedule(next)
}

// due does what is due about an open review: it reminds, or settles a chunk of what nobody
// has answered and ends it after the last.
func (s *Steward) due(ctx context.Context, id access.ReviewID) (more bool, err error) {
	return more, s.bridge.Deciding(ctx, event.ByBridge, func(d *bridge.Deciding) error {
		more = false
		r, err := d.Tx().Review(id)
		if err != nil || r.State != review.Open || d.Now().Before(r.Next) {
			return err
		}
		if !r.EndsAt(d.Now()) {
			return remind(d, r)
		}
		left, err := d.Tx().UndecidedItems(id, settleItems)
		if err != nil {
			return err
		}
		if err := settleUnanswered(d, r, left); err != nil {
			return err
		}
		if len(left) == settleItems {
			more = true
			return nil
		}
		return end(d, r)
	})
}

// remind says once that a review ends soon and that something is not decided.
func remind(d *bridge.Deciding, r review.Review) error {
	if r.Counts.Open > 0 {
		d.Say(event.ReviewReminded, r.Cause.Connection, "", map[string]string{"review": string(r.ID), "open": strconv.FormatInt(r.Counts.Open, 10),
			"until": r.Deadline.UTC().Format(time.RFC3339)})
	}
	r.Next = r.NextAfter(d.Now())
	return d.Tx().MoveReview(r)
}

// end closes a review in which everything has an answer.
func end(d *bridge.Deciding, r review.Review) error {
	r, err := d.Tx().Review(r.ID) // with what this transaction has counted
	if err != nil {
		return err
	}
	r.State, r.Ended, r.Next = review.Ended, d.Now(), time.Time{}
	data := map[string]string{"review": string(r.ID), "items": strconv.FormatInt(r.Counts.Items, 10)}
	for name, n := range map[string]int64{"kept": r.Counts.Kept, "removed": r.Counts.Removed, "lowered": r.Counts.Lowered, "gone": r.Counts.Gone, "unanswered": r.Counts.Lapsed} {
		if n > 0 {
			data[name] = strconv.FormatInt(n, 10)
		}
	}
	if c := r.Closed; c != nil {
		data["closed"] = "early"
		if c.Person != "" {
			data["by"], data["by_connection"] = string(c.Person), string(c.Connection)
		}
	}
	d.Say(event.ReviewEnded, r.Cause.Connection, "", data)
	return d.Tx().MoveReview(r)
}
