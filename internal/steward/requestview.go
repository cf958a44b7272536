package steward

import (
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

// proposal shows an offer.
func (k *desk) proposal(h request.Holder, w request.Wish, o request.Offer, eligible []approver) (out Proposal, err error) {
	out = Proposal{Terms: k.terms(o.Asked), Workflows: o.Opens, Beyond: o.Beyond, Standing: o.Standing, Class: o.Class.Name, Need: o.Need, Outside: o.Outside,
		RiskNow: request.RiskOf(k.Setting, h.Held)}
	if o.Opens == nil {
		out.Workflows = []access.Workflow{}
	}
	out.RiskAfter = max(out.RiskNow, o.Asked.Risk(k.Setting))
	if o.Class.Longest > 0 {
		out.Longest = request.Days(o.Class.Longest)
	}
	for _, r := range o.Refused {
		out.Missing = append(out.Missing, Missing{Reason: r.Reason, Text: r.Text})
	}
	if o.Held != nil {
		out.Held = &Held{Assignment: o.Held.ID, Grant: o.Held.Grant, Area: k.areaView(o.Held.Scope), Until: o.Held.Until}
	}
	out.Visible = k.visible(h, o.Asked.Scope, o.Several)
	if out.For, err = k.who(h.Party); err != nil {
		return out, err
	}
	if out.Approvers, out.More, err = k.shownApprovers(eligible); err != nil {
		return out, err
	}
	out.Last, err = k.lastHint(o.Asked)
	return out, err
}

func (k *desk) visible(h request.Holder, at access.ScopeID, several bool) Visible {
	seen := request.Newly(k.Setting, h, at, shown)
	return Visible{Areas: k.areaViews(seen.Scopes), Customers: k.areaViews(seen.Customers), More: seen.More, Several: several}
}

func (k *desk) lastHint(t request.Terms) (string, error) {
	if t.Grant != access.Administrator || t.Until.IsZero() {
		return "", nil
	}
	good, err := k.v.AdministeredForGood(t.Scope)
	return request.LastHint(k.Tree, t, good), err
}

// view shows a request; whole with who may decide, and whom it would make visible what.
func (k *desk) view(q request.Request, whole bool) (out RequestView, err error) {
	w := q.Wish
	out = RequestView{ID: q.ID, Short: short(q.ID), State: q.StateAt(k.Now), Organisation: w.Organisation, Workflows: w.Workflows, Proposed: k.terms(q.Smallest), Asked: k.terms(q.Asked),
		Standing: q.Standing, Class: q.Class, Need: q.Need, Case: w.Case, Reason: w.Reason, NotBefore: w.NotBefore, Until: q.Result().Until, Permanent: w.Permanent,
		BreakGlass: w.BreakGlass, Extends: w.Extends, Outside: q.Outside, Created: q.Created, DecideBy: q.DecideBy, Decided: q.Decided, Because: q.Because, Told: q.Told(k.Setting)}
	if w.Workflows == nil {
		out.Workflows = []access.Workflow{}
	}
	if len(q.Approvals) > 0 || q.Permit != "" {
		t := k.terms(q.Result())
		out.Granted = &t
	}
	if err := k.viewPeople(q, &out); err != nil {
		return out, err
	}
	if out.Revoked = q.RevokedBecause; q.Revoked != (request.Party{}) {
		w, err := k.who(q.Revoked)
		if err != nil {
			return out, err
		}
		out.RevokedBy = &w
	}
	if err := k.viewHolder(q, &out); err != nil {
		return out, err
	}
	if out.Permit, err = k.permitState(q.Permit); err != nil {
		return out, err
	}
	if p := out.Permit; p != nil && (p.State == "ended" || p.State == "over") && out.State == request.Granted {
		out.Told = q.ToldEnded(k.Setting)
	}
	out.Eligible = []Who{}
	if whole && out.State.Waits() {
		err = k.viewDeciders(q, &out)
	}
	return out, err
}

// viewPeople fills in who is who.
func (k *desk) viewPeople(q request.Request, out *RequestView) (err error) {
	if out.By, err = k.who(q.By); err != nil {
		return err
	}
	if out.For, err = k.who(q.For); err != nil {
		return err
	}
	for p, into := range map[request.Party]**Who{q.Wish.Approver: &out.Approver, q.DecidedBy: &out.DecidedBy} {
		if p == (request.Party{}) {
			continue
		}
		w, err := k.who(p)
		if err != nil {
			return err
		}
		*into = &w
	}
	out.Approvals = []ApprovalView{}
	for _, a := range q.Approvals {
		w, err := k.who(a.By)
		if err != nil {
			return err
		}
		out.Approvals = append(out.Approvals, ApprovalView{By: w, At: a.At, Terms: k.terms(a.Terms), Comment: a.Comment})
	}
	return nil
}

// viewHolder fills in what the person has now, and would have.
func (k *desk) viewHolder(q request.Request, out *RequestView) error {
	out.RiskAfter = q.Result().Risk(k.Setting)
	out.Visible = Visible{Areas: []AreaView{}, Customers: []AreaView{}, Several: q.Several}
	p, err := k.row(q.For)
	if fault.Is(err, fault.NotFound) {
		return nil // gone: they hold nothing
	}
	if err != nil {
		return err
	}
	h, err := k.holder(p)
	if err != nil {
		return err
	}
	out.RiskNow = request.RiskOf(k.Setting, h.Held)
	out.RiskAfter = max(out.RiskNow, out.RiskAfter)
	out.Visible = k.visible(h, q.Result().Scope, q.Several)
	return nil
}

// viewDeciders fills in who may decide now, and what they must think of.
func (k *desk) viewDeciders(q request.Request, out *RequestView) error {
	but := []request.Party{q.For, q.By}
	for _, a := range q.Approvals {
		but = append(but, a.By)
	}
	all, err := k.approvers(q.Approvers, q.Asked.Scope, but, shown+1)
	if err != nil {
		return err
	}
	if out.Eligible, out.More, err = k.shownApprovers(all); err != nil {
		return err
	}
	if q.Successor == (request.Party{}) && !q.ConfirmedLast {
		out.Last, err = k.lastHint(q.Result())
	}
	return err
}

// permitState is what became of a permit.
func (k *desk) permitState(id access.PermitID) (*PermitState, error) {
	if id == "" {
		return nil, nil
	}
	p, err := k.v.Permit(id)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	s := stateOf(p.Permit, k.Now)
	return &s, err
}

func stateOf(p access.Permit, now time.Time) PermitState {
	s := PermitState{ID: p.ID, State: "running", Ended: p.Ended, EndReason: p.EndReason}
	switch {
	case !p.Ended.IsZero():
		s.State = "ended"
	case !p.Until.IsZero() && !now.Before(p.Until):
		s.State, s.Ended, s.EndReason = "over", p.Until, access.EndPermitTime
	case now.Before(p.NotBefore):
		s.State = "to_come"
	}
	return s
}

// shortLen is how much of an id people type: its instant, and two characters more.
const shortLen = len("req_") + 9 + 2

// short is a form of an id that people may type while it is unique.
func short(id access.RequestID) string { return string(id)[:min(len(id), shortLen)] }

// request finds a request that whoever acts may see, by its id or the beginning of it.
func (k *desk) request(id access.RequestID) (request.Request, error) {
	q, err := k.v.Request(id)
	if fault.Is(err, fault.NotFound) && len(id) >= shortLen && strings.HasPrefix(string(id), "req_") {
		q, err = k.shortened(id)
	}
	if err != nil {
		return q, err
	}
	if k.seesRequest(q) {
		return q, nil
	}
	return q, sees(k.r, k.Tree, q.Asked.Scope, "request")
}

func (k *desk) shortened(id access.RequestID) (request.Request, error) {
	const few = 10
	like, err := k.v.LikeRequest(string(id), few)
	if err != nil {
		return request.Request{}, err
	}
	all, err := k.v.RequestsBy(like)
	all = slices.DeleteFunc(all, func(q request.Request) bool { return !k.seesRequest(q) })
	switch {
	case err != nil:
		return request.Request{}, err
	case len(all) == 0:
		return request.Request{}, fault.New(fault.NotFound, "steward.request", "there is no such request")
	case len(all) > 1 || len(like) == few:
		return request.Request{}, fault.New(fault.Invalid, "steward.request", "%s is the beginning of several requests: type more of it", id)
	}
	return all[0], nil
}

// seesRequest reports whether whoever acts sees a request: their own, and what lies where
// they decide.
func (k *desk) seesRequest(q request.Request) bool {
	return k.concerns(q.By, q.For) || k.r.Sees(k.Tree, q.Asked.Scope)
}

// concerns reports whether whoever acts is one of them.
func (k *desk) concerns(parties ...request.Party) bool { return slices.Contains(parties, k.by()) }
