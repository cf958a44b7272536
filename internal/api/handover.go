package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (a *api) handoverRoutes(h huma.API) {
	get(a, h, "/permits/{permit}/handover", "What is to be tried after access was given, and what of it was seen", a.verify, people)
	register(a, h, http.MethodPost, "/permits/{permit}/handover", "Tick a point that a person alone can see, or take that back", http.StatusOK, a.tickPoint, people)
	register(a, h, http.MethodPost, "/permits/{permit}/handover/note", "Make the note for the customer: what, where, until when, who makes changes, and where support is", http.StatusOK, a.handoverNote, people)
}

// PermitPath names a permit in the address of a request.
type PermitPath struct {
	Permit access.PermitID `path:"permit" maxLength:"64"`
}

func (a *api) verify(ctx context.Context, in *PermitPath) (*body[steward.CheckList], error) {
	l, err := a.Steward.Verify(ctx, actor(ctx, ""), in.Permit)
	return &body[steward.CheckList]{l}, err
}

type tickInput struct {
	PermitPath
	Body struct {
		steward.Ticking
		Author string `json:"author,omitempty" maxLength:"200" doc:"who has seen it, if the operator ticks it"`
	}
}

func (a *api) tickPoint(ctx context.Context, in *tickInput) (*body[steward.CheckList], error) {
	l, err := a.Steward.TickPoint(ctx, actor(ctx, in.Body.Author), in.Permit, in.Body.Ticking)
	return &body[steward.CheckList]{l}, err
}

type handoverInput struct {
	PermitPath
	Body struct {
		Format  string `json:"format" enum:"text,html,json"`
		Message string `json:"message,omitempty" maxLength:"500" doc:"a sentence for the customer to read"`
		Author  string `json:"author,omitempty" maxLength:"200" doc:"who hands it over, if the operator does"`
	}
}

func (a *api) handoverNote(ctx context.Context, in *handoverInput) (*body[steward.Handed], error) {
	n, err := a.Steward.Handover(ctx, actor(ctx, in.Body.Author), in.Permit, in.Body.Format, in.Body.Message)
	return &body[steward.Handed]{n}, err
}
