package steward

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

var notYet = fault.New(fault.Unsupported, "steward", "this part of requests is being built")

// Propose says what a request would come to. It changes nothing.
func (s *Steward) Propose(context.Context, Actor, Ask) (Proposal, error) { return Proposal{}, notYet }

// Ask makes a request.
func (s *Steward) Ask(context.Context, Actor, Ask) (RequestView, error) { return RequestView{}, notYet }

// Approve is one approver's yes.
func (s *Steward) Approve(context.Context, Actor, access.RequestID, Approval) (RequestView, error) {
	return RequestView{}, notYet
}

// Deny refuses a request.
func (s *Steward) Deny(_ context.Context, _ Actor, _ access.RequestID, reason string) (RequestView, error) {
	return RequestView{}, notYet
}

// Withdraw takes a request back.
func (s *Steward) Withdraw(_ context.Context, _ Actor, _ access.RequestID, reason string) (RequestView, error) {
	return RequestView{}, notYet
}

// Confirm confirms broken glass.
func (s *Steward) Confirm(_ context.Context, _ Actor, _ access.RequestID, comment string) (RequestView, error) {
	return RequestView{}, notYet
}

// Request shows one request.
func (s *Steward) Request(context.Context, Actor, access.RequestID) (RequestView, error) {
	return RequestView{}, notYet
}

// Requests lists requests.
func (s *Steward) Requests(context.Context, Actor, Query) (RequestPage, error) {
	return RequestPage{}, notYet
}

// Permits lists permits.
func (s *Steward) Permits(context.Context, Actor, PermitQuery) (PermitPage, error) {
	return PermitPage{}, notYet
}

// Revoke ends a permit.
func (s *Steward) Revoke(_ context.Context, _ Actor, _ access.PermitID, reason string) (PermitView, error) {
	return PermitView{}, notYet
}

// Cases lists cases.
func (s *Steward) Cases(context.Context, Actor, CaseQuery) (CasePage, error) {
	return CasePage{}, notYet
}

// Case shows a case, and what closing it would end.
func (s *Steward) Case(context.Context, Actor, access.CaseID) (CaseView, error) {
	return CaseView{}, notYet
}

// CloseCase ends a case, and all that was given for it.
func (s *Steward) CloseCase(context.Context, Actor, access.CaseID, CloseCase) (CaseView, error) {
	return CaseView{}, notYet
}

// Tick does a bounded part of the work that time brings.
func (s *Steward) Tick(context.Context) error { return nil }
