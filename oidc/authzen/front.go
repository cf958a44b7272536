package authzen

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Gate lets in an application by its own access token.
type Gate interface {
	AcceptServiceShown(ctx context.Context, shown oidc.Presented, oauthScope string) (oidc.Client, error)
}

// Decider decides, in the names that the application knows people and sessions by. What
// a question names and is not there is a no, not an error.
type Decider interface {
	MayDo(ctx context.Context, c oidc.Client, q Question) (bool, error)
	// WhoMay, WhereMay and WhatMay give a page of ids or names, and the token of the next.
	WhoMay(ctx context.Context, c oidc.Client, q Question, p Page) (ids []string, next string, err error)
	WhereMay(ctx context.Context, c oidc.Client, q Question, p Page) (found []Found, next string, err error)
	WhatMay(ctx context.Context, c oidc.Client, q Question) (names []string, err error)
}

// Found is a subject or resource that a search found.
type Found struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Config is what a Front uses. All fields but Observe are needed.
type Config struct {
	Issuer  string // origin, without a trailing slash
	Gate    Gate
	Decider Decider
	Proofs  *oidc.Proofs
	// Observe hears of every error once, where it is rendered. It may be nil.
	Observe func(ctx context.Context, err error)
}

// Front serves the endpoints. Make it with New.
type Front struct{ Config }

// New makes a Front.
func New(c Config) *Front { return &Front{c} }

// The paths of the endpoints, below the issuer.
const (
	pathMetadata    = "/.well-known/authzen-configuration"
	pathEvaluation  = "/access/v1/evaluation"
	pathEvaluations = "/access/v1/evaluations"
	pathSubjects    = "/access/v1/search/subject"
	pathResources   = "/access/v1/search/resource"
	pathActions     = "/access/v1/search/action"
)

// handler answers an application that is known.
type handler func(ctx context.Context, c oidc.Client, body []byte) (any, error)

// Routes puts the endpoints on mux. The patterns name no method: a wrong one is
// answered here.
func (f *Front) Routes(mux *http.ServeMux) {
	mux.HandleFunc(pathMetadata, f.metadata)
	mux.HandleFunc(pathEvaluation, f.by(f.evaluation))
	mux.HandleFunc(pathEvaluations, f.by(f.evaluations))
	mux.HandleFunc(pathSubjects, f.by(f.subjects))
	mux.HandleFunc(pathResources, f.by(f.resources))
	mux.HandleFunc(pathActions, f.by(f.actions))
}

// metadata is what the decision point says of itself (section 9).
func (f *Front) metadata(w http.ResponseWriter, r *http.Request) {
	echo(w, r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		wrongMethod(w, "GET, HEAD")
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Access-Control-Allow-Origin", "*") // public, and never with credentials
	write(w, map[string]string{
		"policy_decision_point":       f.Issuer,
		"access_evaluation_endpoint":  f.Issuer + pathEvaluation,
		"access_evaluations_endpoint": f.Issuer + pathEvaluations,
		"search_subject_endpoint":     f.Issuer + pathSubjects,
		"search_resource_endpoint":    f.Issuer + pathResources,
		"search_action_endpoint":      f.Issuer + pathActions,
	})
}

// by lets in whoever brings an access token with the OAuth scope authzen.
func (f *Front) by(next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		echo(w, r)
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			wrongMethod(w, http.MethodPost)
			return
		}
		answer, err := f.answer(w, r, next)
		if err != nil {
			f.refuse(w, r, err)
			return
		}
		write(w, answer)
	}
}

func (f *Front) answer(w http.ResponseWriter, r *http.Request, next handler) (any, error) {
	f.Proofs.Announce(w)
	shown, err := f.Proofs.Present(r)
	if err != nil {
		return nil, err
	}
	c, err := f.Gate.AcceptServiceShown(r.Context(), shown, oidc.ScopeAuthZEN)
	if err != nil {
		return nil, oidc.ServiceError(err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, invalid("The request cannot be read, or is longer than 256 KiB.")
	}
	return next(r.Context(), c, body)
}

// decision is the answer to one question. A no is an answer like a yes.
type decision struct {
	Decision bool `json:"decision"`
}

func (f *Front) evaluation(ctx context.Context, c oidc.Client, body []byte) (any, error) {
	q, err := ParseEvaluation(body)
	if err != nil {
		return nil, err
	}
	yes, err := f.Decider.MayDo(ctx, c, q)
	return decision{yes}, err
}

func (f *Front) evaluations(ctx context.Context, c oidc.Client, body []byte) (any, error) {
	b, err := ParseEvaluations(body)
	if err != nil {
		return nil, err
	}
	answers := make([]decision, 0, len(b.Questions))
	for _, q := range b.Questions {
		yes, err := f.Decider.MayDo(ctx, c, q)
		if err != nil {
			return nil, err
		}
		answers = append(answers, decision{yes})
		if yes && b.Semantics == PermitOnFirst || !yes && b.Semantics == DenyOnFirst {
			break
		}
	}
	if b.Single {
		return answers[0], nil
	}
	return map[string]any{"evaluations": answers}, nil
}

// results is a page of a search (section 8.2).
type results struct {
	Results any `json:"results"`
	Page    struct {
		Next  string `json:"next_token"` // empty: there is no more
		Count int    `json:"count"`
	} `json:"page"`
}

func found[T any](all []T, next string) results {
	r := results{Results: append([]T{}, all...)}
	r.Page.Next, r.Page.Count = next, len(all)
	return r
}

func (f *Front) subjects(ctx context.Context, c oidc.Client, body []byte) (any, error) {
	q, p, err := ParseSearch(Subjects, body)
	if err != nil {
		return nil, err
	}
	ids, next, err := f.Decider.WhoMay(ctx, c, q, p)
	var all []Found
	for _, id := range ids {
		all = append(all, Found{TypeUser, id})
	}
	return found(all, next), err
}

func (f *Front) resources(ctx context.Context, c oidc.Client, body []byte) (any, error) {
	q, p, err := ParseSearch(Resources, body)
	if err != nil {
		return nil, err
	}
	all, next, err := f.Decider.WhereMay(ctx, c, q, p)
	return found(all, next), err
}

func (f *Front) actions(ctx context.Context, c oidc.Client, body []byte) (any, error) {
	q, _, err := ParseSearch(Actions, body)
	if err != nil {
		return nil, err
	}
	names, err := f.Decider.WhatMay(ctx, c, q)
	var all []wireAction
	for _, n := range names {
		all = append(all, wireAction{n})
	}
	return found(all, ""), err
}

// refuse renders an error: what an application's own token lacks in OAuth's words, the
// rest as the protocol has it (section 10.1.3).
func (f *Front) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if e, ours := err.(*oidc.Error); ours { //nolint:errorlint // made by us, never wrapped
		e.Write(w)
		return
	}
	if f.Observe != nil {
		f.Observe(r.Context(), err)
	}
	e := oidc.ServiceError(err)
	if slices.Contains([]fault.Kind{fault.Invalid, fault.Limited, fault.NotFound}, fault.KindOf(err)) {
		e = &oidc.Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: fault.DetailOf(err)}
	}
	e.Write(w)
}

// maxRequestID is the longest X-Request-ID that is sent back, in bytes.
const maxRequestID = 128

// echo sends the caller's X-Request-ID back (section 10.1.2).
func echo(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-ID")
	printable := !slices.ContainsFunc([]byte(id), func(b byte) bool { return b <= 0x20 || b >= 0x7f })
	if id != "" && len(id) <= maxRequestID && printable {
		w.Header().Set("X-Request-ID", id)
	}
}

func wrongMethod(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	(&oidc.Error{Status: http.StatusMethodNotAllowed, Code: "invalid_request", Description: "This endpoint takes " + allow + "."}).Write(w)
}

func write(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil { // texts and booleans always encode
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a failed write means that the reader has gone
}
