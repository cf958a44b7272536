package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// SimulateRequest is what is supposed of a person.
type SimulateRequest struct {
	Person        string                `json:"person,omitempty" maxLength:"512" doc:"userName, e-mail address or person id; left out: somebody made up"`
	Connection    access.ConnectionID   `json:"connection,omitempty" maxLength:"128" doc:"of somebody made up, or if people of several connections answer to person"`
	AddGroups     []string              `json:"add_groups,omitempty" doc:"by name, by id or by externalId; at most 100"`
	RemoveGroups  []string              `json:"remove_groups,omitempty" doc:"at most 100"`
	Hypothetical  bool                  `json:"hypothetical,omitempty" doc:"groups to add need not exist"`
	Attributes    map[string]any        `json:"attributes,omitempty" doc:"by the policy's names; null takes one away"`
	Certification *access.Certification `json:"certification,omitempty" doc:"counts as the vendor's own word"`
	Active        *bool                 `json:"active,omitempty"`
	At            time.Time             `json:"at,omitzero" doc:"the instant to decide at; now if left out"`
	Policy        json.RawMessage       `json:"policy,omitempty" doc:"a policy to decide by instead of the active one, as an object"`
}

type simulateInput struct{ Body SimulateRequest }

func (a *api) simulateRoutes(h huma.API) {
	register(a, h, http.MethodPost, "/simulate", "What somebody would hold if something about them were otherwise; nothing is changed", http.StatusOK, a.simulate, func(o *huma.Operation) {
		o.MaxBodyBytes, o.SkipValidateBody, o.BodyReadTimeout = MaxPolicyBytes, true, time.Minute
	})
}

func (a *api) simulate(ctx context.Context, in *simulateInput) (*body[bridge.Simulation], error) {
	r := in.Body
	s := bridge.Supposed{Person: r.Person, Connection: r.Connection, AddGroups: r.AddGroups, RemoveGroups: r.RemoveGroups, Hypothetical: r.Hypothetical,
		Attributes: r.Attributes, Certification: r.Certification, Active: r.Active, At: r.At}
	if len(r.Policy) > 0 {
		s.Policy = new(mapping.PolicySource)
		if err := json.Unmarshal(r.Policy, s.Policy); err != nil {
			return nil, fault.New(fault.Invalid, "api.simulate", "policy is not a policy: %v", err)
		}
	}
	out, err := a.Bridge.Simulate(ctx, s)
	if err != nil {
		return nil, err
	}
	return &body[bridge.Simulation]{out}, nil
}
