package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (a *api) requestRoutes(h huma.API) {
	get(a, h, "/people", "Whom a name means, as far as whoever asks may know: themselves, and whoever is at home or holds something where they decide", a.people, people)
	register(a, h, http.MethodPost, "/requests/proposals", "What a request would come to: the smallest grant that opens what is asked for, who would decide, and what is missing; nothing is changed", http.StatusOK, a.propose, people)
	register(a, h, http.MethodPost, "/requests", "Ask for access, for yourself or for somebody where you decide", http.StatusCreated, a.askFor, people)
	get(a, h, "/requests", "Requests, the newest first: yours, and those where you decide; the operator's are all", a.requests, people)
	get(a, h, "/requests/{request}", "One request, with its decisions and what became of it", a.request, people)
	register(a, h, http.MethodPost, "/requests/{request}/approve", "Say yes, or yes to less", http.StatusOK, a.approve, people)
	register(a, h, http.MethodPost, "/requests/{request}/deny", "Say no, and why", http.StatusOK, a.deny, people)
	register(a, h, http.MethodPost, "/requests/{request}/withdraw", "Take a request back that nobody has decided", http.StatusOK, a.withdraw, people)
	register(a, h, http.MethodPost, "/requests/{request}/confirm", "Confirm access that somebody took by breaking glass", http.StatusOK, a.confirm, people)
	get(a, h, "/permits", "What people gave, the newest first: yours, and what lies where you decide", a.permits, people)
	register(a, h, http.MethodPost, "/permits/{permit}/revoke", "Take back what people gave, at once", http.StatusOK, a.revokePermit, people)
	get(a, h, "/cases", "Cases that access was asked for, the newest first", a.cases, people)
	get(a, h, "/cases/{case}", "One case, and what closing it would end", a.accessCase, people)
	register(a, h, http.MethodPost, "/cases/{case}/close", "Close a case: all that was given for it ends, and a review of it begins", http.StatusOK, a.closeCase, people)
}

// Authored is who acts where the operator does; a person is who their token says.
type Authored struct {
	Author string `json:"author,omitempty" maxLength:"200" doc:"who does it, where the operator does"`
}

type peopleInput struct {
	Person     string              `query:"person" required:"true" maxLength:"512" doc:"userName, e-mail address or id"`
	Connection access.ConnectionID `query:"connection" maxLength:"128" doc:"of this connection alone"`
}

func (a *api) people(ctx context.Context, in *peopleInput) (*body[[]steward.Who], error) {
	found, err := a.Steward.People(ctx, actor(ctx, ""), in.Person, in.Connection)
	return &body[[]steward.Who]{found}, err
}

type askInput struct {
	Body struct {
		steward.Ask
		Authored
	}
}

func (a *api) propose(ctx context.Context, in *askInput) (*body[steward.Proposal], error) {
	p, err := a.Steward.Propose(ctx, actor(ctx, in.Body.Author), in.Body.Ask)
	return &body[steward.Proposal]{p}, err
}

func (a *api) askFor(ctx context.Context, in *askInput) (*body[steward.RequestView], error) {
	v, err := a.Steward.Ask(ctx, actor(ctx, in.Body.Author), in.Body.Ask)
	return &body[steward.RequestView]{v}, err
}

type requestsInput struct {
	State      request.State       `query:"state" enum:"open,granted,denied,withdrawn,lapsed,unconfirmed,expired"`
	Mine       bool                `query:"mine" doc:"by whoever looks, or for them"`
	ToDecide   bool                `query:"to_decide" doc:"by whoever looks"`
	Connection access.ConnectionID `query:"connection" maxLength:"128" doc:"of the person"`
	Person     access.PersonID     `query:"person" maxLength:"320" doc:"whom it is for: id, or userName"`
	Case       access.CaseID       `query:"case" maxLength:"64"`
	Area       string              `query:"area" maxLength:"300" doc:"path or id of a scope: at it and below"`
	After      access.RequestID    `query:"after" maxLength:"64" doc:"next of the page before"`
	Count      int                 `query:"count" minimum:"1" maximum:"200" default:"50"`
}

func (a *api) requests(ctx context.Context, in *requestsInput) (*body[steward.RequestPage], error) {
	page, err := a.Steward.Requests(ctx, actor(ctx, ""), steward.Query{State: in.State, Mine: in.Mine, ToDecide: in.ToDecide,
		For: somebody(in.Connection, in.Person), Case: in.Case, Area: in.Area, After: in.After, Count: in.Count})
	return &body[steward.RequestPage]{page}, err
}

// somebody is a person whom a query names, or nobody.
func somebody(conn access.ConnectionID, person access.PersonID) *steward.PersonRef {
	if person == "" {
		return nil
	}
	return &steward.PersonRef{Connection: conn, Person: person}
}

// RequestInput names a request.
type RequestInput struct {
	Request access.RequestID `path:"request" maxLength:"64" doc:"id, or a short form that is unique"`
}

func (a *api) request(ctx context.Context, in *RequestInput) (*body[steward.RequestView], error) {
	v, err := a.Steward.Request(ctx, actor(ctx, ""), in.Request)
	return &body[steward.RequestView]{v}, err
}

type approveInput struct {
	RequestInput
	Body struct {
		steward.Approval
		Authored
	}
}

func (a *api) approve(ctx context.Context, in *approveInput) (*body[steward.RequestView], error) {
	v, err := a.Steward.Approve(ctx, actor(ctx, in.Body.Author), in.Request, in.Body.Approval)
	return &body[steward.RequestView]{v}, err
}

type reasonInput struct {
	RequestInput
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000"`
		Authored
	}
}

func (a *api) deny(ctx context.Context, in *reasonInput) (*body[steward.RequestView], error) {
	v, err := a.Steward.Deny(ctx, actor(ctx, in.Body.Author), in.Request, in.Body.Reason)
	return &body[steward.RequestView]{v}, err
}

func (a *api) withdraw(ctx context.Context, in *reasonInput) (*body[steward.RequestView], error) {
	v, err := a.Steward.Withdraw(ctx, actor(ctx, in.Body.Author), in.Request, in.Body.Reason)
	return &body[steward.RequestView]{v}, err
}

type confirmInput struct {
	RequestInput
	Body struct {
		Comment string `json:"comment,omitempty" maxLength:"1000"`
		Authored
	}
}

func (a *api) confirm(ctx context.Context, in *confirmInput) (*body[steward.RequestView], error) {
	v, err := a.Steward.Confirm(ctx, actor(ctx, in.Body.Author), in.Request, in.Body.Comment)
	return &body[steward.RequestView]{v}, err
}

type permitsInput struct {
	Live       bool                `query:"live" doc:"those that have not ended"`
	Connection access.ConnectionID `query:"connection" maxLength:"128" doc:"of the person"`
	Person     access.PersonID     `query:"person" maxLength:"320" doc:"who has it: id, or userName"`
	Case       access.CaseID       `query:"case" maxLength:"64"`
	Area       string              `query:"area" maxLength:"300" doc:"path or id of a scope: at it and below"`
	After      access.PermitID     `query:"after" maxLength:"64" doc:"next of the page before"`
	Count      int                 `query:"count" minimum:"1" maximum:"200" default:"50"`
}

func (a *api) permits(ctx context.Context, in *permitsInput) (*body[steward.PermitPage], error) {
	page, err := a.Steward.Permits(ctx, actor(ctx, ""), steward.PermitQuery{Live: in.Live, For: somebody(in.Connection, in.Person), Case: in.Case, Area: in.Area, After: in.After, Count: in.Count})
	return &body[steward.PermitPage]{page}, err
}

type revokePermitInput struct {
	Permit access.PermitID `path:"permit" maxLength:"64"`
	Body   struct {
		Reason string `json:"reason" maxLength:"1000"`
		Authored
	}
}

func (a *api) revokePermit(ctx context.Context, in *revokePermitInput) (*body[steward.PermitView], error) {
	v, err := a.Steward.Revoke(ctx, actor(ctx, in.Body.Author), in.Permit, in.Body.Reason)
	return &body[steward.PermitView]{v}, err
}

type casesInput struct {
	Open  bool   `query:"open" doc:"those that are open"`
	After string `query:"after" maxLength:"64" doc:"next of the page before"`
	Count int    `query:"count" minimum:"1" maximum:"200" default:"50"`
}

func (a *api) cases(ctx context.Context, in *casesInput) (*body[steward.CasePage], error) {
	page, err := a.Steward.Cases(ctx, actor(ctx, ""), steward.CaseQuery{Open: in.Open, After: in.After, Count: in.Count})
	return &body[steward.CasePage]{page}, err
}

// CaseInput names a case.
type CaseInput struct {
	Case access.CaseID `path:"case" maxLength:"64"`
}

func (a *api) accessCase(ctx context.Context, in *CaseInput) (*body[steward.CaseView], error) {
	v, err := a.Steward.Case(ctx, actor(ctx, ""), in.Case)
	return &body[steward.CaseView]{v}, err
}

type closeCaseInput struct {
	CaseInput
	Body struct {
		steward.CloseCase
		Authored
	}
}

func (a *api) closeCase(ctx context.Context, in *closeCaseInput) (*body[steward.CaseView], error) {
	v, err := a.Steward.CloseCase(ctx, actor(ctx, in.Body.Author), in.Case, in.Body.CloseCase)
	return &body[steward.CaseView]{v}, err
}
