package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (a *api) explainRoutes(h huma.API) {
	get(a, h, "/explain", "Why a person holds what they hold, now or at an instant of the past", a.explain)
}

type explainInput struct {
	Person     string              `query:"person" required:"true" maxLength:"512" doc:"userName, e-mail address or person id; for the past also the externalId of somebody who was deleted"`
	Connection access.ConnectionID `query:"connection" maxLength:"128"`
	At         time.Time           `query:"at" doc:"an instant of the past, answered from the audit trail; now if left out"`
}

func (a *api) explain(ctx context.Context, in *explainInput) (*body[[]bridge.Explanation], error) {
	found, err := a.explained(ctx, in)
	if err != nil {
		return nil, err
	}
	for i, e := range found {
		if e.Refusal != "" && a.Says != nil {
			found[i].Says = a.Says(e.Refusal, e.Customer)
		}
	}
	return &body[[]bridge.Explanation]{found}, nil
}

func (a *api) explained(ctx context.Context, in *explainInput) ([]bridge.Explanation, error) {
	if in.At.IsZero() {
		return a.Bridge.Explain(ctx, in.Person, in.Connection)
	}
	return a.Bridge.ExplainAt(ctx, in.Person, in.Connection, in.At)
}
