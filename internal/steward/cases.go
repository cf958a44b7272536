package steward

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Why a case is not closed.
const (
	ReasonPlanMissing = "plan_missing" // look first at what would end
	ReasonPlanStale   = "plan_stale"   // something else would end now
	ReasonCaseWider   = "case_wider"   // a part of it lies elsewhere
)

const (
	mostPlanned = 200_000 // permits of one case
	endsInline  = 200     // permits that end, and are told of, in the transaction that closes
	endsShown   = 50
	lastShown   = 20
)

// casePart is what of a case whoever acts sees.
type casePart struct {
	request.Case
	places []store.PermitPlace // of permits that live
	wider  bool                // there is more of it elsewhere
}

// part reads a case, as far as whoever acts sees it. fault.NotFound if that is nothing.
func (k *desk) part(id access.CaseID) (c casePart, err error) {
	if c.Case, err = k.v.Case(id); err != nil {
		return c, err
	}
	all, err := k.v.LivePlaces(id, mostPlanned)
	if err != nil {
		return c, err
	}
	c.places = slices.DeleteFunc(slices.Clone(all), func(p store.PermitPlace) bool { return !k.r.Sees(k.Tree, p.Scope) })
	c.wider = len(c.places) < len(all)
	if len(c.places) > 0 && !c.wider && c.Waiting == 0 || k.all() {
		return c, nil
	}
	keys, err := k.v.RequestKeys(store.RequestList{Case: id}, "", 10*mostCount)
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
	out := CaseView{ID: c.ID, Kind: c.Kind, Opened: c.Opened, Closed: c.Closed, Reason: c.Reason, Requests: c.Waiting, Ends: []PermitView{}, Review: c.Review}
	if c.ClosedBy == (request.Party{}) {
		return out, nil
	}
	w, err := k.who(c.ClosedBy)
	out.ClosedBy = &w
	return out, err
}

// caseWhole is a case with what closing it would end.
func (k *desk) caseWhole(c casePart) (CaseView, error) {
	out, err := k.caseView(c.Case)
	if err != nil || !c.Closed.IsZero() {
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
		if q.After != "" {
			c, err := v.Case(q.After)
			if err != nil {
				return err
			}
			before = c.Number
		}
		return k.casePage(q, before, &out)
	})
	return out, err
}

// casePage fills a page. It looks at as many cases as it shows, and a few more: a page of
// somebody who sees little may be short, and still have a next one.
func (k *desk) casePage(q CaseQuery, before string, out *CasePage) error {
	n := countOf(q.Count)
	rows, err := k.v.Cases(q.Open, before, n+1)
	if err != nil {
		return err
	}
	if len(rows) > n {
		rows = rows[:n]
		out.Next = rows[n-1].ID
	}
	for _, row := range rows {
		if !k.all() {
			part, err := k.part(row.ID)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			row = part.Case
		}
		view, err := k.caseView(row)
		if err != nil {
			return err
		}
		out.Cases = append(out.Cases, view)
	}
	return nil
}

// CloseCase ends a case, and everything that was given for it, in one instant: nothing is
// asked for it or given for it any more, and what was given is refused from then on. It
// begins a review of the people who had something for it.
//
// fault.Stale if it is closed, or if something else would end than was shown;
// fault.Invalid if it was not shown before, or if an area would be left without an
// administrator and nobody said that this is meant.
func (s *Steward) CloseCase(ctx context.Context, a Actor, id access.CaseID, in CloseCase) (out CaseView, err error) {
	if err := printed("reason", in.Reason, maxReason); err != nil {
		return out, err
	}
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		k := newDesk(&d.Tx().View, d.Policy(), d.Now(), r)
		c, err := k.part(id)
		if err != nil {
			return err
		}
		if err := k.mayClose(d, &c, in); err != nil {
			return err
		}
		if c, err = k.closeCase(d, c, in); err != nil {
			return err
		}
		out, err = k.caseView(c.Case)
		out.Permits = int64(len(c.places))
		return err
	})
	return out, err
}

// mayClose says why a case is not closed.
func (k *desk) mayClose(d *bridge.Deciding, c *casePart, in CloseCase) error {
	const op = "steward.CloseCase"
	switch {
	case in.Kind != "" && !slices.Contains([]string{"ticket", "project", "engagement", "investigation"}, in.Kind):
		return fault.New(fault.Invalid, op, "a case is a ticket, project, engagement or investigation, not a %q", in.Kind)
	case c.wider:
		return fault.New(fault.Denied, op, "a part of this case lies outside your scope: it is closed by whoever administers all of it").Because(ReasonCaseWider)
	case !c.Closed.IsZero():
		return fault.New(fault.Stale, op, "the case is closed").Because(request.ReasonCaseClosed)
	case in.Plan == "" && len(c.places) > 0:
		return fault.New(fault.Invalid, op, "closing it would end what %d permits give: look at them first, and send the plan that was shown", len(c.places)).Because(ReasonPlanMissing)
	case in.Plan != "" && in.Plan != c.plan():
		return fault.New(fault.Stale, op, "something else would end now than was shown: look again").Because(ReasonPlanStale)
	case in.ConfirmLast:
		return nil
	}
	if in.Successor != nil {
		var q request.Request
		err := k.succeed(d, &q, *in.Successor)
		c.Successor = q.Successor
		return err
	}
	left, err := k.leftAlone(c.ID)
	if err != nil || len(left) == 0 {
		return err
	}
	return fault.New(fault.Invalid, op, "%s would be left without an administrator who has no end: name a successor, or confirm that there will be none", k.Tree.Path(left[0])).Because(request.ReasonLast)
}

// closeCase writes the end of a case, and ends what was given for it.
func (k *desk) closeCase(d *bridge.Deciding, c casePart, in CloseCase) (casePart, error) {
	c.Closed, c.ClosedBy, c.Reason, c.Kind = whole(k.Now), k.by(), strings.TrimSpace(in.Reason), in.Kind
	if c.Kind == "" {
		c.Kind = "ticket"
	}
	data := map[string]string{"case": string(c.ID), "kind": c.Kind, "permits": strconv.Itoa(len(c.places)), "requests": strconv.FormatInt(c.Waiting, 10)}
	cause := review.Cause{Trigger: review.ByCase, Case: c.ID}
	permits, err := k.endInline(d, c)
	if err != nil {
		return c, err
	}
	cause.Permits = permits
	if len(permits) < len(c.places) {
		if _, err := d.Tx().EndPermitsOf(c.ID, access.EndPermitCase, k.Now); err != nil {
			return c, err
		}
		c.Untold, c.Mark = true, ""
	}
	if len(c.places) > 0 {
		if c.Review, err = Open(d, cause); err != nil {
			return c, err
		}
		data["review"] = string(c.Review)
	}
	if k.r.Person != "" {
		data["closed_by"] = string(k.r.Connection) + "/" + string(k.r.Person)
	}
	d.Say(event.CaseClosed, "", "", data)
	if err := d.Tx().MoveCase(c.Case); err != nil {
		return c, err
	}
	return c, k.lapseWith(d, c.ID)
}

// endInline ends the permits of a small case one by one, and tells of each. A larger one's,
// or one with somebody of a connection that has ended, it leaves.
func (k *desk) endInline(d *bridge.Deciding, c casePart) ([]review.Permitted, error) {
	if len(c.places) > endsInline {
		return nil, nil
	}
	var rows []store.PermitRow
	for _, p := range c.places {
		row, err := k.v.Permit(p.ID)
		if err != nil {
			return nil, err
		}
		if _, err := d.In(row.Connection); fault.Is(err, fault.Unauthenticated) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	var all []review.Permitted
	for _, row := range rows {
		if err := k.end(d, row.Connection, row.ID, access.EndPermitCase); err != nil {
			return nil, err
		}
		all = append(all, review.Permitted{Connection: row.Connection, Person: row.Person, Permit: row.ID, Grant: row.Grant, Scope: row.Scope, Ended: access.EndPermitCase})
	}
	return all, nil
}

// lapseWith lapses some of the requests that wait for a closed case, and leaves the others
// to the background: they cannot be granted any more.
func (k *desk) lapseWith(d *bridge.Deciding, id access.CaseID) error {
	waiting, err := k.v.WaitingOf(id, endsInline)
	if err != nil {
		return err
	}
	for _, one := range waiting {
		q, err := k.v.Request(one)
		if err != nil {
			return err
		}
		if err := k.lapse(d, q, request.ReasonCaseClosed); err != nil {
			return err
		}
	}
	return nil
}
