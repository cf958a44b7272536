package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// MaxPolicyBytes is how large a policy may be that is sent to be planned.
const MaxPolicyBytes = 16 << 20

// NDJSON is the media type of an answer that tells how a plan comes along.
const NDJSON = "application/x-ndjson"

// planning is the longest that a plan of very many people may take to be answered.
const planning = 30 * time.Minute

// PlanRequest is a policy to be planned.
type PlanRequest struct {
	Source json.RawMessage `json:"source" doc:"the policy: scopes, connections, conditions, rules, guard, tests"`
	File   string          `json:"file,omitempty" maxLength:"1024" doc:"the name of the file that it comes from"`
	Text   string          `json:"text,omitempty" doc:"the file's text, its secrets masked; kept beside the plan"`
	Author string          `json:"author,omitempty" maxLength:"200" doc:"who asks"`
	Most   int             `json:"most,omitempty" minimum:"1" maximum:"10000" doc:"how many people's changes the plan lists; 1000 if left out"`
	Full   bool            `json:"full,omitempty" doc:"tell every change, a line each; only with Accept: application/x-ndjson"`
}

// PlanLine is a line of an answer in application/x-ndjson: one of these.
type PlanLine struct {
	Progress *PlanProgress        `json:"progress,omitempty"`
	Change   *bridge.PersonChange `json:"change,omitempty" doc:"if all were asked for: people in the order in which they came"`
	Plan     *bridge.PolicyPlan   `json:"plan,omitempty" doc:"the last line"`
	Error    *huma.ErrorModel     `json:"error,omitempty" doc:"or this one: no plan came of it"`
}

// PlanProgress is how far a plan has come.
type PlanProgress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

type planInput struct {
	Accept string `header:"Accept"`
	Body   PlanRequest
}

func (a *api) planRoutes(h huma.API) {
	answer := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[bridge.PolicyPlan](), true, "PolicyPlan")
	line := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[PlanLine](), true, "PlanLine")
	register(a, h, http.MethodPost, "/policy/plans", "Plan a policy: who would gain and lose what; nothing is changed", http.StatusOK, a.plan, func(o *huma.Operation) {
		o.MaxBodyBytes, o.SkipValidateBody, o.BodyReadTimeout = MaxPolicyBytes, true, time.Minute
		o.Responses = map[string]*huma.Response{"200": {Description: "The plan; or, if asked for, a line for each step of the way and the plan as the last",
			Content: map[string]*huma.MediaType{"application/json": {Schema: answer}, NDJSON: {Schema: line}}}}
	})
}

func (a *api) plan(_ context.Context, in *planInput) (*huma.StreamResponse, error) {
	src, o, err := in.Body.read()
	if err != nil {
		return nil, err
	}
	if in.Body.Full && !strings.Contains(in.Accept, NDJSON) {
		return nil, fault.New(fault.Invalid, "api.plan", "every change is told line by line only: send Accept: %s, or leave full out", NDJSON)
	}
	return a.planned(in.Accept, in.Body.Full, o, func(ctx context.Context, o bridge.PlanOptions) (bridge.PolicyPlan, error) {
		return a.Bridge.PlanPolicy(ctx, src, o)
	}), nil
}

// plans makes one plan, told as the options say.
type plans func(context.Context, bridge.PlanOptions) (bridge.PolicyPlan, error)

// planned answers with a plan: line by line if that is asked for, else whole.
func (a *api) planned(accept string, full bool, o bridge.PlanOptions, make plans) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		if strings.Contains(accept, NDJSON) {
			a.planByLines(c, o, full, make)
		} else {
			a.planWhole(c, o, make)
		}
	}}
}

// read checks what no schema does: the body is too large to be read twice.
func (p PlanRequest) read() (mapping.PolicySource, bridge.PlanOptions, error) {
	const op = "api.plan"
	var src mapping.PolicySource
	if len(p.Source) == 0 || p.Source[0] != '{' {
		return src, bridge.PlanOptions{}, fault.New(fault.Invalid, op, "source is missing: it is the policy, as an object")
	}
	if err := json.Unmarshal(p.Source, &src); err != nil {
		return src, bridge.PlanOptions{}, fault.New(fault.Invalid, op, "source is not a policy: %v", err)
	}
	if len(p.File) > 1024 || len(p.Author) > 200 || p.Most < 0 || p.Most > bridge.MaxPlanned {
		return src, bridge.PlanOptions{}, fault.New(fault.Invalid, op, "file has at most 1024 bytes, author 200, and most is at most %d", bridge.MaxPlanned)
	}
	return src, bridge.PlanOptions{File: p.File, Text: []byte(p.Text), Author: p.Author, Most: p.Most}, nil
}

func (a *api) planWhole(c huma.Context, o bridge.PlanOptions, make plans) {
	_, w := humago.Unwrap(c)
	stayOpen(w)
	plan, err := make(c.Context(), o)
	if err != nil {
		a.refusePlan(c, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = json.NewEncoder(w).Encode(plan) //nolint:errcheck // the client has gone
}

// stayOpen lets an answer take longer than others may.
func stayOpen(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(planning)) //nolint:errcheck // then it has the time that others have
}

func (a *api) refusePlan(c huma.Context, err error) {
	_, w := humago.Unwrap(c)
	p := a.planError(c.Context(), err)
	refuse(w, p.Status, p.Detail)
}

func (a *api) planError(ctx context.Context, err error) *huma.ErrorModel {
	if a.Observe != nil {
		a.Observe(ctx, err)
	}
	p := problem(err).(huma.StatusError) //nolint:errorlint,forcetypeassert // made there
	return &huma.ErrorModel{Title: http.StatusText(p.GetStatus()), Status: p.GetStatus(), Detail: p.Error()}
}

// readWithin is how long a client may take for a line: it holds up everybody who wants
// to plan meanwhile.
const readWithin = 30 * time.Second

// prompt is an answer in lines, each of which has its own time.
type prompt struct {
	w     http.ResponseWriter
	limit *http.ResponseController
}

func (p prompt) Write(line []byte) (int, error) {
	if err := p.limit.SetWriteDeadline(time.Now().Add(readWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(line)
}

// progressEvery is how often a line tells how far the plan has come.
const progressEvery = 250 * time.Millisecond

func (a *api) planByLines(c huma.Context, o bridge.PlanOptions, full bool, make plans) {
	_, w := humago.Unwrap(c)
	stayOpen(w)
	w.Header().Set("Content-Type", NDJSON)
	w.WriteHeader(http.StatusOK)
	lines, flush := json.NewEncoder(prompt{w, http.NewResponseController(w)}), http.NewResponseController(w)
	if full {
		o.Each = func(p bridge.PersonChange) error { return lines.Encode(PlanLine{Change: &p}) }
	}
	var told time.Time
	o.Progress = func(done, total int64) {
		if now := time.Now(); now.Sub(told) >= progressEvery || done == total {
			told = now
			_ = lines.Encode(PlanLine{Progress: &PlanProgress{done, total}}) //nolint:errcheck // the client has gone: its context ends the plan
			_ = flush.Flush()                                                //nolint:errcheck // likewise
		}
	}
	plan, err := make(c.Context(), o)
	last := PlanLine{Plan: &plan}
	if err != nil {
		last = PlanLine{Error: a.planError(c.Context(), err)}
	}
	_ = lines.Encode(last) //nolint:errcheck // the client has gone
}
