package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// ReplayRequest is a policy to decide by about what has been recorded.
type ReplayRequest struct {
	Source json.RawMessage `json:"source" doc:"the policy, as an object"`
	Since  time.Time       `json:"since" doc:"where the span begins, at most 31 days ago; it ends now"`
	Most   int             `json:"most,omitempty" doc:"how many differences and people are listed, at most 1000; 50 if left out"`
}

type replayInput struct{ Body ReplayRequest }

func (a *api) replayRoutes(h huma.API) {
	register(a, h, http.MethodPost, "/policy/replays", "What a policy would have decided otherwise about a recorded span of changes; nothing is changed", http.StatusOK, a.replay, func(o *huma.Operation) {
		o.MaxBodyBytes, o.SkipValidateBody, o.BodyReadTimeout = MaxPolicyBytes, true, time.Minute
	})
}

func (a *api) replay(ctx context.Context, in *replayInput) (*body[bridge.PolicyReplay], error) {
	var src mapping.PolicySource
	if err := json.Unmarshal(in.Body.Source, &src); err != nil {
		return nil, fault.New(fault.Invalid, "api.replay", "source is not a policy: %v", err)
	}
	out, err := a.Bridge.ReplayPolicy(ctx, src, in.Body.Since, in.Body.Most)
	if err != nil {
		return nil, err
	}
	return &body[bridge.PolicyReplay]{out}, nil
}
