package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// ApplyRequest names the plan to apply, and what of it is approved.
type ApplyRequest struct {
	Plan      string           `json:"plan" minLength:"4" maxLength:"64" doc:"the hash of the plan"`
	Source    json.RawMessage  `json:"source,omitempty" doc:"the policy that the plan is expected to be of; another is refused"`
	Author    string           `json:"author,omitempty" maxLength:"200" doc:"who applies it"`
	Reason    string           `json:"reason,omitempty" maxLength:"1000" doc:"why; required where something is approved"`
	Approvals bridge.Approvals `json:"approvals,omitempty" doc:"people and scopes past the guards, by name; for more than 100 people, their exact number"`
}

// Refusal is the answer to a plan that is not carried out: problem details with what
// stands in the way.
type Refusal struct {
	huma.ErrorModel
	Reason string                `json:"reason,omitempty" enum:"guard,unreviewed,policy_moved,tests_fail"`
	Guards []bridge.GuardFinding `json:"guards,omitempty" doc:"guards that refuse, with the names that are not approved"`
	People []bridge.PersonChange `json:"people,omitempty" doc:"who would lose what the plan did not show"`
	Tests  []mapping.TestResult  `json:"tests,omitempty" doc:"tests of the policy that fail"`
}

func (a *api) applicationRoutes(h huma.API) {
	long[bridge.Applied](a, h, "/policy/applications", "Apply a plan: exactly what was reviewed, or not at all", a.applyPlan, largeBody)
	get(a, h, "/policy/applications", "Versions of the policy, the latest first: who applied them, from what, and what was approved", a.applications)
	get(a, h, "/policy/applications/{version}", "One version of the policy, with all that it says", a.application)
	long[bridge.PolicyPlan](a, h, "/policy/applications/{version}/plans", "Plan to go back to a version; it is applied by its hash", a.planRevert)
	get(a, h, "/policy/diff", "What is different in one version of the policy from another", a.diffPolicies)
}

// long registers what plans, and so may take longer than other answers.
func long[O, I any](a *api, h huma.API, path, summary string, fn func(context.Context, *I) (*huma.StreamResponse, error), special ...func(*huma.Operation)) {
	answer := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[O](), true, reflect.TypeFor[O]().Name())
	refused := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Refusal](), true, "Refusal")
	register(a, h, http.MethodPost, path, summary, http.StatusOK, fn, append(special, func(o *huma.Operation) {
		o.Responses = map[string]*huma.Response{"200": {Description: "Done", Content: map[string]*huma.MediaType{"application/json": {Schema: answer}}},
			"default": {Description: "Not done", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: refused}}}}
	})...)
}

// largeBody lets a route take a whole policy.
func largeBody(o *huma.Operation) {
	o.MaxBodyBytes, o.SkipValidateBody, o.BodyReadTimeout = MaxPolicyBytes, true, time.Minute
}

// answerOf answers with what fn gives, however long it takes.
func answerOf[O any](a *api, fn func(context.Context) (O, error)) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, w := humago.Unwrap(c)
		stayOpen(w)
		out, err := fn(c.Context())
		if err != nil {
			p := a.refusal(c.Context(), err)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(p.Status)
			_ = json.NewEncoder(w).Encode(p) //nolint:errcheck // the client has gone
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) //nolint:errcheck // likewise
	}}
}

type applyInput struct{ Body ApplyRequest }

func (a *api) applyPlan(_ context.Context, in *applyInput) (*huma.StreamResponse, error) {
	o, err := in.Body.read()
	if err != nil {
		return nil, err
	}
	return answerOf(a, func(ctx context.Context) (bridge.Applied, error) { return a.Bridge.ApplyPlan(ctx, in.Body.Plan, o) }), nil
}

// read checks what no schema does: the body is too large to be read twice.
func (r ApplyRequest) read() (bridge.ApplyOptions, error) {
	const op = "api.applyPlan"
	o := bridge.ApplyOptions{Author: r.Author, Approvals: r.Approvals, Reason: r.Reason}
	if len(r.Plan) < 4 || len(r.Plan) > 64 || len(r.Author) > 200 || len(r.Reason) > 1000 {
		return o, fault.New(fault.Invalid, op, "plan is the hash of a plan; author has at most 200 bytes, reason 1000")
	}
	if len(r.Source) == 0 {
		return o, nil
	}
	o.Source = &mapping.PolicySource{}
	if err := json.Unmarshal(r.Source, o.Source); err != nil {
		return o, fault.New(fault.Invalid, op, "source is not a policy: %v", err)
	}
	return o, nil
}

// refusal is an error as the answer, with what stands in the way of a plan if it is
// that. The log has the sentence, which names nobody.
func (a *api) refusal(ctx context.Context, err error) Refusal {
	r := Refusal{ErrorModel: *a.planError(ctx, err)}
	var why *bridge.Refusal
	if errors.As(err, &why) || fault.ReasonOf(err) == bridge.ReasonMoved {
		r.Reason = fault.ReasonOf(err)
	}
	if why != nil {
		r.Guards, r.People, r.Tests = why.Guards, why.People, why.Tests
	}
	return r
}

type applicationsInput struct {
	Before int64 `query:"before" minimum:"0" doc:"versions below this one; all if left out"`
	Limit  int   `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

func (a *api) applications(ctx context.Context, in *applicationsInput) (*body[[]bridge.PolicyApplication], error) {
	all, err := a.Bridge.Applications(ctx, in.Before, in.Limit)
	if err != nil {
		return nil, err
	}
	return &body[[]bridge.PolicyApplication]{all}, nil
}

type versionInput struct {
	Version int64 `path:"version" minimum:"1"`
}

func (a *api) application(ctx context.Context, in *versionInput) (*body[bridge.PolicyVersionText], error) {
	one, err := a.Bridge.Application(ctx, in.Version)
	if err != nil {
		return nil, err
	}
	return &body[bridge.PolicyVersionText]{one}, nil
}

type planRevertInput struct {
	Version int64 `path:"version" minimum:"1"`
	Body    struct {
		Author string `json:"author,omitempty" maxLength:"200"`
	}
}

func (a *api) planRevert(_ context.Context, in *planRevertInput) (*huma.StreamResponse, error) {
	return answerOf(a, func(ctx context.Context) (bridge.PolicyPlan, error) {
		return a.Bridge.PlanRevert(ctx, in.Version, bridge.PlanOptions{Author: in.Body.Author})
	}), nil
}

type diffInput struct {
	From int64 `query:"from" minimum:"1" required:"true"`
	To   int64 `query:"to" minimum:"0" doc:"the version in force, if left out"`
}

func (a *api) diffPolicies(ctx context.Context, in *diffInput) (*body[bridge.PolicyDiff], error) {
	d, err := a.Bridge.DiffPolicies(ctx, in.From, in.To)
	if err != nil {
		return nil, err
	}
	return &body[bridge.PolicyDiff]{d}, nil
}
