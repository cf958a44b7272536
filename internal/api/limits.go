package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (a *api) limitRoutes(h huma.API) {
	get(a, h, "/connections/{connection}/people/{person}/limits", "What was taken from one person, as far as you see it", a.limits, people)
	register(a, h, http.MethodPost, "/connections/{connection}/people/{person}/limits", "Lower what one person sees of events and video, within an area", http.StatusOK, a.narrow, people)
	register(a, h, http.MethodPost, "/limits/{limit}/lift", "Take a limit back", http.StatusOK, a.lift, people)
	get(a, h, "/exceptions", "What is out of the ordinary in what people hold, where you decide, part by part", a.exceptions, people)
}

// ownConnection stands in an address for the connection of the person who asks: no
// connection is called that.
const ownConnection = "-"

// PersonPath names a person in the address of a request.
type PersonPath struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128" doc:"- is the connection of whoever asks"`
	Person     access.PersonID     `path:"person" maxLength:"320" doc:"id, or userName"`
}

func (in PersonPath) ref() steward.PersonRef {
	if in.Connection == ownConnection {
		in.Connection = ""
	}
	return steward.PersonRef{Connection: in.Connection, Person: in.Person}
}

func (a *api) limits(ctx context.Context, in *PersonPath) (*body[[]steward.LimitView], error) {
	all, err := a.Steward.Limits(ctx, actor(ctx, ""), in.ref())
	return &body[[]steward.LimitView]{all}, err
}

type narrowInput struct {
	PersonPath
	Body struct {
		steward.Narrowing
		Author string `json:"author,omitempty" maxLength:"200" doc:"who does it, if the operator does"`
	}
}

func (a *api) narrow(ctx context.Context, in *narrowInput) (*body[steward.LimitView], error) {
	l, err := a.Steward.Narrow(ctx, actor(ctx, in.Body.Author), in.ref(), in.Body.Narrowing)
	return &body[steward.LimitView]{l}, err
}

type liftInput struct {
	Limit access.LimitID `path:"limit" maxLength:"64"`
	Body  struct {
		Reason string `json:"reason" maxLength:"1000"`
		Author string `json:"author,omitempty" maxLength:"200" doc:"who does it, if the operator does"`
	}
}

func (a *api) lift(ctx context.Context, in *liftInput) (*body[steward.LimitView], error) {
	l, err := a.Steward.Lift(ctx, actor(ctx, in.Body.Author), in.Limit, in.Body.Reason)
	return &body[steward.LimitView]{l}, err
}

type exceptionsInput struct {
	Kind  exception.Kind `query:"kind" enum:"broken_glass_unconfirmed,last_administrator_held_over,several_customers,above_ceiling,permanent,administration_with_operation,two_high_risk"`
	Area  string         `query:"area" maxLength:"300" doc:"path or id of a scope: at it and below"`
	After string         `query:"after" maxLength:"400" doc:"next of the part before"`
	Limit int            `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

func (a *api) exceptions(ctx context.Context, in *exceptionsInput) (*body[steward.ExceptionPage], error) {
	page, err := a.Steward.Exceptions(ctx, actor(ctx, ""), steward.ExceptionQuery{Kind: in.Kind, Area: in.Area, After: in.After, Count: in.Limit})
	return &body[steward.ExceptionPage]{page}, err
}
