package steward

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// mostLines is the largest page of a report.
const mostLines = 500

// ReportPage is a part of a report, in the order of people.
type ReportPage struct {
	Head  review.Head   `json:"head"`
	Lines []review.Line `json:"lines"`
	Next  string        `json:"next,omitempty" doc:"for after; empty: there are no more"`
}

// ReviewReport writes down what became of a review, as far as whoever asks sees it: page by
// page, however large it is.
func (s *Steward) ReviewReport(ctx context.Context, a Actor, id access.ReviewID, after string, count int) (ReportPage, error) {
	var page ReportPage
	n := pageSize(count, mostLines)
	return page, s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		one, _, err := visible(v, r, p.Tree(), id)
		if err != nil {
			return err
		}
		shown, err := viewReview(v, one, p.Tree())
		if err != nil {
			return err
		}
		page = ReportPage{Head: headOf(shown, now), Lines: []review.Line{}}
		var from store.ItemPlace
		if err := placeIn(after, &from); err != nil {
			return err
		}
		items, err := v.ReviewItems(id, from, n)
		if err != nil {
			return err
		}
		called := newNames(v)
		for _, i := range items {
			if !r.Sees(p.Tree(), i.Scope) {
				continue
			}
			l, err := lineOf(i, called, p, now)
			if err != nil {
				return err
			}
			page.Lines = append(page.Lines, l)
		}
		if len(items) == n {
			page.Next = placeText(store.PlaceOf(items[n-1]))
		}
		return nil
	})
}

// placeIn reads where a page ended.
func placeIn(text string, to any) error {
	if text == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		return fault.New(fault.Invalid, "steward.placeIn", "after is not what a page ended with")
	}
	return nil
}

func headOf(r ReviewView, now time.Time) review.Head {
	h := review.Head{Title: "Review of access", Review: string(r.ID), About: r.About, Select: r.Select, State: string(r.State), Began: r.Began, Deadline: r.Deadline, Ended: r.Ended,
		Unanswered: string(r.Unanswered), Counts: r.Counts, Made: now}
	if r.Closed != nil {
		h.EndedBy = r.Closed.Text
	}
	return h
}

// lineOf is an item as a report has it.
func lineOf(i review.Item, n *names, p *mapping.Policy, now time.Time) (review.Line, error) {
	shown, err := viewItem(i, n, p, now)
	if err != nil {
		return review.Line{}, err
	}
	who, err := n.who(i.Connection, i.Person)
	if err != nil {
		return review.Line{}, err
	}
	l := review.Line{Item: i.ID, Connection: i.Connection, Person: i.Person, UserName: who.UserName, Name: who.DisplayName, Grant: i.Grant, Path: i.Path, Scope: i.Scope,
		Events: i.Flags.Events.String(), Video: i.Flags.Video, Standing: i.Standing, Risk: i.Risk, Since: i.Since, Until: i.Until, LastUsed: i.LastUsed}
	l.Why, l.ApprovedBy, l.Requests, l.Cases = reasons(shown.Why)
	if i.Answer.Verdict == review.Undecided {
		l.Outcome = "Undecided."
		return l, nil
	}
	l.Verdict, l.Comment, l.Because, l.Outcome = i.Answer.Verdict, i.Answer.Comment, i.Answer.Because, shown.Decided.Text
	if i.Answer.Verdict.ByPerson() {
		l.Reviewed, l.ReviewedBy = i.Answer.At, shown.Decided.By.called()
	}
	if i.Answer.Ended {
		l.Ended = i.Answer.At
		if l.Because == "" {
			l.Because = access.EndPermitReview
		}
	}
	return l, nil
}

// reasons are the reasons of something in one text each.
func reasons(all []WhyView) (why, approved, requests, cases string) {
	var texts, by, asked, about []string
	for _, w := range all {
		texts = append(texts, w.Text)
		if len(w.Approved) > 0 {
			by = append(by, calledAll(w.Approved))
		}
		if w.Request != "" {
			asked = append(asked, string(w.Request))
		}
		if w.Case != "" {
			about = append(about, string(w.Case))
		}
	}
	return strings.Join(texts, "; "), strings.Join(by, ", "), strings.Join(asked, " "), strings.Join(about, " ")
}
