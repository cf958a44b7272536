package steward

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Why somebody may not ask.
const (
	ReasonAsked       = "already_asked"     // the same waits for a decision
	ReasonTooMany     = "too_many_requests" // for one person
	ReasonUnconfirmed = "glass_unconfirmed" // others must confirm what was taken before
	ReasonInactive    = "person_inactive"
	ReasonUnknownAsk  = "unknown_workflow"
	ReasonArea        = "area_missing"
)

const (
	maxWaiting = 20                        // requests for one person that wait for a decision
	farthest   = 10 * 365 * 24 * time.Hour // from now that anything may begin or end
)

// Propose says what a request would come to, and all for which it would be refused. It
// changes nothing.
func (s *Steward) Propose(ctx context.Context, a Actor, ask Ask) (out Proposal, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		k := newDesk(v, p, now, r)
		w, h, err := k.wish(&ask)
		if err != nil {
			return err
		}
		o, eligible, err := k.offer(w, h)
		if err != nil {
			return err
		}
		out, err = k.proposal(h, w, o, eligible)
		return err
	})
	return out, err
}

// Ask makes a request, or, with BreakGlass, takes the access at once. fault.Invalid with
// the code of what is missing or wrong; fault.Conflict if the person has it already, or it
// was asked for; fault.Limited if too much waits for the person.
func (s *Steward) Ask(ctx context.Context, a Actor, ask Ask) (out RequestView, err error) {
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		k := newDesk(&d.Tx().View, d.Policy(), d.Now(), r)
		ask := ask
		if err := k.settleFor(d, &ask); err != nil {
			return err
		}
		w, h, err := k.wish(&ask)
		if err != nil {
			return err
		}
		o, eligible, err := k.offer(w, h)
		if err != nil {
			return err
		}
		if err := request.Refused("steward.Ask", o.Refused); err != nil {
			return err
		}
		q, err := k.open(d, w, h, o)
		if err != nil {
			return err
		}
		k.sayOpened(d, q, eligible)
		out, err = k.view(q, true)
		return err
	})
	return out, err
}

// settleFor decides the person anew whom something is asked for, if their last decision
// counts for nothing.
func (k *desk) settleFor(d *bridge.Deciding, ask *Ask) error {
	if err := k.extends(ask); err != nil {
		return err
	}
	p, err := k.named(ask.For)
	if err != nil {
		return err
	}
	ask.For = PersonRef{Connection: p.Connection, Person: p.ID}
	_, err = d.Settled(p.Connection, p.ID)
	return gone(err)
}

// gone is what is said of somebody whose connection has ended.
func gone(err error) error {
	if fault.Is(err, fault.Unauthenticated) {
		return fault.New(fault.Invalid, "steward.gone", "the connection that the person came by has ended").Because(ReasonInactive)
	}
	return err
}

// extends fills what an extension leaves out with what the request before was about.
func (k *desk) extends(ask *Ask) error {
	if ask.Extends == "" {
		return nil
	}
	q, err := k.request(ask.Extends)
	if err != nil {
		return err
	}
	ask.Extends = q.ID
	last := q.Result()
	if q.State != request.Granted || q.Permit == "" {
		return nothingToExtend()
	}
	p, err := k.v.Permit(q.Permit)
	if err != nil {
		return err
	}
	if !p.Ended.IsZero() || !p.Until.IsZero() && !k.Now.Before(p.Until) {
		return nothingToExtend()
	}
	who := PersonRef{Connection: q.For.Connection, Person: q.For.Person}
	if ask.For != (PersonRef{}) && ask.For != who {
		return fault.New(fault.Invalid, "steward.Ask", "the request that is to last longer is for somebody else").Because(request.ReasonExtends)
	}
	ask.For, k.known = who, last.Scope
	if ask.Area == "" {
		ask.Area = string(last.Scope)
	}
	if ask.Grant == "" && len(ask.Workflows) == 0 {
		ask.Grant, ask.Flags = last.Grant, ask.Flags.Union(last.Flags)
		ask.Workflows = k.opened(q)
	}
	if ask.Case == "" {
		ask.Case = q.Wish.Case
	}
	if ask.Organisation == "" {
		ask.Organisation = q.Wish.Organisation
	}
	return nil
}

// opened are the workflows of a request that what it gave opens.
func (k *desk) opened(q request.Request) []access.Workflow {
	last := q.Result()
	opens := k.Catalogue.Opens(last.Grant, last.Flags, q.Standing)
	return slices.DeleteFunc(slices.Clone(q.Wish.Workflows), func(w access.Workflow) bool { return !slices.Contains(opens, w) })
}

func nothingToExtend() error {
	return fault.New(fault.Invalid, "steward.Ask", "what that request gave is over, or was never given: ask anew").Because(request.ReasonExtends)
}

// wish reads what is asked for, and for whom.
func (k *desk) wish(ask *Ask) (w request.Wish, h request.Holder, err error) {
	const op = "steward.Ask"
	if err := k.extends(ask); err != nil {
		return w, h, err
	}
	if err := k.checkAsk(*ask); err != nil {
		return w, h, err
	}
	p, err := k.named(ask.For)
	if err != nil {
		return w, h, err
	}
	if !p.Active {
		return w, h, fault.New(fault.Invalid, op, "the person has left, or is switched off").Because(ReasonInactive)
	}
	at, err := k.area(ask.Area)
	if err != nil {
		return w, h, err
	}
	if h, err = k.holder(p); err != nil {
		return w, h, err
	}
	w = request.Wish{Workflows: inOrder(ask.Workflows), Area: at.ID, Grant: ask.Grant, Flags: ask.Flags, NotBefore: whole(ask.NotBefore), Until: whole(ask.Until),
		Permanent: ask.Permanent, Organisation: strings.TrimSpace(ask.Organisation), Reason: strings.TrimSpace(ask.Reason), Case: access.CaseID(strings.TrimSpace(string(ask.Case))),
		Extends: ask.Extends, BreakGlass: ask.BreakGlass}
	if ask.Approver != nil {
		w.Approver, err = k.sentTo(*ask.Approver)
	}
	return w, h, err
}

// sentTo is whom a request is sent to. Nobody learns of people by naming them: whoever is
// neither of the own connection nor somebody whom whoever acts may know is named by the id
// that a proposal showed, or is as nobody, who is not eligible.
func (k *desk) sentTo(ref PersonRef) (request.Party, error) {
	find := k.anybody
	if !k.r.Operator && ref.Connection != "" && ref.Connection != k.r.Connection {
		find = k.named
	}
	p, err := find(ref)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return request.Party{Connection: ref.Connection, Person: ref.Person}, nil
	}
	return request.Party{Connection: p.Connection, Person: p.ID}, err
}

// inOrder are workflows in the order of the guide, each once.
func inOrder(ws []access.Workflow) []access.Workflow {
	return slices.DeleteFunc(access.Workflows(), func(w access.Workflow) bool { return !slices.Contains(ws, w) })
}

// whole is an instant as it is kept: to the millisecond.
func whole(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// checkAsk holds what was sent to its form.
func (k *desk) checkAsk(ask Ask) error {
	const op = "steward.Ask"
	for _, w := range ask.Workflows {
		if !slices.Contains(access.Workflows(), w) {
			return fault.New(fault.Invalid, op, "%q is not a workflow", w).Because(ReasonUnknownAsk)
		}
	}
	if ask.Grant != "" && !ask.Grant.Known() {
		return fault.New(fault.Invalid, op, "%q is not a grant", ask.Grant)
	}
	for _, t := range []time.Time{ask.NotBefore, ask.Until} {
		if t.After(k.Now.Add(farthest)) {
			return fault.New(fault.Invalid, op, "%s is more than ten years away", t.UTC().Format(time.DateOnly))
		}
	}
	if ask.Permanent && !ask.Until.IsZero() {
		return fault.New(fault.Invalid, op, "say until when, or that it is permanent, not both")
	}
	if strings.ContainsAny(string(ask.Case), "\n/") {
		return fault.New(fault.Invalid, op, "a case is named by one word or number, without a slash")
	}
	for _, text := range []struct {
		what, text string
		most       int
	}{{"reason", ask.Reason, maxReason}, {"organisation", ask.Organisation, maxOrganisation}, {"case", string(ask.Case), maxCase}} {
		if err := printed(text.what, text.text, text.most); err != nil {
			return err
		}
	}
	return nil
}

// offer is what the wish comes to, with all for which it would be refused, and who may
// decide.
func (k *desk) offer(w request.Wish, h request.Holder) (request.Offer, []approver, error) {
	o := request.Propose(k.Setting, h, w)
	if w.BreakGlass {
		o = request.Break(k.Setting, k.r, h, w, o)
	}
	if w.Case != "" {
		c, err := k.v.Case(w.Case)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return o, nil, err
		}
		if k.closedThere(c, cmp.Or(o.Asked.Scope, w.Area)) {
			o.Refused = append(o.Refused, caseClosed(w.Case))
		}
	}
	if o.Asked.Scope == "" {
		return o, nil, nil
	}
	all, err := k.approvers(o.Class.Approvers, o.Asked.Scope, []request.Party{h.Party, k.by()}, shown+1)
	if err != nil {
		return o, nil, err
	}
	cannot, err := k.cannotDecide(w, h, o, all)
	o.Refused = append(o.Refused, cannot...)
	return o, all, err
}

func caseClosed(id access.CaseID) request.Refusal {
	return request.Refusal{Reason: request.ReasonCaseClosed, Text: "the case " + string(id) + " is closed: nothing is given for it any more"}
}

// cannotDecide says why nobody, or not whom it is sent to, can decide. Access that is taken
// at once waits for nobody: it ends if nobody confirms it.
func (k *desk) cannotDecide(w request.Wish, h request.Holder, o request.Offer, all []approver) (refused []request.Refusal, err error) {
	if len(all) < o.Need && !w.BreakGlass {
		refused = append(refused, request.Refusal{Reason: request.ReasonNobody, Text: tooFew(len(all)) + " can decide this: it takes " + approverWords(o) + "; ask the vendor's support"})
	}
	if w.Approver == (request.Party{}) {
		return refused, nil
	}
	eligible := w.Approver != h.Party && w.Approver != k.by()
	if eligible {
		if eligible, err = k.administersThere(w.Approver, o.Class.Approvers, o.Asked.Scope); err != nil {
			return refused, err
		}
	}
	if !eligible {
		refused = append(refused, request.Refusal{Reason: request.ReasonNotEligible, Text: "the approver that was named cannot decide this: it takes " + approverWords(o)})
	}
	return refused, nil
}

// administersThere reports whether somebody decides about a scope now, whoever acts.
func (k *desk) administersThere(p request.Party, of mapping.Approvers, scope access.ScopeID) (bool, error) {
	row, err := k.row(p)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil || !row.Active {
		return false, err
	}
	d, err := k.dir(p.Connection)
	if err != nil || d.Row().State != store.ConnectionActive {
		return false, err
	}
	held, err := d.Assignments(row)
	if err != nil {
		return false, err
	}
	for _, a := range held {
		if a.Grant != access.Administrator || !a.ValidAt(k.Now) || !request.Decides(k.Tree, of, a.Scope, scope) {
			continue
		}
		if unproven, err := taken(k.v, a.Sources); err != nil || !unproven {
			return err == nil, err
		}
	}
	return false, nil
}

func tooFew(n int) string {
	if n == 0 {
		return "nobody"
	}
	return "only " + strconv.Itoa(n)
}

func approverWords(o request.Offer) string {
	who, one := "administrators of the area, or of what lies above it,", "an administrator of the area, or of what lies above it,"
	if o.Class.Approvers == mapping.ServiceOwners {
		who, one = "service owners (administrators of the host)", "a service owner (an administrator of the host)"
	}
	who = strconv.Itoa(o.Need) + " " + who
	if o.Need == 1 {
		who = one
	}
	return who + " other than whoever asks or gets it"
}

// open writes a request, and gives what is taken at once.
func (k *desk) open(d *bridge.Deciding, w request.Wish, h request.Holder, o request.Offer) (request.Request, error) {
	q := request.Request{ID: access.RequestID(credential.NewIDAt("req", k.Now)), State: request.Open, By: k.by(), For: h.Party, Wish: w, Smallest: o.Smallest, Asked: o.Asked,
		Standing: o.Standing, Class: o.Class.Name, Approvers: o.Class.Approvers, Need: o.Need, Several: o.Several, Outside: o.Outside, Created: whole(k.Now), DecideBy: whole(o.DecideBy)}
	if err := k.once(q); err != nil {
		return q, err
	}
	tx := d.Tx()
	if w.Case != "" {
		if err := k.openCase(d, q); err != nil {
			return q, err
		}
		if err := tx.CountCaseWaiting(w.Case, 1); err != nil {
			return q, err
		}
	}
	if w.BreakGlass {
		q.State = request.Unconfirmed
		q.Permit = access.PermitID(credential.NewIDAt("prm", k.Now))
	}
	if err := tx.PutRequest(q); err != nil || !w.BreakGlass {
		return q, err
	}
	if err := alarmed(d, q, bridge.KindGlassBroken); err != nil {
		return q, err
	}
	return q, k.give(d, q, q.Unconfirmed(q.Permit, whole(k.Now)))
}

// alarmed tells whoever looks after the bridge of access that was taken at once.
func alarmed(d *bridge.Deciding, q request.Request, kind string) error {
	return d.Tx().PutAlarm(store.Alarm{Connection: q.For.Connection, At: d.Now(), Kind: kind, Count: 1, Base: int64(q.Need)})
}

// once refuses what waits already, and too much of it.
func (k *desk) once(q request.Request) error {
	const op = "steward.Ask"
	waiting, err := k.v.WaitingRequests(q.For, 10*maxWaiting)
	if err != nil {
		return err
	}
	n := 0
	for _, o := range waiting {
		if !o.StateAt(k.Now).Waits() {
			continue
		}
		if q.Wish.BreakGlass && o.State == request.Unconfirmed {
			return fault.New(fault.Conflict, op, "access that was taken at once for this person waits to be confirmed: there is no more before that").Because(ReasonUnconfirmed)
		}
		if n++; o.Asked.Alike(q.Asked) && o.Wish.NotBefore.Equal(q.Wish.NotBefore) && !q.Wish.BreakGlass {
			return fault.New(fault.Conflict, op, "the same was asked for and waits for a decision").Because(ReasonAsked)
		}
	}
	if n >= maxWaiting && !q.Wish.BreakGlass {
		return fault.New(fault.Limited, op, "%d requests for this person wait for a decision already", n).Because(ReasonTooMany)
	}
	return nil
}

// sayOpened tells both sides of a request.
func (k *desk) sayOpened(d *bridge.Deciding, q request.Request, eligible []approver) {
	data := requestData(q)
	var ids []string
	for _, a := range eligible {
		ids = append(ids, string(a.Connection)+"/"+string(a.Person))
	}
	if len(ids) > 0 {
		data["approvers"] = strings.Join(ids[:min(shown, len(ids))], " ")
	}
	if q.Wish.Approver != (request.Party{}) {
		data["approver"] = string(q.Wish.Approver.Connection) + "/" + string(q.Wish.Approver.Person)
	}
	t := event.RequestOpened
	if q.Wish.BreakGlass {
		t = event.GlassBroken
	}
	d.Say(t, q.For.Connection, q.For.Person, data)
}

// requestData is what events say of a request: ids and codes, no texts of people.
func requestData(q request.Request) map[string]string {
	t := q.Result()
	data := map[string]string{"request": string(q.ID), "grant": string(t.Grant), "scope": string(t.Scope), "class": q.Class, "need": strconv.Itoa(q.Need), "state": string(q.State)}
	if q.By.Operator == "" {
		data["asked_by"] = string(q.By.Connection) + "/" + string(q.By.Person)
	}
	if q.Wish.Case != "" {
		data["case"] = string(q.Wish.Case)
	}
	if q.Wish.Extends != "" {
		data["extends"] = string(q.Wish.Extends)
	}
	if !t.Until.IsZero() {
		data["until"] = t.Until.UTC().Format(time.RFC3339Nano)
	}
	if q.Successor != (request.Party{}) {
		data["successor"] = string(q.Successor.Connection) + "/" + string(q.Successor.Person)
	}
	if q.ConfirmedLast {
		data["last_confirmed"] = "true"
	}
	if q.Permit != "" {
		data["permit"] = string(q.Permit)
	}
	return data
}
