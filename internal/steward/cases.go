package steward

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

const (
	mostPlanned = 200_000 // permits of one case
	mostListed  = 10_000  // permits of one case that a list counts
	mostCases   = 1000    // that one page of a list looks at
	endsShown   = 50
	lastShown   = 20
)

// casePart is what of a case whoever acts sees.
type casePart struct {
	request.Case
	places  []store.PermitPlace // of permits that live
	wider   bool                // there is more of it elsewhere
	waiting []access.RequestID  // what of it waits, where it is wider
}

// part reads a case, as far as whoever acts sees it. fault.NotFound if that is nothing.
func (k *desk) part(id access.CaseID) (c casePart, err error) {
	if c.Case, err = k.v.Case(id); err != nil {
		return c, err
	}
	return k.partOf(c.Case, mostPlanned)
}

// partOf looks at no more than so many permits.
func (k *desk) partOf(row request.Case, most int) (c casePart, err error) {
	c.Case = row
	all, err := k.v.LivePlaces(row.ID, most)
	if err != nil {
		return c, err
	}
	c.places = slices.DeleteFunc(slices.Clone(all), func(p store.PermitPlace) bool { return !k.r.Sees(k.Tree, p.Scope) })
	c.wider = len(c.places) < len(all)
	if len(c.places) > 0 && !c.wider && c.Waiting == 0 || k.all() {
		return c, nil
	}
	keys, err := k.v.RequestKeys(store.RequestList{Case: row.ID}, "", 10*mostCount)
	if err != nil {
		return c, err
	}
	here := len(c.places) > 0
	waiting := int64(0)
	for _, x := range keys {
		seen := k.r.Sees(k.Tree, x.Scope)
		here = here || seen
		if x.State.Waits() && seen {
			waiting++
			c.waiting = append(c.waiting, x.ID)
		}
	}
	if !here {
		return c, fault.New(fault.NotFound, "steward.Case", "there is no such case")
	}
	c.wider = c.wider || waiting < c.Waiting
	c.Waiting = waiting
	return c, nil
}

// all reports whether whoever acts sees everything.
func (k *desk) all() bool {
	host, _ := k.Tree.Resolve(".")
	return k.r.Root(k.Tree) == host.ID
}

// plan is a hash of what closing would end.
func (c casePart) plan() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %d\n", c.ID, c.Waiting) // a hash never fails
	for _, p := range c.places {
		_, _ = fmt.Fprintln(h, p.ID)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Case shows a case, and what closing it would end.
func (s *Steward) Case(ctx context.Context, a Actor, id access.CaseID) (out CaseView, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		k := newDesk(v, p, now, r)
		c, err := k.part(id)
		if err != nil {
			return err
		}
		out, err = k.caseWhole(c)
		return err
	})
	return out, err
}

func (k *desk) caseView(c request.Case) (CaseView, error) {
	out := CaseView{ID: c.ID, Kind: c.Kind, Opened: c.Opened, Requests: c.Waiting, Ends: []PermitView{}}
	p, closed := k.closedFor(c)
	if !closed {
		return out, nil
	}
	out.Closed, out.Reason, out.Review = p.Closed, p.Reason, p.Review
	w, err := k.who(p.By)
	out.ClosedBy = &w
	return out, err
}

// caseWhole is a case with what closing it would end.
func (k *desk) caseWhole(c casePart) (CaseView, error) {
	out, err := k.caseView(c.Case)
	if err != nil || !out.Closed.IsZero() {
		return out, err
	}
	out.Permits, out.Plan = int64(len(c.places)), c.plan()
	for _, p := range c.places[:min(endsShown, len(c.places))] {
		row, err := k.v.Permit(p.ID)
		if err != nil {
			return out, err
		}
		view, err := k.permitView(row)
		if err != nil {
			return out, err
		}
		out.Ends = append(out.Ends, view)
	}
	last, err := k.leftAlone(c.ID)
	out.Last = k.areaViews(last)
	return out, err
}

// leftAlone lists areas that are administered for the case, and otherwise by nobody without
// an end.
func (k *desk) leftAlone(id access.CaseID) (left []access.ScopeID, err error) {
	administered, err := k.v.AdministrationOf(id, mostCount)
	for _, s := range administered {
		if err != nil || len(left) == lastShown {
			break
		}
		var good bool
		if good, err = k.otherwise(s, id); !good && k.r.Sees(k.Tree, s) {
			left = append(left, s)
		}
	}
	return left, err
}

// otherwise reports whether somebody administers just that scope now and without an end, by
// anything but what was given for a case.
func (k *desk) otherwise(at access.ScopeID, id access.CaseID) (bool, error) {
	all, err := k.v.AdministratorsAt(at, mostCount)
	if err != nil {
		return false, err
	}
	for _, a := range all {
		if !a.Until.IsZero() || !a.ValidAt(k.Now) {
			continue
		}
		if slices.ContainsFunc(a.Sources, func(s access.Source) bool {
			return s.Kind == access.SourceRule && s.Until.IsZero() && s.ValidAt(k.Now)
		}) {
			return true, nil
		}
		row, err := k.row(request.Party{Connection: a.Connection, Person: a.Person})
		if err != nil {
			return false, err
		}
		dir, err := k.dir(a.Connection)
		if err != nil {
			return false, err
		}
		by, err := dir.Decided(row)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(by.Permits, func(t access.Permit) bool {
			return t.Grant == access.Administrator && t.Scope == at && t.Case != id && t.Until.IsZero() && !t.NotBefore.After(k.Now)
		}) {
			return true, nil
		}
	}
	return false, nil
}

// Cases lists cases, the newest first: those of which whoever acts sees something.
func (s *Steward) Cases(ctx context.Context, a Actor, q CaseQuery) (out CasePage, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		k := newDesk(v, p, now, r)
		out = CasePage{Cases: []CaseView{}}
		if r.Root(k.Tree) == "" {
			return nil
		}
		before := ""
		if strings.HasPrefix(q.After, "cas_") {
			before = q.After
		}
		return k.casePage(q, before, &out)
	})
	return out, err
}

// casePage fills a page. It looks at a bounded number of cases: a page of somebody who sees
// little may be short, and still have a next one. What it goes on from names no case that
// is not seen.
func (k *desk) casePage(q CaseQuery, before string, out *CasePage) error {
	n, kept := countOf(q.Count), ""
	for looked := 0; ; {
		rows, err := k.v.Cases(q.Open, before, n+1)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			view, seen, err := k.listed(row, q.Open)
			if err != nil {
				return err
			}
			if seen && len(out.Cases) == n {
				out.Next = kept
				return nil
			}
			if seen {
				out.Cases = append(out.Cases, view)
				kept = row.Number
			}
		}
		last := rows[len(rows)-1].Number
		if looked += len(rows); looked >= mostCases {
			out.Next = instantOf(last)
			return nil
		}
		before = last
	}
}

// instantOf is a place in the list of cases before all of one instant, which names none.
func instantOf(number string) string { return number[:min(len(number), len("cas_")+9)] + "~" }

// listed is a case in a list, if whoever acts sees anything of it.
func (k *desk) listed(row request.Case, open bool) (view CaseView, seen bool, err error) {
	part, err := k.partOf(row, mostListed)
	if fault.Is(err, fault.NotFound) {
		return view, false, nil
	}
	if err == nil {
		view, err = k.caseView(part.Case)
	}
	if view.Closed.IsZero() {
		view.Permits = int64(len(part.places))
	}
	return view, !open || view.Closed.IsZero(), err
}
