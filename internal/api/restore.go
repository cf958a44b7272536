package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (a *api) restoreRoutes(h huma.API) {
	register(a, h, http.MethodPost, "/connections/{connection}/restore-plans", "What putting groups and memberships back to an instant would do", http.StatusOK, a.planRestore)
	register(a, h, http.MethodPost, "/connections/{connection}/restores", "Put groups and memberships back, by the hash of a plan; 412 if it would be another by now, 403 if a guard refuses", http.StatusOK, a.restore)
}

type restoreInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Body       struct {
		At     time.Time        `json:"at" doc:"the instant to go back to, within the last 30 days"`
		Groups []access.GroupID `json:"groups,omitempty" maxItems:"1000" doc:"only these groups, by id; left out, all that existed then"`
	}
}

func (a *api) planRestore(ctx context.Context, in *restoreInput) (*body[*bridge.RestorePlan], error) {
	p, err := a.Bridge.PlanRestore(ctx, in.Connection, in.Body.At, in.Body.Groups)
	if err != nil {
		return nil, err
	}
	return &body[*bridge.RestorePlan]{p}, nil
}

type restoreOrder struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Body       struct {
		At            time.Time        `json:"at"`
		Groups        []access.GroupID `json:"groups,omitempty" maxItems:"1000"`
		Plan          string           `json:"plan" maxLength:"64" doc:"the hash of the plan that was looked at"`
		Losing        int64            `json:"accept_losing,omitempty" doc:"approves that so many people lose something; the exact number of the plan"`
		WithoutAccess int64            `json:"accept_without_access,omitempty" doc:"approves that so many end with no access"`
	}
}

func (a *api) restore(ctx context.Context, in *restoreOrder) (*body[*bridge.RestorePlan], error) {
	p, err := a.Bridge.Restore(ctx, bridge.RestoreOrder{Connection: in.Connection, At: in.Body.At, Groups: in.Body.Groups, Plan: in.Body.Plan,
		Losing: in.Body.Losing, WithoutAccess: in.Body.WithoutAccess})
	if err != nil {
		return nil, err
	}
	return &body[*bridge.RestorePlan]{p}, nil
}
