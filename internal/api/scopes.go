package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (a *api) scopeRoutes(h huma.API) {
	get(a, h, "/scopes", "The scope tree, or what lies under one scope, part by part, with how many assignments there are at each", a.scopes)
	get(a, h, "/scope", "One scope, with what lies above and below it", a.scope)
	register(a, h, http.MethodPost, "/scopes", "Add a scope; its level follows from its parent. A person adds within their own scope", http.StatusCreated, a.addScope, people)
	register(a, h, http.MethodPost, "/scope/rename", "Give a scope another slug, name, time zone or location; the former slug still leads to it. A person renames what lies below their own scope", http.StatusOK, a.renameScope, people)
	answer := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[bridge.PolicyPlan](), true, "PolicyPlan")
	register(a, h, http.MethodPost, "/scope/plans", "Plan to rename, move, retire or restore a scope: who would gain and lose what; it is applied by its hash", http.StatusOK, a.planScope, func(o *huma.Operation) {
		o.Responses = map[string]*huma.Response{"200": {Description: "The plan; in application/x-ndjson as for a policy", Content: map[string]*huma.MediaType{"application/json": {Schema: answer}}}}
	})
	register(a, h, http.MethodPost, "/scopes/imports", "Begin an import of scopes, or go on with one that was interrupted", http.StatusOK, a.beginImport)
	register(a, h, http.MethodPost, "/scopes/imports/{import}/scopes", "Write a part of an import, unseen until it is committed", http.StatusOK, a.stageImport)
	register(a, h, http.MethodPost, "/scopes/imports/{import}/commit", "Put an import in force, all of it at once", http.StatusOK, a.commitImport)
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
		ID       access.ScopeID `json:"id,omitempty" maxLength:"128" pattern:"^[a-z0-9_][a-z0-9_.-]*$" doc:"made by the bridge, if left out; the operator's to choose"`
		Author   string         `json:"author,omitempty" maxLength:"200" doc:"who adds it, if the operator does; kept with the version"`
	}
}

func (a *api) addScope(ctx context.Context, in *addScopeInput) (*body[bridge.ScopeChanged], error) {
	b := in.Body
	done, err := a.Steward.AddScope(ctx, actor(ctx, b.Author), bridge.NewScope{ID: b.ID, Under: b.Under, Slug: b.Slug, Name: b.Name, TimeZone: b.TimeZone, Location: b.Location, By: bridge.TreeAuthor{Author: b.Author}})
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
		Author   string  `json:"author,omitempty" maxLength:"200" doc:"who renames it, if the operator does; kept with the version"`
	}
}

func (a *api) renameScope(ctx context.Context, in *renameScopeInput) (*body[bridge.ScopeChanged], error) {
	b := in.Body
	done, err := a.Steward.RenameScope(ctx, actor(ctx, b.Author), b.Scope, access.Description{Slug: b.Slug, Name: b.Name, TimeZone: b.TimeZone, Location: b.Location}, b.Author)
	if err != nil {
		return nil, err
	}
	return &body[bridge.ScopeChanged]{done}, nil
}

type beginImportInput struct {
	Body struct {
		Digest string `json:"digest" minLength:"1" maxLength:"128" doc:"of what is imported: an import of the same that was interrupted goes on"`
	}
}

func (a *api) beginImport(ctx context.Context, in *beginImportInput) (*body[bridge.ImportState], error) {
	state, err := a.Bridge.BeginImport(ctx, in.Body.Digest)
	if err != nil {
		return nil, err
	}
	return &body[bridge.ImportState]{state}, nil
}

type stageImportInput struct {
	Import int64 `path:"import" minimum:"1"`
	Body   struct {
		From   int64              `json:"from" minimum:"0" doc:"how many scopes were sent before these"`
		Scopes []bridge.ImportRow `json:"scopes" maxItems:"100" doc:"parents before what lies below them"`
	}
}

func (a *api) stageImport(ctx context.Context, in *stageImportInput) (*body[bridge.ImportState], error) {
	state, err := a.Bridge.StageImport(ctx, in.Import, in.Body.From, in.Body.Scopes)
	if err != nil {
		return nil, err
	}
	return &body[bridge.ImportState]{state}, nil
}

type commitImportInput struct {
	Import int64 `path:"import" minimum:"0" doc:"0 if nothing is added"`
	Body   struct {
		Changes []bridge.ImportChange `json:"changes,omitempty" maxItems:"1000" doc:"what is said anew of scopes that are there"`
		File    string                `json:"file,omitempty" maxLength:"1024" doc:"what is imported, for the history"`
		Author  string                `json:"author,omitempty" maxLength:"200" doc:"who imports it; kept with the version"`
	}
}

func (a *api) commitImport(ctx context.Context, in *commitImportInput) (*body[bridge.Imported], error) {
	done, err := a.Bridge.CommitImport(ctx, in.Import, in.Body.Changes, bridge.TreeAuthor{Author: in.Body.Author, From: in.Body.File})
	if err != nil {
		return nil, err
	}
	return &body[bridge.Imported]{done}, nil
}

type planScopeInput struct {
	Accept string `header:"Accept"`
	Body   struct {
		Do       bridge.ScopeDeed `json:"do" enum:"rename,move,retire,restore"`
		Scope    string           `json:"scope" maxLength:"300" doc:"path or id"`
		Under    string           `json:"under,omitempty" maxLength:"300" doc:"of a move: path or id of its parent to be"`
		Slug     *string          `json:"slug,omitempty" maxLength:"63"`
		Name     *string          `json:"name,omitempty" maxLength:"200"`
		TimeZone *string          `json:"timezone,omitempty" maxLength:"64"`
		Location *string          `json:"location,omitempty" maxLength:"200"`
		Author   string           `json:"author,omitempty" maxLength:"200" doc:"who asks"`
	}
}

// planScope plans a change of the tree, and answers as the plan of a policy does.
func (a *api) planScope(_ context.Context, in *planScopeInput) (*huma.StreamResponse, error) {
	b := in.Body
	change := bridge.ScopePlan{Do: b.Do, At: b.Scope, Under: b.Under, Description: access.Description{Slug: b.Slug, Name: b.Name, TimeZone: b.TimeZone, Location: b.Location}}
	file := strings.TrimSpace(fmt.Sprintf("scope %s %s %s", b.Do, b.Scope, b.Under))
	return a.planned(in.Accept, false, bridge.PlanOptions{File: file, Author: b.Author}, func(ctx context.Context, o bridge.PlanOptions) (bridge.PolicyPlan, error) {
		return a.Bridge.PlanScope(ctx, change, o)
	}), nil
}
