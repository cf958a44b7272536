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
	get(a, h, "/who-can-see", "Who sees a scope: by a grant held there or at a scope that covers it, now or at an instant of the past", a.whoCanSee)
	get(a, h, "/who-has", "Who holds a grant, anywhere or at one scope", a.whoHas)
	get(a, h, "/who-was-in", "Who was in a group at an instant of the past", a.whoWasIn)
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

// WhoInput is what every question of this kind may ask for.
type WhoInput struct {
	Connection access.ConnectionID `query:"connection" maxLength:"128" doc:"only this connection"`
	At         time.Time           `query:"at" doc:"an instant of the past, answered from the audit trail; now if left out"`
	After      string              `query:"after" maxLength:"2048" doc:"the next of the last page"`
	Limit      int                 `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (in WhoInput) query() bridge.HolderQuery {
	return bridge.HolderQuery{Connection: in.Connection, At: in.At, After: in.After, Limit: in.Limit}
}

type whoCanSeeInput struct {
	Scope string `query:"scope" required:"true" maxLength:"512" doc:"its path or its id"`
	WhoInput
}

func (a *api) whoCanSee(ctx context.Context, in *whoCanSeeInput) (*body[bridge.Holders], error) {
	q := in.query()
	q.Scope = in.Scope
	found, err := a.Bridge.WhoCanSee(ctx, q)
	return &body[bridge.Holders]{found}, err
}

type whoHasInput struct {
	Grant   access.Grant `query:"grant" required:"true" maxLength:"64"`
	AtScope string       `query:"at_scope" maxLength:"512" doc:"path or id of the scope; all scopes if left out"`
	WhoInput
}

func (a *api) whoHas(ctx context.Context, in *whoHasInput) (*body[bridge.Holders], error) {
	q := in.query()
	q.Grant, q.Scope = in.Grant, in.AtScope
	found, err := a.Bridge.WhoHas(ctx, q)
	return &body[bridge.Holders]{found}, err
}

type whoWasInInput struct {
	Group string `query:"group" required:"true" maxLength:"1024" doc:"its name, id or externalId of today, or the id of one that is gone"`
	WhoInput
}

func (a *api) whoWasIn(ctx context.Context, in *whoWasInInput) (*body[bridge.Roll], error) {
	q := in.query()
	q.Group = in.Group
	found, err := a.Bridge.WhoWasIn(ctx, q)
	return &body[bridge.Roll]{found}, err
}
