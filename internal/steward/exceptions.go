package steward

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// PlaceView is a grant at a scope as people read it.
type PlaceView struct {
	Grant access.Grant `json:"grant"`
	Area  AreaView     `json:"area"`
}

// ExceptionView is an exception as people read it.
type ExceptionView struct {
	Kind   exception.Kind     `json:"kind" enum:"broken_glass_unconfirmed,last_administrator_held_over,several_customers,above_ceiling,permanent,administration_with_operation,two_high_risk"`
	What   string             `json:"what" doc:"a sentence"`
	For    Who                `json:"for"`
	Grant  access.Grant       `json:"grant"`
	Area   AreaView           `json:"area"`
	With   []PlaceView        `json:"with,omitempty" doc:"what else they hold that makes it an exception, as far as you see it"`
	Beyond bool               `json:"beyond,omitempty" doc:"something that you do not see is part of it"`
	By     string             `json:"by" enum:"people,rules,both"`
	Owners []string           `json:"owners" doc:"who answers for it: who took or approved it, and whom the rule names; else who administers the area, else the contact of the connection; empty: nobody does"`
	Reason string             `json:"reason,omitempty" doc:"of the request, or the note of the rule"`
	Case   access.CaseID      `json:"case,omitempty"`
	Rules  []string           `json:"rules,omitempty"`
	Asked  []access.RequestID `json:"requests,omitempty"`
	Since  time.Time          `json:"since"`
	Until  time.Time          `json:"until,omitzero" doc:"left out: no end"`
}

// ExceptionPage is a part of the list. Where Complete is false everybody is being looked at
// anew, and exceptions may be missing or over.
type ExceptionPage struct {
	Exceptions []ExceptionView `json:"exceptions"`
	Next       string          `json:"next,omitempty" doc:"for after; left out: there are no more"`
	Complete   bool            `json:"complete"`
	Looked     int64           `json:"looked,omitempty" doc:"if it is not complete: how many who hold something have been looked at"`
	People     int64           `json:"people,omitempty" doc:"if it is not complete: how many people there are"`
}

// ExceptionQuery asks for exceptions. What is left out does not matter.
type ExceptionQuery struct {
	Kind  exception.Kind
	Area  string // at it and below
	After string
	Count int // at most 200; 50 if left out
}

// Exceptions lists what is out of the ordinary where whoever asks decides. A list that is
// being found anew says so.
func (s *Steward) Exceptions(ctx context.Context, a Actor, q ExceptionQuery) (ExceptionPage, error) {
	const op = "steward.Exceptions"
	after, err := readPlace(q.After)
	if err != nil {
		return ExceptionPage{}, err
	}
	if q.Kind != "" && !slices.Contains(exception.Kinds(), q.Kind) {
		return ExceptionPage{}, fault.New(fault.Invalid, op, "%q is no kind of exception; there are: %s", q.Kind, kinds())
	}
	q.Count = max(1, min(cmp.Or(q.Count, 50), 200))
	var page ExceptionPage
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		scopes, err := exceptionScopes(r, p.Tree(), q.Area)
		if err != nil {
			return err
		}
		if page, err = progress(v); err != nil {
			return err
		}
		rows, err := v.Exceptions(scopes, after, q.Count+1, now)
		if err != nil {
			return err
		}
		if len(rows) > q.Count {
			rows = rows[:q.Count]
			page.Next = writePlace(rows[q.Count-1])
		}
		rows = slices.DeleteFunc(rows, func(x store.ExceptionRow) bool { return q.Kind != "" && x.Kind != q.Kind })
		page.Exceptions, err = exceptionViews(v, p, r, rows)
		return err
	})
	return page, err
}

func kinds() string {
	var all []string
	for _, k := range exception.Kinds() {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

// exceptionScopes are those that are looked at: nil for all. Whoever decides nowhere is told
// so, rather than shown an empty list.
func exceptionScopes(r request.Right, t *access.Tree, area string) ([]access.ScopeID, error) {
	root := r.Root(t)
	if area != "" {
		s, err := areaSeen(r, t, area)
		if err != nil {
			return nil, err
		}
		root = s.ID
	}
	host, _ := t.Resolve(".")
	switch root {
	case host.ID:
		return nil, nil
	case "":
		return nil, sees(r, t, cmp.Or(r.Scope, host.ID), "list of exceptions for you")
	}
	return t.Under(root), nil
}

// progress is an empty page that says whether the list is complete.
func progress(v *store.View) (ExceptionPage, error) {
	page := ExceptionPage{Exceptions: []ExceptionView{}}
	at, err := v.ExceptionsPass()
	if err != nil {
		return page, err
	}
	version, err := v.PolicyVersion()
	if page.Complete = err == nil && at.Found == version; page.Complete || err != nil {
		return page, err
	}
	if at.Working == version {
		page.Looked = at.Looked
	}
	all, err := v.Connections()
	for _, c := range all {
		page.People += c.People
	}
	return page, err
}

// writePlace and readPlace are where a page ended, as one word.
func writePlace(x store.ExceptionRow) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(x.Scope) + " " + strconv.FormatInt(x.Key, 10)))
}

func readPlace(after string) (p store.ExceptionPlace, err error) {
	if after == "" {
		return p, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(after)
	scope, key, ok := strings.Cut(string(text), " ")
	if err == nil && ok {
		p.Scope = access.ScopeID(scope)
		p.Key, err = strconv.ParseInt(key, 10, 64)
	}
	if err != nil || !ok {
		return p, fault.New(fault.Invalid, "steward.Exceptions", "after is not the next of a page before")
	}
	return p, nil
}

func exceptionViews(v *store.View, p *mapping.Policy, r request.Right, rows []store.ExceptionRow) ([]ExceptionView, error) {
	asked, err := requestsOf(v, rows)
	if err != nil {
		return nil, err
	}
	out := make([]ExceptionView, len(rows))
	for i, x := range rows {
		dir, err := v.In(x.Connection)
		if err != nil {
			return nil, err
		}
		who, err := dir.Person(x.Person)
		if err != nil {
			return nil, err
		}
		out[i] = exceptionView(p, r, x, who)
		if err := explainException(v, p, r, x, asked, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// requestsOf reads the requests behind exceptions.
func requestsOf(v *store.View, rows []store.ExceptionRow) (map[access.RequestID]request.Request, error) {
	var ids []access.RequestID
	for _, x := range rows {
		ids = append(ids, x.Requests...)
	}
	slices.Sort(ids)
	all, err := v.RequestsBy(slices.Compact(ids))
	found := make(map[access.RequestID]request.Request, len(all))
	for _, q := range all {
		found[q.ID] = q
	}
	return found, err
}

func exceptionView(p *mapping.Policy, r request.Right, x store.ExceptionRow, who store.Person) ExceptionView {
	t := p.Tree()
	out := ExceptionView{Kind: x.Kind, For: Who{PersonRef: PersonRef{Connection: x.Connection, Person: x.Person}, UserName: who.UserName, DisplayName: who.DisplayName},
		Grant: x.Grant, Area: areaAt(t, x.Scope), By: "rules", Owners: []string{}, Asked: x.Requests, Since: x.Since, Until: x.Until}
	switch {
	case len(x.Requests) > 0 && len(x.Rules) > 0:
		out.By = "both"
	case len(x.Requests) > 0 || len(x.Rules) == 0:
		out.By = "people"
	}
	for _, w := range x.With {
		if !r.Sees(t, w.Scope) {
			out.Beyond = true
			continue
		}
		out.With = append(out.With, PlaceView{Grant: w.Grant, Area: areaAt(t, w.Scope)})
	}
	out.What = sentence(out)
	return out
}

func areaAt(t *access.Tree, id access.ScopeID) AreaView {
	s, _ := t.Scope(id)
	return AreaView{ID: id, Path: t.Path(id), Level: s.Level, Name: s.Name}
}

// explainException says who answers for an exception, and why there is one. What rules say
// is for those who keep them.
func explainException(v *store.View, p *mapping.Policy, r request.Right, x store.ExceptionRow, asked map[access.RequestID]request.Request, out *ExceptionView) error {
	var reasons []string
	for _, id := range x.Requests {
		q := asked[id]
		reasons = append(reasons, q.Wish.Reason)
		out.Case = cmp.Or(out.Case, q.Wish.Case)
		if q.Wish.BreakGlass {
			name, err := partyName(v, q.By)
			if err != nil {
				return err
			}
			out.Owners = append(out.Owners, name)
		}
		for _, a := range q.Approvals {
			name, err := partyName(v, a.By)
			if err != nil {
				return err
			}
			out.Owners = append(out.Owners, name)
		}
	}
	host, _ := p.Tree().Resolve(".")
	if r.Sees(p.Tree(), host.ID) {
		out.Rules = x.Rules
		for _, rule := range p.Source().Rules {
			if slices.Contains(x.Rules, rule.ID) {
				out.Owners = append(out.Owners, rule.Owner)
				reasons = append(reasons, rule.Note)
			}
		}
	}
	blank := func(s string) bool { return s == "" }
	out.Owners = slices.Compact(slices.DeleteFunc(out.Owners, blank))
	if len(out.Owners) == 0 {
		var err error
		if out.Owners, err = whoElse(v, p, r, x); err != nil {
			return err
		}
	}
	out.Reason = strings.Join(slices.DeleteFunc(reasons, blank), "; ")
	return nil
}

// whoElse answers for what nobody approved and no rule names an owner of: those who administer
// the area, as far as whoever asks sees where they do, but not for themselves; else whom the
// connection names to be asked.
func whoElse(v *store.View, p *mapping.Policy, r request.Right, x store.ExceptionRow) ([]string, error) {
	const most = 3
	owners := []string{}
	for at, ok := p.Tree().Scope(x.Scope); ok && len(owners) == 0 && r.Sees(p.Tree(), at.ID); at, ok = p.Tree().Scope(at.Parent) {
		all, err := v.AdministratorsAt(at.ID, most+1)
		if err != nil {
			return nil, err
		}
		for _, a := range all {
			if a.Connection == x.Connection && a.Person == x.Person || len(owners) == most {
				continue
			}
			name, err := partyName(v, request.Party{Connection: a.Connection, Person: a.Person})
			if err != nil {
				return nil, err
			}
			owners = append(owners, name)
		}
	}
	if c, _ := p.Connection(x.Connection); len(owners) == 0 && c.Contact != "" {
		owners = append(owners, c.Contact)
	}
	return owners, nil
}

// partyName is what somebody is called who decided something; an id, if they are gone.
func partyName(v *store.View, p request.Party) (string, error) {
	if p.Person == "" {
		return p.Operator, nil
	}
	dir, err := v.In(p.Connection)
	if err != nil {
		return string(p.Person), noFault(err)
	}
	who, err := dir.Person(p.Person)
	if err != nil {
		return string(p.Person), noFault(err)
	}
	return nameOf(who), nil
}

// sentence says what is out of the ordinary.
func sentence(x ExceptionView) string {
	var with []string
	for _, w := range x.With {
		with = append(with, string(w.Grant)+" @ "+w.Area.Path)
	}
	if x.Beyond {
		with = append(with, "something that you do not see")
	}
	beside := strings.Join(with, ", ")
	switch x.Kind {
	case exception.SeveralCustomers:
		if beside == "" {
			return "shows several customers at once"
		}
		return "shows one of several customers, beside " + beside
	case exception.AboveCeiling:
		return "lies beyond what rules of the connection may give"
	case exception.Permanent:
		return "has no end, where the policy wants one"
	case exception.Combined:
		return "administration and operation are in one hand, with " + beside
	case exception.TwoHighRisk:
		return "is of high risk, and so is " + beside
	case exception.Unconfirmed:
		return "was taken at once, and is not confirmed yet"
	case exception.HeldOver:
		return "goes on because there would be no administrator; name a successor, or confirm that there will be none"
	}
	return string(x.Kind)
}
