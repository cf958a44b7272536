package api

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

type driftInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
}

func (a *api) drift(ctx context.Context, in *driftInput) (*body[[]bridge.Drift], error) {
	all, err := a.Bridge.Drift(ctx, in.Connection)
	if err != nil {
		return nil, err
	}
	return &body[[]bridge.Drift]{all}, nil
}

type acknowledgeInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Group      access.GroupID      `query:"group" maxLength:"128" doc:"only this group's"`
}

// Acknowledged says how many findings were forgotten.
type Acknowledged struct {
	Count int64 `json:"count"`
}

func (a *api) acknowledgeDrift(ctx context.Context, in *acknowledgeInput) (*body[Acknowledged], error) {
	n, err := a.Bridge.AcknowledgeDrift(ctx, in.Connection, in.Group)
	if err != nil {
		return nil, err
	}
	return &body[Acknowledged]{Acknowledged{Count: n}}, nil
}
