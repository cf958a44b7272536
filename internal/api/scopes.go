package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (a *api) scopeRoutes(h huma.API) {
	get(a, h, "/scopes", "The scope tree, or what lies under one scope, part by part, with how many assignments there are at each", a.scopes)
	get(a, h, "/scope", "One scope, with what lies above and below it", a.scope)
	register(a, h, http.MethodPost, "/scopes", "Add a scope; its level follows from its parent", http.StatusCreated, a.addScope)
	register(a, h, http.MethodPost, "/scope/rename", "Give a scope another slug, name, time zone or location; the former slug still leads to it", http.StatusOK, a.renameScope)
}

type scopesInput struct {
	Under string         `query:"under" maxLength:"300" doc:"path or id of a scope; the host if left out"`
	After access.ScopeID `query:"after" maxLength:"300" doc:"next of the part before"`
	Limit int            `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

func (a *api) scopes(ctx context.Context, in *scopesInput) (*body[bridge.ScopeList], error) {
	list, err := a.Bridge.Scopes(ctx, in.Under, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return &body[bridge.ScopeList]{list}, nil
}

type scopeInput struct {
	At string `query:"at" required:"true" maxLength:"300" doc:"path or id; a former path does, too"`
}

func (a *api) scope(ctx context.Context, in *scopeInput) (*body[bridge.ScopeDetail], error) {
	s, err := a.Bridge.Scope(ctx, in.At)
	if err != nil {
		return nil, err
	}
	return &body[bridge.ScopeDetail]{s}, nil
}

type addScopeInput struct {
	Body struct {
		Under    string         `json:"under" maxLength:"300" doc:"path or id of its parent; . is the host"`
		Slug     string         `json:"slug" maxLength:"63"`
		Name     string         `json:"name" maxLength:"200"`
		TimeZone string         `json:"timezone,omitempty" maxLength:"64" doc:"of a fleet: an IANA name"`
		Location string         `json:"location,omitempty" maxLength:"200"`
		ID       access.ScopeID `json:"id,omitempty" maxLength:"128" pattern:"^[a-z0-9_][a-z0-9_.-]*$" doc:"made by the bridge, if left out"`
	}
}

func (a *api) addScope(ctx context.Context, in *addScopeInput) (*body[bridge.ScopeChanged], error) {
	done, err := a.Bridge.AddScope(ctx, bridge.NewScope{ID: in.Body.ID, Under: in.Body.Under, Slug: in.Body.Slug, Name: in.Body.Name, TimeZone: in.Body.TimeZone, Location: in.Body.Location})
	if err != nil {
		return nil, err
	}
	return &body[bridge.ScopeChanged]{done}, nil
}

type renameScopeInput struct {
	Body struct {
		Scope    string  `json:"scope" maxLength:"300" doc:"path or id"`
		Slug     *string `json:"slug,omitempty" maxLength:"63"`
		Name     *string `json:"name,omitempty" maxLength:"200"`
		TimeZone *string `json:"timezone,omitempty" maxLength:"64"`
		Location *string `json:"location,omitempty" maxLength:"200"`
	}
}

func (a *api) renameScope(ctx context.Context, in *renameScopeInput) (*body[bridge.ScopeChanged], error) {
	b := in.Body
	done, err := a.Bridge.RenameScope(ctx, b.Scope, access.Description{Slug: b.Slug, Name: b.Name, TimeZone: b.TimeZone, Location: b.Location})
	if err != nil {
		return nil, err
	}
	return &body[bridge.ScopeChanged]{done}, nil
}
