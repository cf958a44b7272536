package steward

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// AccessReport writes down who holds what at a scope and below it, who sees it from above as
// far as whoever asks may know that, why, since when, when it was used last and who looked
// at it last: page by page, in the order of the tree. What is
// given or moved while the pages are read may be met in its old place, its new one, or both.
func (s *Steward) AccessReport(ctx context.Context, a Actor, area, after string, count int) (ReportPage, error) {
	var page ReportPage
	n := pageSize(count, mostLines)
	return page, s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		at, err := root(r, p.Tree())
		if err != nil {
			return err
		}
		if area != "" {
			if at, err = areaIn(p.Tree(), area); err != nil {
				return err
			}
		}
		if err := sees(r, p.Tree(), at, "scope"); err != nil {
			return err
		}
		var from mark
		if err := placeIn(after, &from); err != nil {
			return err
		}
		above, about := seenAbove(r, p.Tree(), at)
		w := &reporting{above: above, v: v, policy: p, now: now, holdings: newHoldings(p, now), names: newNames(v), limit: n}
		next, err := w.walk(at, from)
		page = ReportPage{Head: review.Head{Title: "Access", About: about, Made: now}, Lines: w.lines}
		if next != nil {
			page.Next = placeText(next)
		}
		return err
	})
}

// seenAbove are the scopes above one whose holders whoever asks may read, and what a report
// says that it is about: it says so, too, where others are left out.
func seenAbove(r request.Right, t *access.Tree, at access.ScopeID) (above []access.ScopeID, about string) {
	up := t.Ancestors(at)
	for _, s := range up {
		if r.Sees(t, s) {
			above = append(above, s)
		}
	}
	about = "what is held at " + t.Path(at) + " and below"
	if len(above) > 0 {
		about += ", and above it, where that opens it"
	}
	if len(above) < len(up) {
		about += "; who sees it from further above is not listed here, for that is not yours to read: whoever administers there says so"
	}
	return above, about
}

// reporting makes one page of a report of access.
type reporting struct {
	v        *store.View
	policy   *mapping.Policy
	now      time.Time
	holdings *holdings
	names    *names
	limit    int
	above    []access.ScopeID
	lines    []review.Line
}

// walk looks scope by scope, and gives the place where the next page begins; nil: there is
// no more.
func (w *reporting) walk(root access.ScopeID, from mark) (*mark, error) {
	w.lines = []review.Line{}
	under := append(slices.Clone(w.above), w.policy.Tree().Under(root)...)
	if from.Stop != "" {
		at := slices.Index(under, access.ScopeID(from.Stop))
		if at < 0 {
			return nil, fault.New(fault.Stale, "steward.AccessReport", "the scope tree has changed since the last page; begin again")
		}
		under = under[at:]
	}
	visited := 0
	for _, scope := range under {
		seats, err := w.v.SeatsAt(scope, access.Grants())
		if err != nil {
			return nil, err
		}
		if from.Stop == string(scope) && from.Seat != (store.Seat{}) {
			seats = seats[max(slices.Index(seats, from.Seat), 0):]
		}
		for _, seat := range seats {
			here := mark{Stop: string(scope), Seat: seat}
			if from.Seat == seat {
				here.Key = from.Key
			}
			if visited >= gatherLooks || len(w.lines) >= w.limit {
				return &here, nil
			}
			visited++
			rows, last, err := w.v.Holders(seat, store.Held{Now: w.now}, here.Key, w.limit-len(w.lines))
			if err != nil {
				return nil, err
			}
			full := len(rows) == w.limit-len(w.lines)
			for _, row := range rows {
				if err := w.add(row); err != nil {
					return nil, err
				}
			}
			if full {
				here.Key = last
				return &here, nil
			}
		}
	}
	return nil, nil
}

// add writes down what somebody holds; what does not count now is left out.
func (w *reporting) add(row store.Holder) error {
	above := slices.Contains(w.above, row.Scope)
	if !row.Counts || above && !row.Grant.MaySignIn() {
		return nil
	}
	dir, err := w.v.In(row.Connection)
	if err != nil {
		return err
	}
	p, err := dir.Person(row.Person)
	if err != nil {
		return err
	}
	held, err := w.holdings.of(dir, p)
	if err != nil {
		return err
	}
	one, holds := held[mapping.Pair{Grant: row.Grant, Scope: row.Scope}]
	if !holds {
		return nil
	}
	l, err := lineOf(review.Item{Held: one}, w.names, w.policy, w.now)
	if err != nil {
		return err
	}
	l.Outcome, l.Above = "Held.", above
	last, err := w.v.LastReviewed(row.Connection, row.Person, row.Grant, row.Scope)
	if err != nil || last == nil {
		w.lines = append(w.lines, l)
		return err
	}
	who, err := w.names.who(last.Answer.Connection, last.Answer.Person)
	l.Reviewed, l.ReviewedBy, l.Verdict, l.Comment = last.Answer.At, who.called(), last.Answer.Verdict, last.Answer.Comment
	w.lines = append(w.lines, l)
	return err
}
