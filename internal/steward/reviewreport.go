package steward

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// mostLines is the largest page of a report of access.
const mostLines = 500

// ReportPage is a part of a report: of a review in the order of its cards, of access in that
// of the tree.
type ReportPage struct {
	Head  review.Head   `json:"head"`
	Lines []review.Line `json:"lines"`
	Next  string        `json:"next,omitempty" doc:"for after; empty: there are no more"`
}

// ReviewReport writes down what became of a review, as far as whoever asks sees it: page by
// page, card by card as Cards lists them, however large it is. Where a page ends tells
// nothing of people whom whoever asks does not see.
func (s *Steward) ReviewReport(ctx context.Context, a Actor, id access.ReviewID, after string, count int) (ReportPage, error) {
	var page ReportPage
	n := pageSize(count, mostCards)
	return page, s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		one, at, err := visible(v, r, p.Tree(), id)
		if err != nil {
			return err
		}
		shown, err := viewReview(v, one, p.Tree())
		if err != nil {
			return err
		}
		page = ReportPage{Head: headOf(shown, now), Lines: []review.Line{}}
		cards, next, err := cardsAt(v, p.Tree(), id, at, CardQuery{After: after}, n)
		if err != nil {
			return err
		}
		page.Next = next
		called := newNames(v)
		for _, c := range cards {
			items, err := v.ReviewItemsOf(id, c.Connection, c.Person)
			if err != nil {
				return err
			}
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
	reasons(&l, shown.Why)
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
		l.EndedBy = endedBy(i.Answer, l.ReviewedBy)
	}
	return l, nil
}

// endedBy says who ended what a review ended; "" for what had ended otherwise.
func endedBy(a review.Answer, reviewer string) string {
	if a.Verdict == review.Unanswered {
		return "the review's end: nobody answered"
	}
	return reviewer
}

// reasons puts the reasons of something into a line, each in one text.
func reasons(l *review.Line, all []WhyView) {
	var why, how, asked, approved, reason, requests, cases []string
	add := func(to *[]string, text string) {
		if text != "" && !slices.Contains(*to, text) {
			*to = append(*to, text)
		}
	}
	for _, w := range all {
		add(&why, w.Text)
		add(&how, w.How)
		if w.Asked != nil {
			add(&asked, w.Asked.called())
		}
		add(&approved, calledAll(w.Approved))
		add(&reason, w.Reason)
		add(&requests, string(w.Request))
		add(&cases, string(w.Case))
	}
	l.Why, l.How, l.AskedBy, l.ApprovedBy = strings.Join(why, "; "), strings.Join(how, " "), strings.Join(asked, ", "), strings.Join(approved, ", ")
	l.Reason, l.Requests, l.Cases = strings.Join(reason, "; "), strings.Join(requests, " "), strings.Join(cases, " ")
}
