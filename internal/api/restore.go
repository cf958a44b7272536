package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (a *api) restoreRoutes(h huma.API) {
	long[bridge.RestorePlan](a, h, "/connections/{connection}/restore-plans", "What putting groups and memberships back to an instant would do", a.planRestore)
	long[bridge.RestorePlan](a, h, "/connections/{connection}/restores", "Put groups and memberships back, by the hash of a plan; 412 if it would be another by now, 403 if a guard refuses", a.restore)
}

type restoreInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Body       struct {
		At     time.Time        `json:"at" doc:"the instant to go back to, within the last 30 days"`
		Groups []access.GroupID `json:"groups,omitempty" maxItems:"1000" doc:"only these groups, by id; left out, all that existed then"`
	}
}

func (a *api) planRestore(_ context.Context, in *restoreInput) (*huma.StreamResponse, error) {
	return answerOf(a, func(ctx context.Context) (*bridge.RestorePlan, error) {
		return a.Bridge.PlanRestore(ctx, in.Connection, in.Body.At, in.Body.Groups)
	}), nil
}

// RestoreRequest orders a plan to be carried out.
type RestoreRequest struct {
	At        time.Time        `json:"at"`
	Groups    []access.GroupID `json:"groups,omitempty" maxItems:"1000"`
	Plan      string           `json:"plan" maxLength:"64" doc:"the hash of the plan that was looked at"`
	Author    string           `json:"author,omitempty" maxLength:"200" doc:"who orders it"`
	Reason    string           `json:"reason,omitempty" maxLength:"1000" doc:"why; required where something is approved"`
	Approvals bridge.Approvals `json:"approvals,omitempty" doc:"people and scopes past the guards, by name; for more than 100 people, their exact number"`
}

type restoreOrder struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Body       RestoreRequest
}

func (a *api) restore(_ context.Context, in *restoreOrder) (*huma.StreamResponse, error) {
	r := in.Body
	return answerOf(a, func(ctx context.Context) (*bridge.RestorePlan, error) {
		return a.Bridge.Restore(ctx, bridge.RestoreOrder{Connection: in.Connection, At: r.At, Groups: r.Groups, Plan: r.Plan, Author: r.Author, Approvals: r.Approvals, Reason: r.Reason})
	}), nil
}
